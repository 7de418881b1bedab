//! Domain events as frames of `support`.

use serde_json::json;

use super::user_type;
use super::views::MessageView;
use crate::dialect::wire::Frame;
use crate::domain::entry::{Content, Entry};
use crate::domain::ids::SessionId;
use crate::domain::ports::Signal;

/// How the sockets of a session learn of an entry.
pub(super) fn of_entry(entry: &Entry) -> Frame {
    let (session, seq, at) = (entry.session.as_str(), entry.seq(), entry.at.iso());
    match &entry.content {
        Content::Message(_) => Frame::new("new_message", &MessageView::live(entry)),
        // The contract has no word for an assignment; the agent's `user_joined` is the signal that its frontends know.
        Content::Assigned(agent) => Frame::new(
            "user_joined",
            &json!({
                "userId": agent.id.as_str(), "userType": "agent", "timestamp": at,
                "userName": agent.name, "sessionId": session, "seq": seq,
            }),
        ),
        Content::Ended(reason) => Frame::new("session_ended", &json!({"sessionId": session, "reason": reason, "endedAt": at, "seq": seq})),
    }
}

/// How the others in a session learn of a signal.
pub(super) fn of_signal(session: &SessionId, signal: &Signal) -> Frame {
    let session = session.as_str();
    match signal {
        Signal::Joined { person, at } => Frame::new(
            "user_joined",
            &json!({
                "userId": person.id, "userType": user_type(person.role), "timestamp": at.iso(),
                "userName": person.name, "sessionId": session,
            }),
        ),
        Signal::Left { person, at, reason } => Frame::new(
            "user_left",
            &json!({
                "userId": person.id, "userType": user_type(person.role), "reason": reason, "timestamp": at.iso(),
                "userName": person.name, "sessionId": session,
            }),
        ),
        Signal::Typing { person, is_typing } => Frame::new(
            "user_typing",
            &json!({
                "userId": person.id, "userType": user_type(person.role), "isTyping": is_typing,
                "userName": person.name, "sessionId": session,
            }),
        ),
    }
}

/// The contract's `error` event.
pub(super) fn error(message: &str) -> Frame {
    Frame::new("error", &json!({ "message": message }))
}
