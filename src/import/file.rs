//! A file of JSON lines with an original's rows, read line by line and as often as it is wanted. What the rows mean is not known here.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use bson::Document;

use super::Original;
use super::fields::Fields;
use crate::domain::error::StoreError;
use crate::domain::time::Timestamp;

/// A file that was looked through once.
pub(super) struct Lines {
    path: PathBuf,
    /// All sessions, by id: messages name them.
    sessions: HashMap<String, Document>,
    people: u64,
    messages: u64,
}

impl Lines {
    /// Reads the file once, and makes sure that it can be imported.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] with the number of the first line that is no row, or of a message that comes out of order.
    pub(super) fn open(path: &Path, original: Original) -> Result<Self, StoreError> {
        let mut lines = Self { path: path.to_owned(), sessions: HashMap::new(), people: 0, messages: 0 };
        let mut rows = Rows::open(path)?;
        let mut order = Order::default();
        while let Some((table, row)) = rows.any()? {
            match table.as_str() {
                "messages" => {
                    lines.messages += 1;
                    let (session, time) = original.message_fields();
                    let fields = Fields(&row);
                    order.check(fields.key(session), fields.moment(time)).map_err(|why| rows.wrong(why))?;
                }
                table if table == original.sessions() => drop(lines.sessions.insert(Fields(&row).id(), row)),
                table if table == original.people() => lines.people += 1,
                _ => return Err(rows.wrong("names no table of this dialect")),
            }
        }
        Ok(lines)
    }

    /// How many rows a table has.
    pub(super) fn count(&self, table: &str) -> u64 {
        match table {
            "messages" => self.messages,
            "sessions" => self.sessions.len() as u64,
            _ => self.people,
        }
    }

    /// The rows of a table, in the order of the file.
    pub(super) fn rows(&self, table: &'static str) -> Result<TableRows, StoreError> {
        Ok(TableRows { rows: Rows::open(&self.path)?, table })
    }

    /// The session with this id.
    pub(super) fn session(&self, key: &str) -> Option<Document> {
        self.sessions.get(key).cloned()
    }
}

/// Rows of one table, one after the other.
pub(super) struct TableRows {
    rows: Rows,
    table: &'static str,
}

impl TableRows {
    /// The next row; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Document>, StoreError> {
        while let Some((table, row)) = self.rows.any()? {
            if table == self.table {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// The messages of a session follow one another, the oldest first.
#[derive(Default)]
struct Order {
    session: Option<String>,
    at: Option<Timestamp>,
    done: HashSet<String>,
}

impl Order {
    fn check(&mut self, session: Option<String>, at: Option<Timestamp>) -> Result<(), &'static str> {
        if session != self.session {
            self.done.extend(self.session.take());
            if session.as_ref().is_some_and(|s| self.done.contains(s)) {
                return Err("is a message of a session whose messages ended above: order them by session");
            }
            (self.session, self.at) = (session, None);
        }
        if at.is_some() && at < self.at {
            return Err("is an older message than the one before: order those of a session by time");
        }
        self.at = at.or(self.at);
        Ok(())
    }
}

/// The lines of the file, with the number of the last one.
struct Rows {
    lines: BufReader<File>,
    path: PathBuf,
    number: u64,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|error| StoreError::Misconfigured(format!("--file {}: {error}", path.display())))?;
        Ok(Self { lines: BufReader::new(file), path: path.to_owned(), number: 0 })
    }

    /// The next row and its table. A row's `id` is what documents call `_id`.
    fn any(&mut self) -> Result<Option<(String, Document)>, StoreError> {
        let mut line = String::new();
        loop {
            line.clear();
            self.number += 1;
            let read = self.lines.read_line(&mut line).map_err(|_| self.wrong("cannot be read as UTF-8"))?;
            if read == 0 {
                return Ok(None);
            }
            if !line.trim().is_empty() {
                break;
            }
        }
        // Its own words may quote what people said.
        let mut row: Document = serde_json::from_str(&line).map_err(|_| self.wrong("is no JSON object"))?;
        let table = row.get_str("table").map(str::to_owned).map_err(|_| self.wrong("does not say its table"))?;
        if let (false, Some(id)) = (row.contains_key("_id"), row.remove("id")) {
            row.insert("_id", id);
        }
        Ok(Some((table, row)))
    }

    /// What is wrong with the last line.
    fn wrong(&self, why: &str) -> StoreError {
        StoreError::Foreign(format!("line {} of {} {why}", self.number, self.path.display()))
    }
}
