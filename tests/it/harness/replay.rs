//! Runs a transcript against a server. What a step means is in tests/transcripts/README.md.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use tokio::sync::oneshot;

use super::client::{Client, Dial, Refused};
use super::http::{self, Answer};
use super::pattern::{Vars, fill, fill_text, matches};
use super::script::{Action, Body, Script};
use super::server::Server;

/// Plays every step. The error names the line, what was expected and what came instead.
pub(crate) async fn replay(script: &Script, server: &mut Server) -> Result<(), String> {
    let mut play = Play { server, vars: Vars::new(), clients: BTreeMap::new(), asked: VecDeque::new(), answer: None };
    for step in &script.steps {
        play.step(&step.action).await.map_err(|why| format!("{}: {}\n    {why}", step.line, step.text))?;
    }
    play.all_was_expected().await.map_err(|why| format!("at the end\n    {why}"))
}

struct Play<'a> {
    server: &'a mut Server,
    vars: Vars,
    clients: BTreeMap<String, Client>,
    /// Acknowledgements that are owed, oldest first.
    asked: VecDeque<oneshot::Receiver<Vec<Value>>>,
    answer: Option<Answer>,
}

impl Play<'_> {
    async fn step(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Set { name, value, times } => self.set(name, value, *times),
            Action::Connect { client, namespace, query, headers, auth, refused } => {
                self.connect(client, (namespace, query, headers), auth.as_ref(), refused.as_ref()).await
            }
            Action::Disconnect { client } => {
                let mut leaver = self.clients.remove(client).ok_or("no such client")?;
                nothing_left(client, &mut leaver).await?;
                leaver.disconnect().await;
                Ok(())
            }
            Action::Emit { client, event, args, ack } => self.emit(client, event, args, *ack),
            Action::Event { client, event, args, anyhow } => self.event(client, event, args.as_ref(), *anyhow).await,
            Action::Ack { args } => {
                let owed = self.asked.pop_front().ok_or("no acknowledgement is owed")?;
                let got = Client::ack(owed).await?;
                matches(args, &Value::Array(got), &mut self.vars)
            }
            Action::Request { method, path, headers, body } => self.request(method, path, headers, body).await,
            Action::Answer { status, body } => {
                let answer = self.answer.as_ref().ok_or("no answer")?;
                let got = answer.status.to_string();
                if !status.chars().zip(got.chars()).all(|(s, c)| s == 'x' || s == c) {
                    return Err(format!("expected status {status}, got {}: {}", answer.status, answer.body));
                }
                body.as_ref().map_or(Ok(()), |pattern| matches(pattern, &answer.body, &mut self.vars))
            }
            Action::AnswerHeaders { pattern } => matches(pattern, &self.answer.as_ref().ok_or("no answer")?.headers, &mut self.vars),
            Action::Restart => {
                self.all_was_expected().await?;
                self.server.restart().await;
                self.clients.clear();
                Ok(())
            }
            Action::Kill => {
                self.all_was_expected().await?;
                self.server.kill().await;
                self.clients.clear();
                Ok(())
            }
        }
    }

    fn set(&mut self, name: &str, value: &Value, times: usize) -> Result<(), String> {
        let value = match fill(value, &self.vars)? {
            Value::String(text) => Value::String(text.repeat(times)),
            other => other,
        };
        self.vars.insert(name.to_owned(), value);
        Ok(())
    }

    async fn connect(
        &mut self,
        name: &str,
        (namespace, query, headers): (&str, &str, &[(String, String)]),
        auth: Option<&Value>,
        refused: Option<&Value>,
    ) -> Result<(), String> {
        let auth = auth.map(|a| fill(a, &self.vars)).transpose()?;
        let mut dial = Dial::to(self.server.address()).auth(auth).query(&fill_text(query, &self.vars)?);
        if !namespace.is_empty() {
            dial = dial.namespace(namespace);
        }
        for (header, value) in headers {
            dial = dial.header(header, &fill_text(value, &self.vars)?);
        }
        match (dial.connect().await, refused) {
            (Ok(client), None) => match self.clients.insert(name.to_owned(), client) {
                None => Ok(()),
                Some(_) => Err("this client is connected already".into()),
            },
            (Ok(_), Some(pattern)) => Err(format!("expected a refusal with {pattern}, got a connection")),
            (Err(Refused::Connect(message)), Some(pattern)) => matches(pattern, &Value::String(message), &mut self.vars),
            (Err(refusal), _) => Err(format!("not connected: {refusal:?}")),
        }
    }

    fn emit(&mut self, name: &str, event: &str, args: &[Value], ack: bool) -> Result<(), String> {
        let args = args.iter().map(|a| fill(a, &self.vars)).collect::<Result<Vec<_>, _>>()?;
        let client = self.clients.get_mut(name).ok_or("no such client")?;
        if ack {
            self.asked.push_back(client.ask(event, &args));
        } else {
            client.emit(event, &args);
        }
        Ok(())
    }

    async fn event(&mut self, name: &str, event: &str, args: Option<&Value>, anyhow: bool) -> Result<(), String> {
        let client = self.clients.get_mut(name).ok_or("no such client")?;
        let got = if anyhow { client.event_named(event).await? } else { client.event().await? };
        let received = Value::Array(got.args);
        if got.name != event {
            return Err(format!("expected {event}, got {} {received}", got.name));
        }
        args.map_or(Ok(()), |pattern| matches(pattern, &received, &mut self.vars))
    }

    async fn request(&mut self, method: &str, path: &str, headers: &[(String, String)], body: &Body) -> Result<(), String> {
        let path = fill_text(path, &self.vars)?;
        let filled = headers.iter().map(|(n, v)| Ok((n.clone(), fill_text(v, &self.vars)?)));
        let headers = filled.collect::<Result<Vec<_>, String>>()?;
        let body = match body {
            Body::None => Body::None,
            Body::Json(value) => Body::Json(fill(value, &self.vars)?),
            Body::Raw(text) => Body::Raw(fill(text, &self.vars)?),
        };
        self.answer = Some(http::request(self.server.address(), method, &path, &headers, body).await?);
        Ok(())
    }

    /// No event and no acknowledgement is left that the transcript did not speak of.
    async fn all_was_expected(&mut self) -> Result<(), String> {
        if !self.asked.is_empty() {
            return Err(format!("{} acknowledgements were never read", self.asked.len()));
        }
        for (name, client) in &mut self.clients {
            nothing_left(name, client).await?;
        }
        Ok(())
    }
}

async fn nothing_left(name: &str, client: &mut Client) -> Result<(), String> {
    let left = client.leftover().await.map_err(|why| format!("{name}: {why}"))?;
    match left.front() {
        None => Ok(()),
        Some(event) => {
            Err(format!("{name} received {} that nobody expected: {} {}", left.len(), event.name, Value::Array(event.args.clone())))
        }
    }
}
