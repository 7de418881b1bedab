//! How much memory this process uses, for the contracts' health pages.

/// Memory in whole megabytes; zero where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident memory of this process.
    pub used_mb: u64,
    /// Memory of the machine.
    pub total_mb: u64,
}

/// Reads both figures from `/proc`.
pub fn memory() -> Memory {
    let read = |file: &str, field: &str| std::fs::read_to_string(file).ok().and_then(|text| kilobytes(&text, field)).unwrap_or(0) / 1_024;
    Memory { used_mb: read("/proc/self/status", "VmRSS:"), total_mb: read("/proc/meminfo", "MemTotal:") }
}

fn kilobytes(text: &str, field: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(field))?.split_whitespace().next()?.parse().ok()
}
