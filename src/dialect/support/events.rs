//! Domain events as frames of `support`.

use serde_json::json;

use super::user_type;
use super::views::MessageView;
use crate::dialect::wire::Frame;
use crate::domain::entry::{Content, Entry};
use crate::domain::ids::SessionId;
use crate::domain::ports::Signal;
use crate::domain::principal::Person;
use crate::domain::time::Timestamp;

/// How the sockets of a session learn of an entry. Re-openings and changes have no word; there are none in this contract's own sessions.
pub(super) fn of_entry(entry: &Entry) -> Option<Frame> {
    let (session, seq, at) = (entry.session.as_str(), entry.seq(), entry.at.iso());
    Some(match &entry.content {
        Content::Message(_) if entry.is_notice() => return None,
        Content::Message(_) => Frame::new("new_message", &MessageView::live(entry)),
        // The contract has no word for an assignment; the agent's `user_joined` is the signal that its frontends know.
        Content::Assigned(made) => {
            let agent = made.agent.as_ref()?;
            let joined = json!({
                "userId": agent.id.in_realm(), "userType": "agent", "timestamp": at,
                "userName": agent.name, "sessionId": session, "seq": seq,
            });
            Frame::new("user_joined", &joined)
        }
        Content::Ended(reason) => Frame::new("session_ended", &json!({"sessionId": session, "reason": reason, "endedAt": at, "seq": seq})),
        Content::Opened(_) | Content::Edited(_) => return None,
    })
}

/// How the others in a session learn of a signal.
pub(super) fn of_signal(signal: &Signal) -> Option<Frame> {
    Some(match signal {
        // Of whom his coming and going is told, what he looks at is not.
        Signal::Joined { person, .. } | Signal::Left { person, .. } if person.realm.keeps_logins() => return None,
        Signal::Joined { session, person, at } | Signal::Came { session, person, at } => Frame::new(
            "user_joined",
            &json!({
                "userId": person.id, "userType": user_type(person.role), "timestamp": at.iso(),
                "userName": person.name, "sessionId": session.as_str(),
            }),
        ),
        Signal::Left { session, person, at, reason } => left(session, person, (reason, *at)),
        Signal::Went { session, person, at } => left(session, person, ("offline", *at)),
        Signal::Typing { session, person, is_typing, .. } => Frame::new(
            "user_typing",
            &json!({
                "userId": person.id, "userType": user_type(person.role), "isTyping": is_typing,
                "userName": person.name, "sessionId": session.as_str(),
            }),
        ),
        // The rest has no word.
        _ => return None,
    })
}

fn left(session: &SessionId, person: &Person, (reason, at): (&str, Timestamp)) -> Frame {
    let who = json!({
        "userId": person.id, "userType": user_type(person.role), "reason": reason, "timestamp": at.iso(),
        "userName": person.name, "sessionId": session.as_str(),
    });
    Frame::new("user_left", &who)
}

/// The contract's `error` event.
pub(super) fn error(message: &str) -> Frame {
    Frame::new("error", &json!({ "message": message }))
}
