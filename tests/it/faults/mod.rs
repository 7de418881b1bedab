//! What goes wrong under load: bursts, crashes, readers that do not read, a bus that loses. The promises must hold all the same.

/// Stamps cases that take a store for both of them.
macro_rules! on_both_stores {
    ($($case:ident,)+) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let folder = tempfile::TempDir::new().unwrap();
                super::$case(std::sync::Arc::new(helpline::store::sqlite::Sqlite::open(folder.path()).await.unwrap())).await;
            })+
        }

        mod mongo {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let (uri, database) = (crate::transcripts::mongo_uri(), format!("helpline_test_{}", uuid::Uuid::new_v4().simple()));
                super::$case(std::sync::Arc::new(helpline::store::mongo::open(&uri, Some(&database)).await.unwrap())).await;
                mongodb::Client::with_uri_str(uri).await.unwrap().database(&database).drop().await.unwrap();
            })+
        }
    };
}

mod away;
mod colleagues;
mod crossing;
mod crash;
mod crowded;
mod hanging_up;
mod healing;
mod joining;
mod order;
pub(crate) mod parts;
mod presence;
mod repair;
mod rooms;
mod slow_reader;
mod talker;
