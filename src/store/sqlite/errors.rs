//! What goes wrong in SQLite as errors of the storage port.

use rusqlite::ErrorCode;

use crate::domain::error::StoreError;

pub(super) fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(cause.into())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
            Some(ErrorCode::ConstraintViolation) => StoreError::Conflict(error.to_string()),
            _ => unavailable(error),
        }
    }
}
