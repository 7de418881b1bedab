//! The one thread that writes, with group commit and no timer. It knows no tables: a job is any closure over the connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::errors::unavailable;
use crate::domain::error::StoreError;

/// How many jobs may wait before callers do.
const QUEUE: usize = 1024;
/// How many jobs share a commit at most, so that the first of them is not held up for long.
const GROUP: usize = 256;

/// The way to the writer thread, which ends when this is dropped.
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread that owns the connection from here on.
    pub(super) fn start(conn: Connection) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        thread::Builder::new().name("sqlite-writer".into()).spawn(move || serve(&conn, waiting)).map_err(unavailable)?;
        Ok(Self { jobs })
    }

    /// Runs the closure inside a transaction and answers after its commit. An error or a panic of the closure undoes what it wrote, and nothing else.
    ///
    /// A caller that stops waiting does not stop the job.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.wait_for(pending(work, false)).await
    }

    /// As [`Writer::run`], for work that writes with one statement at most and fails before it or in it. SQLite undoes a statement that it refuses,
    /// so this saves a savepoint, which would cost a copy of each page that the work changes. Where such work fails after all with something
    /// written, nothing of its group is stored.
    pub(super) async fn run_single<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.wait_for(pending(work, true)).await
    }

    async fn wait_for<T>(&self, (job, answered): (Box<dyn Job>, Answered<T>)) -> Result<T, StoreError> {
        self.jobs.send(job).await.map_err(stopped)?;
        answered.await.map_err(stopped)?
    }
}

/// Where the answer to a job will be.
type Answered<T> = oneshot::Receiver<Result<T, StoreError>>;

/// A job that does this work, and where its answer will be.
fn pending<T, F>(work: F, is_single: bool) -> (Box<dyn Job>, Answered<T>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    (Box::new(Pending { work: Some(work), is_single, result: None, answer }), answered)
}

fn stopped<E>(_gone: E) -> StoreError {
    StoreError::Unavailable("the writer has stopped".into())
}

/// A job of whatever type, as the thread sees it.
trait Job: Send {
    /// Does the work; answers whether its writes are to be kept.
    fn run(&mut self, conn: &Connection) -> bool;

    /// Whether it writes with one statement at most, which undoes itself where it fails.
    fn is_single(&self) -> bool;

    /// Tells the caller, who may be gone, given what became of the group.
    fn answer(self: Box<Self>, committed: &Result<(), String>);
}

struct Pending<T, F> {
    work: Option<F>,
    is_single: bool,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, conn: &Connection) -> bool {
        self.result = self.work.take().map(|work| work(conn));
        matches!(self.result, Some(Ok(_)))
    }

    fn is_single(&self) -> bool {
        self.is_single
    }

    fn answer(self: Box<Self>, committed: &Result<(), String>) {
        let result = match (self.result, committed) {
            (Some(Err(own)), _) => Err(own),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(group)) => Err(StoreError::Unavailable(group.clone().into())),
            (None, Ok(())) => Err(StoreError::Unavailable("the write panicked".into())),
        };
        let _ = self.answer.send(result);
    }
}

fn serve(conn: &Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        settle(conn, group);
    }
}

/// Runs and commits the group, then answers all of it.
fn settle(conn: &Connection, mut group: Vec<Box<dyn Job>>) {
    let committed = commit(conn, &mut group);
    if committed.is_err() {
        abandon(conn);
    }
    group.into_iter().for_each(|job| job.answer(&committed));
}

/// Runs the group in one transaction. On an error nothing of it is stored, or it is not known whether it is.
fn commit(conn: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), String> {
    abandon(conn);
    execute(conn, "BEGIN IMMEDIATE")?;
    for job in group {
        if job.is_single() {
            run_bare(conn, job.as_mut())?;
        } else {
            execute(conn, "SAVEPOINT job")?;
            if !run(conn, job.as_mut())? {
                execute(conn, "ROLLBACK TO job")?;
            }
            execute(conn, "RELEASE job")?;
        }
    }
    execute(conn, "COMMIT")
}

/// Runs a job of one statement at most without a savepoint.
fn run_bare(conn: &Connection, job: &mut dyn Job) -> Result<(), String> {
    let before = conn.total_changes();
    let kept = run(conn, job)?;
    if kept || conn.total_changes() == before { Ok(()) } else { Err("a write failed with something written".into()) }
}

/// Runs a job; answers whether its writes are to be kept. An error where the group cannot go on.
fn run(conn: &Connection, job: &mut dyn Job) -> Result<bool, String> {
    let kept = catch_unwind(AssertUnwindSafe(|| job.run(conn))).unwrap_or(false);
    // SQLite itself rolls the whole transaction back on some errors, such as a full disk.
    if conn.is_autocommit() { Err("the write's group was rolled back".into()) } else { Ok(kept) }
}

/// Ends a transaction that a failed group left open. A failure here shows at the next `BEGIN`.
fn abandon(conn: &Connection) {
    if !conn.is_autocommit() {
        let _ = execute(conn, "ROLLBACK");
    }
}

fn execute(conn: &Connection, sql: &str) -> Result<(), String> {
    let done = conn.prepare_cached(sql).and_then(|mut statement| statement.execute(()));
    done.map(|_| ()).map_err(|e| format!("{sql} failed: {e}"))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    type Answer<T> = Result<T, StoreError>;

    fn database() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").unwrap();
        conn
    }

    fn pending<T, F>(work: F) -> (Box<dyn Job>, Answered<T>)
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Answer<T> + Send + 'static,
    {
        super::pending(work, false)
    }

    fn insert(n: i64) -> impl FnOnce(&Connection) -> Answer<()> + Send + 'static {
        move |conn| Ok(conn.execute("INSERT INTO t VALUES (?1)", [n]).map(|_| ())?)
    }

    fn count(conn: &Connection) -> i64 {
        conn.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap()
    }

    fn err_then_panic(n: i64, panics: bool) -> impl FnOnce(&Connection) -> Answer<()> + Send + 'static {
        move |conn| {
            insert(n)(conn)?;
            assert!(!panics, "a job's panic, wanted by the test");
            Err(StoreError::Timeout("a test"))
        }
    }

    #[test]
    fn an_erring_or_panicking_job_does_not_undo_its_neighbours() {
        let conn = database();
        let (jobs, mut answers): (Vec<_>, Vec<_>) = [
            pending(insert(1)),
            pending(insert(1)),
            pending(err_then_panic(3, false)),
            pending(err_then_panic(4, true)),
            pending(insert(2)),
        ]
        .into_iter()
        .unzip();
        settle(&conn, jobs);
        let mut next = || answers.remove(0).try_recv().unwrap();
        assert!(next().is_ok());
        assert!(matches!(next(), Err(StoreError::Conflict(_))));
        assert!(matches!(next(), Err(StoreError::Timeout("a test"))));
        assert!(matches!(next(), Err(StoreError::Unavailable(_))));
        assert!(next().is_ok());
        assert_eq!(count(&conn), 2);
    }

    #[test]
    fn a_job_of_one_statement_that_is_refused_or_panics_does_not_undo_its_neighbours() {
        let conn = database();
        let refused = |conn: &Connection| insert(1)(conn);
        let panicked = |_: &Connection| -> Answer<()> { panic!("a job's panic, wanted by the test") };
        let (jobs, mut answers): (Vec<_>, Vec<_>) = [
            super::pending(insert(1), true),
            super::pending(refused, true),
            super::pending(panicked, true),
            super::pending(insert(2), true),
        ]
        .into_iter()
        .unzip();
        settle(&conn, jobs);
        let mut next = || answers.remove(0).try_recv().unwrap();
        assert!(next().is_ok());
        assert!(matches!(next(), Err(StoreError::Conflict(_))));
        assert!(matches!(next(), Err(StoreError::Unavailable(_))));
        assert!(next().is_ok());
        assert_eq!(count(&conn), 2);
    }

    #[test]
    fn a_job_without_a_savepoint_that_fails_after_it_wrote_leaves_nothing_of_its_group() {
        for panics in [false, true] {
            let conn = database();
            let (before, mut told_before) = super::pending(insert(1), true);
            let (culprit, mut told_culprit) = super::pending(err_then_panic(2, panics), true);
            settle(&conn, vec![before, culprit]);
            assert!(matches!(told_before.try_recv().unwrap(), Err(StoreError::Unavailable(_))));
            assert!(told_culprit.try_recv().unwrap().is_err());
            assert_eq!((count(&conn), conn.is_autocommit()), (0, true));
        }
    }

    #[test]
    fn a_group_that_sqlite_rolled_back_is_refused_and_the_next_one_works() {
        let conn = database();
        let (before, told_before) = pending(insert(1));
        let (culprit, told_culprit) = pending(|conn| Ok(conn.execute_batch("ROLLBACK")?));
        let (after, told_after) = pending(insert(2));
        settle(&conn, vec![before, culprit, after]);
        for mut told in [told_before, told_culprit, told_after] {
            assert!(matches!(told.try_recv().unwrap(), Err(StoreError::Unavailable(_))));
        }
        assert_eq!(count(&conn), 0);
        let (next, mut told) = pending(insert(1));
        settle(&conn, vec![next]);
        assert!(told.try_recv().unwrap().is_ok());
        assert_eq!(count(&conn), 1);
    }

    #[test]
    fn a_commit_that_fails_is_told_to_all_of_its_group() {
        let conn = database();
        let deferred = "PRAGMA foreign_keys = ON; CREATE TABLE u (n REFERENCES t DEFERRABLE INITIALLY DEFERRED)";
        conn.execute_batch(deferred).unwrap();
        let (good, told_good) = pending(insert(1));
        let (bad, told_bad) = pending(|conn| Ok(conn.execute_batch("INSERT INTO u VALUES (99)")?));
        settle(&conn, vec![good, bad]);
        for mut told in [told_good, told_bad] {
            assert!(matches!(told.try_recv().unwrap(), Err(StoreError::Unavailable(_))));
        }
        assert_eq!(count(&conn), 0);
        assert!(conn.is_autocommit());
    }

    #[tokio::test]
    async fn dropping_the_writer_ends_its_thread() {
        struct Told(Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        thread_local!(static LAST_WORDS: RefCell<Option<Told>> = const { RefCell::new(None) });
        let writer = Writer::start(database()).unwrap();
        let (told, ended) = channel();
        let plant = move |_: &Connection| {
            LAST_WORDS.with(|words| *words.borrow_mut() = Some(Told(told)));
            Ok(())
        };
        writer.run(plant).await.unwrap();
        drop(writer);
        ended.recv().unwrap();
    }
}
