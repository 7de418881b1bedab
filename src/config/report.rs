//! What is wrong with the configuration, in words. The only place that decides how a value is shown; it never shows a secret.

use std::fmt;

use super::vars::Var;

/// A value that cannot be used, or the lack of one that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable, by the name under which it was set.
    pub variable: String,
    /// Its value as it may be shown; `None` where it is not set.
    pub shown: Option<String>,
    /// What was expected.
    pub expected: String,
    /// A good value; empty where there is none.
    pub example: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shown {
            Some(value) => write!(f, "{}={value}", self.variable)?,
            None => write!(f, "{} is not set", self.variable)?,
        }
        write!(f, ": expected {}", self.expected)?;
        match self.example {
            "" => Ok(()),
            example => write!(f, "; for example {example}"),
        }
    }
}

/// Every problem at once, so that one start finds them all. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used")?;
        self.0.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

impl std::error::Error for Problems {}

/// Something that works, and is probably not what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a hidden URL may still show of itself. Other words before `://` may be part of a secret.
const SCHEMES: [&str; 11] =
    ["mongodb", "mongodb+srv", "redis", "rediss", "postgres", "postgresql", "mysql", "mariadb", "sqlite", "http", "https"];

/// `value` as it may be shown: `***` for a secret, with a known scheme if it is a URL; shortened and escaped otherwise.
pub(super) fn shown(var: &Var, value: &str) -> String {
    if !var.secret && !value.contains('@') {
        let start: String = value.chars().take(80).collect();
        let rest = if start.len() < value.len() { "…" } else { "" };
        return format!("{}{rest}", start.escape_debug());
    }
    let scheme = value.split_once("://").map(|(scheme, _)| scheme).filter(|s| SCHEMES.contains(s));
    scheme.map_or_else(|| "***".to_owned(), |s| format!("{s}://***"))
}
