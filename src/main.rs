//! The `helpline` binary: reads the configuration, starts the logs, and runs the server.

use std::process::ExitCode;

use helpline::config::Config;
use helpline::domain::error::StoreError;
use helpline::shutdown::{self, Shutdown};
use helpline::{app, telemetry};

/// The exit status for a configuration that cannot be used.
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let (config, warnings) = match Config::from_env() {
        Ok(read) => read,
        Err(problems) => return complain(&problems.to_string(), BAD_CONFIGURATION),
    };
    let _logs = match telemetry::init(&config) {
        Ok(guard) => guard,
        Err(error) => return complain(&format!("cannot start the logs: {error}"), BAD_CONFIGURATION),
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            let misconfigured = matches!(error.downcast_ref(), Some(StoreError::Misconfigured(_)));
            if misconfigured { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> anyhow::Result<()> {
    let (trigger, shutdown) = Shutdown::new();
    shutdown::on_signals(trigger)?;
    app::run(config, shutdown).await
}

#[allow(clippy::print_stderr, reason = "there are no logs yet")]
fn complain(text: &str, status: u8) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(status)
}
