//! How the server logs. Opens no file.

use std::path::PathBuf;

use super::reader::Reader;
use super::{choice, values, vars};

/// The logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `LOG_LEVEL`: directives that the filter has accepted.
    pub level: String,
    /// `LOG_FORMAT`.
    pub format: LogFormat,
    /// `LOG_DIR`; `None` is standard error alone.
    pub dir: Option<PathBuf>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one object a line.
    Json,
}

pub(super) fn log(reader: &mut Reader<'_>) -> Log {
    Log {
        level: reader.parsed(&vars::LOG_LEVEL, values::log_level).unwrap_or_default(),
        format: choice(reader, &vars::LOG_FORMAT, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        dir: reader.given(&vars::LOG_DIR).map(PathBuf::from),
    }
}
