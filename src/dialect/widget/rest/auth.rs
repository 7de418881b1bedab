//! `/api/auth/*`: admins sign up and log in.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Input, Problem, Whence};
use crate::dialect::Context;
use crate::dialect::widget::{FIELD_LIMIT, views};
use crate::dialect::wire::text;
use crate::domain::account::{PASSWORD_LIMIT, is_email};
use crate::domain::desk::NewAccount;
use crate::domain::error::Error;
use crate::domain::principal::Realm;
use crate::http::extract::api_key_of;

/// The shortest password, in characters: the original's rule, which its sign-up page says.
const PASSWORD_MINIMUM: usize = 6;

/// `POST /api/auth/register`. Of credentials only the API key says something here. Without it a page that is not known may not: its visitor's
/// browser would lend it the way to a server that the page itself cannot reach.
pub(super) async fn register(
    State(context): State<Context>,
    Whence(visit): Whence,
    headers: HeaderMap,
    Input { body, .. }: Input,
) -> Result<Response, Problem> {
    let who = match api_key_of(&headers) {
        Some(key) => Some(context.desk.authenticate(Realm::Widget, Some(&key), visit.peer).await?),
        None if context.trust.is_from_unknown_page(&headers) => return Err(Error::Forbidden.into()),
        None => None,
    };
    let email = text(&body, "email").filter(|e| is_email(e));
    let counts = |p: &&str| p.encode_utf16().count() >= PASSWORD_MINIMUM && p.len() <= PASSWORD_LIMIT;
    let password = text(&body, "password").filter(counts);
    let name = body.get("fullName");
    let has_good_name = name.is_none_or(|n| n.as_str().is_some_and(|n| n.chars().count() <= FIELD_LIMIT && !n.contains('\0')));
    let (Some(email), Some(password), true) = (email, password, has_good_name) else {
        let checks = [("email", email.is_some()), ("password", password.is_some()), ("fullName", has_good_name)];
        let wrong = checks.into_iter().filter(|(_, good)| !good);
        return Err(Problem::Invalid(wrong.map(|(field, _)| invalid(field, body.get(field))).collect()));
    };
    // Being near opens nothing here: who may sign up, the setting says.
    let visit = (visit.peer, visit.client);
    let named = name.and_then(Value::as_str);
    let account = context.desk.sign_up(who.as_ref(), visit, NewAccount::of_staff(Realm::Widget, email, password, named)).await?;
    let login = context.desk.let_in(account).await?;
    Ok(Json(views::logged_in(&login)).into_response())
}

/// `POST /api/auth/login`. The address is compared letter by letter, as in the original. Credentials are not looked at.
pub(super) async fn login(State(context): State<Context>, Whence(visit): Whence, Input { body, .. }: Input) -> Result<Response, Problem> {
    let password = text(&body, "password").filter(|p| p.len() <= PASSWORD_LIMIT);
    let (Some(email), Some(password)) = (text(&body, "email"), password) else { return Err(Error::WrongPassword.into()) };
    let visit = (visit.peer, visit.client);
    let login = context.desk.log_in(Realm::Widget, visit, email, password).await?;
    Ok(Json(views::logged_in(&login)).into_response())
}

/// One wrong field, as the original's validator says it; an absent one has no value.
fn invalid(field: &str, value: Option<&Value>) -> Value {
    let mut error = json!({"type": "field"});
    if let Some(fields) = error.as_object_mut() {
        // A password is not sent back.
        if let Some(value) = value.filter(|_| field != "password") {
            fields.insert("value".into(), value.clone());
        }
        fields.extend([("msg".into(), "Invalid value".into()), ("path".into(), field.into()), ("location".into(), "body".into())]);
    }
    error
}
