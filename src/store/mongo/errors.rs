//! The driver's errors as the port's: no text of a user may pass, and MongoDB's texts quote the values that clashed.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::domain::error::StoreError;

/// The code of a clash on a unique index.
pub(super) const DUPLICATE: i32 = 11000;

/// The code of a command that ran into its own limit on the server.
const MAX_TIME_EXPIRED: i32 = 50;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if let Some(index) = duplicate_index(&error) {
            return StoreError::Conflict(format!("unique index {index}"));
        }
        match &*error.kind {
            ErrorKind::Command(command) if command.code == MAX_TIME_EXPIRED => StoreError::Timeout("a command on the server"),
            ErrorKind::Command(command) => refused("command", command.code, &command.code_name),
            ErrorKind::Write(WriteFailure::WriteError(write)) => refused("write", write.code, ""),
            ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => refused("write concern", concern.code, &concern.code_name),
            ErrorKind::InsertMany(many) => {
                let concern = many.write_concern_error.as_ref();
                refused("insert", concern.map_or(0, |c| c.code), concern.map_or("", |c| &c.code_name))
            }
            ErrorKind::Bson(_) | ErrorKind::BsonDeserialization(_) => StoreError::Corrupt("a reply that is no document".into()),
            _ => StoreError::Unavailable(Box::new(error)),
        }
    }
}

/// The name of the unique index that refused a write of one document; `None` for any other error.
pub(super) fn duplicate_index(error: &Error) -> Option<String> {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE => Some(index_name(&write.message)),
        ErrorKind::Command(command) if command.code == DUPLICATE => Some(index_name(&command.message)),
        _ => None,
    }
}

/// The index that a message of code 11000 names: `… index: <name> dup key: …`. What follows the name is user text.
pub(super) fn index_name(message: &str) -> String {
    let rest = message.split_once(" index: ").map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// What the server refused, by code alone.
fn refused(what: &str, code: i32, name: &str) -> StoreError {
    StoreError::Unavailable(format!("the database refused a {what} with code {code} {name}").trim_end().into())
}

#[cfg(test)]
mod tests {
    use super::index_name;

    #[test]
    fn the_index_is_the_first_one_named_whatever_the_values_say() {
        let message = "E11000 duplicate key error collection: d.messages index: messages_client_key dup key: { clientKey: \" index: x\" }";
        assert_eq!(index_name(message), "messages_client_key");
        assert_eq!(index_name("something else"), "unknown");
    }
}
