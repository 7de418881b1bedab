//! The steps by which a database came to its present tables. Applying them is in `schema`.

/// Step n leads from version n to n + 1. A released step is never edited: databases exist that took it.
pub(super) const STEPS: &[&str] = &[FIRST, SECOND, ATTENDED, ACCOUNTS, ROOMS, ATTACHMENTS, PRESENCES, LISTS, TOGETHER, RUNS];

/// Each entry carries the whole head after it, so that an append reads one row and writes one.
///
/// `messages` is clustered by (session, seq): a history is one range of pages. Its other indexes are partial, so that an entry is in no index that it does
/// not need. No foreign keys: the log may begin before its session's document is stored.
pub(super) const FIRST: &str = "
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
pub(super) const SECOND: &str = "
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
