//! A message's life in the spool, step by step.

use std::time::Duration;

use super::bench::{START, bytes_of, config, far, id, message, open, text};
use sekisho::model::Timestamp;
use sekisho::spool::{Filter, Health, OpenError, RecipientState, Settlement, Spool, SpoolError};

#[tokio::test]
async fn a_committed_message_is_due_is_delivered_and_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let receipts = bench.spool.commit(vec![message(1, 5_000, &["a@one.example"])]).await.unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(bench.spool.next_due(), Some(START));
    let lease = bench.spool.take_due(START, 10).pop().unwrap();
    assert!(bench.spool.take_due(far(), 10).is_empty(), "leased twice");
    assert_eq!(lease.domain().unwrap().as_str(), "one.example");
    assert_eq!(bytes_of(&lease).await, text(1, 5_000));
    let outcomes = vec![(0, RecipientState::Delivered)];
    lease.settle(Settlement { outcomes, ..Settlement::default() }).await.unwrap();
    assert!(bench.spool.is_empty());
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.delivered, sums.queued, sums.balance()), (1, 0, 0));
    drop(bench);
    let bench = open(config(dir.path()));
    assert_eq!(bench.report.messages, 0);
    assert!(bench.report.damaged.is_empty(), "{:?}", bench.report.damaged);
}

#[tokio::test]
async fn branches_go_their_own_ways_and_a_restart_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let recipients = ["a@one.example", "b@two.example", "c@one.example"];
    bench.spool.commit(vec![message(1, 700, &recipients)]).await.unwrap();
    let mut leases = bench.spool.take_due(START, 10);
    assert_eq!(leases.len(), 2);
    leases.sort_by_key(|lease| lease.domain().unwrap().to_string());
    let two = leases.pop().unwrap();
    let one = leases.pop().unwrap();
    assert_eq!(one.recipients().collect::<Vec<_>>(), [0, 2]);
    let later = START.plus(Duration::from_secs(300));
    let settlement = Settlement {
        outcomes: vec![(2, RecipientState::Failed), (1, RecipientState::Delivered)],
        retry_at: Some(later),
        last_error: Some("451 4.7.1 greylisted".into()),
        notices: vec![message(2, 300, &["sender@client.example"])],
        delay_notice_sent: true,
    };
    one.settle(settlement).await.unwrap();
    two.settle(Settlement { outcomes: vec![(1, RecipientState::Delivered)], ..Settlement::default() }).await.unwrap();
    drop(bench);
    let bench = open(config(dir.path()));
    assert_eq!((bench.report.messages, bench.report.queued, bench.report.missing_frames), (2, 2, 0));
    let leases = bench.spool.take_due(START, 10);
    assert_eq!(leases.len(), 1, "only the notice is due");
    assert_eq!(bytes_of(&leases[0]).await, text(2, 300));
    let lease = bench.spool.take_due(later, 10).pop().unwrap();
    assert_eq!(lease.recipients().collect::<Vec<_>>(), [0]);
    assert_eq!(lease.attempts(), 1);
    assert!(lease.delay_notice_sent());
    assert_eq!(lease.last_error(), Some("451 4.7.1 greylisted"));
    assert_eq!(bytes_of(&lease).await, text(1, 700));
    let detail = bench.spool.show(id(1)).unwrap();
    assert_eq!(
        detail.ended,
        [("b@two.example".to_owned(), RecipientState::Delivered), ("c@one.example".to_owned(), RecipientState::Failed)]
    );
}

#[tokio::test]
async fn a_commit_of_a_message_that_is_here_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    for _ in 0..3 {
        bench.spool.commit(vec![message(1, 100, &["a@one.example"])]).await.unwrap();
    }
    let (a, b) = tokio::join!(
        bench.spool.commit(vec![message(2, 100, &["a@one.example"])]),
        bench.spool.commit(vec![message(2, 100, &["a@one.example"]), message(3, 100, &["a@one.example"])])
    );
    a.unwrap();
    b.unwrap();
    assert_eq!(bench.spool.len(), 3);
    assert_eq!(bench.metrics.balance.sums().queued, 3);
    drop(bench);
    assert_eq!(open(config(dir.path())).report.messages, 3);
}

#[tokio::test]
async fn a_dropped_lease_comes_due_again_soon_and_a_postponed_one_then() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    bench.spool.commit(vec![message(1, 100, &["a@one.example"])]).await.unwrap();
    drop(bench.spool.take_due(START, 1));
    assert!(bench.spool.take_due(START, 1).is_empty());
    let soon = START.plus(Duration::from_secs(1));
    let lease = bench.spool.take_due(soon, 1).pop().unwrap();
    assert_eq!(lease.attempts(), 0);
    let until = START.plus(Duration::from_secs(60));
    lease.postpone(until);
    assert_eq!(bench.spool.next_due(), Some(until));
}

#[tokio::test]
async fn orders_are_durable_and_the_balance_holds() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let spool = &bench.spool;
    for number in 0..10 {
        let to = if number % 2 == 0 { "a@even.example" } else { "a@odd.example" };
        spool.commit(vec![message(number, 100, &[to, "b@both.example"])]).await.unwrap();
    }
    let even = Filter { domain: Some(sekisho::model::Domain::parse("even.example").unwrap()), ..Filter::default() };
    assert_eq!(spool.hold(&even, "looks odd").await.unwrap().changed, 5);
    assert_eq!(spool.remove(&Filter::of(id(1)), "asked for").await.unwrap().changed, 2);
    assert_eq!(spool.remove(&Filter::of(id(2)), "asked for").await.unwrap().changed, 2);
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.held, sums.queued, sums.discarded, sums.balance()), (4, 12, 4, 0));
    let summary = spool.summary(&Filter::default());
    assert_eq!(summary[0].domain, "both.example");
    assert_eq!((summary[0].recipients, summary[0].held), (8, 0));
    let log = bench.log.lines();
    assert_eq!(log.iter().filter(|line| line.contains("looks odd")).count(), 5, "{log:?}");
    drop(bench);
    let bench = open(config(dir.path()));
    assert_eq!((bench.report.queued, bench.report.held), (12, 4));
    let others = bench.spool.take_due(far(), 100);
    assert!(others.iter().all(|lease| lease.domain().unwrap().as_str() != "even.example"));
    assert_eq!(bench.spool.release(&even, "fine").await.unwrap().changed, 4);
    assert_eq!(bench.spool.take_due(far(), 100).len(), 4);
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.held, sums.queued, sums.balance()), (0, 16, 0));
}

#[tokio::test]
async fn a_branch_being_delivered_is_busy_and_is_held_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let spool = &bench.spool;
    spool.commit(vec![message(1, 100, &["a@one.example", "b@one.example"])]).await.unwrap();
    let lease = spool.take_due(START, 1).pop().unwrap();
    let done = spool.remove(&Filter::of(id(1)), "too late").await.unwrap();
    assert_eq!((done.changed, done.busy), (0, 1));
    spool.hold(&Filter::of(id(1)), "wait").await.unwrap();
    lease.settle(Settlement { outcomes: vec![(0, RecipientState::Delivered)], ..Settlement::default() }).await.unwrap();
    assert!(spool.take_due(far(), 1).is_empty());
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.held, sums.queued, sums.delivered, sums.balance()), (1, 0, 1, 0));
}

#[tokio::test]
async fn large_bodies_have_files_of_their_own_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let spool = &bench.spool;
    let mut draft = spool.draft().unwrap();
    for chunk in text(1, 3_000_000).chunks(70_000) {
        draft.append(chunk).unwrap();
    }
    let body = sekisho::spool::Body::File { head: "Received: x\r\n".into(), draft };
    let new = sekisho::spool::NewMessage::inbound(id(1), super::bench::about(&["a@one.example"]), body);
    spool.commit(vec![new, message(2, 400_000, &["a@one.example"])]).await.unwrap();
    drop(spool.draft().unwrap());
    drop(bench);
    let bench = open(config(dir.path()));
    assert_eq!((bench.report.messages, bench.report.damaged.len()), (2, 0));
    for lease in bench.spool.take_due(far(), 10) {
        let want = if lease.id() == id(1) {
            [b"Received: x\r\n".to_vec(), text(1, 3_000_000)].concat()
        } else {
            text(2, 400_000)
        };
        assert_eq!(lease.meta().size, want.len() as u64);
        assert!(bytes_of(&lease).await == want);
        let outcomes = vec![(0, RecipientState::Delivered)];
        lease.settle(Settlement { outcomes, ..Settlement::default() }).await.unwrap();
    }
    for sub in ["large", "drafts", "corrupt"] {
        assert_eq!(std::fs::read_dir(dir.path().join(sub)).unwrap().count(), 0, "{sub}");
    }
}

#[tokio::test]
async fn one_process_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let deps = sekisho::spool::Deps {
        clock: bench.clock.clone(),
        faults: sekisho::faults::Faults::default(),
        metrics: bench.metrics.clone(),
        log: bench.log.clone(),
    };
    assert!(matches!(Spool::open(config(dir.path()), deps.clone()), Err(OpenError::InUse(_))));
    let other = bench.spool.clone();
    drop(bench);
    assert!(matches!(Spool::open(config(dir.path()), deps.clone()), Err(OpenError::InUse(_))));
    let lease = {
        other.commit(vec![message(1, 10, &["a@one.example"])]).await.unwrap();
        other.take_due(far(), 1).pop().unwrap()
    };
    drop(other);
    assert!(matches!(lease.settle(Settlement::default()).await, Err(SpoolError::Closed)));
    assert!(Spool::open(config(dir.path()), deps).is_ok());
}

#[tokio::test]
async fn too_little_space_refuses_new_mail_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = config(dir.path());
    settings.min_free_bytes = u64::MAX / 2;
    let bench = open(settings);
    assert!(matches!(bench.spool.admit(0), Err(SpoolError::Full(_))));
    assert!(matches!(bench.spool.health(), Health::Low(_)));
    bench.spool.commit(vec![message(1, 10, &["a@one.example"])]).await.unwrap();
    assert_eq!(bench.spool.take_due(Timestamp(u64::MAX), 1).len(), 1);
    drop(bench);
    let bench = open(config(dir.path()));
    assert!(bench.spool.admit(1_000).is_ok());
    assert!(matches!(bench.spool.admit(u64::MAX / 4), Err(SpoolError::Full(_))));
    assert_eq!(bench.spool.health(), Health::Ok);
}

#[tokio::test]
async fn lanes_of_a_large_body_share_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let mut draft = bench.spool.draft().unwrap();
    draft.append(&text(1, 2_000_000)).unwrap();
    let mut lanes = vec![draft.share().unwrap(), draft.share().unwrap()];
    assert!(draft.append(b"more").is_err(), "the others would have it too");
    lanes.push(draft);
    drop(lanes[0].share().unwrap());
    let messages = (1..).zip(lanes).map(|(number, draft)| {
        let head = format!("Received: lane {number}\r\n").into();
        let body = sekisho::spool::Body::File { head, draft };
        sekisho::spool::NewMessage::inbound(id(number), super::bench::about(&["a@one.example"]), body)
    });
    bench.spool.commit(messages.collect()).await.unwrap();
    let inodes: std::collections::BTreeSet<u64> = std::fs::read_dir(dir.path().join("large"))
        .unwrap()
        .map(|found| std::os::unix::fs::MetadataExt::ino(&found.unwrap().metadata().unwrap()))
        .collect();
    assert_eq!(inodes.len(), 1);
    drop(bench);
    let bench = open(config(dir.path()));
    assert_eq!((bench.report.messages, bench.report.damaged.len()), (3, 0));
    // Each goes its own way; the last takes the bytes with it.
    for lease in bench.spool.take_due(far(), 10) {
        let number = lease.id().as_u128() as u64;
        let want = [format!("Received: lane {number}\r\n").into_bytes(), text(1, 2_000_000)].concat();
        assert!(bytes_of(&lease).await == want);
        let outcomes = vec![(0, RecipientState::Delivered)];
        lease.settle(Settlement { outcomes, ..Settlement::default() }).await.unwrap();
    }
    for sub in ["large", "drafts"] {
        assert_eq!(std::fs::read_dir(dir.path().join(sub)).unwrap().count(), 0, "{sub}");
    }
}

/// Everything below a directory that others could look at.
fn open_to_others(dir: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    use std::os::unix::fs::PermissionsExt as _;
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        // The spare changes its name meanwhile.
        let Ok(about) = path.symlink_metadata() else { continue };
        if about.permissions().mode() & 0o077 != 0 {
            found.push(path.clone());
        }
        if about.is_dir() {
            open_to_others(&path, found);
        }
    }
}

#[tokio::test]
async fn mail_on_disk_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("spool");
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bench = open(config(&root));
    bench.spool.commit(vec![message(1, 5_000, &["a@one.example"])]).await.unwrap();
    bench.spool.commit(vec![message(2, 2_000_000, &["a@one.example"])]).await.unwrap();
    let draft = bench.spool.draft().unwrap();
    let mut found = Vec::new();
    open_to_others(dir.path(), &mut found);
    assert!(found.is_empty(), "{found:?}");
    drop(draft);
}

#[tokio::test]
async fn a_list_ends_with_its_last_message() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    for number in 0..6 {
        bench.spool.commit(vec![message(number, 100, &["a@one.example", "b@two.example"])]).await.unwrap();
    }
    let ids: Vec<_> = bench.spool.list(&Filter::default(), 2).into_iter().map(|item| item.id).collect();
    assert_eq!(ids, [id(0), id(0), id(1), id(1)]);
    assert!(bench.spool.list(&Filter::default(), 0).is_empty());
}
