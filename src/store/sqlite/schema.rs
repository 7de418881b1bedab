//! The tables, as steps that are only ever added to, and the settings of the writing connection. Rows and threads are not known here.

use rusqlite::{Connection, TransactionBehavior};

use super::steps::STEPS;
use crate::domain::error::StoreError;

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
    use crate::store::sqlite::steps::{FIRST, SECOND};

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
