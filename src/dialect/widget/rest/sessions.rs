//! `/api/sessions*`: visitors open sessions, admins list them and say how they stand.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::{Caller, Input, PathId, Problem, session_id};
use crate::dialect::Context;
use crate::dialect::widget::{stored_text, views};
use crate::domain::desk::Opening;
use crate::domain::entry::Entry;
use crate::domain::error::Error;
use crate::domain::principal::{Person, Realm, Role};

/// How many sessions the inbox shows at most, last changed first. The contract has no pages, and its page asks every five seconds.
const INBOX_LIMIT: u32 = 500;

/// From how many bytes of latest messages on the inbox shows only their beginnings.
const INBOX_BYTES: usize = 1_000_000;

/// How many characters such a beginning has.
const BEGINNING: usize = 200;

/// `GET /api/sessions`. Sessions in which somebody has spoken come before all others into the 500: the page shows no others.
pub(super) async fn list(State(context): State<Context>, caller: Caller) -> Result<Response, Problem> {
    let who = caller.with_credential()?;
    let sessions = context.desk.inbox(&who, INBOX_LIMIT).await?;
    let latest = context.desk.last_messages(&who, &sessions, false).await?;
    let mut bytes = 0;
    let rows = sessions.iter().zip(&latest).map(|(session, message)| {
        bytes += message.as_ref().and_then(Entry::body).map_or(0, |b| b.as_str().len());
        views::inbox_row(session, message.as_ref(), (bytes > INBOX_BYTES).then_some(BEGINNING))
    });
    Ok(Json(rows.collect::<Vec<Value>>()).into_response())
}

/// `POST /api/sessions`: always a new session. Names and addresses that are no texts count as absent.
pub(super) async fn create(State(context): State<Context>, caller: Caller, Input { body, .. }: Input) -> Result<Response, Problem> {
    let id = stored_text(&body, "userId").ok_or(Problem::Server)?;
    let shown = |field: &str| stored_text(&body, field).map(Arc::from);
    let visitor = Person { name: shown("userName"), email: shown("userEmail"), ..Person::new(Realm::Widget, id, Role::Visitor) };
    let opening = Opening { address: Some(caller.visit.client), ..Opening::by(visitor) };
    // An admin's page that opens a session does so for the visitor that it names.
    let opened = context.desk.start_session(&caller.who, opening).await?;
    Ok(Json(views::session(&opened.session)).into_response())
}

/// `PATCH /api/sessions/:id/status`: `closed` ends the session, every other word opens it again or says how it stands.
pub(super) async fn set_status(
    State(context): State<Context>,
    caller: Caller,
    PathId { id, .. }: PathId,
    Input { body, .. }: Input,
) -> Result<Response, Problem> {
    let who = caller.with_credential()?;
    let id = session_id(Some(&id))?;
    let none = |e: Error| match e {
        Error::SessionNotFound => Problem::NoSession,
        other => other.into(),
    };
    let word = stored_text(&body, "status").ok_or(Problem::NoSession)?;
    if word == views::CLOSED {
        context.desk.end_session(&who, &id, views::CLOSED).await.map_err(none)?;
    } else {
        context.desk.open_again(&who, &id, &word).await.map_err(none)?;
    }
    let session = context.desk.session(&who, &id).await.map_err(none)?;
    Ok(Json(views::session(&session)).into_response())
}
