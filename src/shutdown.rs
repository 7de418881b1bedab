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
    use std::process::{Command, Stdio};
    use std::time::Duration;

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

    #[tokio::test]
    async fn the_first_signal_begins_it_and_the_second_exits() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "shutdown::tests::child_that_never_finishes"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let pid = child.id().to_string();
        for expected in ["ready", "begun"] {
            assert!(std::io::BufRead::lines(&mut said).any(|l| l.unwrap().contains(expected)), "{expected}");
            assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        }
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }

    /// Run by the test above in a process of its own, which the signals may end.
    #[tokio::test]
    #[ignore = "the child of another test"]
    async fn child_that_never_finishes() {
        let say = |word: &str| std::io::Write::write_all(&mut std::io::stderr(), format!("{word}\n").as_bytes()).unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let _task = on_signals(trigger).unwrap();
        say("ready");
        shutdown.signalled().await;
        say("begun");
        tokio::time::timeout(Duration::from_secs(20), std::future::pending::<()>()).await.unwrap_err();
    }
}
