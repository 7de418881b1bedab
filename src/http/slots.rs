//! How many connections may be open at once: as configured, or as many as the system's limit of open files leaves.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Where Linux tells a process its limits.
const LIMITS: &str = "/proc/self/limits";

/// Files that are not connections: the database, the logs, connections to other servers, and those that are being refused.
const OTHER_FILES: usize = 100;

/// The least that is taken from the system's limit.
const LEAST: usize = 100;

/// What is taken where the system does not tell, or has no limit.
const UNKNOWN: usize = 10_000;

/// One permit for each connection; 0 stands for as many as the open files allow.
pub fn slots(configured: usize) -> Arc<Semaphore> {
    let slots = if configured > 0 { configured } else { by_files(std::fs::read_to_string(LIMITS).ok().as_deref()) };
    tracing::debug!(connections.max = slots, "the slots for connections are made");
    Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS)))
}

fn by_files(limits: Option<&str>) -> usize {
    let line = limits.and_then(|text| text.lines().find_map(|line| line.strip_prefix("Max open files")));
    let soft = line.and_then(|rest| rest.split_whitespace().next()).and_then(|soft| soft.parse::<usize>().ok());
    soft.map_or(UNKNOWN, |soft| soft.saturating_sub(OTHER_FILES).max(LEAST))
}

#[cfg(test)]
mod tests {
    use super::by_files;

    fn limits(soft: &str) -> usize {
        by_files(Some(&format!("Limit   Soft Limit   Hard Limit   Units\nMax open files            {soft}     1048576    files\n")))
    }

    #[test]
    fn the_soft_limit_leaves_room_for_other_files() {
        assert_eq!([limits("1024"), limits("300"), limits("150"), limits("12")], [924, 200, 100, 100]);
    }

    #[test]
    fn an_unknown_limit_is_a_cautious_one() {
        assert_eq!([limits("unlimited"), by_files(Some("")), by_files(None)], [10_000; 3]);
    }
}
