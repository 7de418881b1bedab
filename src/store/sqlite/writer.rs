//! The one thread that writes, with group commit and no timer. It knows no tables: a job is any closure over the connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::unavailable;
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
        let (answer, answered) = oneshot::channel();
        let job = Pending { work: Some(work), result: None, answer };
        self.jobs.send(Box::new(job)).await.map_err(unavailable_writer)?;
        answered.await.map_err(unavailable_writer)?
    }
}

/// A job of whatever type, as the thread sees it.
trait Job: Send {
    /// Does the work; answers whether its writes are to be kept.
    fn run(&mut self, conn: &Connection) -> bool;

    /// Tells the caller, who may be gone, given what became of the group.
    fn answer(self: Box<Self>, committed: &Result<(), String>);
}

struct Pending<T, F> {
    work: Option<F>,
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

fn unavailable_writer<E>(_gone: E) -> StoreError {
    StoreError::Unavailable("the writer has stopped".into())
}

fn serve(conn: &Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        let committed = commit(conn, &mut group);
        if committed.is_err() {
            abandon(conn);
        }
        group.into_iter().for_each(|job| job.answer(&committed));
    }
}

/// Runs the group in one transaction. On an error nothing of it is stored, or it is not known whether it is.
fn commit(conn: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), String> {
    abandon(conn);
    execute(conn, "BEGIN IMMEDIATE")?;
    for job in group {
        execute(conn, "SAVEPOINT job")?;
        let kept = catch_unwind(AssertUnwindSafe(|| job.run(conn))).unwrap_or(false);
        if conn.is_autocommit() {
            // SQLite itself rolls the whole transaction back on some errors, such as a full disk.
            return Err("the write's group was rolled back".into());
        }
        if !kept {
            execute(conn, "ROLLBACK TO job")?;
        }
        execute(conn, "RELEASE job")?;
    }
    execute(conn, "COMMIT")
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
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    fn writer() -> (tempfile::TempDir, Writer) {
        let folder = tempfile::tempdir().unwrap();
        let conn = Connection::open(folder.path().join("x.db")).unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").unwrap();
        (folder, Writer::start(conn).unwrap())
    }

    fn insert(n: i64) -> impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static {
        move |conn| Ok(conn.execute("INSERT INTO t VALUES (?1)", [n]).map(|_| ())?)
    }

    fn count(conn: &Connection) -> Result<i64, StoreError> {
        Ok(conn.query_row("SELECT count(*) FROM t", (), |row| row.get(0))?)
    }

    /// A job that says that it runs and then holds the writer until it is told to go on, so that what follows shares one commit.
    fn gate() -> (Receiver<()>, Sender<()>, impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static) {
        let (running, is_running) = channel();
        let (go, may_go) = channel();
        let job = move |_: &Connection| {
            running.send(()).unwrap();
            may_go.recv().unwrap();
            Ok(())
        };
        (is_running, go, job)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_erring_or_panicking_job_does_not_undo_its_neighbours() {
        let (_folder, writer) = writer();
        let (running, go, hold) = gate();
        let bad = |conn: &Connection| {
            insert(3)(conn)?;
            Err::<(), _>(StoreError::Timeout("a test"))
        };
        let panicking = |conn: &Connection| {
            insert(4)(conn)?;
            panic!("a job's panic, wanted by the test");
            #[allow(unreachable_code, reason = "gives the closure its type")]
            Ok(())
        };
        let release = async {
            tokio::task::spawn_blocking(move || running.recv().unwrap()).await.unwrap();
            while writer.jobs.capacity() > QUEUE - 5 {
                tokio::task::yield_now().await;
            }
            go.send(()).unwrap();
        };
        let (_, first, twice, erred, panicked, last, ()) = tokio::join!(
            writer.run(hold),
            writer.run(insert(1)),
            writer.run(insert(1)),
            writer.run(bad),
            writer.run(panicking),
            writer.run(insert(2)),
            release
        );
        assert!(first.is_ok() && last.is_ok());
        assert!(matches!(twice, Err(StoreError::Conflict(_))));
        assert!(matches!(erred, Err(StoreError::Timeout("a test"))));
        assert!(matches!(panicked, Err(StoreError::Unavailable(_))));
        assert_eq!(writer.run(count).await.unwrap(), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_group_that_sqlite_rolled_back_is_refused_and_the_next_one_works() {
        let (_folder, writer) = writer();
        let (running, go, hold) = gate();
        let rolled_back = |conn: &Connection| Ok(conn.execute_batch("ROLLBACK")?);
        let release = async {
            tokio::task::spawn_blocking(move || running.recv().unwrap()).await.unwrap();
            while writer.jobs.capacity() > QUEUE - 3 {
                tokio::task::yield_now().await;
            }
            go.send(()).unwrap();
        };
        let (_, before, culprit, after, ()) =
            tokio::join!(writer.run(hold), writer.run(insert(1)), writer.run(rolled_back), writer.run(insert(2)), release);
        for result in [before, culprit, after] {
            assert!(matches!(result, Err(StoreError::Unavailable(_))));
        }
        assert_eq!(writer.run(count).await.unwrap(), 0);
        writer.run(insert(1)).await.unwrap();
        assert_eq!(writer.run(count).await.unwrap(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn dropping_the_writer_ends_its_thread() {
        struct Told(Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        thread_local!(static LAST_WORDS: std::cell::RefCell<Option<Told>> = const { std::cell::RefCell::new(None) });
        let (_folder, writer) = writer();
        let (told, ended) = channel();
        let plant = move |_: &Connection| {
            LAST_WORDS.with(|words| *words.borrow_mut() = Some(Told(told)));
            Ok(())
        };
        writer.run(plant).await.unwrap();
        drop(writer);
        tokio::task::spawn_blocking(move || ended.recv().unwrap()).await.unwrap();
    }
}
