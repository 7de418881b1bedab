//! A few connections that only read, lent to blocking tasks. It knows no tables: a job is any closure over a connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::errors::unavailable;
use crate::domain::error::StoreError;

/// How many reads run at once.
const CONNECTIONS: usize = 4;

/// The pool. Its connections close when it and the last read are gone.
pub(super) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Opens the connections.
    pub(super) fn open(connect: impl Fn() -> Result<Connection, StoreError>) -> Result<Self, StoreError> {
        let mut free = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let conn = connect()?;
            conn.pragma_update(None, "query_only", true)?;
            free.push(conn);
        }
        Ok(Self { free: Arc::new(Mutex::new(free)), permits: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    /// Runs the closure with a connection. A panic in it is an error here, and costs the pool nothing.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.map_err(unavailable)?;
        let free = self.free.clone();
        spawn_blocking(move || {
            let conn = lock(&free).pop();
            let lent = Lent { conn, free, _permit: permit };
            lent.conn.as_ref().map_or_else(|| Err(StoreError::Unavailable("no reader is free".into())), read)
        })
        .await
        .map_err(unavailable)?
    }
}

/// A connection that goes back when this is dropped, before its permit does, also when the caller is gone or the read panicked.
struct Lent {
    conn: Option<Connection>,
    free: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
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
        }
        let written = readers.run(|conn| Ok(conn.execute_batch("CREATE TABLE t (n)")?)).await;
        assert!(written.is_err());
        assert_eq!(lock(&readers.free).len(), CONNECTIONS);
    }
}
