//! Who calls a path of `rooms`, by the login that the request shows, and of which role he has to be: said in the signatures of the handlers.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::Value;

use super::{Input, Problem, role_required};
use crate::dialect::Context;
use crate::dialect::wire::filled;
use crate::domain::error::Error;
use crate::domain::ports::Credential;
use crate::domain::principal::{Principal, Realm};
use crate::http::extract;
use crate::http::trust::Visit;

/// Of which role a caller has to be.
pub(super) trait Needed: Send + Sync + 'static {
    /// Refuses callers of another role.
    fn check(context: &Context, who: &Principal, shown: &Shown) -> Result<(), Problem>;
}

/// Of any.
pub(super) struct Anybody;

/// Of those who answer visitors.
pub(super) struct Staff;

/// Of admins.
pub(super) struct Admin;

impl Needed for Anybody {
    fn check(_: &Context, _: &Principal, _: &Shown) -> Result<(), Problem> {
        Ok(())
    }
}

impl Needed for Staff {
    fn check(context: &Context, who: &Principal, _: &Shown) -> Result<(), Problem> {
        role_required(context.desk.demand_staff(who), "Agent access required")
    }
}

impl Needed for Admin {
    fn check(context: &Context, who: &Principal, shown: &Shown) -> Result<(), Problem> {
        role_required(context.desk.demand_admin(who), shown.admin_text)
    }
}

/// Where a request comes from, and the login that its header shows.
pub(super) struct Shown {
    login: Option<String>,
    pub(super) visit: Visit,
    /// What the path says to those who are no admins.
    admin_text: &'static str,
}

impl FromRequestParts<Context> for Shown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Infallible> {
        let admin_text = if parts.uri.path().starts_with("/api/admin/") { "admin role required" } else { "Admin access required" };
        let visit = extract::visit_of(&parts.extensions, &parts.headers, &context.trust);
        Ok(Self { login: header(&parts.headers), visit, admin_text })
    }
}

fn header(headers: &HeaderMap) -> Option<String> {
    headers.get("x-session-id")?.to_str().ok().filter(|s| !s.is_empty()).map(str::to_owned)
}

impl Shown {
    /// The secret of the header, else of the body.
    pub(super) fn secret(&self, body: &Value) -> Option<String> {
        self.login.clone().or_else(|| filled(body, "sessionId").map(str::to_owned))
    }

    /// The secret that a request is about: of the body, else of the header.
    pub(super) fn named_secret(&self, body: &Value) -> Option<String> {
        filled(body, "sessionId").map(str::to_owned).or_else(|| self.login.clone())
    }

    /// The caller, who must be logged in.
    pub(super) async fn caller(&self, context: &Context, body: &Value) -> Result<Principal, Problem> {
        let login = self.secret(body).map(Credential::Login).ok_or(Problem::Refused(Error::Unauthenticated))?;
        Ok(context.desk.authenticate(Realm::Rooms, Some(&login), self.visit.peer).await?)
    }
}

/// The caller of a path that takes no body.
pub(super) struct Caller<N = Anybody> {
    pub(super) who: Principal,
    needed: PhantomData<fn() -> N>,
}

impl<N: Needed> FromRequestParts<Context> for Caller<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let Ok(shown) = Shown::from_request_parts(parts, context).await;
        let who = shown.caller(context, &Value::Null).await?;
        N::check(context, &who, &shown)?;
        Ok(Self { who, needed: PhantomData })
    }
}

/// The caller of a path that takes a body, and the body.
pub(super) struct Told<N = Anybody> {
    pub(super) who: Principal,
    pub(super) body: Value,
    needed: PhantomData<fn() -> N>,
}

impl<N: Needed> FromRequest<Context> for Told<N> {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Ok(shown) = Shown::from_request_parts(&mut parts, context).await;
        let Input { body, .. } = Input::from_request(Request::from_parts(parts, body), context).await?;
        let who = shown.caller(context, &body).await?;
        N::check(context, &who, &shown)?;
        Ok(Self { who, body, needed: PhantomData })
    }
}
