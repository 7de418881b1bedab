//! `/api/auth/*`: accounts, logins, and one's own profile.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::callers::{Caller, Shown, Told};
use super::{Input, Problem, role_required, success};
use crate::dialect::Context;
use crate::dialect::rooms::{DEPARTMENTS, role_of, status_of, views};
use crate::dialect::wire::{filled, text};
use crate::domain::account::EMAIL_LIMIT;
use crate::domain::desk::NewAccount;
use crate::domain::entry::trim;
use crate::domain::ids::AccountId;
use crate::domain::principal::{Realm, Role};

/// How long a username may be, in characters.
const USERNAME: std::ops::RangeInclusive<usize> = 3..=30;

/// The shortest password of a new account, in characters; the original had none (SECURITY S-13).
const PASSWORD_MINIMUM: usize = 8;

/// The longest password, and the longest other text, in bytes.
const TEXT_LIMIT: usize = 1_024;

/// `POST /api/auth/register`. Agents and admins are registered by admins.
pub(super) async fn register(State(context): State<Context>, shown: Shown, Input { body, .. }: Input) -> Result<Response, Problem> {
    let fields = (filled(&body, "username"), filled(&body, "email"), filled(&body, "password"));
    let (Some(username), Some(email), Some(password)) = fields else {
        return Err(Problem::input("Username, email, and password are required"));
    };
    let username = trim(username);
    let email = trim(email).to_lowercase();
    if username.is_empty() || email.is_empty() {
        return Err(Problem::input("Username, email, and password are required"));
    }
    let role = match body.get("role") {
        None | Some(Value::Null) => Role::Visitor,
        Some(role) => role.as_str().and_then(role_of).ok_or(Problem::Internal)?,
    };
    let department = match body.get("department") {
        None | Some(Value::Null) => None,
        Some(named) => Some(named.as_str().and_then(|d| DEPARTMENTS.iter().find(|known| **known == d)).ok_or(Problem::Internal)?),
    };
    let specialization = text(&body, "specialization");
    // Quirk: what the original's schema refused is 500 (document 002).
    let fits = |t: &str| t.len() <= TEXT_LIMIT && email.len() <= EMAIL_LIMIT && !t.chars().any(char::is_control);
    if !USERNAME.contains(&username.chars().count()) || ![username, &email, specialization.unwrap_or_default()].into_iter().all(fits) {
        return Err(Problem::Internal);
    }
    if password.chars().count() < PASSWORD_MINIMUM || password.len() > TEXT_LIMIT {
        return Err(Problem::input("Password must have 8 to 1024 characters"));
    }
    // Users sign up by themselves, whatever login a page has kept.
    let who = match shown.secret(&body).filter(|_| role.answers()) {
        Some(_) => Some(shown.caller(&context, &body).await?),
        None => None,
    };
    let department = department.copied().or_else(|| Some(views::department_of(role)));
    let new =
        NewAccount { realm: Realm::Rooms, role, email: &email, username: Some(username), name: None, password, department, specialization };
    let visit = (shown.visit.peer, shown.visit.client);
    let account = role_required(context.desk.sign_up(who.as_ref(), visit, new).await, "Admin access required")?;
    Ok(success(StatusCode::CREATED, "User registered successfully", views::user(&context.desk.known_one(account).await?, true)))
}

/// `POST /api/auth/login`.
pub(super) async fn login(State(context): State<Context>, shown: Shown, Input { body, .. }: Input) -> Result<Response, Problem> {
    let (Some(email), Some(password)) = (filled(&body, "email"), filled(&body, "password")) else {
        return Err(Problem::input("Email and password are required"));
    };
    let visit = (shown.visit.peer, shown.visit.client);
    let password = if password.len() <= TEXT_LIMIT { password } else { "" };
    let logged_in = context.desk.log_in(Realm::Rooms, visit, &trim(email).to_lowercase(), password).await?;
    let login = logged_in.login.ok_or(Problem::Internal)?;
    let data = views::login(&logged_in.account, &login, &logged_in.token, context.desk.now());
    Ok(success(StatusCode::OK, "Login successful", data))
}

/// `POST /api/auth/logout`. Quirk: a login that does not exist is logged out too (document 002).
pub(super) async fn logout(State(context): State<Context>, shown: Shown, Input { body, .. }: Input) -> Result<Response, Problem> {
    let secret = shown.named_secret(&body).ok_or(Problem::input("Session ID is required"))?;
    context.desk.log_out(&secret).await?;
    Ok(success(StatusCode::OK, "Logged out successfully", Value::Null))
}

/// `POST /api/auth/validate-session`.
pub(super) async fn validate(State(context): State<Context>, shown: Shown, Input { body, .. }: Input) -> Result<Response, Problem> {
    let secret = shown.named_secret(&body).ok_or(Problem::input("Session ID is required"))?;
    let (account, login) = context.desk.login_of(Realm::Rooms, &secret).await.map_err(|e| match e {
        crate::domain::error::Error::InvalidToken => Problem::Invalid(StatusCode::UNAUTHORIZED, "Invalid session"),
        other => other.into(),
    })?;
    let data = views::login(&account, &login, &secret, context.desk.now());
    Ok(success(StatusCode::OK, "Session validated", data))
}

/// `GET /api/auth/profile`.
pub(super) async fn profile(State(context): State<Context>, Caller { who, .. }: Caller) -> Result<Response, Problem> {
    let account = context.desk.own_account(&who).await?;
    Ok(success(StatusCode::OK, "User profile fetched", views::user(&context.desk.known_one(account).await?, true)))
}

/// `PUT /api/auth/status`. The original took any text; here it is one of the contract's words.
pub(super) async fn set_status(State(context): State<Context>, Told { who, body, .. }: Told) -> Result<Response, Problem> {
    let status = text(&body, "status").and_then(status_of).ok_or(Problem::input("Invalid status"))?;
    let own = who.person().map(|p| AccountId::stored(p.id.clone())).ok_or(Problem::Internal)?;
    context.desk.declare_status(&who, &own, status).await?;
    Ok(success(StatusCode::OK, "Status updated successfully", Value::Null))
}
