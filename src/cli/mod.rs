//! The command line: which command is meant, and what it prints. It decides nothing about accounts and agents; the desk does.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "commands answer on standard output; logs may not be there yet")]

mod export;

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::{Config, Store, Warning};
use crate::domain::account::{LEAST_PASSWORD, PASSWORD_LIMIT, is_email, is_password};
use crate::domain::desk::{Desk, NewAccount};
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::SessionId;
use crate::domain::principal::Realm;
use crate::secret::Secret;
use crate::shutdown::{self, Shutdown};
use crate::{app, telemetry};

/// The exit status for a configuration, an argument or a password that cannot be used; clap's own too.
const BAD_INPUT: u8 = 2;

/// How many messages an import reads before it tells how far it is.
const TOLD_EVERY: u64 = 10_000;

/// A support-chat server that speaks the wire contracts of several Socket.IO backends. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "helpline", version, after_help = "Settings come from the environment and the file .env; see .env.example.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C
    Serve,
    /// Print the settings that would be used, without secrets, or what is wrong with them; connects to nothing
    CheckConfig,
    /// Accounts that log in with a password
    #[command(subcommand)]
    Admin(Admin),
    /// Agents who answer visitors
    #[command(subcommand)]
    Agent(Agent),
    /// Write one session with its whole log to standard output
    Export {
        /// Which session
        #[arg(long, value_parser = session_id)]
        session: SessionId,
        /// How it is written down
        #[arg(long, value_enum, default_value_t)]
        format: export::Format,
    },
    /// Take over what an original has; that is only read, and the import may be repeated
    Import {
        /// A MongoDB URL, for a database of document 001 or 002
        #[arg(long, required_unless_present_any = ["file", "in_place"], conflicts_with = "file")]
        from: Option<String>,
        /// The database is the one that the server is to work on (MONGODB_URI): the original's collections are renamed to `original_*` and stay there
        #[arg(long, conflicts_with_all = ["from", "file"])]
        in_place: bool,
        /// The database's name, where the URL gives none or another one
        #[arg(long, requires = "from")]
        database: Option<String>,
        /// A file of JSON lines, for what documents 000, 003 and 004 have in other databases
        #[arg(long, requires = "dialect")]
        file: Option<PathBuf>,
        /// Whose rows the file holds
        #[arg(long, requires = "file", value_parser = realm_of_files)]
        dialect: Option<Realm>,
        /// Read everything and say what is odd, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Copy the embedded store into a new folder, also while a server works on it
    Backup {
        /// The new folder, in which a server can be started
        #[arg(long)]
        to: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Admin {
    /// Make an account and print its id; the password is ADMIN_PASSWORD, else one line of standard input
    Create {
        /// The address to log in with; its case counts
        #[arg(long, value_parser = email)]
        email: String,
        /// The name to show
        #[arg(long, value_parser = name)]
        name: Option<String>,
        /// The contract it belongs to
        #[arg(long, default_value = "widget", value_parser = realm_with_accounts)]
        realm: Realm,
    },
    /// Give any account of a contract with logins another password, from where `create` takes it; its sockets are closed within seconds
    Password {
        /// The address to log in with, in small letters
        #[arg(long, value_parser = email)]
        email: String,
        /// The contract it belongs to
        #[arg(long, default_value = "rooms", value_parser = realm_with_logins)]
        realm: Realm,
    },
}

#[derive(Debug, Subcommand)]
enum Agent {
    /// Add an agent, who is available at once, and print the id
    Add {
        /// The name that visitors see
        #[arg(long, value_parser = name)]
        name: String,
        /// The agent's address
        #[arg(long, value_parser = email)]
        email: Option<String>,
        /// How many sessions at once, from 1 to 10
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10))]
        capacity: u32,
        /// The contract it belongs to
        #[arg(long, default_value = "support", value_parser = realm_with_agents)]
        realm: Realm,
    },
}

/// Does what the arguments of this process say. The status is 0, 1 where it could not be done, and 2 where the input cannot be used.
pub fn run() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
    let (config, warnings) = match Config::from_env() {
        Ok(read) => read,
        Err(problems) => return complain(&problems.to_string(), BAD_INPUT),
    };
    if let Command::CheckConfig = command {
        return check_config(&config, &warnings);
    }
    let _logs = match telemetry::init(&config) {
        Ok(guard) => guard,
        Err(error) => return complain(&format!("cannot start the logs (LOG_DIR): {error}"), BAD_INPUT),
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let done = match command {
        Command::CheckConfig => Ok(()),
        Command::Serve => start(serve(config)).inspect_err(|error| tracing::error!("{error:#}")),
        Command::Admin(Admin::Create { email, name, realm }) => match password(&config) {
            Ok(password) => say(start(create_admin(&config, realm, (&email, &password), name.as_deref()))),
            Err(text) => return complain(&text, BAD_INPUT),
        },
        Command::Admin(Admin::Password { email, realm }) => match password(&config) {
            Ok(password) => say(start(change_password(&config, realm, (&email, &password)))),
            Err(text) => return complain(&text, BAD_INPUT),
        },
        Command::Agent(Agent::Add { name, email, capacity, realm }) => {
            say(start(add_agent(&config, realm, (&name, email.as_deref()), capacity)))
        }
        Command::Export { session, format } => tell(start(export::run(&config, &session, format))),
        Command::Import { from, in_place, database, file, dialect, dry_run } => {
            let origin = match (&file, dialect) {
                (Some(path), Some(dialect)) => app::Origin::File { path, dialect },
                _ if in_place => match here(&config) {
                    Some(origin) => origin,
                    None => return complain("--in-place takes over the database of MONGODB_URI, which is not set", BAD_INPUT),
                },
                _ => app::Origin::Database { uri: from.as_deref().unwrap_or_default(), name: database.as_deref() },
            };
            say(start(import(&config, origin, dry_run)))
        }
        Command::Backup { to } => say(start(back_up(&config, &to))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::Misconfigured(_))) => ExitCode::from(BAD_INPUT),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Shows what a command made, or why it did not. Not by the logs, which may be silent and never hold an address.
fn say(made: anyhow::Result<String>) -> anyhow::Result<()> {
    println!("{}", tell(made)?);
    Ok(())
}

/// Shows why a command failed.
fn tell<T>(done: anyhow::Result<T>) -> anyhow::Result<T> {
    done.inspect_err(|error| eprintln!("{error:#}"))
}

/// Runs the work on a runtime of its own.
fn start<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let (trigger, shutdown) = Shutdown::new();
    shutdown::on_signals(trigger)?;
    Box::pin(app::run(config, shutdown)).await
}

fn check_config(config: &Config, warnings: &[Warning]) -> ExitCode {
    print!("{config}");
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    if let Some(open) = config.open_acts() {
        eprintln!("warning: {open}");
    }
    ExitCode::SUCCESS
}

/// Answers the id of the account.
async fn create_admin(config: &Config, realm: Realm, (email, password): (&str, &Secret), name: Option<&str>) -> anyhow::Result<String> {
    let create = async |desk: &Desk| match desk.create_account(NewAccount::of_staff(realm, email, password.expose(), name)).await {
        Err(Error::AccountExists) => anyhow::bail!("{email} has an account in {} already; it was not changed", realm.name()),
        made => Ok(made.context("cannot store the account")?.id.to_string()),
    };
    app::with_desk(config, app::Use::Founding, create).await
}

/// Answers the id of the account.
async fn change_password(config: &Config, realm: Realm, (email, password): (&str, &Secret)) -> anyhow::Result<String> {
    let change = async |desk: &Desk| match desk.change_password(realm, email, password.expose()).await {
        Err(Error::AccountNotFound) => anyhow::bail!("{email} has no account in {}", realm.name()),
        changed => Ok(changed.context("cannot store the password")?.id.to_string()),
    };
    app::with_desk(config, app::Use::Shared, change).await
}

/// Answers the id by which the contract knows the agent.
async fn add_agent(config: &Config, realm: Realm, (name, email): (&str, Option<&str>), capacity: u32) -> anyhow::Result<String> {
    let add = async |desk: &Desk| {
        let agent = desk.add_agent(realm, name, email, capacity).await.context("cannot store the agent")?;
        Ok(agent.id.in_realm().to_owned())
    };
    app::with_desk(config, app::Use::Shared, add).await
}

/// The database that the server is to work on, where that is on MongoDB.
fn here(config: &Config) -> Option<app::Origin<'_>> {
    match &config.store {
        Store::MongoDb { uri, database } => Some(app::Origin::InPlace { uri: uri.expose(), name: database }),
        Store::Embedded => None,
    }
}

/// Answers what was imported.
async fn import(config: &Config, from: app::Origin<'_>, is_dry: bool) -> anyhow::Result<String> {
    let mut told = 0;
    let mut tell = |read: u64, of: u64| {
        if read >= told + TOLD_EVERY {
            told = read;
            eprintln!("{read} of {of} messages");
        }
    };
    let report = app::take_over(config, from, is_dry, &mut tell).await?;
    Ok(format!("{report}{}", if is_dry { "nothing was written" } else { "done" }))
}

/// Answers what was copied.
async fn back_up(config: &Config, to: &Path) -> anyhow::Result<String> {
    let (database, attachments) = app::back_up(config, to).await?;
    Ok(format!("{}: a database of {database} bytes, {attachments} attachments", to.display()))
}

/// `ADMIN_PASSWORD`, else from standard input: one line, or typed twice and not shown where somebody sits at a terminal.
fn password(config: &Config) -> Result<Secret, String> {
    if let Some(password) = &config.admin_password {
        return Ok(password.clone());
    }
    let wrong = |error: io::Error| format!("no password: {error}");
    let password = if io::stdin().is_terminal() {
        let once = rpassword::prompt_password("Password: ").map_err(wrong)?;
        let twice = rpassword::prompt_password("The same again: ").map_err(wrong)?;
        if once != twice {
            return Err("the two passwords differ".to_owned());
        }
        once
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(wrong)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if !is_password(&password) {
        return Err(format!(
            "a password of at least {LEAST_PASSWORD} characters and at most {PASSWORD_LIMIT} bytes is needed, in ADMIN_PASSWORD or as a line of \
             standard input"
        ));
    }
    Ok(Secret::new(password))
}

fn email(text: &str) -> Result<String, String> {
    is_email(text).then(|| text.to_owned()).ok_or_else(|| "expected an e-mail address; for example admin@example.com".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let whole = (1..=100).contains(&text.chars().count()) && !text.contains(char::is_control);
    whole.then(|| text.to_owned()).ok_or_else(|| "expected 1 to 100 characters".to_owned())
}

fn session_id(text: &str) -> Result<SessionId, String> {
    SessionId::parse(text).ok_or_else(|| "expected a UUID or 24 hex digits".to_owned())
}

fn realm_with_accounts(text: &str) -> Result<Realm, String> {
    realm(text, Realm::has_accounts)
}

fn realm_with_logins(text: &str) -> Result<Realm, String> {
    realm(text, Realm::keeps_logins)
}

/// Where people log in, whoever has an account answers, and there are no agents.
fn realm_with_agents(text: &str) -> Result<Realm, String> {
    realm(text, |realm| !realm.has_accounts())
}

/// Those of which an original kept its data in no MongoDB.
fn realm_of_files(text: &str) -> Result<Realm, String> {
    realm(text, |realm| matches!(realm, Realm::Operators | Realm::Widget))
}

fn realm(text: &str, fits: fn(Realm) -> bool) -> Result<Realm, String> {
    let known = || Realm::ALL.into_iter().filter(|r| fits(*r)).map(Realm::name).collect::<Vec<_>>().join(" or ");
    Realm::named(text).filter(|r| fits(*r)).ok_or_else(|| format!("expected {}", known()))
}

fn complain(text: &str, status: u8) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(status)
}
