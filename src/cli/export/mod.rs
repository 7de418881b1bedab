//! `helpline export`: writes one session to standard output, a page of its log after the other. It decides nothing; what is exported the desk says.

mod json;
mod text;

use std::io::{self, BufWriter, Write};

use anyhow::Context as _;
use clap::ValueEnum;

use crate::app;
use crate::config::Config;
use crate::domain::desk::{Desk, Exported};
use crate::domain::entry::Head;
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::session::Session;

/// How a session is written down.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Format {
    /// One JSON object, with everything that is stored
    #[default]
    Json,
    /// A transcript to be read
    Text,
}

impl Format {
    fn opening(self, session: &Session, head: Head) -> String {
        match self {
            Format::Json => json::opening(session, head),
            Format::Text => text::opening(session, head),
        }
    }

    fn entry(self, exported: &Exported) -> String {
        match self {
            Format::Json => json::entry(exported),
            Format::Text => text::entry(exported),
        }
    }

    fn closing(self) -> &'static str {
        match self {
            Format::Json => json::CLOSING,
            Format::Text => "",
        }
    }
}

/// Writes the session as it is now. Where this fails part of it may be written: a JSON object that was cut short has no end.
///
/// # Errors
/// No such session; whatever keeps the store from being read, or standard output from being written.
pub(super) async fn run(config: &Config, id: &SessionId, format: Format) -> anyhow::Result<()> {
    app::with_desk(config, app::Use::Shared, async |desk| export(desk, id, format).await).await
}

async fn export(desk: &Desk, id: &SessionId, format: Format) -> anyhow::Result<()> {
    let (session, head) = match desk.session_to_export(id).await {
        Err(Error::SessionNotFound) => anyhow::bail!("there is no session {id}"),
        found => found.context("cannot read the session")?,
    };
    let mut out = BufWriter::new(io::stdout());
    write(&mut out, &format.opening(&session, head))?;
    let mut after = 0;
    while after < head.seq {
        for exported in desk.export_page(id, after, head).await.context("cannot read the log")? {
            after = exported.entry.seq();
            write(&mut out, &format.entry(&exported))?;
        }
    }
    write(&mut out, format.closing())?;
    out.flush().context("cannot write")
}

fn write(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    out.write_all(text.as_bytes()).context("cannot write")
}
