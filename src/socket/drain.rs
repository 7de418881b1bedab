//! How the sockets of a node that stops are sent to the others: one after the other, each when its calls are answered. Knows no contract's words.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};

use super::inbox::Sender;
use crate::domain::ids::ConnId;

/// How long the last answers may take to their client.
const LINGER: Duration = Duration::from_millis(100);

/// How often it is looked whether a connection's calls are carried out.
const LOOK: Duration = Duration::from_millis(10);

/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a node's sockets may stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stay {
    /// They may.
    #[default]
    Open,
    /// They are sent away, over this time.
    Until(Duration),
    /// They are gone.
    Closed,
}

/// Sends a connection away when its moment has come; answers when all sockets are closed.
#[allow(clippy::disallowed_methods, reason = "the connection's own task owns these pauses, and the stop bounds them")]
pub(super) async fn send_away(stay: &mut watch::Receiver<Stay>, conn: &ConnId, inbox: &Sender) {
    let Ok(Stay::Until(window)) = stay.wait_for(|stay| *stay != Stay::Open).await.map(|stay| *stay) else { return };
    let leave = async {
        sleep(moment(conn, window)).await;
        inbox.gate().hold();
        let _ = timeout(PATIENCE, answered(inbox)).await;
        sleep(LINGER).await;
        inbox.gate().cut();
    };
    tokio::select! {
        () = leave => {}
        _ = stay.wait_for(|stay| *stay == Stay::Closed) => return,
    }
    let _ = stay.wait_for(|stay| *stay == Stay::Closed).await;
}

/// Waits until every call that came is carried out.
async fn answered(inbox: &Sender) {
    let mut look = interval(LOOK);
    while !inbox.is_idle() {
        look.tick().await;
    }
}

/// When a connection goes: ids are random, so the moments are spread evenly.
fn moment(conn: &ConnId, window: Duration) -> Duration {
    let drawn = conn.as_str().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0);
    window.mul_f64(f64::from(drawn) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread_over_the_window() {
        let window = Duration::from_secs(10);
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            let at = moment(&ConnId::random(), window);
            assert!(at <= window);
            tenths[(at.as_secs() as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (800..1_200).contains(count)), "{tenths:?}");
    }
}
