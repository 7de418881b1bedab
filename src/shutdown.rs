//! The wish to stop, carried to every task, and the signals that wake it. Knows nothing of who stops or how.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a task watches to learn that it should finish. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// What begins the shutdown. Dropping it begins it too, so that no task waits for somebody who is gone.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Shutdown {
    /// A shutdown that has not begun, and what begins it.
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// Waits until the shutdown has begun; returns at once when it already has. Safe to cancel and to call again.
    pub async fn signalled(&self) {
        // An error means that the trigger is gone, which counts as its signal.
        let _ = self.0.clone().wait_for(|begun| *begun).await;
    }

    /// Whether the shutdown has begun.
    pub fn is_signalled(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Trigger {
    /// Begins the shutdown. Doing so again changes nothing.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

/// Begins the shutdown at the first SIGTERM or SIGINT, and ends the process at once, with status 130, at the second. The signals are caught from
/// the moment this returns; the task runs until the process ends.
#[allow(clippy::disallowed_methods, reason = "the one task that listens for signals, and lives as long as the process")]
pub fn on_signals(trigger: Trigger) -> io::Result<JoinHandle<()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        either(&mut term, &mut int).await;
        trigger.begin();
        either(&mut term, &mut int).await;
        std::process::exit(130);
    }))
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_who_watches_hears_it_early_or_late() {
        let (trigger, shutdown) = Shutdown::new();
        let early = shutdown.clone();
        assert!(!shutdown.is_signalled());
        let waiting = async { early.signalled().await };
        let begin = async { trigger.begin() };
        tokio::join!(waiting, begin);
        shutdown.signalled().await;
        assert!(shutdown.is_signalled());
    }

    #[tokio::test]
    async fn a_lost_trigger_counts_as_the_signal() {
        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.signalled().await;
        assert!(shutdown.is_signalled());
    }
}
