//! The query of a request, field by field; what cannot be read counts as absent.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::dialect::Context;
use crate::domain::time::Timestamp;

/// The query's fields.
pub(super) struct Params(HashMap<String, String>);

impl FromRequestParts<Context> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Infallible> {
        let given = Query::<HashMap<String, String>>::from_request_parts(parts, context).await;
        Ok(Self(given.map_or_else(|_| HashMap::new(), |q| q.0)))
    }
}

impl Params {
    /// A field's text, where it is there and not empty.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str).filter(|t| !t.is_empty())
    }

    /// A field's number.
    pub(super) fn number(&self, field: &str) -> Option<u64> {
        self.text(field)?.parse().ok()
    }

    /// A field's moment.
    pub(super) fn moment(&self, field: &str) -> Option<Timestamp> {
        Timestamp::parse(self.text(field)?)
    }

    /// How many are wanted: `otherwise` where nothing is said, and `most` where no number is, or 0 (document 002), or a larger one.
    pub(super) fn limit(&self, otherwise: u32, most: u32) -> u32 {
        match self.text("limit") {
            None => otherwise,
            Some(limit) => limit.parse().ok().filter(|n| *n > 0).unwrap_or(most).min(most),
        }
    }
}
