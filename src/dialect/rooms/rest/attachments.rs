//! Files in rooms: `POST /api/chat/rooms/:id/attachments` takes one in, `GET /api/chat/attachments/:id` hands it out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Map;

use super::callers::Caller;
use super::{PathId, Problem, room_id, success};
use crate::dialect::Context;
use crate::dialect::rooms::views::Eyes;
use crate::dialect::rooms::{room, said};
use crate::domain::desk::{Caption, Upload};
use crate::domain::error::Error;
use crate::domain::ids::{AttachmentId, SessionId};
use crate::domain::principal::Principal;
use crate::http::download::{self, Whole};
use crate::http::extract::to_the_end;
use crate::http::upload::{Form, Part, Pieces};

/// What is wrong with a form without a file.
const NO_FILE: Problem = Problem::Invalid(StatusCode::BAD_REQUEST, "No file uploaded");

/// `POST /api/chat/rooms/:id/attachments`: a form with one file, and with `content`, `replyTo` and `clientKey` where the client has them. The
/// message that carries the file is told to the room like any other.
pub(super) async fn upload(
    State(context): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    mut form: Form,
) -> Result<Response, Problem> {
    let id = room_id(&id)?;
    // Before anything of the form is read.
    context.desk.session(&who, &id).await?;
    let mut upload = None;
    let read = take_in(&context, &who, &id, &mut form, &mut upload).await;
    let (caption, whole) = match (read, upload) {
        (Ok(caption), Some(whole)) => (caption, whole),
        (read, Some(part)) => {
            context.desk.give_up_upload(part).await;
            return Err(read.err().unwrap_or(NO_FILE));
        }
        (read, None) => return Err(read.err().unwrap_or(NO_FILE)),
    };
    // From here on the client may hang up: what is stored is told.
    let eyes = who.clone();
    let posted = to_the_end(async move {
        let url = |id: &AttachmentId| format!("{}/api/chat/attachments/{id}", context.base);
        context.desk.finish_upload(&who, whole, caption, url).await
    });
    let posted = posted.await??;
    Ok(success(StatusCode::CREATED, "Attachment uploaded successfully", room::message(&posted.entry, Eyes::of(&eyes))))
}

/// Reads the form: its file into `upload`, and what is said with it.
async fn take_in(
    context: &Context,
    who: &Principal,
    id: &SessionId,
    form: &mut Form,
    upload: &mut Option<Upload>,
) -> Result<Caption, Problem> {
    let mut fields = Map::new();
    while let Some(part) = form.next().await? {
        match part {
            Part::Text(name, text) => drop(fields.insert(name, text.into())),
            Part::File(..) if upload.is_some() => return Err(Problem::input("One file at a time")),
            Part::File(name, mut pieces) => {
                let begun = context.desk.begin_upload(who, id, &name, context.attachment_bytes).await?;
                copy(&mut pieces, upload.insert(begun)).await?;
            }
        }
    }
    said::caption(&fields.into()).map_err(|_| Problem::input("Invalid message data"))
}

async fn copy(pieces: &mut Pieces<'_>, upload: &mut Upload) -> Result<(), Problem> {
    while let Some(piece) = pieces.next().await? {
        upload.write(&piece).await?;
    }
    Ok(())
}

/// `GET /api/chat/attachments/:id`, for those in the room; whole, or the range that is asked for.
pub(super) async fn download(
    State(context): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = AttachmentId::parse(&id).ok_or(Error::AttachmentNotFound)?;
    let found = context.desk.attachment(&who, &id).await?;
    let whole = Whole { id: id.as_str().into(), name: found.name, mime_type: found.mime_type, size: found.size };
    let desk = Arc::clone(&context.desk);
    Ok(download::respond(&headers, &whole, move |from, most| {
        let (desk, id) = (Arc::clone(&desk), id.clone());
        async move { desk.read_attachment(&id, from, most).await }
    }))
}
