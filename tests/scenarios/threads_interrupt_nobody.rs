//! The gateway's threads are scheduled for throughput (decision 10).
#![cfg(target_os = "linux")]

use crate::support::{FakeMx, Gateway, message};

/// `SCHED_NORMAL` and `SCHED_BATCH` of sched(7).
const NORMAL: u32 = 0;
const BATCH: u32 = 3;

/// The name and the policy of each thread: field 41 of proc_pid_stat(5).
fn policies(gateway: &Gateway) -> Vec<(String, u32)> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap();
    threads
        .filter_map(|thread| {
            // One that had nothing more to do has ended meanwhile.
            let told = std::fs::read_to_string(thread.unwrap().path().join("stat")).ok()?;
            let (before, after) = told.rsplit_once(')').unwrap();
            let policy = after.split_whitespace().nth(41 - 3).unwrap().parse().unwrap();
            Some((before.split_once('(').unwrap().1.to_owned(), policy))
        })
        .collect()
}

fn assert_all(gateway: &Gateway, mx: &FakeMx, policy: u32) {
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("one", "x\r\n"));
    mx.one();
    let policies = policies(gateway);
    for name in ["mail", "housekeeping", "spool-commit", "mail-log"] {
        assert!(policies.iter().any(|(found, _)| found == name), "{name}: {policies:?}");
    }
    assert!(policies.iter().all(|(_, found)| *found == policy), "{policies:?}");
}

#[test]
fn all_of_them_are_batch() {
    let mx = FakeMx::start();
    assert_all(&Gateway::builder().acme(mx.address()).start(), &mx, BATCH);
}

#[test]
fn an_operator_may_want_them_normal() {
    let mx = FakeMx::start();
    assert_all(&Gateway::builder().acme(mx.address()).set("", "scheduling = \"normal\"").start(), &mx, NORMAL);
}
