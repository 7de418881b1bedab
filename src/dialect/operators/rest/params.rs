//! The rules of fields, as the original's validator has them: an entry for every rule that a field breaks.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::dialect::Context;
use crate::dialect::operators::{form_of, person_id, status_word};
use crate::domain::entry::Form;
use crate::domain::ids::SessionId;
use crate::domain::session::Status;
use crate::domain::time::Timestamp;

/// Words for ended sessions that the original knows and this server never writes.
const UNUSED_STATUSES: [&str; 3] = ["completed", "timeout", "cancelled"];

/// The query of a request, and what is wrong with it.
pub(super) struct Params {
    given: HashMap<String, String>,
    wrong: Vec<Value>,
}

/// Which sessions a filter by status lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusFilter {
    /// All.
    Any,
    /// Those that stand so.
    Only(Status),
    /// None: nothing stands so here.
    Nothing,
}

impl FromRequestParts<Context> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Context) -> Result<Self, Problem> {
        // A query that cannot be read has no fields.
        let given = Query::<HashMap<String, String>>::from_request_parts(parts, rest).await;
        Ok(Self { given: given.map_or_else(|_| HashMap::new(), |q| q.0), wrong: Vec::new() })
    }
}

impl Params {
    /// Refuses the request if a rule was broken.
    pub(super) fn check(self) -> Result<(), Problem> {
        if self.wrong.is_empty() { Ok(()) } else { Err(Problem::Validation(self.wrong)) }
    }

    /// A field's text, where it is there and not empty.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.given.get(field).map(String::as_str).filter(|t| !t.is_empty())
    }

    /// Whether a flag is set; what is no flag is not.
    pub(super) fn flag(&self, field: &str) -> bool {
        matches!(self.text(field), Some("true" | "1"))
    }

    /// The session id of a path, if no rule was broken.
    pub(super) fn session_id(mut self, text: &str) -> Result<SessionId, Problem> {
        let id = SessionId::parse(text);
        if id.is_none() {
            self.break_rule("sessionId", "Session ID must be a valid UUID", text.into());
        }
        id.filter(|_| self.wrong.is_empty()).ok_or(Problem::Validation(self.wrong))
    }

    /// The user id of a path.
    pub(super) fn user_id(&mut self, text: &str) {
        self.wrong.extend(broken_user_id(Some(&text.into())));
    }

    pub(super) fn limit(&mut self, otherwise: u32) -> u32 {
        let valid = |t: &str| t.parse().ok().filter(|l| (1..=100).contains(l));
        self.field("limit", "Limit must be an integer between 1 and 100", valid).unwrap_or(otherwise)
    }

    pub(super) fn offset(&mut self) -> u64 {
        let valid = |t: &str| t.parse::<u64>().ok().filter(|o| i64::try_from(*o).is_ok());
        self.field("offset", "Offset must be a non-negative integer", valid).unwrap_or(0)
    }

    /// Whether the newest comes first.
    pub(super) fn newest_first(&mut self) -> bool {
        let valid = |t: &str| match t {
            "ASC" => Some(false),
            "DESC" => Some(true),
            _ => None,
        };
        self.field("order", "Order must be either ASC or DESC", valid).unwrap_or(false)
    }

    pub(super) fn include_read(&mut self) -> bool {
        let valid = |t: &str| match t {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        self.field("includeRead", "includeRead must be a boolean", valid).unwrap_or(true)
    }

    pub(super) fn message_type(&mut self) -> Option<Form> {
        self.field("messageType", "Message type must be one of: text, image, system", form_of)
    }

    pub(super) fn status(&mut self) -> StatusFilter {
        let valid = |t: &str| {
            let known = [Status::Waiting, Status::Active, Status::Ended].into_iter().find(|s| status_word(*s) == t);
            known.map(StatusFilter::Only).or_else(|| UNUSED_STATUSES.contains(&t).then_some(StatusFilter::Nothing))
        };
        let rule = "Status must be one of: waiting, active, completed, closed, timeout, cancelled";
        self.field("status", rule, valid).unwrap_or(StatusFilter::Any)
    }

    pub(super) fn moment(&mut self, field: &'static str) -> Option<Timestamp> {
        self.field(field, "Date must be in ISO 8601 format", Timestamp::parse)
    }

    /// A field that may be missing or empty; one that breaks its rule is noted.
    fn field<T>(&mut self, field: &'static str, rule: &'static str, valid: impl Fn(&str) -> Option<T>) -> Option<T> {
        let given = self.text(field)?.to_owned();
        let value = valid(&given);
        if value.is_none() {
            self.break_rule(field, rule, given.into());
        }
        value
    }

    fn break_rule(&mut self, field: &str, rule: &str, value: Value) {
        self.wrong.push(json!({"field": field, "message": rule, "value": value}));
    }
}

/// The user id of a body.
pub(super) fn user_id(body: &Value) -> Result<&str, Problem> {
    let given = body.get("userId");
    match given.and_then(Value::as_str).and_then(person_id) {
        Some(id) => Ok(id),
        None => Err(Problem::Validation(broken_user_id(given))),
    }
}

/// An entry for every rule that a user id breaks; none has a value where there is none.
fn broken_user_id(given: Option<&Value>) -> Vec<Value> {
    let text = given.and_then(Value::as_str);
    let is_empty = matches!(given, None | Some(Value::Null)) || text == Some("");
    let length = text.map_or(0, |t| t.chars().count());
    let fits = (1..=255).contains(&length) || (text.is_none() && !is_empty);
    let rules = [
        (is_empty, "User ID is required"),
        (text.is_none(), "User ID must be a string"),
        (!fits, "User ID must be between 1 and 255 characters"),
        (text.is_some_and(|t| t.chars().any(char::is_control)), "User ID must not contain control characters"),
    ];
    let entry = |rule: &str| match given {
        Some(value) => json!({"field": "userId", "message": rule, "value": value}),
        None => json!({"field": "userId", "message": rule}),
    };
    rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, rule)| entry(rule)).collect()
}
