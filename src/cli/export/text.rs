//! A session as a transcript to be read. What people wrote can neither move a terminal's cursor nor look like a line of the transcript.

use crate::domain::desk::Exported;
use crate::domain::entry::{Content, Entry, Head};
use crate::domain::principal::Person;
use crate::domain::session::Session;

/// What is before each line that goes on from the one above.
const INDENT: &str = "    ";

/// What comes before the first entry.
pub(super) fn opening(session: &Session, head: Head) -> String {
    let mut text = format!("Session {} ({}, {})\n", session.id, session.realm.name(), session.status.name());
    let mut line = |title: &str, value: &str| text.push_str(&format!("{title}: {}\n", one_line(value)));
    line("Visitor", &named(&session.visitor));
    for other in session.participants.iter().filter(|p| !session.visitor.is(p)) {
        line("Participant", &named(other));
    }
    if let Some(agent) = &session.agent {
        line("Agent", &format!("{} ({})", agent.name, agent.id.in_realm()));
    }
    if let Some(subject) = session.topic.as_ref().and_then(|t| t.subject.as_deref()) {
        line("Subject", subject);
    }
    line("Opened", &session.created_at.iso());
    if let Some(ended) = session.ended_at {
        line("Ended", &format!("{} {}", ended.iso(), session.end_reason.as_deref().unwrap_or_default()));
    }
    line("Messages", &head.ordinal.to_string());
    text.push('\n');
    text
}

/// An entry: a line with its moment and number, and what goes on below it.
pub(super) fn entry(Exported { entry, attachments }: &Exported) -> String {
    let mut text = format!("[{}] #{} {}\n", entry.at.iso(), entry.seq(), said(entry));
    let mut remark = |remark: String| text.push_str(&format!("{INDENT}({})\n", one_line(&remark)));
    if let Some(answered) = entry.message().and_then(|m| m.reply_to.as_ref()) {
        remark(format!("answers {answered}"));
    }
    if let Some(file) = entry.message().and_then(|m| m.file.as_deref()) {
        let (name, kind) = (file.name.as_deref().unwrap_or("without a name"), file.mime_type.as_deref().unwrap_or("of unknown type"));
        let size = file.size.map_or_else(String::new, |n| format!(", {n} bytes"));
        remark(format!("file {name}, {kind}{size}"));
    }
    for attachment in attachments {
        remark(format!("attachment {}", attachment.id));
    }
    if let Some(at) = entry.fate.edited_at {
        remark(format!("{} {}", if entry.fate.is_deleted { "deleted" } else { "edited" }, at.iso()));
    }
    if let Some(at) = entry.fate.read_at {
        remark(format!("read {}", at.iso()));
    }
    for receipt in &entry.fate.receipts {
        remark(match receipt.read_at {
            Some(at) => format!("read by {} {}", receipt.reader, at.iso()),
            None => format!("delivered to {} {}", receipt.reader, receipt.delivered_at.iso()),
        });
    }
    text
}

fn said(entry: &Entry) -> String {
    let author = one_line(&named(&entry.author));
    match &entry.content {
        Content::Message(message) => format!("{author}: {}", indented(message.body.as_str())),
        Content::Assigned(made) => {
            let reason = made.reason.as_deref().map_or_else(String::new, |r| format!(": {}", indented(r)));
            match &made.agent {
                Some(agent) => format!("* {} answers{reason}", one_line(&agent.name)),
                None => format!("* nobody answers{reason}"),
            }
        }
        Content::Ended(reason) => format!("* {author} ended it: {}", indented(reason)),
        Content::Opened(label) => format!("* {author} opened it: {}", indented(label)),
        Content::Edited(edit) if edit.is_deletion => format!("* {author} deleted {}", edit.message),
        Content::Edited(edit) => format!("* {author} changed {}: {}", edit.message, indented(edit.body.as_str())),
    }
}

/// The name, with the id by which it is that person's.
fn named(person: &Person) -> String {
    match &person.name {
        Some(name) => format!("{name} ({})", person.id),
        None => person.id.to_string(),
    }
}

/// A text of several lines below each other, indented.
fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(one_line).collect();
    lines.join(&format!("\n{INDENT}"))
}

/// A text without the characters that a terminal would obey.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_never_a_line_of_its_own_nor_a_command_to_the_terminal() {
        assert_eq!(indented("a\n[2026] #9 Agent: b\r\nc\u{1b}[2Jd\te"), "a\n    [2026] #9 Agent: b\n    c\u{fffd}[2Jd\te");
        assert_eq!(one_line("a\nb\u{9b}"), "a\u{fffd}b\u{fffd}");
    }
}
