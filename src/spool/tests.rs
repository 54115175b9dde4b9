//! The committer and its queue: what it does with files that refuse to be written or synced, and whom it waits for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use super::committer::Committer;
use super::index::{Entry, Index, Place};
use super::prepare::prepare;
use super::request::{Class, Request};
use super::segment::{Active, Name};
use super::shared::{Dirs, Shared};
use super::*;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::model::{Address, Direction, Envelope, MessageId, Origin, Recipient, ReversePath, TenantId, Timestamp};
use crate::telemetry::{MailLog, Metrics};

fn meta(number: u64) -> Meta {
    let mut envelope = Envelope::from_sender(ReversePath::Mailbox(
        Address::parse(&format!("some.sender.{number}@mail.sender-domain.example")).unwrap(),
    ));
    envelope.recipients =
        vec![Recipient::new(Address::parse(&format!("recipient{number}@tenant-{}.example", number % 1000)).unwrap())];
    Meta {
        tenant: TenantId::parse("tenant-123").unwrap(),
        direction: Direction::Inbound,
        origin: Origin {
            ip: "192.0.2.7".parse().unwrap(),
            helo: "mail-out-17.sender-domain.example".into(),
            listener: "mx".into(),
            protocol: "ESMTPS".into(),
            received_at: Timestamp(1_795_176_451_250),
        },
        envelope,
        size: 5_120,
        kind: Kind::Mail,
        mark: None,
    }
}

fn deps() -> Deps {
    Deps {
        clock: Clock::manual(Timestamp(1_795_176_451_250)),
        faults: Faults::default(),
        metrics: Metrics::new(),
        log: MailLog::memory(),
    }
}

fn message(number: u64) -> NewMessage {
    let body = Body::Memory { head: Bytes::new(), rest: Bytes::from_static(b"Subject: x\r\n\r\nx\r\n") };
    let Meta { tenant, origin, envelope, .. } = meta(number);
    NewMessage::inbound(MessageId::new(1, number.into()), About { tenant, origin, envelope }, body)
}

/// Nothing to write, and nobody who waits for the answer.
fn empty(class: Class) -> Request {
    let (request, answer) = Request::new(class, prepare::Prepared::default());
    std::mem::forget(answer);
    request
}

/// A committer whose segment is this file.
async fn commit_into(path: &str, write: bool) -> (Arc<Shared>, Vec<Result<(), SpoolError>>) {
    let dir = tempfile::tempdir().unwrap();
    let shared =
        Arc::new(Shared::new(Config::new(dir.path()).clamped(), deps(), Dirs::new(dir.path()), Index::default(), 1));
    let file = std::fs::File::options().read(true).write(write).open(path).unwrap();
    let active = Active { name: Name { number: 1, epoch: 7 }, file, end: 64, limit: 1 << 20 };
    let mut answers = Vec::new();
    for number in 0..3 {
        let prepared = prepare(&shared, vec![message(number)], Class::Mail, 0).await.unwrap();
        let (request, answer) = Request::new(Class::Mail, prepared);
        shared.queue.push(request);
        answers.push(answer);
    }
    let committer = Committer::new(Arc::clone(&shared), active, 1);
    let thread = std::thread::spawn(move || committer.run());
    let mut results = Vec::new();
    for answer in answers {
        results.push(answer.await.unwrap());
    }
    let prepared = prepare(&shared, vec![message(9)], Class::Mail, 0).await.unwrap();
    let (request, answer) = Request::new(Class::Mail, prepared);
    shared.queue.push(request);
    results.push(answer.await.unwrap());
    shared.queue.close();
    thread.join().unwrap();
    (shared, results)
}

#[tokio::test]
async fn a_failed_sync_latches_and_acknowledges_nothing() {
    // fdatasync of /dev/null is an error, its writes aren't.
    let (shared, results) = commit_into("/dev/null", true).await;
    assert_eq!(results.len(), 4);
    assert!(results.iter().all(|result| matches!(result, Err(SpoolError::Wedged(_)))), "{results:?}");
    assert_eq!(shared.index().len(), 0);
    assert!(!shared.may_deliver());
    assert_eq!(shared.deps.metrics.spool.healthy.get(), 0);
    assert_eq!(shared.deps.metrics.balance.sums().queued, 0);
    assert!(shared.deps.log.lines().iter().any(|line| line.contains("sync of the log")));
}

#[tokio::test]
async fn a_failed_write_latches_too() {
    let (shared, results) = commit_into("/proc/self/status", false).await;
    assert!(results.iter().all(|result| matches!(result, Err(SpoolError::Wedged(_)))), "{results:?}");
    assert!(shared.check().is_err());
}

#[tokio::test]
async fn a_wedged_spool_delivers_nothing_and_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(Config { min_free_bytes: 0, ..Config::new(dir.path()) }, deps()).unwrap();
    spool.commit(vec![message(1), message(2)]).await.unwrap();
    let lease = spool.take_due(Timestamp(u64::MAX), 1).pop().unwrap();
    spool.shared().wedge("a drill", &std::io::Error::other("input/output error"));
    assert!(matches!(spool.health(), Health::Wedged(_)));
    assert!(spool.take_due(Timestamp(u64::MAX), 1).is_empty());
    assert!(spool.next_due().is_none());
    assert!(matches!(spool.admit(1), Err(SpoolError::Wedged(_))));
    assert!(matches!(spool.draft(), Err(SpoolError::Wedged(_))));
    assert!(matches!(spool.commit(vec![message(3)]).await, Err(SpoolError::Wedged(_))));
    assert!(matches!(lease.settle(Settlement::default()).await, Err(SpoolError::Wedged(_))));
    assert!(matches!(spool.hold(&Filter::default(), "x").await, Err(SpoolError::Wedged(_))));
    drop(spool);
    let (_spool, report) = Spool::open(Config::new(dir.path()), deps()).unwrap();
    assert_eq!(report.messages, 2);
}

#[tokio::test]
async fn a_commit_nobody_waits_for_is_whole_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { min_free_bytes: 0, large_message: 100, ..Config::new(dir.path()) };
    let (spool, _) = Spool::open(config(), deps()).unwrap();
    for number in 0..40 {
        let mut new = message(number);
        new.body = Body::Memory { head: Bytes::new(), rest: vec![b'x'; 5_000].into() };
        let patience = Duration::from_micros(37 * number);
        let _ = tokio::time::timeout(patience, spool.commit(vec![new])).await;
    }
    drop(spool);
    let (spool, report) = Spool::open(config(), deps()).unwrap();
    assert!(report.damaged.is_empty());
    for lease in spool.take_due(Timestamp(u64::MAX), 100) {
        assert_eq!(lease.body().await.unwrap().len(), 5_000);
    }
}

#[tokio::test]
async fn outcomes_wait_for_mail_a_moment_and_orders_do_not() {
    let queue = Arc::new(queue::Queue::default());
    let request = |patient: bool| if patient { empty(Class::Journal).patient() } else { empty(Class::Journal) };
    let mail = || queue::Last { mail: Some(std::time::Instant::now()), ..Default::default() };
    let took = |last| {
        let started = std::time::Instant::now();
        let count = queue.gather(last, None).unwrap().1.len();
        (count, started.elapsed())
    };
    let patience = Duration::from_micros(1_400);
    // On a busy machine any one may take longer.
    let at_once = |patient: u64, others: u64, last: &dyn Fn() -> queue::Last| {
        (0..50).any(|_| {
            (0..patient).for_each(|_| queue.push(request(true)));
            (0..others).for_each(|_| queue.push(request(false)));
            let (count, waited) = took(last());
            assert_eq!(count as u64, patient + others);
            waited < patience
        })
    };
    // No mail comes.
    assert!(at_once(1, 0, &queue::Last::default));
    assert!(!at_once(1, 0, &mail));
    assert!(at_once(1, 1, &mail));
    assert!(at_once(16, 0, &mail));
    // Somebody who sleeps is woken by what is urgent, and by the end.
    let sleeper = Arc::clone(&queue);
    let last = mail();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        while let Some((_, requests)) = sleeper.gather(last, None) {
            tell.send(requests.len()).unwrap();
        }
    });
    // Long enough to be asleep; if it is not, it finds what the others wake it for.
    std::thread::sleep(Duration::from_millis(30));
    queue.push(request(false));
    assert_eq!(told.recv(), Ok(1));
    queue.push(request(true));
    queue.close();
    assert_eq!(told.recv(), Ok(1));
    thread.join().unwrap();
    // What comes too late is answered.
    let (done, answers) = std::sync::mpsc::channel();
    queue.push_moves(vec![request::Move { id: MessageId::new(1, 1), from: 1, inline: Bytes::new(), done }]);
    assert_eq!(answers.recv(), Ok(false));
}

#[test]
fn who_slept_lets_others_go_on_unless_that_takes_long_for_nothing() {
    static CROWD: OnceLock<queue::Queue> = OnceLock::new();
    static ENDS: OnceLock<queue::Queue> = OnceLock::new();
    static TIMES: AtomicUsize = AtomicUsize::new(0);
    fn outcome() -> Request {
        empty(Class::Journal).patient()
    }
    // An outcome waits for mail that came an hour from now: whoever takes it has slept.
    let gathered = |queue: &queue::Queue, requests| {
        queue.push(outcome());
        let mail = Some(std::time::Instant::now() + Duration::from_secs(3_600));
        queue.gather(queue::Last { requests, sync: Duration::from_millis(50), mail }, None).unwrap().1.len()
    };
    // What others bring meanwhile is of the group, and may take its time.
    let crowd = CROWD.get_or_init(|| {
        queue::Queue::giving_way(|| {
            std::thread::sleep(Duration::from_millis(5));
            (0..100).for_each(|_| CROWD.get().unwrap().push(outcome()));
        })
    });
    let twice = (0..1_000).any(|_| [2, 2].map(|requests| gathered(crowd, requests)) == [101, 101]);
    assert!(twice, "on a machine that stands still meanwhile it may be left out, not always");
    assert_eq!(gathered(crowd, 1), 1, "alone one gives way to nobody");
    // Where it brings nothing and takes long that is not done each time, but again after a while.
    let computes = queue::Queue::giving_way(|| {
        TIMES.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(5));
    });
    assert!((0..20).all(|_| gathered(&computes, 2) == 1));
    let soon = TIMES.load(Ordering::Relaxed);
    assert!((1..10).contains(&soon), "{soon}");
    let again = (0..10_000).any(|_| gathered(&computes, 2) == 1 && TIMES.load(Ordering::Relaxed) > soon);
    assert!(again);
    // The end may come meanwhile.
    let ends = ENDS.get_or_init(|| queue::Queue::giving_way(|| ENDS.get().unwrap().close()));
    assert_eq!(gathered(ends, 2), 1);
    assert!(ends.gather(queue::Last::default(), None).is_none());
}

#[tokio::test]
async fn a_group_waits_for_mail_that_is_expected_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let shared =
        Arc::new(Shared::new(Config::new(dir.path()).clamped(), deps(), Dirs::new(dir.path()), Index::default(), 1));
    let request = || empty(Class::Mail);
    let sync = Duration::from_millis(50);
    let last = |requests| queue::Last { requests, sync, ..Default::default() };
    let gathered = |requests| {
        let started = std::time::Instant::now();
        (shared.queue.gather(last(requests), None).unwrap().1.len(), started.elapsed())
    };
    let coming = || shared.queue.coming();
    // Who never sends the rest keeps others a moment, once.
    let never = Expected::new(&shared);
    shared.queue.push(request());
    let (count, waited) = gathered(2);
    assert!(count == 1 && waited >= Duration::from_micros(800), "{waited:?}");
    let at_once = (0..50).any(|_| {
        shared.queue.push_expected(request(), Some(Expected::new(&shared)));
        gathered(2).1 < Duration::from_micros(700)
    });
    assert!(at_once, "on a busy machine any one may take longer, not all");
    // Mail that came in company promises more, but nobody waits for it for ever.
    for promises in [false, true] {
        let newer = promises.then(|| Expected::new(&shared));
        let of_two = |_| {
            shared.queue.push(request());
            shared.queue.push(request());
            let (count, waited) = gathered(2);
            assert_eq!(count, 2);
            waited
        };
        let waited: Vec<_> = (0..50).map(of_two).collect();
        let (first, others) = waited.split_first().unwrap();
        assert!(!promises || *first >= Duration::from_micros(800), "{waited:?}");
        assert!(others.iter().any(|waited| *waited < Duration::from_micros(700)), "{waited:?}");
        drop(newer);
    }
    assert_eq!(coming(), 1);
    shared.queue.push_expected(request(), Some(never));
    assert_eq!((gathered(1).0, coming()), (1, 0));
    // Where nobody came in company before, nobody waits.
    let alone = Expected::new(&shared);
    let at_once = (0..50).any(|_| {
        shared.queue.push(request());
        gathered(1).1 < Duration::from_micros(700)
    });
    assert!(at_once);
    shared.queue.push_expected(request(), Some(alone));
    assert_eq!((gathered(1).0, coming()), (1, 0));
    // What comes ends the wait, and so does what comes to nothing.
    for comes in [true, false] {
        let ended = (0..50).any(|_| {
            shared.queue.push(request());
            shared.queue.push(request());
            assert_eq!(gathered(1).0, 2, "company: the vain wait before is forgotten");
            let (first, second) = (Expected::new(&shared), Expected::new(&shared));
            shared.queue.push_expected(request(), Some(first));
            let (count, waited) = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_micros(100));
                    if comes { shared.queue.push_expected(request(), Some(second)) } else { drop(second) }
                });
                gathered(2)
            });
            if comes && count == 1 {
                assert_eq!(gathered(1).0, 1);
            }
            count == 1 + usize::from(comes) && waited < Duration::from_micros(700)
        });
        assert!(ended, "{comes}");
        assert_eq!(coming(), 0);
    }
}

#[test]
fn want_of_descriptors_passes_and_a_broken_disk_does_not() {
    use error::passes;
    for (number, want) in [(23, true), (24, true), (12, true), (28, true), (122, true), (5, false), (30, false)] {
        assert_eq!(passes(&std::io::Error::from_raw_os_error(number)), want, "{number}");
    }
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn a_million_messages_fit() {
    const COUNT: u64 = 200_000;
    const ALONE: &str = "SEKISHO_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // Resident memory is the process's, so the measurement needs a process without other tests in it.
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let name = "spool::tests::a_million_messages_fit";
        let done = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let mut index = Index::default();
    let before = resident();
    let mut encoded = Vec::new();
    for number in 0..COUNT {
        let meta = meta(number);
        encoded.clear();
        meta.encode(&mut encoded);
        let place = Place { segment: 1, offset: 0, inline: 5_000, crc: 0, file_length: None };
        let id = MessageId::new(1_795_176_451_250 + number, u128::from(number));
        assert!(index.insert(Box::new(Entry::new(id, place, &meta, &encoded, number))));
    }
    let each = (resident() - before) / COUNT;
    println!("{each} bytes of memory for a queued message");
    assert!(each < 500, "{each} bytes for a queued message");
    assert_eq!(index.take_due(u64::MAX, 10).len(), 10);
}

/// As an earlier release wrote it, or somebody who had no right to: it is never delivered, and nobody can let it go.
#[tokio::test]
async fn outbound_mail_without_a_mark_is_held_at_every_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { min_free_bytes: 0, min_free_inodes: 0, segment_size: 1 << 20, ..Config::new(dir.path()) };
    let later = Timestamp(u64::MAX);
    let told = |deps: &Deps| deps.log.lines().iter().filter(|line| line.contains("alert")).count();
    let first = deps();
    let (spool, _) = Spool::open(config(), first.clone()).unwrap();
    let new = message(1);
    let unmarked = NewMessage { meta: Meta { direction: Direction::Outbound, ..new.meta }, ..new };
    spool.commit(vec![unmarked, message(2)]).await.unwrap();
    let leases = spool.take_due(later, 10);
    assert_eq!(leases.iter().map(|lease| lease.id().as_u128()).collect::<Vec<_>>(), [message(2).id.as_u128()]);
    let sums = first.metrics.balance.sums();
    assert_eq!((sums.held, sums.queued, sums.balance(), told(&first)), (1, 1, 0, 1));
    assert_eq!(first.metrics.spool.unchecked.get(), 1);
    drop((leases, spool));
    let deps = deps();
    let (spool, report) = Spool::open(config(), deps.clone()).unwrap();
    assert_eq!((report.unchecked, report.held, report.queued), (1, 1, 1));
    assert_eq!((deps.metrics.spool.unchecked.get(), told(&deps)), (1, 1));
    let other = spool.take_due(later, 10);
    assert_eq!(other.len(), 1);
    spool.release(&Filter::default(), "somebody insists").await.unwrap();
    assert!(spool.take_due(later, 10).is_empty());
    assert_eq!(spool.next_due(), None, "it is on hold again");
    drop(other);
    assert_eq!((deps.metrics.balance.sums().held, deps.metrics.balance.sums().balance()), (1, 0));
}

/// Taken back before anybody had it: it is not there, not after a restart either, and may come again.
#[tokio::test]
async fn what_is_kept_back_can_be_withdrawn_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config { min_free_bytes: 0, large_message: 100, ..Config::new(dir.path()) };
    let large = || {
        let mut new = message(1);
        new.body = Body::Memory { head: Bytes::new(), rest: vec![b'x'; 5_000].into() };
        new.kept_back()
    };
    let deps = deps();
    let (spool, _) = Spool::open(config(), deps.clone()).unwrap();
    drop(spool.commit(vec![large(), message(2)]).await.unwrap());
    let id = |number: u128| MessageId::new(1, number);
    let item = spool.list(&Filter::of(id(1)), 1).pop().unwrap();
    assert!(!item.active && item.held.is_some(), "{item:?}");
    assert!(!spool.withdraw(id(2), "x").await.unwrap(), "that one is queued");
    assert!(spool.withdraw(id(1), "x").await.unwrap());
    assert!(!spool.withdraw(id(1), "x").await.unwrap(), "once");
    spool.let_go(id(1));
    assert_eq!(spool.ids(), [id(2)]);
    let sums = deps.metrics.balance.sums();
    assert_eq!((sums.queued, sums.discarded, sums.balance()), (1, 1, 0));
    drop(spool.commit(vec![large()]).await.unwrap());
    drop(spool);
    let (spool, report) = Spool::open(config(), self::deps()).unwrap();
    assert_eq!((report.messages, report.damaged.len()), (2, 0));
    assert_eq!(spool.take_due(Timestamp(u64::MAX), 9).len(), 2);
}
