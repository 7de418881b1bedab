//! A client as the documents advise: it numbers its messages by client keys, repeats what was not acknowledged, and joins with the last number it saw.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::client::{Client, Dial, Event};
use crate::harness::shop::KEY;

/// How many messages it sends before it waits for their acknowledgements.
const WINDOW: usize = 4;

/// How far the test is. The server of each round is another process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stage {
    pub(super) round: u32,
    /// Nothing new is said; what is open is finished.
    pub(super) is_last: bool,
}

/// A message as it was acknowledged, received or stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) id: String,
    pub(super) seq: u64,
}

impl Said {
    /// From the contract's view of a message.
    pub(super) fn of(message: &Value) -> Self {
        Self::new(message["message"].as_str().expect("a text"), message)
    }

    fn new(text: &str, rest: &Value) -> Self {
        Self { text: text.to_owned(), id: rest["id"].as_str().expect("an id").to_owned(), seq: rest["seq"].as_u64().expect("a number") }
    }
}

pub(super) struct Talker {
    pub(super) session: String,
    /// What it was told is stored.
    pub(super) acknowledged: Vec<Said>,
    /// The messages that it received, in order.
    pub(super) view: Vec<Said>,
    server: SocketAddr,
    person: Value,
    count: watch::Sender<u64>,
    round: u32,
    said: u32,
    open: VecDeque<String>,
    last_seq: u64,
    client: Option<Client>,
}

impl Talker {
    /// Somebody who will talk in the session, and count acknowledgements.
    pub(super) fn new(server: SocketAddr, session: &str, person: Value, count: watch::Sender<u64>) -> Self {
        Self {
            session: session.to_owned(),
            acknowledged: Vec::new(),
            view: Vec::new(),
            server,
            person,
            count,
            round: 0,
            said: 0,
            open: VecDeque::new(),
            last_seq: 0,
            client: None,
        }
    }

    /// Talks from the first round to the last, and ends with everything acknowledged and a live connection.
    pub(super) async fn run(mut self, mut stages: watch::Receiver<Stage>) -> Self {
        while self.client.is_none() {
            self.round = stages.wait_for(|s| s.round > self.round).await.expect("a further round").round;
            if let Ok(mut client) = Dial::to(self.server).auth(json!({"apiKey": KEY})).connect().await {
                let talked = self.talk(&mut client, &stages).await;
                // What came before the end of the connection was received.
                client.received().into_iter().for_each(|event| self.hear(&event));
                self.client = talked.ok().map(|()| client);
            }
        }
        self
    }

    /// Reads on until it has seen this number.
    pub(super) async fn read_up_to(&mut self, seq: u64) {
        while self.last_seq < seq {
            let event = self.client.as_mut().expect("a connection").event().await.expect("another message");
            self.hear(&event);
        }
    }

    async fn talk(&mut self, client: &mut Client, stages: &watch::Receiver<Stage>) -> Result<(), String> {
        let join = json!({
            "sessionId": self.session, "userId": self.person["userId"], "userType": self.person["userType"], "lastSeq": self.last_seq,
        });
        let joined = client.call("join_session", join).await?;
        assert_eq!(joined["ok"], true, "{joined}");
        loop {
            let is_last = stages.borrow().is_last;
            while !is_last && self.open.len() < WINDOW {
                self.said += 1;
                self.open.push_back(format!("{} {}", self.person["userId"].as_str().expect("an id"), self.said));
            }
            if self.open.is_empty() {
                return Ok(());
            }
            let said = |text: &String| json!({"sessionId": self.session, "message": text, "clientKey": text});
            let asked: Vec<_> = self.open.iter().map(|text| client.ask("send_message", &[said(text)])).collect();
            for asked in asked {
                let ack = Client::ack(asked).await?.remove(0);
                assert_eq!(ack["ok"], true, "{ack}");
                let text = self.open.pop_front().expect("what was asked");
                self.acknowledged.push(Said::new(&text, &ack));
                self.count.send_modify(|count| *count += 1);
            }
            client.received().into_iter().for_each(|event| self.hear(&event));
        }
    }

    /// Notes the messages of an event; each must be a later one than all before.
    fn hear(&mut self, event: &Event) {
        let payload = &event.args[0];
        let messages = match event.name.as_str() {
            "session_joined" => payload["messages"].as_array().expect("messages").clone(),
            "new_message" => vec![payload.clone()],
            _ => return,
        };
        for said in messages.iter().map(Said::of) {
            assert!(said.seq > self.last_seq, "{said:?} came after number {}", self.last_seq);
            self.last_seq = said.seq;
            self.view.push(said);
        }
    }
}
