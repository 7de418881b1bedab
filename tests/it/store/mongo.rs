//! The MongoDB store under the contract suite.

use std::sync::Arc;
use std::thread;

use helpline::domain::store::Store;
use tokio::runtime::Runtime;

use super::mongo_server::{Place, variable};

contract_suite!(Fixture);

/// A store in a database of its own.
struct Fixture {
    place: Place,
    store: Option<Arc<dyn Store>>,
}

impl Fixture {
    async fn create() -> Fixture {
        let place = Place::on(&variable("HELPLINE_TEST_MONGODB_URI"));
        let store = Arc::new(place.open().await);
        Fixture { place, store: Some(store) }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().expect("an open store")
    }

    async fn reopen(&mut self) {
        self.store = None;
        self.store = Some(Arc::new(self.place.open().await));
    }
}

impl Drop for Fixture {
    /// Drops the database, also after a failure. A runtime of its own, since the test's cannot be waited for here.
    fn drop(&mut self) {
        let place = self.place.clone();
        let dropped = thread::spawn(move || Runtime::new().expect("a runtime").block_on(async { place.raw().await.drop().await })).join();
        if !thread::panicking() {
            dropped.expect("the clean-up ran").expect("the test database is dropped");
        }
    }
}
