//! The raw names and values: the process environment over the file `.env`. Knows nothing of what they mean.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::dotenv;
use super::report::{Problem, Problems, Warning};
use super::vars::{self, Var};

/// Every name with its value, and what was odd about them.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The environment's value, else the file's.
    pub values: BTreeMap<String, String>,
    /// Names that look like ours and that nobody reads.
    pub warnings: Vec<Warning>,
}

/// Reads both. A missing file is fine; one that cannot be read is a problem.
pub(super) fn read() -> Result<Environment, Problems> {
    let file = match std::fs::read_to_string(".env") {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            let expected = format!("a readable text file ({})", error.kind());
            return Err(Problems(vec![Problem { variable: ".env".to_owned(), shown: None, expected, example: "" }]));
        }
    };
    let real = std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    Ok(merge(&file, real))
}

/// The file's pairs under those of the real environment.
fn merge(file: &str, real: impl Iterator<Item = (String, String)>) -> Environment {
    let mut values: BTreeMap<String, String> = dotenv::parse(file).into_iter().collect();
    values.extend(real);
    let warn = |(name, meant): (&str, Option<&Var>)| match meant {
        Some(var) => Warning(format!("{name} is not read; {} is", var.name)),
        None => Warning(format!("{name} is not read: there is no such setting")),
    };
    let warnings = vars::foreign(values.keys().map(String::as_str)).map(warn).collect();
    Environment { values, warnings }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(file: &str, real: &[(&str, &str)]) -> Environment {
        merge(file, real.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let both = merged("PORT=1\nHOST=localhost # here\nAPI_KEY='a $b'\n", &[("PORT", "2"), ("LOG_DIR", "")]);
        let value = |name: &str| both.values.get(name).cloned();
        assert_eq!(value("PORT").as_deref(), Some("2"));
        assert_eq!(value("HOST").as_deref(), Some("localhost"));
        assert_eq!(value("API_KEY").as_deref(), Some("a $b"));
        assert_eq!(both.warnings, []);
        let emptied = merged("API_KEY=abc", &[("API_KEY", "")]);
        assert_eq!(emptied.values.get("API_KEY").map(String::as_str), Some(""));
    }

    #[test]
    fn names_that_nobody_reads_are_warned_about() {
        let odd = merged("", &[("HELPLINE_PORT", "1"), ("HELPLINE_COLOUR", "red"), ("OTHER", "x")]);
        let said = odd.warnings.iter().map(Warning::to_string).collect::<Vec<_>>();
        assert_eq!(said, ["HELPLINE_COLOUR is not read: there is no such setting", "HELPLINE_PORT is not read; PORT is"]);
    }
}
