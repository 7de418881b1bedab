//! The text by which sessions are found, one rule for all stores. How a store looks for it is not known here.

use crate::domain::session::Session;

/// What a session is found by: its id, its visitor's id and name, each on a line of its own.
pub(super) fn text(session: &Session) -> String {
    let visitor = &session.visitor;
    [session.id.as_str(), &visitor.id, visitor.name.as_deref().unwrap_or_default()].map(fold).join("\n")
}

/// A text without the case of its letters and on one line. Each character by itself, so that a part of a text folds to a part of the folded text.
pub(super) fn fold(text: &str) -> String {
    // Upper case comes first, since letters such as the Greek sigma have two lower cases and one upper.
    text.chars().map(|c| if c == '\n' { ' ' } else { c }).flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_text_folds_to_a_part_of_the_folded_text() {
        for (text, part) in [("Straße", "STRASS"), ("ΟΔΟΣΑ", "οδος"), ("İzmir", "İ"), ("Ünal\nx", "ÜNAL\nX"), ("a😀B", "😀b")]
        {
            assert!(fold(text).contains(&fold(part)), "{part} in {text}");
        }
        assert!(!fold("a\nb").contains('\n'));
    }
}
