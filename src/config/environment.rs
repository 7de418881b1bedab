//! The raw names and values: the process environment over the file `.env`. Knows nothing of what they mean.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::report::{Problem, Problems, Warning};
use super::vars::{self, ALL};

/// Every name with its value, and what was odd about them.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The environment's value, else the file's.
    pub values: BTreeMap<String, String>,
    /// Lines that were not understood, and names that nobody reads.
    pub warnings: Vec<Warning>,
}

/// Reads both. A missing file is fine; one that cannot be read, or a line that sets one of our variables and cannot be parsed, is a problem.
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
    merge(&file, real)
}

/// The file's text under the pairs of the real environment.
fn merge(file: &str, real: impl Iterator<Item = (String, String)>) -> Result<Environment, Problems> {
    let mut environment = Environment::default();
    let mut problems = Vec::new();
    for item in dotenvy::from_read_iter(file.as_bytes()) {
        match item {
            Ok((name, value)) => {
                environment.values.insert(name, value);
            }
            Err(dotenvy::Error::LineParse(part, _)) => {
                // The error carries what follows `=`, so the name has to be looked up.
                let line = file.lines().find(|line| line.contains(part.trim_end())).unwrap_or_default();
                unreadable(line, &mut environment, &mut problems);
            }
            Err(_) => environment.warnings.push(Warning(".env: a part of the file is not text and was left out".to_owned())),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    warn_of_dollars(file, &mut environment);
    environment.values.extend(real);
    let foreign: Vec<Warning> = vars::foreign(environment.values.keys().map(String::as_str))
        .map(|(name, meant)| match meant {
            Some(var) => Warning(format!("{name} is not read; {} is", var.name)),
            None => Warning(format!("{name} is not read: there is no such setting")),
        })
        .collect();
    environment.warnings.extend(foreign);
    Ok(environment)
}

/// A line that the parser refuses, mostly for blanks in a bare value. The value is not shown: it may be a secret.
fn unreadable(line: &str, environment: &mut Environment, problems: &mut Vec<Problem>) {
    let name = name_of(line);
    if ALL.iter().any(|v| v.name == name || v.aliases.contains(&name)) {
        let expected = "a value in single quotes in .env, because it holds blanks or quotes".to_owned();
        problems.push(Problem { variable: name.to_owned(), shown: Some("***".to_owned()), expected, example: "" });
    } else {
        let whose = if name.is_empty() { "a line".to_owned() } else { format!("the line of {name}") };
        environment.warnings.push(Warning(format!(".env: {whose} cannot be read and was left out")));
    }
}

/// The parser replaces `$name` outside single quotes, which the originals' did not: a password could change without a word.
fn warn_of_dollars(file: &str, environment: &mut Environment) {
    for line in file.lines() {
        let name = name_of(line);
        let value = line.split_once('=').map_or("", |(_, value)| value.trim_start());
        let replaced = value.contains('$') && !value.starts_with('\'');
        if replaced && ALL.iter().any(|v| v.name == name || v.aliases.contains(&name)) {
            environment.warnings.push(Warning(format!(".env: {name} holds a $, which begins a reference; put the value in single quotes")));
        }
    }
}

/// The name that a line sets: what stands before `=`, without `export`; empty if that is no name, since it may be a piece of a secret.
fn name_of(line: &str) -> &str {
    let before = line.split_once('=').map_or("", |(before, _)| before).trim();
    let name = before.strip_prefix("export ").unwrap_or(before).trim_start();
    if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') { name } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(file: &str, real: &[(&str, &str)]) -> Result<Environment, Problems> {
        merge(file, real.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let both = merged("PORT=1\nHOST=localhost # here\nAPI_KEY='a $b'\n", &[("PORT", "2"), ("LOG_DIR", "")]).unwrap();
        let value = |name: &str| both.values.get(name).cloned();
        assert_eq!(value("PORT").as_deref(), Some("2"));
        assert_eq!(value("HOST").as_deref(), Some("localhost"));
        assert_eq!(value("API_KEY").as_deref(), Some("a $b"));
        assert_eq!(both.warnings, []);
        let emptied = merged("API_KEY=abc", &[("API_KEY", "")]).unwrap();
        assert_eq!(emptied.values.get("API_KEY").map(String::as_str), Some(""));
    }

    #[test]
    fn a_line_that_cannot_be_read_counts_only_if_it_is_ours() {
        let fine = merged("APP_NAME=My Chat\nPORT=7\n", &[]).unwrap();
        assert_eq!(fine.values.get("PORT").map(String::as_str), Some("7"));
        assert_eq!(fine.warnings, [Warning(".env: the line of APP_NAME cannot be read and was left out".to_owned())]);
        let text = merged("export JWT_SECRET=open sesame\n", &[]).unwrap_err().to_string();
        assert!(text.contains("JWT_SECRET=***") && text.contains("single quotes") && !text.contains("sesame"), "{text}");
    }

    #[test]
    fn values_that_the_parser_would_change_are_warned_about() {
        let changed = merged("JWT_SECRET=abc$def\nOTHER=$x\n", &[]).unwrap();
        let said = changed.warnings.iter().map(Warning::to_string).collect::<Vec<_>>();
        assert_eq!(said, [".env: JWT_SECRET holds a $, which begins a reference; put the value in single quotes"]);
    }

    #[test]
    fn names_that_nobody_reads_are_warned_about() {
        let odd = merged("", &[("HELPLINE_PORT", "1"), ("HELPLINE_COLOUR", "red"), ("OTHER", "x")]).unwrap();
        let said = odd.warnings.iter().map(Warning::to_string).collect::<Vec<_>>();
        assert_eq!(said, ["HELPLINE_COLOUR is not read: there is no such setting", "HELPLINE_PORT is not read; PORT is"]);
    }
}
