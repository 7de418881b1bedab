//! What the system knows of processes: CPU time, memory, what they are.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// How many ticks the kernel counts in a second. It is 100 on every Linux that there is.
const TICKS: u64 = 100;

/// The CPU time that these processes have used together, in user and system mode.
pub(crate) fn cpu(pids: &[u32]) -> anyhow::Result<Duration> {
    pids.iter().map(|pid| cpu_of(&pid.to_string())).sum()
}

/// The CPU time of this process.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    cpu_of("self")
}

fn cpu_of(pid: &str) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // The name of the program may hold blanks; what follows its parenthesis does not.
    let (_, fields) = stat.rsplit_once(')').context("an odd /proc/PID/stat")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 1_000 / TICKS))
}

/// The resident memory of these processes together, in bytes.
pub(crate) fn resident(pids: &[u32]) -> anyhow::Result<u64> {
    pids.iter().map(|pid| kilobytes(&format!("/proc/{pid}/status"), "VmRSS:").map(|kb| kb * 1_024)).sum()
}

/// The part of it that no file stands behind, in bytes.
pub(crate) fn anonymous(pids: &[u32]) -> anyhow::Result<u64> {
    pids.iter().map(|pid| kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Anonymous:").map(|kb| kb * 1_024)).sum()
}

fn kilobytes(path: &str, field: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field} in {path}"))?;
    line.trim().trim_end_matches(" kB").parse().with_context(|| format!("an odd {field} in {path}"))
}
