//! Old segments leave, carrying out what is still needed; nothing comes back from the dead; leases have one holder.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bench::{START, bytes_of, config, far, id, message, open, text};
use sekisho::spool::{Config, Filter, RecipientState, Settlement, SpoolError};

fn small(dir: &Path) -> Config {
    Config { segment_size: 64 << 10, reserve: 16 << 10, ..config(dir) }
}

fn delivered() -> Settlement {
    Settlement { outcomes: vec![(0, RecipientState::Delivered)], ..Settlement::default() }
}

fn logs(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(dir.join("segments")).unwrap().map(|found| found.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "log"));
    paths.sort();
    paths
}

#[tokio::test]
async fn the_last_messages_of_an_old_segment_are_carried_forward() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(small(dir.path()));
    for number in 0..120 {
        bench.spool.commit(vec![message(number, 5_000, &["a@one.example", "b@two.example"])]).await.unwrap();
    }
    assert!(logs(dir.path()).len() > 8);
    let later = START.plus(Duration::from_secs(900));
    for lease in bench.spool.take_due(START, 1_000) {
        let keep = lease.id().as_u128() as u64 % 30 == 7;
        let settlement = match lease.domain().unwrap().as_str() {
            "two.example" if keep => {
                Settlement { retry_at: Some(later), last_error: Some("450 later".into()), ..Settlement::default() }
            }
            "two.example" => Settlement { outcomes: vec![(1, RecipientState::Delivered)], ..Settlement::default() },
            _ => delivered(),
        };
        lease.settle(settlement).await.unwrap();
    }
    bench.spool.hold(&Filter::of(id(37)), "waits").await.unwrap();
    bench.spool.tidy();
    assert_eq!(bench.metrics.spool.relocated.get(), 4);
    assert!(logs(dir.path()).len() <= 4, "{:?}", logs(dir.path()));
    let check = async |bench: &super::bench::Bench| {
        let leases = bench.spool.take_due(later, 100);
        assert_eq!(leases.len(), 3);
        for lease in leases {
            let number = lease.id().as_u128() as u64;
            assert!(bytes_of(&lease).await == text(number, 5_000));
            assert_eq!((lease.attempts(), lease.recipients().collect::<Vec<_>>()), (1, vec![1]));
            assert_eq!(lease.last_error(), Some("450 later"));
        }
        let held = bench.spool.show(id(37)).unwrap();
        assert_eq!(held.branches[0].held.as_deref(), Some("waits"));
        assert_eq!(held.ended, [("a@one.example".to_owned(), RecipientState::Delivered)]);
    };
    check(&bench).await;
    drop(bench);
    let bench = open(small(dir.path()));
    assert_eq!((bench.report.messages, bench.report.queued, bench.report.held), (4, 3, 1));
    check(&bench).await;
}

#[tokio::test]
async fn an_outcome_never_leaves_before_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(small(dir.path()));
    // The first segment keeps one message alive while its others are done, in segments behind it.
    for number in 0..60 {
        bench.spool.commit(vec![message(number, 4_000, &["a@one.example"])]).await.unwrap();
    }
    for lease in bench.spool.take_due(START, 1_000) {
        if (lease.id().as_u128() as u64).is_multiple_of(4) {
            let retry_at = Some(START.plus(Duration::from_secs(60)));
            lease.settle(Settlement { retry_at, ..Settlement::default() }).await.unwrap();
        } else {
            lease.settle(delivered()).await.unwrap();
        }
    }
    let mut tidied = 0;
    for round in 0..40 {
        bench.spool.commit(vec![message(1_000 + round, 9_000, &["a@one.example"])]).await.unwrap();
        let lease = bench.spool.take_due(START, 1).pop().unwrap();
        lease.settle(delivered()).await.unwrap();
        bench.spool.tidy();
        tidied += 1;
        // A kill right now: whatever is on disk must say the same.
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(copy.path().join("segments")).unwrap();
        for log in logs(dir.path()) {
            std::fs::copy(&log, copy.path().join("segments").join(log.file_name().unwrap())).unwrap();
        }
        let after = open(small(copy.path()));
        assert_eq!((after.report.messages, after.report.missing_frames), (15, 0), "round {round}");
    }
    assert_eq!(tidied, 40);
    assert!(bench.metrics.spool.relocated.get() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_workers_deliver_a_hundred_messages_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(small(dir.path()));
    let seen: Arc<Mutex<HashMap<(u128, String), u32>>> = Arc::default();
    let workers: Vec<_> = (0..10u64)
        .map(|worker| {
            let (spool, seen, clock) = (bench.spool.clone(), Arc::clone(&seen), bench.clock.clone());
            tokio::spawn(async move {
                for number in 0..10 {
                    let to = ["a@one.example", "b@two.example"];
                    spool.commit(vec![message(worker * 10 + number, 3_000, &to)]).await.unwrap();
                }
                loop {
                    clock.advance(Duration::from_millis(400));
                    let leases = spool.take_due(clock.now(), 3);
                    if leases.is_empty() && spool.is_empty() {
                        return;
                    }
                    for (turn, lease) in leases.into_iter().enumerate() {
                        tokio::time::sleep(Duration::from_millis(worker % 3)).await;
                        if (lease.id().as_u128() as u64 + worker + turn as u64).is_multiple_of(5) {
                            continue;
                        }
                        let key = (lease.id().as_u128(), lease.domain().unwrap().to_string());
                        *seen.lock().unwrap().entry(key).or_default() += 1;
                        let outcomes = lease.recipients().map(|index| (index, RecipientState::Delivered)).collect();
                        lease.settle(Settlement { outcomes, ..Settlement::default() }).await.unwrap();
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 200);
    assert!(seen.values().all(|count| *count == 1));
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.delivered, sums.queued, sums.balance()), (200, 0, 0));
}

#[tokio::test]
async fn the_next_segment_is_written_before_it_is_needed() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let spare = dir.path().join("segments/spare");
    for number in 0..400 {
        bench.spool.commit(vec![message(number, 9_000, &["a@one.example"])]).await.unwrap();
        if number % 100 == 0 {
            for _ in 0..500 {
                if spare.exists() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let about = spare.metadata().unwrap();
            assert_eq!((about.len(), about.blocks() * 512 >= 1 << 20), (1 << 20, true));
        }
    }
    assert!(logs(dir.path()).len() > 3);
    drop(bench);
    // What a kill leaves behind is no damage.
    for name in ["filling", "next", "spare"] {
        std::fs::write(dir.path().join("segments").join(name), vec![0; 4096]).unwrap();
    }
    let bench = open(config(dir.path()));
    assert_eq!((bench.report.messages, bench.report.missing_frames, bench.report.damaged.len()), (400, 0, 0));
}

#[tokio::test]
async fn a_missing_segment_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(small(dir.path()));
    for number in 0..60 {
        bench.spool.commit(vec![message(number, 5_000, &["a@one.example"])]).await.unwrap();
    }
    drop(bench);
    std::fs::remove_file(&logs(dir.path())[2]).unwrap();
    let bench = open(small(dir.path()));
    let missing = bench.report.missing_frames;
    assert!(missing > 0);
    assert_eq!(bench.metrics.spool.missing_frames.get(), missing);
    let alerts = bench.log.lines().into_iter().filter(|line| line.contains("missing from the log")).count();
    assert_eq!(alerts, 1);
}

/// A file system of a few megabytes, taken away again at the end.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(dir.path()).output();
        done.ok()?.status.success().then_some(Self(dir))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_new_mail_and_still_records_outcomes() {
    let Some(tiny) = Tiny::mount() else {
        println!("skipped: no right to mount a small file system here");
        return;
    };
    let settings = || Config { segment_size: 256 << 10, reserve: 128 << 10, ..config(&tiny.0.path().join("spool")) };
    let bench = open(settings());
    let mut acknowledged = 0;
    let error = loop {
        match bench.spool.commit(vec![message(acknowledged, 10_000, &["a@one.example"])]).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Full(_)), "{error}");
    assert!(acknowledged > 100, "{acknowledged}");
    // Now really nothing is left but what the spool kept back.
    let filler = tiny.0.path().join("filler");
    let _ = std::fs::write(&filler, vec![1u8; 4 << 20]);
    for lease in bench.spool.take_due(START, 20) {
        lease.settle(delivered()).await.unwrap();
    }
    // So many that the rest of the segment can't take them, and the reserve is needed.
    for round in 0..600 {
        let now = START.plus(Duration::from_secs(round));
        let lease = bench.spool.take_due(now, 1).pop().unwrap();
        let settlement =
            Settlement { retry_at: Some(now), last_error: Some("450 4.2.1 x".repeat(40)), ..Settlement::default() };
        match tokio::time::timeout(Duration::from_secs(1), lease.settle(settlement)).await {
            Ok(result) => result.unwrap(),
            Err(_) => {
                // Even the reserve is used up: delivery stands still until there is space.
                assert!(round > 200, "after {round} outcomes");
                assert!(bench.spool.take_due(far(), 10).is_empty());
                assert!(matches!(bench.spool.admit(0), Err(SpoolError::Full(_))));
                break;
            }
        }
    }
    std::fs::remove_file(&filler).unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(bench.spool.admit(0).is_ok() || bench.spool.len() as u64 == acknowledged - 20);
    drop(bench);
    let bench = open(settings());
    assert_eq!((bench.report.messages, bench.report.damaged.len()), (acknowledged - 20, 0));
    while let Some(lease) = bench.spool.take_due(far(), 1).pop() {
        assert!(bytes_of(&lease).await == text(lease.id().as_u128() as u64, 10_000));
        lease.settle(delivered()).await.unwrap();
        bench.spool.tidy();
    }
    for number in 10_000..10_050 {
        bench.spool.commit(vec![message(number, 10_000, &["a@one.example"])]).await.unwrap();
    }
    assert_eq!(bench.metrics.balance.sums().balance(), 0);
}
