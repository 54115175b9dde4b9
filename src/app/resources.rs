//! Reserves of memory and descriptors: what is kept back so that accepted mail can still be delivered and an operator can still
//! get in (reliability rows OVL-07, OVL-10).
//!
//! **Failure**: a system that doesn't tell its memory is taken to have enough; the limits on connections and drafts still hold.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use crate::net::admission::Admission;

const INTERVAL: Duration = Duration::from_millis(500);

/// Of five descriptors four are connections' and one is for the files of large messages: few clients send those at once,
/// and one that finds none left gets 451.
const CLIENTS_OF_FIVE: u64 = 4;
/// However few descriptors there are, so many clients are let in.
const LEAST_CLIENTS: u64 = 16;

/// Raises the soft limit of descriptors to the hard one and tells how many clients fit beside `deliveries` connections out
/// and `reserve` descriptors for spool, logs, control and DNS.
#[must_use]
pub fn connections_that_fit(wanted: usize, deliveries: usize, reserve: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return wanted };
    let free = descriptors.saturating_sub(reserve as u64).saturating_sub(deliveries as u64);
    let fit = usize::try_from((free / 5 * CLIENTS_OF_FIVE).max(LEAST_CLIENTS)).unwrap_or(usize::MAX);
    if fit < wanted {
        tracing::warn!(wanted, fit, descriptors, "the limit of open files allows fewer connections than configured");
    }
    wanted.min(fit)
}

/// Watches free memory until `shutdown`: below `reserve` nobody new is let in, above one and a quarter of it again.
pub async fn watch_memory(admission: Arc<Admission>, reserve: u64, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(free) = tokio::task::spawn_blocking(free_memory).await.ok().flatten() else { continue };
        let was_low = admission.is_memory_low();
        let low = free < if was_low { reserve + reserve / 4 } else { reserve };
        if low != was_low {
            tracing::warn!(free, reserve, low, "free memory crossed the reserve");
            admission.memory_is_low(low);
        }
    }
}

/// The smaller of what the system and what the control group have left.
fn free_memory() -> Option<u64> {
    let system = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    match (system, group_free()) {
        (Some(system), Some(group)) => Some(system.min(group)),
        (one, other) => one.or(other),
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Control group v2. Page cache that can be dropped counts as free.
fn group_free() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let read = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup{path}/{name}")).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    let cache = read("memory.stat")
        .and_then(|stat| stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok()))
        .unwrap_or(0);
    Some((limit + cache).saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available("nonsense"), None);
    }
}
