//! The tables, as steps that are only ever added to, and the settings of the writing connection. Rows and threads are not known here.

use rusqlite::{Connection, TransactionBehavior};

use crate::domain::error::StoreError;

/// Step n leads from version n to n + 1. A released step is never edited: databases exist that took it.
const STEPS: &[&str] = &[FIRST, SECOND, ATTENDED, ACCOUNTS, ROOMS, ATTACHMENTS, PRESENCES, LISTS, TOGETHER, RUNS];

/// Each entry carries the whole head after it, so that an append reads one row and writes one.
///
/// `messages` is clustered by (session, seq): a history is one range of pages. Its other indexes are partial, so that an entry is in no index that it does
/// not need. No foreign keys: the log may begin before its session's document is stored.
const FIRST: &str = "
CREATE TABLE sessions (
    id            TEXT    NOT NULL PRIMARY KEY,
    realm         TEXT    NOT NULL,
    visitor_realm TEXT    NOT NULL,
    visitor_id    TEXT    NOT NULL,
    visitor_role  TEXT    NOT NULL,
    visitor_name  TEXT,
    visitor_email TEXT,
    status        TEXT    NOT NULL,
    open_key      TEXT,
    agent_id      TEXT,
    agent_name    TEXT,
    assignment    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    end_reason    TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_open_key ON sessions (open_key) WHERE open_key IS NOT NULL;
CREATE INDEX sessions_open ON sessions (id) WHERE status <> 'ended';
CREATE INDEX sessions_waiting ON sessions (realm, created_at, id) WHERE status = 'waiting';
CREATE INDEX sessions_of_agent ON sessions (agent_id, created_at, id) WHERE agent_id IS NOT NULL;
CREATE INDEX sessions_of_agent_by_status ON sessions (agent_id, status, created_at, id) WHERE agent_id IS NOT NULL;

CREATE TABLE messages (
    session      TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    id           TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    author_realm TEXT    NOT NULL,
    author_id    TEXT    NOT NULL,
    author_role  TEXT    NOT NULL,
    author_name  TEXT,
    author_email TEXT,
    client_key   TEXT,
    kind         TEXT    NOT NULL,
    text         TEXT,
    agent_id     TEXT,
    agent_name   TEXT,
    ordinal      INTEGER NOT NULL,
    assignment   INTEGER NOT NULL,
    ended        INTEGER NOT NULL,
    PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX messages_id ON messages (id);
CREATE UNIQUE INDEX messages_client_key ON messages (session, author_realm, author_id, client_key) WHERE client_key IS NOT NULL;
CREATE UNIQUE INDEX messages_ordinal ON messages (session, ordinal) WHERE kind = 'message';

CREATE TABLE agents (
    place     INTEGER NOT NULL PRIMARY KEY,
    id        TEXT    NOT NULL UNIQUE,
    realm     TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    capacity  INTEGER NOT NULL,
    available INTEGER NOT NULL
) STRICT;
CREATE INDEX agents_realm ON agents (realm, place);

CREATE TABLE slots (
    agent       TEXT    NOT NULL,
    session     TEXT    NOT NULL,
    reserved_at INTEGER NOT NULL,
    PRIMARY KEY (agent, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What the contracts with operators and widgets need: sessions that are listed, searched and opened again, read marks, agents with a record, accounts.
///
/// `search` is folded as `store::search` does; of rows from before, only the ASCII letters are. Their messages count no notices. An agent from before was
/// created at the beginning of time.
const SECOND: &str = "
ALTER TABLE sessions ADD COLUMN visitor_group TEXT;
ALTER TABLE sessions ADD COLUMN label TEXT;
ALTER TABLE sessions ADD COLUMN state_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN read_ordinal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN spoken INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN search TEXT NOT NULL DEFAULT '';
UPDATE sessions SET search = lower(id || char(10) || replace(visitor_id, char(10), ' ') || char(10) || replace(coalesce(visitor_name, ''), char(10), ' '));
CREATE INDEX sessions_updated ON sessions (realm, updated_at, id);
CREATE INDEX sessions_updated_by_status ON sessions (realm, status, updated_at, id);
CREATE INDEX sessions_updated_of_visitor ON sessions (realm, visitor_id, updated_at, id);
CREATE INDEX sessions_updated_of_agent ON sessions (realm, agent_id, updated_at, id) WHERE agent_id IS NOT NULL;
CREATE INDEX sessions_updated_spoken ON sessions (realm, updated_at, id) WHERE spoken = 1;

ALTER TABLE messages ADD COLUMN form TEXT NOT NULL DEFAULT 'text';
ALTER TABLE messages ADD COLUMN signed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE messages ADD COLUMN read_at INTEGER;
ALTER TABLE messages ADD COLUMN notices INTEGER NOT NULL DEFAULT 0;

ALTER TABLE agents ADD COLUMN email TEXT;
ALTER TABLE agents ADD COLUMN availability TEXT NOT NULL DEFAULT 'offline';
ALTER TABLE agents ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN active_at INTEGER NOT NULL DEFAULT 0;
UPDATE agents SET availability = 'online' WHERE available;
ALTER TABLE agents DROP COLUMN available;

CREATE TABLE accounts (
    id         TEXT    NOT NULL PRIMARY KEY,
    realm      TEXT    NOT NULL,
    email      TEXT    NOT NULL,
    name       TEXT,
    password   TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX accounts_email ON accounts (realm, email);
";

/// Which agents have connections. Of those from before nobody knows, and they stay as available as they are.
const ATTENDED: &str = "
ALTER TABLE agents ADD COLUMN attended INTEGER NOT NULL DEFAULT 0;
";

/// What the contract with rooms needs: accounts with a role and a username, that come and go, and logins.
///
/// An account from before is an agent's, who was last there when it was created. No foreign key: whoever uses a login looks its account up.
const ACCOUNTS: &str = "
ALTER TABLE accounts ADD COLUMN role TEXT NOT NULL DEFAULT 'agent';
ALTER TABLE accounts ADD COLUMN username TEXT;
ALTER TABLE accounts ADD COLUMN department TEXT;
ALTER TABLE accounts ADD COLUMN specialization TEXT;
ALTER TABLE accounts ADD COLUMN status TEXT NOT NULL DEFAULT 'offline';
ALTER TABLE accounts ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET updated_at = created_at, seen_at = created_at;
CREATE UNIQUE INDEX accounts_username ON accounts (realm, username) WHERE username IS NOT NULL;
CREATE INDEX accounts_created ON accounts (realm, created_at, id);

CREATE TABLE logins (
    id         TEXT    NOT NULL PRIMARY KEY,
    account    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX logins_account ON logins (account, expires_at);
";

/// What rooms and their messages need: participants, topics and transfers; receipts, replies and changes of messages.
///
/// `participants` is what sessions are read from, `members` what they are found by. What is JSON here is written and read as `store::shape` does.
const ROOMS: &str = "
ALTER TABLE sessions ADD COLUMN kind TEXT NOT NULL DEFAULT 'support';
ALTER TABLE sessions ADD COLUMN topic TEXT;
ALTER TABLE sessions ADD COLUMN participants TEXT;
ALTER TABLE sessions ADD COLUMN transfers TEXT;

CREATE TABLE members (
    session TEXT    NOT NULL,
    person  TEXT    NOT NULL,
    is_open INTEGER NOT NULL,
    PRIMARY KEY (session, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_person ON members (person, session) WHERE is_open = 1;

CREATE TABLE reader_marks (
    session TEXT    NOT NULL,
    person  TEXT    NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (session, person)
) STRICT, WITHOUT ROWID;

ALTER TABLE messages ADD COLUMN refers_to TEXT;
ALTER TABLE messages ADD COLUMN former TEXT;
ALTER TABLE messages ADD COLUMN file TEXT;
ALTER TABLE messages ADD COLUMN receipts TEXT;
ALTER TABLE messages ADD COLUMN edited_at INTEGER;
ALTER TABLE messages ADD COLUMN edit_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN is_deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN is_applied INTEGER NOT NULL DEFAULT 1;
CREATE INDEX messages_edits ON messages (refers_to) WHERE kind = 'edited';
CREATE INDEX messages_unapplied ON messages (session, seq) WHERE is_applied = 0;
";

/// What is stored of files that messages carry; their contents are in a folder.
const ATTACHMENTS: &str = "
CREATE TABLE attachments (
    id         TEXT    NOT NULL PRIMARY KEY,
    session    TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    mime_type  TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    is_kept    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attachments_message ON attachments (message, id);
CREATE INDEX attachments_unkept ON attachments (created_at, id) WHERE is_kept = 0;
";

/// Who is there: connections, the processes that have them, and since when an agent has none.
const PRESENCES: &str = "
CREATE TABLE presences (
    person TEXT NOT NULL,
    conn   TEXT NOT NULL,
    node   TEXT NOT NULL,
    PRIMARY KEY (person, conn)
) STRICT, WITHOUT ROWID;
CREATE INDEX presences_node ON presences (node);
CREATE TABLE nodes (
    id    TEXT    NOT NULL PRIMARY KEY,
    beats INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE agents ADD COLUMN absent_since INTEGER;
";

/// Lists of the few among many: open sessions among those that ended, an agent's active ones among all that it had, agents among all accounts.
///
/// The condition of the first is in the words of the query that it serves, since SQLite compares them as texts.
const LISTS: &str = "
CREATE INDEX sessions_updated_open ON sessions (realm, updated_at, id) WHERE status IN ('waiting', 'pending', 'active');
CREATE INDEX sessions_updated_of_agent_by_status ON sessions (realm, agent_id, status, updated_at, id) WHERE agent_id IS NOT NULL;
CREATE INDEX accounts_of_role ON accounts (realm, role, created_at, id);
DROP INDEX accounts_created;
";

/// Lists of all sessions of a kind, whatever contract they were opened under. Conditions in the words of the queries, as above.
const TOGETHER: &str = "
CREATE INDEX sessions_kind_updated ON sessions (kind, updated_at, id);
CREATE INDEX sessions_kind_updated_by_status ON sessions (kind, status, updated_at, id);
CREATE INDEX sessions_kind_updated_of_agent ON sessions (kind, agent_id, status, updated_at, id) WHERE agent_id IS NOT NULL;
CREATE INDEX sessions_kind_updated_open ON sessions (kind, updated_at, id) WHERE status IN ('waiting', 'pending', 'active');
CREATE INDEX sessions_kind_updated_spoken ON sessions (kind, updated_at, id) WHERE spoken = 1;
";

/// Messages are found by their ordinals without an index that each of them is in: in a run of messages number and ordinal grow together, and where runs
/// begin and end is known from the few entries of other kinds.
const RUNS: &str = "
CREATE INDEX messages_others ON messages (session, ordinal, seq) WHERE kind <> 'message';
DROP INDEX messages_ordinal;
";

/// The writing connection: a commit is on the disk before it is answered. Its log is carried over into the database from 4,000 pages (16 MB) on, since a
/// page that many messages change is carried once, and it keeps 8 MB of pages, in which the ends of some hundred busy sessions have room.
const DURABLE: &str =
    "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -8000; PRAGMA journal_size_limit = 67108864;";

/// Makes the connection the durable writer of a database with the present tables.
pub(super) fn prepare(conn: &mut Connection) -> Result<(), StoreError> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!("the data folder does not allow a write-ahead log, only {mode:?}").into()));
    }
    conn.execute_batch(DURABLE)?;
    migrate(conn)
}

/// Makes sure that the database lacks no step, and has none that is not known here.
pub(super) fn check(conn: &Connection) -> Result<(), StoreError> {
    let (version, newest): (usize, _) = (conn.query_row("PRAGMA user_version", (), |row| row.get(0))?, STEPS.len());
    if version == newest {
        return Ok(());
    }
    Err(StoreError::Foreign(format!(
        "the database has version {version}, and this program works on version {newest}; a server that starts on it brings an older one up to date"
    )))
}

/// Takes the steps that the database lacks, all or none of them.
fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let step = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: usize = step.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    if version > STEPS.len() {
        let newest = STEPS.len();
        return Err(StoreError::Foreign(format!("the database has version {version}, and this server knows versions up to {newest}")));
    }
    for sql in STEPS.iter().skip(version) {
        step.execute_batch(sql)?;
    }
    step.pragma_update(None, "user_version", STEPS.len())?;
    Ok(step.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::{Account, Login, PasswordHash};
    use crate::domain::agent::{Agent, Availability};
    use crate::domain::entry::{Body, Entry};
    use crate::domain::ids::{AccountId, AgentId, LoginId, SessionId};
    use crate::domain::principal::{Person, Realm, Role};
    use crate::domain::session::{Assignee, Session, Status};
    use crate::domain::store::{Inserted, SessionQuery, Store};
    use crate::domain::time::Timestamp;
    use crate::store::sqlite::Sqlite;

    #[test]
    fn a_database_of_a_newer_server_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(folder.path().join("x.db")).unwrap();
        prepare(&mut conn).unwrap();
        prepare(&mut conn).unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(prepare(&mut conn), Err(StoreError::Foreign(what)) if what.contains("99")));
    }

    /// A database as the server before the second step left it.
    fn old_database(folder: &std::path::Path) {
        let conn = Connection::open(folder.join("helpline.db")).unwrap();
        conn.execute_batch(FIRST).unwrap();
        conn.pragma_update(None, "user_version", 1).unwrap();
        conn.execute_batch(
            "INSERT INTO sessions VALUES ('S1', 'support', 'support', 'V1', 'visitor', 'Ann Lee', NULL, 'active', 'support:V1', 'a1', 'Bob', 1, 5, 6,
                 NULL, NULL), ('s2', 'support', 'support', 'v2', 'visitor', NULL, NULL, 'ended', NULL, NULL, NULL, 0, 5, 7, 7, 'done');
             INSERT INTO messages VALUES ('S1', 1, 'e1', 5, 'support', 'V1', 'visitor', NULL, NULL, 'k', 'message', 'hi', NULL, NULL, 1, 0, 0),
                 ('S1', 2, 'e2', 6, 'support', 'a1', 'agent', NULL, NULL, NULL, 'assigned', NULL, 'a1', 'Bob', 1, 1, 0);
             INSERT INTO agents VALUES (1, 'a1', 'support', 'Bob', 3, 1), (2, 'a2', 'support', 'Eve', 2, 0);
             INSERT INTO slots VALUES ('a1', 'S1', 6);
             INSERT INTO meta VALUES ('first_start', 4);",
        )
        .unwrap();
    }

    #[tokio::test]
    async fn a_database_of_the_first_version_is_read_whole_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        old_database(folder.path());
        let store = Sqlite::open(folder.path()).await.unwrap();
        let visitor = Person { name: Some("Ann Lee".into()), ..Person::new(Realm::Support, "V1", Role::Visitor) };
        let fresh = Session::open(visitor.clone(), Timestamp(5));
        let (agent, id) = (Assignee { id: AgentId::stored("a1"), name: "Bob".into() }, SessionId::stored("S1"));
        let session = Session {
            id: id.clone(),
            status: Status::Active,
            agent: Some(agent),
            assignment: 1,
            updated_at: Timestamp(6),
            ..fresh.clone()
        };
        assert_eq!(store.find_session(&id).await.unwrap(), Some(session.clone()));
        for keyword in ["s1", "v1", "ANN", "n L"] {
            let query = SessionQuery { keyword: Some(keyword.into()), ..SessionQuery::of(Realm::Support, 9) };
            assert_eq!(store.list_sessions(&query).await.unwrap().sessions, std::slice::from_ref(&session), "{keyword}");
        }
        assert_eq!(store.list_sessions(&SessionQuery::of(Realm::Support, 9)).await.unwrap().total, 2);
        assert_eq!(store.insert_session(&fresh, Some("support:V1")).await.unwrap(), Inserted::Exists(session));
        let entries = store.list_entries(&id, 0, 9).await.unwrap();
        assert_eq!(entries.iter().map(Entry::seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(entries[0].message(), Some(&Body::stored("hi").into()));
        assert_eq!((entries[0].fate.read_at, entries[1].head.notices), (None, 0));
        let [bob, eve] = <[Agent; 2]>::try_from(store.list_agents(Realm::Support).await.unwrap()).unwrap();
        assert_eq!((bob.availability, eve.availability), (Availability::Online, Availability::Offline));
        assert_eq!((bob.capacity, bob.sessions, bob.created_at), (3, vec![id.clone()], Timestamp(0)));
        assert_eq!(store.first_start(Timestamp(99)).await.unwrap(), Timestamp(4));
        store.finish_session(&id, 3, Timestamp(9), "done").await.unwrap().unwrap();
        assert_eq!(store.insert_session(&fresh, Some("support:V1")).await.unwrap(), Inserted::Created);
    }

    #[tokio::test]
    async fn accounts_of_the_second_version_are_agents_who_were_last_there_when_they_were_created() {
        let folder = tempfile::tempdir().unwrap();
        let conn = Connection::open(folder.path().join("helpline.db")).unwrap();
        conn.execute_batch(FIRST).unwrap();
        conn.execute_batch(SECOND).unwrap();
        conn.pragma_update(None, "user_version", 2).unwrap();
        conn.execute_batch(
            "INSERT INTO accounts VALUES ('p1', 'widget', 'ann@example.org', 'Ann', 'h1', 5), ('p2', 'widget', 'b', NULL, 'h2', 7);",
        )
        .unwrap();
        drop(conn);
        let account = |id: &str, email: &str, name: Option<&str>, hash: &str, at: i64| Account {
            id: AccountId::stored(id),
            realm: Realm::Widget,
            role: Role::Agent,
            email: email.into(),
            username: None,
            name: name.map(Into::into),
            password: PasswordHash::stored(hash),
            department: None,
            specialization: None,
            status: Availability::Offline,
            created_at: Timestamp(at),
            updated_at: Timestamp(at),
            seen_at: Timestamp(at),
        };
        let (ann, bob) = (account("p1", "ann@example.org", Some("Ann"), "h1", 5), account("p2", "b", None, "h2", 7));
        for _ in 0..2 {
            let store = Sqlite::open(folder.path()).await.unwrap();
            let listed = store.list_accounts(Realm::Widget, &[Role::Agent], 9).await.unwrap();
            assert_eq!(listed, [bob.clone(), ann.clone()], "opened again, it takes no step twice");
        }
        let store = Sqlite::open(folder.path()).await.unwrap();
        assert!(!store.insert_account(&account("p3", "b", None, "h3", 9)).await.unwrap());
        assert!(store.insert_account(&Account { username: Some("bob".into()), ..account("p3", "c", None, "h3", 9) }).await.unwrap());
        let login = Login { id: LoginId::stored("f"), account: ann.id.clone(), created_at: Timestamp(6), expires_at: Timestamp(8) };
        store.insert_login(&login).await.unwrap();
        assert_eq!(store.find_login(&login.id).await.unwrap(), Some(login));
    }
}
