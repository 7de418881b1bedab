//! The `helpline` binary. What it can do is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    helpline::cli::run()
}
