//! What differs between the servers that are measured: how a session comes about, who may join it, and what the join is answered. Set-up only; nothing
//! here is measured.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::wire::{Wire, find, number};

/// Which server it is.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// Helpline's contract `support`: sessions over REST, tokens for both parties, numbered messages.
    Helpline,
    /// A room is whatever is joined, by anybody.
    Relay,
}

/// Where a session's parties go, and how they get in.
pub(crate) struct Door {
    pub(crate) protocol: Protocol,
    /// Where the visitor goes, and where the agent does.
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) key: String,
    http: reqwest::Client,
}

/// A party that has joined.
pub(crate) struct Seat {
    pub(crate) wire: Wire,
    /// The number after which messages come, where the server numbers them.
    pub(crate) reach: Option<u64>,
}

/// A session with both its parties.
pub(crate) struct Room {
    pub(crate) id: String,
    /// The visitor's and the agent's.
    pub(crate) seats: [Seat; 2],
}

impl Door {
    pub(crate) fn new(protocol: Protocol, addresses: [SocketAddr; 2], key: String) -> Self {
        Self { protocol, addresses, key, http: reqwest::Client::new() }
    }

    /// Starts the session of this number and has both parties join it.
    pub(crate) async fn open(&self, nth: usize) -> anyhow::Result<Room> {
        let visitor = format!("visitor-{nth}");
        let (id, agent) = match self.protocol {
            Protocol::Relay => (format!("session-{nth}"), format!("agent-{nth}")),
            Protocol::Helpline => self.start(&visitor).await?,
        };
        let seats = [self.join(0, &id, (&visitor, "user")).await?, self.join(1, &id, (&agent, "agent")).await?];
        Ok(Room { id, seats })
    }

    /// The ids of a new session and of the agent who has it.
    pub(crate) async fn start(&self, visitor: &str) -> anyhow::Result<(String, String)> {
        let data = self.post("/api/chat/start-session", json!({ "userId": visitor })).await?;
        let text = |field: &str| data[field].as_str().map(str::to_owned);
        let agent = text("agentId").context("a session has no agent: more agents are needed, see `helpline agent add`")?;
        Ok((text("sessionId").context("a session has no id")?, agent))
    }

    /// A socket of a person of this kind that has joined the session: on side 0 where visitors go, on side 1 where agents do.
    pub(crate) async fn join(&self, side: usize, session: &str, (person, kind): (&str, &str)) -> anyhow::Result<Seat> {
        let mut wire = self.connect(side, (person, kind)).await?;
        let join = json!(["join_session", {"sessionId": session, "userId": person, "userType": kind}]);
        wire.send(format!("420{join}").as_bytes()).await?;
        loop {
            let text = wire.next().await?;
            if text.starts_with("430") {
                ensure!(text.contains("\"ok\":true"), "a join was answered by {text}");
                let reach = find(text.as_bytes(), b"\"headSeq\":").and_then(|at| number(&text.as_bytes()[at + 10..]));
                return Ok(Seat { wire, reach });
            }
        }
    }

    /// The same that has joined nothing.
    pub(crate) async fn connect(&self, side: usize, (person, kind): (&str, &str)) -> anyhow::Result<Wire> {
        let auth = match self.protocol {
            Protocol::Relay => String::new(),
            Protocol::Helpline => {
                let issued = self.post("/api/auth/token", json!({"userId": person, "userType": kind})).await?;
                json!({ "token": issued["token"] }).to_string()
            }
        };
        Wire::connect(self.addresses[side], &auth).await
    }

    /// `data` of a REST call by API key, which must succeed.
    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("http://{}{path}", self.addresses[0])).header("x-api-key", &self.key).json(&body);
        let answer = request.send().await.with_context(|| format!("POST {path}"))?;
        let status = answer.status();
        let mut body: Value = answer.json().await.with_context(|| format!("POST {path}"))?;
        ensure!(status.is_success(), "POST {path}: {status} {body}");
        Ok(body["data"].take())
    }
}
