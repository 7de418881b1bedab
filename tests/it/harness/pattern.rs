//! Matches what came over the wire against a transcript's patterns, and fills in variables. It knows nothing of servers or files.

use std::collections::BTreeMap;

use serde_json::Value;

/// The variables of one transcript.
pub(crate) type Vars = BTreeMap<String, Value>;

/// Whether `got` is what `pattern` says; binds free variables. The error says where and how they differ.
pub(crate) fn matches(pattern: &Value, got: &Value, vars: &mut Vars) -> Result<(), String> {
    at("", pattern, got, vars)
}

/// A copy of `value` with every `$name` replaced; an unbound one is an error.
pub(crate) fn fill(value: &Value, vars: &Vars) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match whole_variable(text) {
            Some(name) => vars.get(name).cloned().ok_or_else(|| format!("${name} is not bound"))?,
            None => Value::String(fill_text(text, vars)?),
        },
        Value::Array(items) => Value::Array(items.iter().map(|i| fill(i, vars)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let filled = map.iter().map(|(k, v)| Ok((k.clone(), fill(v, vars)?)));
            Value::Object(filled.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

/// A copy of `text` with every `$name` replaced by its value as text.
pub(crate) fn fill_text(text: &str, vars: &Vars) -> Result<String, String> {
    let mut parts = text.split('$');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = &part[..name_length(part)];
        if name.is_empty() {
            filled.push('$');
        } else {
            match vars.get(name) {
                Some(Value::String(value)) => filled.push_str(value),
                Some(value) => filled.push_str(&value.to_string()),
                None => return Err(format!("${name} is not bound")),
            }
        }
        filled.push_str(&part[name.len()..]);
    }
    Ok(filled)
}

fn at(path: &str, pattern: &Value, got: &Value, vars: &mut Vars) -> Result<(), String> {
    let here = if path.is_empty() { "the whole" } else { path };
    let differ = || Err(format!("{here}: expected {pattern}, got {got}"));
    match (pattern, got) {
        (Value::Object(wanted), Value::Object(have)) => {
            for (key, want) in wanted {
                let below = format!("{path}.{key}");
                match (want.as_str() == Some("!absent"), have.get(key)) {
                    (true, None) => {}
                    (true, Some(value)) => return Err(format!("{below}: must be absent, got {value}")),
                    (false, Some(value)) => at(&below, want, value, vars)?,
                    (false, None) => return Err(format!("{below}: expected {want}, is absent from {got}")),
                }
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(have)) => {
            let open = wanted.last().and_then(Value::as_str) == Some("...");
            let wanted = &wanted[..wanted.len() - usize::from(open)];
            if have.len() < wanted.len() || (!open && have.len() > wanted.len()) {
                return Err(format!("{here}: expected {} elements, got {}: {got}", wanted.len(), have.len()));
            }
            wanted.iter().zip(have).enumerate().try_for_each(|(i, (want, value))| at(&format!("{path}[{i}]"), want, value, vars))
        }
        (Value::String(text), _) => match whole_variable(text) {
            Some(name) => match vars.get(name) {
                Some(bound) if equal(bound, got) => Ok(()),
                Some(bound) => Err(format!("{here}: expected ${name} = {bound}, got {got}")),
                None => {
                    vars.insert(name.to_owned(), got.clone());
                    Ok(())
                }
            },
            None if is_class(text) => {
                if in_class(text, got)? {
                    Ok(())
                } else {
                    differ()
                }
            }
            None if got.as_str() == Some(&fill_text(text, vars)?) => Ok(()),
            None => differ(),
        },
        _ if equal(pattern, got) => Ok(()),
        _ => differ(),
    }
}

/// Equal as JSON: `1` and `1.0` are the same number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn is_class(text: &str) -> bool {
    text.starts_with('*')
}

fn in_class(class: &str, got: &Value) -> Result<bool, String> {
    let text = got.as_str();
    Ok(match class {
        "*" => true,
        "*string" => text.is_some(),
        "*number" => got.is_number(),
        "*bool" => got.is_boolean(),
        "*iso" => text.is_some_and(|t| shaped(t, "0000-00-00T00:00:00.000Z")),
        "*ustime" => text.is_some_and(is_us_time),
        "*id" => text.is_some_and(|t| shaped(t, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh") || shaped(t, &"h".repeat(24))),
        "*jwt" => text.is_some_and(is_jwt),
        _ => return Err(format!("unknown matcher {class}")),
    })
}

/// Whether `text` has this shape, where `0` stands for any digit and `h` for any hexadecimal one.
fn shaped(text: &str, shape: &str) -> bool {
    text.chars().count() == shape.chars().count()
        && text.chars().zip(shape.chars()).all(|(c, s)| match s {
            '0' => c.is_ascii_digit(),
            'h' => c.is_ascii_hexdigit(),
            _ => c == s,
        })
}

/// `11/20/2026, 8:23:02 AM`; newer engines put a narrow space before the half of the day.
fn is_us_time(text: &str) -> bool {
    let text = text.replace('\u{202f}', " ");
    let days = ["0/0/0000", "00/0/0000", "0/00/0000", "00/00/0000"];
    let times = ["0:00:00 AM", "0:00:00 PM", "00:00:00 AM", "00:00:00 PM"];
    days.iter().any(|d| times.iter().any(|t| shaped(&text, &format!("{d}, {t}"))))
}

fn is_jwt(text: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    text.split('.').count() == 3 && text.split('.').all(part)
}

/// The variable's name if the text is nothing but one.
fn whole_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    (!name.is_empty() && name_length(name) == name.len()).then_some(name)
}

fn name_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fits(pattern: Value, got: Value) -> bool {
        matches(&pattern, &got, &mut Vars::new()).is_ok()
    }

    #[test]
    fn objects_are_open_and_arrays_closed() {
        assert!(fits(json!({"a": 1}), json!({"a": 1.0, "b": 2})));
        assert!(!fits(json!({"a": 1, "c": null}), json!({"a": 1, "b": 2})));
        assert!(fits(json!({"c": "!absent"}), json!({"a": 1})));
        assert!(!fits(json!({"a": "!absent"}), json!({"a": null})));
        assert!(!fits(json!([1]), json!([1, 2])));
        assert!(fits(json!([1, "..."]), json!([1, 2])) && fits(json!([1, "..."]), json!([1])));
        assert!(!fits(json!([1, "..."]), json!([])) && !fits(json!([1, 2]), json!([1])));
        assert!(!fits(json!({}), json!([])) && !fits(json!([]), json!({})));
    }

    #[test]
    fn classes_match_their_kind_and_nothing_else() {
        let samples = [
            ("*string", json!("x")),
            ("*number", json!(1.5)),
            ("*bool", json!(false)),
            ("*iso", json!("2026-11-20T08:23:02.123Z")),
            ("*ustime", json!("11/2/2026, 8:23:02 AM")),
            ("*id", json!("0f8fad5b-d9cb-469f-a165-70867728950e")),
            ("*id", json!("507f1f77bcf86cd799439011")),
            ("*jwt", json!("aA0.b-_.c")),
        ];
        for (class, value) in &samples {
            assert!(fits(json!(class), value.clone()), "{class} {value}");
            assert!(!fits(json!(class), json!(null)) && fits(json!("*"), value.clone()));
        }
        assert!(!fits(json!("*iso"), json!("2026-11-20T08:23:02Z")));
        assert!(!fits(json!("*id"), json!("507f1f77bcf86cd79943901g")));
        assert!(!fits(json!("*jwt"), json!("a..c")) && !fits(json!("*nonsense"), json!("x")));
    }

    #[test]
    fn variables_bind_once_and_fill() {
        let mut vars = Vars::new();
        assert!(matches(&json!({"id": "$id", "n": "$n"}), &json!({"id": "x", "n": 3}), &mut vars).is_ok());
        assert!(matches(&json!("$id"), &json!("x"), &mut vars).is_ok());
        assert!(matches(&json!("$id"), &json!("y"), &mut vars).is_err());
        assert!(matches(&json!("at $id."), &json!("at x."), &mut vars).is_ok());
        assert_eq!(fill(&json!({"a": ["$n", "n=$n", "$5", "$"]}), &vars), Ok(json!({"a": [3, "n=3", "$5", "$"]})));
        assert_eq!(fill_text("/a/$id/b", &vars), Ok("/a/x/b".into()));
        assert!(fill(&json!("$free"), &vars).is_err() && fill_text("/$free", &vars).is_err());
    }
}
