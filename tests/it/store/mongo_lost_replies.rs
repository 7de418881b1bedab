//! Inserts that are lost on the way, or whose reply is: the entry is stored once, and its writer learns so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use helpline::domain::ids::SessionId;
use helpline::domain::store::{Appended, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::mongo_server::{Place, keyed, message, numbers, on_database, stored};

/// What the proxy does to the next insert, or to its reply.
#[derive(Clone, Copy)]
enum Loss {
    /// Closes the connection before the insert reaches the server.
    Refuse,
    /// Closes the connection instead.
    Cut,
    /// Keeps the connection open and passes nothing on.
    Hold,
}

/// A way to the server that loses the reply of one insert each time it is armed. Answers the URI of this way.
async fn lossy(place: &Place, armed: Arc<AtomicBool>, loss: Loss) -> Place {
    let server = place.uri.trim_start_matches("mongodb://").split('/').next().expect("an address").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    // A retry by the driver itself would hide what this store does.
    let uri = format!("mongodb://{}/?directConnection=true&retryWrites=false", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.expect("the server");
            tokio::spawn(carry(client, server, armed.clone(), loss));
        }
    });
    Place { uri, name: place.name.clone() }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, armed: Arc<AtomicBool>, loss: Loss) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut losing = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                losing |= up[..read].windows(7).any(|w| w == b"insert\0") && armed.swap(false, Ordering::SeqCst);
                if losing && matches!(loss, Loss::Refuse) { return }
                if server.write_all(&up[..read]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                match (losing, loss) {
                    (true, Loss::Cut | Loss::Refuse) => return,
                    (true, Loss::Hold) => continue,
                    (false, _) => if client.write_all(&down[..read]).await.is_err() { return },
                }
            }
        }
    }
}

async fn an_append_survives(loss: Loss) {
    on_database(|place| async move {
        let armed = Arc::new(AtomicBool::new(false));
        let store = lossy(&place, armed.clone(), loss).await.open().await;
        let session = SessionId::random();
        stored(&store, message(&session, "1")).await;
        armed.store(true, Ordering::SeqCst);
        let second = tokio::time::timeout(Duration::from_secs(6), stored(&store, keyed(&session, "2", "k"))).await.expect("an answer");
        assert!(!armed.load(Ordering::SeqCst), "the reply was not lost");
        assert_eq!(second.seq(), 2);
        assert_eq!(stored(&store, message(&session, "3")).await.seq(), 3);
        assert_eq!(store.append(keyed(&session, "2", "k")).await.unwrap(), Appended::Duplicate(second));
        assert_eq!(numbers(&store, &session).await, [1, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn an_insert_that_never_reached_the_server_is_sent_again() {
    an_append_survives(Loss::Refuse).await;
}

#[tokio::test]
async fn an_insert_whose_reply_was_cut_off_is_found_and_acknowledged() {
    an_append_survives(Loss::Cut).await;
}

#[tokio::test]
async fn an_insert_whose_reply_never_comes_is_found_and_acknowledged_in_time() {
    an_append_survives(Loss::Hold).await;
}
