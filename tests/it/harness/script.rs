//! Reads a transcript (tests/transcripts/README.md) into steps. It runs nothing.

use serde_json::Value;

/// Names and values, in order.
pub(crate) type Headers = Vec<(String, String)>;

/// A transcript, ready to be run.
#[derive(Debug)]
pub(crate) struct Script {
    /// Environment of the server.
    pub(crate) env: Vec<(String, String)>,
    /// What happens, in order.
    pub(crate) steps: Vec<Step>,
}

/// One step and where it stands.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) action: Action,
}

/// What a step does or expects.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    Set {
        name: String,
        value: Value,
        times: usize,
    },
    Connect {
        client: String,
        /// Empty for the root.
        namespace: String,
        query: String,
        headers: Headers,
        auth: Option<Value>,
        refused: Option<Value>,
    },
    Disconnect {
        client: String,
    },
    Emit {
        client: String,
        event: String,
        args: Vec<Value>,
        ack: bool,
    },
    /// The next event, or `anyhow` the next one of this name.
    Event {
        client: String,
        event: String,
        args: Option<Value>,
        anyhow: bool,
    },
    Ack {
        args: Value,
    },
    Request {
        method: String,
        path: String,
        headers: Headers,
        body: Body,
    },
    Answer {
        status: String,
        body: Option<Value>,
    },
    AnswerHeaders {
        pattern: Value,
    },
    Restart,
    Kill,
}

/// What an HTTP request carries.
#[derive(Debug, PartialEq)]
pub(crate) enum Body {
    None,
    Json(Value),
    Raw(Value),
}

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Reads the text of a transcript. The error begins with the line's number.
pub(crate) fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script { env: Vec::new(), steps: Vec::new() };
    for (line, text) in joined(text) {
        let fail = |why: String| format!("{line}: {why}: {text}");
        if let Some(pairs) = text.strip_prefix("@ ") {
            if !script.steps.is_empty() {
                return Err(fail("`@` stands above the first step only".into()));
            }
            for pair in pairs.split_whitespace() {
                let (key, value) = pair.split_once('=').ok_or_else(|| fail("not KEY=value".into()))?;
                script.env.push((key.into(), value.into()));
            }
            continue;
        }
        let action = action(&text).map_err(fail)?;
        let asked = matches!(script.steps.last().map(|s| &s.action), Some(Action::Request { .. }));
        if asked != matches!(action, Action::Answer { .. }) {
            return Err(fail("`= STATUS` follows each request, and nothing else".into()));
        }
        script.steps.push(Step { line, text, action });
    }
    match script.steps.last() {
        Some(Step { line, text, action: Action::Request { .. } }) => Err(format!("{line}: no answer is expected: {text}")),
        Some(_) => Ok(script),
        None => Err("1: nothing happens here".into()),
    }
}

/// The lines that say something, with those that continue them.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let said = line.trim();
        match lines.last_mut() {
            _ if said.is_empty() || said.starts_with('#') => {}
            Some((_, last)) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(said);
            }
            _ => lines.push((index + 1, said.to_owned())),
        }
    }
    lines
}

fn action(text: &str) -> Result<Action, String> {
    let (word, rest) = word(text);
    match word {
        "set" => set(rest),
        "client" => connect(rest),
        "disconnect" => Ok(Action::Disconnect { client: rest.to_owned() }),
        ">" | ">?" => {
            let (client, rest) = self::word(rest);
            let (event, rest) = self::word(rest);
            let Value::Array(args) = list(rest)? else { return Err("arguments are a list".into()) };
            Ok(Action::Emit { client: client.into(), event: event.into(), args, ack: word == ">?" })
        }
        "<" | "<~" => {
            let (client, rest) = self::word(rest);
            let (event, rest) = self::word(rest);
            let args = if rest.is_empty() { None } else { Some(list(rest)?) };
            Ok(Action::Event { client: client.into(), event: event.into(), args, anyhow: word == "<~" })
        }
        "<?" => Ok(Action::Ack { args: list(rest)? }),
        "=" => {
            let (status, rest) = self::word(rest);
            if status.len() != 3 || !status.bytes().all(|b| b.is_ascii_digit() || b == b'x') {
                return Err("not a status".into());
            }
            let body = if rest.is_empty() { None } else { Some(json(rest)?) };
            Ok(Action::Answer { status: status.into(), body })
        }
        "~" => Ok(Action::AnswerHeaders { pattern: json(rest)? }),
        "restart" => Ok(Action::Restart),
        "kill" => Ok(Action::Kill),
        method if METHODS.contains(&method) => request(method, rest),
        _ => Err("not a step".into()),
    }
}

fn set(rest: &str) -> Result<Action, String> {
    let (name, rest) = word(rest);
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let value = values.next().ok_or("no value")?.map_err(|e| e.to_string())?;
    let times = match values.next() {
        None => 1,
        Some(times) => times.ok().and_then(|t| t.as_u64()).ok_or("not a number of times")?,
    };
    Ok(Action::Set { name: name.into(), value, times: usize::try_from(times).map_err(|e| e.to_string())? })
}

fn connect(rest: &str) -> Result<Action, String> {
    let (client, rest) = word(rest);
    let (namespace, rest) = if rest.starts_with('/') { word(rest) } else { ("", rest) };
    let (query, rest) = match rest.strip_prefix('?') {
        Some(rest) => word(rest),
        None => ("", rest),
    };
    let (headers, rest) = headers(rest)?;
    let (auth, refused) = match rest.strip_prefix("refused ").map(|text| ("", text)).or_else(|| rest.rsplit_once(" refused ")) {
        Some((auth, text)) => (auth, Some(json(text)?)),
        None => (rest, None),
    };
    let auth = if auth.is_empty() { None } else { Some(json(auth)?) };
    Ok(Action::Connect { client: client.into(), namespace: namespace.into(), query: query.into(), headers, auth, refused })
}

fn request(method: &str, rest: &str) -> Result<Action, String> {
    let (path, rest) = word(rest);
    let (headers, rest) = headers(rest)?;
    let body = match rest.strip_prefix("raw ") {
        Some(raw) => Body::Raw(json(raw)?),
        None if rest.is_empty() => Body::None,
        None => Body::Json(json(rest)?),
    };
    Ok(Action::Request { method: method.into(), path: path.into(), headers, body })
}

/// `[Name: value; Name: value]`, if it stands there, and what follows.
fn headers(text: &str) -> Result<(Headers, &str), String> {
    let Some(text) = text.strip_prefix('[') else { return Ok((Vec::new(), text)) };
    let (inside, rest) = text.split_once(']').ok_or("no `]`")?;
    let mut pairs: Headers = Vec::new();
    for part in inside.split(';') {
        match (part.split_once(':'), pairs.last_mut()) {
            (Some((name, value)), _) => pairs.push((name.trim().to_owned(), value.trim().to_owned())),
            // A parameter of the value before, such as a boundary.
            (None, Some((_, value))) => value.push_str(&format!(";{part}")),
            (None, None) => return Err("not `Name: value`".into()),
        }
    }
    Ok((pairs, rest.trim_start()))
}

fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| format!("not JSON ({e})"))
}

fn list(text: &str) -> Result<Value, String> {
    json(&format!("[{text}]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn steps(text: &str) -> Vec<Action> {
        parse(text).expect("a transcript").steps.into_iter().map(|s| s.action).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn every_kind_of_line_is_read() {
        let script = parse("# why\n@ A=1 B=\n@ C=x=y\n\nclient u\n").expect("a transcript");
        assert_eq!(script.env, [pair("A", "1"), pair("B", ""), pair("C", "x=y")]);
        assert_eq!((script.steps[0].line, script.steps[0].text.as_str()), (5, "client u"));
        let read = steps(
            "> u hi {\"a\":1}, null\n>? u hi\n<? {}\n< u hi\n< u hi 1,\n  2\nset x \"ab\" 3\nset y {}\nrestart\nkill\ndisconnect u\n",
        );
        let emit = |args, ack| Action::Emit { client: "u".into(), event: "hi".into(), args, ack };
        let event = |args| Action::Event { client: "u".into(), event: "hi".into(), args, anyhow: false };
        let expected = [
            emit(vec![json!({"a": 1}), json!(null)], false),
            emit(vec![], true),
            Action::Ack { args: json!([{}]) },
            event(None),
            event(Some(json!([1, 2]))),
            Action::Set { name: "x".into(), value: json!("ab"), times: 3 },
            Action::Set { name: "y".into(), value: json!({}), times: 1 },
            Action::Restart,
            Action::Kill,
            Action::Disconnect { client: "u".into() },
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn clients_carry_headers_auth_and_refusals() {
        let at = |namespace: &str, query: &str, headers, auth, refused| Action::Connect {
            client: "u".into(),
            namespace: namespace.into(),
            query: query.into(),
            headers,
            auth,
            refused,
        };
        let asking = |query: &str, headers, auth, refused| at("", query, headers, auth, refused);
        let connect = |headers, auth, refused| asking("", headers, auth, refused);
        assert_eq!(steps("client u"), [connect(vec![], None, None)]);
        assert_eq!(steps("client u /rooms ?a=b {}"), [at("/rooms", "a=b", vec![], Some(json!({})), None)]);
        assert_eq!(steps("client u ?a=b&c=d"), [asking("a=b&c=d", vec![], None, None)]);
        assert_eq!(steps("client u ?a=b [X-B: c] {}"), [asking("a=b", vec![pair("X-B", "c")], Some(json!({})), None)]);
        assert_eq!(steps("client u refused \"No\""), [connect(vec![], None, Some(json!("No")))]);
        let full = "client u [Origin: http://a:1; X-B: c] {\"token\":\"t\"} refused \"No\"";
        let headers = vec![pair("Origin", "http://a:1"), pair("X-B", "c")];
        assert_eq!(steps(full), [connect(headers, Some(json!({"token": "t"})), Some(json!("No")))]);
    }

    #[test]
    fn requests_need_answers() {
        let read = steps("POST /a [X: y] {\"b\":1}\n= 201 {\"c\":2}\n~ {\"d\":\"*\"}\nPOST /a raw \"{\"\n= 500\nGET /\n= 200");
        let request = |method: &str, path: &str, headers, body| Action::Request { method: method.into(), path: path.into(), headers, body };
        assert_eq!(read[0], request("POST", "/a", vec![pair("X", "y")], Body::Json(json!({"b": 1}))));
        assert_eq!(read[1], Action::Answer { status: "201".into(), body: Some(json!({"c": 2})) });
        assert_eq!(read[2], Action::AnswerHeaders { pattern: json!({"d": "*"}) });
        assert_eq!(read[3], request("POST", "/a", vec![], Body::Raw(json!("{"))));
        assert_eq!(read[5], request("GET", "/", vec![], Body::None));
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        for (text, line) in [
            ("GET /\n", "1: no answer"),
            ("GET /\nrestart\n", "2: `= STATUS`"),
            ("restart\n= 200\n", "2: `= STATUS`"),
            ("restart\n@ A=1\n", "2: `@`"),
            ("restart\nfly\n", "2: not a step"),
            ("> u e {\n", "1: not JSON"),
            ("# nothing\n", "1: nothing"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(line), "{error}");
        }
    }
}
