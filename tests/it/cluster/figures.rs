//! How large the faults are, and what was measured, for the table of `scripts/stress.sh`.

use std::io::Write as _;

/// A size: what the environment says under `HELPLINE_STRESS_…`, else what one run of all tests can bear.
pub(super) fn size(name: &str, usual: u64) -> u64 {
    let text = std::env::var(format!("HELPLINE_STRESS_{name}")).unwrap_or_default();
    text.parse().unwrap_or(usual)
}

/// Appends a line to the file that `HELPLINE_FIGURES` names, if it names one.
pub(super) fn note(fault: &str, size: &str, bar: &str, measured: &str, is_good: bool) {
    let Some(path) = std::env::var_os("HELPLINE_FIGURES") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the file of HELPLINE_FIGURES");
    let verdict = if is_good { "ok" } else { "FAILED" };
    writeln!(file, "{fault}\t{size}\t{bar}\t{measured}\t{verdict}").expect("a line for HELPLINE_FIGURES");
}
