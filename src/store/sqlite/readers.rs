//! A few connections that only read: some are lent to blocking tasks, some are for look-ups that are made at once. It knows no tables: a job is any
//! closure over a connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::errors::unavailable;
use crate::domain::error::StoreError;

/// How many reads run at once in blocking tasks.
const CONNECTIONS: usize = 4;

/// How many look-ups are made at once without one.
const GLANCES: usize = 2;

/// The connections, which close when this and the last read are gone.
pub(super) struct Readers {
    reads: Pool,
    glances: Pool,
}

impl Readers {
    /// Opens the connections.
    pub(super) fn open(connect: impl Fn() -> Result<Connection, StoreError>) -> Result<Self, StoreError> {
        Ok(Self { reads: Pool::open(&connect, CONNECTIONS)?, glances: Pool::open(&connect, GLANCES)? })
    }

    /// Runs the closure with a connection. A panic in it is an error here, and costs the pool nothing.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = self.reads.permits.clone().acquire_owned().await.map_err(unavailable)?;
        let free = self.reads.free.clone();
        spawn_blocking(move || Lent::of(free, permit).read(read)).await.map_err(unavailable)?
    }

    /// As [`Readers::run`], for a look-up of one row by its key. It is made on the caller's own thread where a connection is free at once: it takes
    /// a few microseconds, and handing it to another thread and back several times as many.
    pub(super) async fn glance<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let Ok(permit) = self.glances.permits.clone().try_acquire_owned() else { return self.run(read).await };
        let lent = Lent::of(self.glances.free.clone(), permit);
        catch_unwind(AssertUnwindSafe(|| lent.read(read))).unwrap_or_else(|_| Err(StoreError::Unavailable("a read panicked".into())))
    }
}

/// Connections of one use.
struct Pool {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    fn open(connect: impl Fn() -> Result<Connection, StoreError>, size: usize) -> Result<Self, StoreError> {
        let mut free = Vec::with_capacity(size);
        for _ in 0..size {
            let conn = connect()?;
            conn.pragma_update(None, "query_only", true)?;
            free.push(conn);
        }
        Ok(Self { free: Arc::new(Mutex::new(free)), permits: Arc::new(Semaphore::new(size)) })
    }
}

/// A connection that goes back when this is dropped, before its permit does, also when the caller is gone or the read panicked.
struct Lent {
    conn: Option<Connection>,
    free: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    fn of(free: Arc<Mutex<Vec<Connection>>>, permit: OwnedSemaphorePermit) -> Self {
        let conn = lock(&free).pop();
        Self { conn, free, _permit: permit }
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.conn.as_ref().map_or_else(|| Err(StoreError::Unavailable("no reader is free".into())), read)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.free).extend(self.conn.take());
    }
}

fn lock(free: &Mutex<Vec<Connection>>) -> MutexGuard<'_, Vec<Connection>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panicking_reads_do_not_use_up_the_pool_and_readers_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Readers::open(|| Ok(Connection::open(folder.path().join("x.db"))?)).unwrap();
        for _ in 0..CONNECTIONS * 2 {
            let panicked: Result<(), _> = readers.run(|_| panic!("a read's panic, wanted by the test")).await;
            assert!(matches!(panicked, Err(StoreError::Unavailable(_))));
            let panicked: Result<(), _> = readers.glance(|_| panic!("a glance's panic, wanted by the test")).await;
            assert!(matches!(panicked, Err(StoreError::Unavailable(_))));
        }
        let write = |conn: &Connection| Ok(conn.execute_batch("CREATE TABLE t (n)")?);
        assert!(readers.run(write).await.is_err());
        assert!(readers.glance(write).await.is_err());
        assert_eq!((lock(&readers.reads.free).len(), lock(&readers.glances.free).len()), (CONNECTIONS, GLANCES));
    }

    #[tokio::test]
    async fn a_glance_waits_for_no_long_read_and_is_made_elsewhere_where_others_glance() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Readers::open(|| Ok(Connection::open(folder.path().join("x.db"))?)).unwrap();
        let here = std::thread::current().id();
        let where_made = async || readers.glance(|_| Ok(std::thread::current().id())).await.unwrap();
        let reading = readers.reads.permits.clone().acquire_many_owned(4).await.unwrap();
        assert_eq!(where_made().await, here);
        drop(reading);
        let _glancing = readers.glances.permits.clone().acquire_many_owned(2).await.unwrap();
        assert_ne!(where_made().await, here);
    }
}
