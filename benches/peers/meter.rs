//! CPU time of a peer with all its processes, living and gone: a control group if there is one to be had, else `/proc`.
//!
//! **Failure**: without a writable control group the sum over the process tree is taken; a child that was not waited for
//! when its parent died is then missing. The method in use is printed with the figures.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the CPU of one peer is read.
#[derive(Debug)]
pub enum Meter {
    /// cgroup v2: `cpu.stat` has `usage_usec` even without the cpu controller.
    Unified(PathBuf),
    /// cgroup v1: `cpuacct.usage`, nanoseconds.
    Accounting(PathBuf),
    /// The tree below a process; set once it is started.
    Tree,
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Self::Unified(path) | Self::Accounting(path) = self {
            let _ = fs::remove_dir(path);
        }
    }
}

impl Meter {
    pub fn new(name: &str) -> Self {
        let name = format!("sekisho-bench-{name}-{}", std::process::id());
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let path = Path::new(root).join(&name);
            if Path::new(root).join("cgroup.procs").exists() && fs::create_dir(&path).is_ok() {
                if path.join("cpu.stat").exists() {
                    return Self::Unified(path);
                }
                let _ = fs::remove_dir(&path);
            }
        }
        let path = Path::new("/sys/fs/cgroup/cpuacct").join(&name);
        if fs::create_dir(&path).is_ok() {
            return Self::Accounting(path);
        }
        Self::Tree
    }

    pub fn method(&self) -> &'static str {
        match self {
            Self::Unified(_) => "control group (v2)",
            Self::Accounting(_) => "control group (v1 cpuacct)",
            Self::Tree => "/proc walk",
        }
    }

    /// What to put in front of a command so that it and its children are counted.
    pub fn wrapper(&self) -> Vec<String> {
        match self {
            Self::Unified(path) | Self::Accounting(path) => {
                let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", path.display());
                ["sh", "-c", &enter, "sh"].map(str::to_owned).to_vec()
            }
            Self::Tree => Vec::new(),
        }
    }

    /// CPU so far. `root` is the peer's first process.
    pub fn read(&self, root: u32) -> Duration {
        match self {
            Self::Unified(path) => {
                let text = fs::read_to_string(path.join("cpu.stat")).unwrap_or_default();
                let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
                Duration::from_micros(micros.and_then(|word| word.trim().parse().ok()).unwrap_or(0))
            }
            Self::Accounting(path) => {
                let text = fs::read_to_string(path.join("cpuacct.usage")).unwrap_or_default();
                Duration::from_nanos(text.trim().parse().unwrap_or(0))
            }
            Self::Tree => tree(root),
        }
    }
}

/// user + system of a process and its descendants, and of the children each has waited for. 100 ticks per second.
pub fn tree(root: u32) -> Duration {
    let processes: Vec<(u32, u32, u64)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
            let number = |at: usize| fields.get(at).and_then(|word| word.parse::<u64>().ok());
            let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
            Some((pid, u32::try_from(number(1)?).ok()?, ticks))
        })
        .collect();
    let mut members = vec![root];
    let mut at = 0;
    while let Some(parent) = members.get(at).copied() {
        members.extend(processes.iter().filter(|(_, other, _)| *other == parent).map(|(pid, _, _)| *pid));
        at += 1;
    }
    let ticks: u64 = processes.iter().filter(|(pid, _, _)| members.contains(pid)).map(|(_, _, ticks)| ticks).sum();
    Duration::from_millis(ticks * 10)
}

/// What all processors of the machine have worked, whoever for: of a quiet machine, what the measured ones took together.
pub fn machine() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1);
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    let ticks: Vec<u64> = fields.take(8).filter_map(|word| word.parse().ok()).collect();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    Duration::from_millis((ticks.iter().sum::<u64>() - idle) * 10)
}

/// `VmRSS` of a process in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), "VmRSS:")
}

/// `write_bytes` of a process: what it made dirty on block devices.
pub fn written_bytes(pid: u32) -> u64 {
    field(&fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default(), "write_bytes:")
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Bytes in all files below a folder.
pub fn folder_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
            _ => entry.metadata().map_or(0, |meta| std::os::unix::fs::MetadataExt::blocks(&meta) * 512),
        })
        .sum()
}
