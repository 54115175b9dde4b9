//! The gateway's threads are scheduled as the settings say (decision 10).
#![cfg(target_os = "linux")]

use crate::support::{FakeMx, Gateway, message};

/// `SCHED_BATCH` of sched(7).
const BATCH: u32 = 3;

/// The name and the policy of each thread: field 41 of proc_pid_stat(5).
fn policies(process: u32) -> Vec<(String, u32)> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
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
    let policies = policies(gateway.pid());
    for name in ["mail", "housekeeping", "spool-commit", "mail-log"] {
        assert!(policies.iter().any(|(found, _)| found == name), "{name}: {policies:?}");
    }
    assert!(policies.iter().all(|(_, found)| *found == policy), "{policies:?}");
}

#[test]
fn where_an_operator_wants_it_all_of_them_are_batch() {
    let mx = FakeMx::start();
    assert_all(&Gateway::builder().acme(mx.address()).set("", "scheduling = \"batch\"").start(), &mx, BATCH);
}

#[test]
fn otherwise_they_are_what_who_starts_the_gateway_is() {
    let mx = FakeMx::start();
    let ours = policies(std::process::id())[0].1;
    assert_all(&Gateway::builder().acme(mx.address()).start(), &mx, ours);
}
