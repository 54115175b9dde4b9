//! Processor time, in hundredths of a second, as Linux counts it.

use std::collections::HashMap;
use std::time::Duration;

/// Of this process.
pub fn own() -> Duration {
    ticks(&std::fs::read_to_string("/proc/self/stat").unwrap()).map_or(Duration::ZERO, |(_, time)| time)
}

/// Of a process and all below it, those that ended and were waited for included.
pub fn tree(root: u32) -> Duration {
    let mut all = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended by now.
        if let Some(found) = std::fs::read_to_string(entry.path().join("stat")).ok().and_then(|stat| ticks(&stat)) {
            all.insert(pid, found);
        }
    }
    let below = |pid: &u32| {
        let mut above = Some(*pid);
        while let Some(here) = above {
            if here == root {
                return true;
            }
            above = all.get(&here).map(|(parent, _)| *parent);
        }
        false
    };
    all.iter().filter(|(pid, _)| below(pid)).map(|(_, (_, time))| *time).sum()
}

/// The parent, and the time.
fn ticks(stat: &str) -> Option<(u32, Duration)> {
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_ascii_whitespace().collect();
    let ticks: u64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some((fields.get(1)?.parse().ok()?, Duration::from_millis(ticks * 10)))
}
