//! The file format `.env` as Node's `dotenv` reads it, because the originals' own files must work: no references are replaced, bare values may
//! hold blanks. The Rust libraries for such files replace `$name`, which would change a password without a word.

/// The pairs of a file, in order. What is no pair is left out, as the original does.
pub(super) fn parse(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line_end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(line_end);
        rest = after;
        let Some((name, start)) = name_of(line) else { continue };
        let value = text.get(text.len() - after.len() - line.len() + start..).unwrap_or_default();
        let (value, used) = value_at(value);
        // A quoted value may go on over several lines.
        rest = after.get(used.saturating_sub(line.len() - start)..).unwrap_or_default();
        pairs.push((name.to_owned(), value));
    }
    pairs
}

/// The name that a line sets, and where its value begins.
fn name_of(line: &str) -> Option<(&str, usize)> {
    let at = line.find('=')?;
    let (before, _) = line.split_at(at);
    let name = before.trim();
    let name = name.strip_prefix("export ").map_or(name, str::trim_start);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    is_name.then_some((name, at + 1))
}

/// The value that begins here, and how many bytes it takes.
fn value_at(text: &str) -> (String, usize) {
    let blanks = text.len() - text.trim_start_matches([' ', '\t']).len();
    let quoted = text.get(blanks..).and_then(|t| quoted(t).map(|(value, used)| (value, blanks + used)));
    quoted.unwrap_or_else(|| {
        let line = text.lines().next().unwrap_or_default();
        let value = line.split('#').next().unwrap_or_default().trim();
        (value.to_owned(), line.len())
    })
}

/// A value in quotes of any kind, with nothing but a comment after it. In double quotes `\n` and `\r` are line ends.
fn quoted(text: &str) -> Option<(String, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'))?;
    let body = text.get(1..)?;
    let end = body.match_indices(quote).map(|(at, _)| at).find(|at| !body.get(..*at).is_some_and(|b| b.ends_with('\\')))?;
    let tail = body.get(end + 1..).and_then(|t| t.lines().next()).unwrap_or_default().trim();
    if !tail.is_empty() && !tail.starts_with('#') {
        return None;
    }
    let value = body.get(..end)?;
    let value = if quote == '"' { value.replace("\\n", "\n").replace("\\r", "\r") } else { value.to_owned() };
    Some((value, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Option<String> {
        parse(line).into_iter().next().map(|(_, value)| value)
    }

    #[test]
    fn values_read_as_the_originals_read_them() {
        for (line, expected) in [
            ("A=1", "1"),
            ("export A = 1 # one", "1"),
            ("A=a$b${C}", "a$b${C}"),
            ("A=open sesame", "open sesame"),
            ("A=", ""),
            ("A='x # y' # z", "x # y"),
            ("A=\"l1\\nl2\"", "l1\nl2"),
            ("A='l1\\nl2'", "l1\\nl2"),
            ("A=`it's \"it\"`", "it's \"it\""),
            ("A='it\\'s'", "it\\'s"),
            ("A='broken", "'broken"),
            ("A=é😀", "é😀"),
        ] {
            assert_eq!(value(line).as_deref(), Some(expected), "{line}");
        }
        for line in ["", "# A=1", "nonsense", "=1", "two words=1"] {
            assert_eq!(value(line), None, "{line}");
        }
    }

    #[test]
    fn quoted_values_may_span_lines_and_the_rest_is_still_read() {
        let text = "A=1\r\nKEY=\"-----BEGIN\nabc=\n-----END\"\n# B=0\nB=2";
        let pairs: Vec<(String, String)> =
            [("A", "1"), ("KEY", "-----BEGIN\nabc=\n-----END"), ("B", "2")].map(|(n, v)| (n.into(), v.into())).into();
        assert_eq!(parse(text), pairs);
    }
}
