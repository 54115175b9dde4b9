//! The spool against a model that keeps everything in a map: any sequence of orders, attempts, restarts and crashes leaves
//! the same queue, the same bodies and a balance of nought.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::bench::{Bench, START, about, bytes_of, config, far, id, message, open, text};
use proptest::prelude::*;
use sekisho::model::{Domain, MessageId};
use sekisho::spool::{Config, Filter, RecipientState, Settlement};
use tempfile::TempDir;

#[derive(Debug, Clone)]
enum Op {
    Commit {
        size: usize,
        domains: u8,
        recipients: u8,
    },
    /// Attempt what is due: `ended` says how many recipients of each branch end, and how.
    Attempt {
        limit: usize,
        ended: u8,
        state: u8,
        notice: bool,
    },
    Hold(u8),
    Release,
    Remove(u8),
    Tidy,
    Restart,
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (prop_oneof![4 => 0usize..3_000, 2 => 3_000usize..15_000, 1 => 16_000usize..60_000], 1u8..4, 1u8..5)
            .prop_map(|(size, domains, recipients)| Op::Commit { size, domains, recipients }),
        6 => (1usize..5, 0u8..4, 0u8..4, any::<bool>())
            .prop_map(|(limit, ended, state, notice)| Op::Attempt { limit, ended, state, notice }),
        1 => (0u8..4).prop_map(Op::Hold),
        1 => Just(Op::Release),
        1 => (0u8..20).prop_map(Op::Remove),
        3 => Just(Op::Tidy),
        1 => Just(Op::Restart),
        1 => Just(Op::Crash),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelBranch {
    pending: Vec<usize>,
    attempts: u32,
    held: bool,
    error: Option<String>,
}

#[derive(Debug, Default)]
struct Model {
    next: u64,
    queue: BTreeMap<(MessageId, String), ModelBranch>,
    recipients: BTreeMap<MessageId, Vec<String>>,
    bodies: BTreeMap<MessageId, Vec<u8>>,
}

impl Model {
    fn add(&mut self, number: u64, size: usize, recipients: &[String]) {
        self.bodies.insert(id(number), text(number, size));
        self.recipients.insert(id(number), recipients.to_vec());
        for (index, recipient) in recipients.iter().enumerate() {
            let domain = recipient.split('@').nth(1).unwrap().to_owned();
            let new = ModelBranch { pending: vec![], attempts: 0, held: false, error: None };
            self.queue.entry((id(number), domain)).or_insert(new).pending.push(index);
        }
    }

    fn recipients(&self, held: bool) -> u64 {
        self.queue.values().filter(|branch| branch.held == held).map(|branch| branch.pending.len() as u64).sum()
    }
}

fn small(dir: &Path) -> Config {
    Config { segment_size: 64 << 10, reserve: 16 << 10, body_cache: 20_000, ..config(dir) }
}

/// As a crash would leave it. The keeper may move a file while we look: then once more.
fn copy(from: &Path, to: &Path) {
    while let Err(error) = try_copy(from, to) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        std::fs::remove_dir_all(to).unwrap();
    }
}

fn try_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for found in std::fs::read_dir(from)? {
        let found = found?;
        let target = to.join(found.file_name());
        if found.file_type()?.is_dir() {
            try_copy(&found.path(), &target)?;
        } else {
            std::fs::copy(found.path(), target)?;
        }
    }
    Ok(())
}

fn compare(bench: &Bench, model: &Model) {
    let seen: BTreeMap<_, _> = bench
        .spool
        .list(&Filter::default(), usize::MAX)
        .into_iter()
        .map(|item| {
            let all = &model.recipients[&item.id];
            let pending = item.recipients.iter().map(|text| all.iter().position(|one| one == text).unwrap()).collect();
            let branch =
                ModelBranch { pending, attempts: item.attempts, held: item.held.is_some(), error: item.last_error };
            ((item.id, item.domain), branch)
        })
        .collect();
    assert_eq!(seen, model.queue);
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.queued, sums.held, sums.balance()), (model.recipients(false), model.recipients(true), 0));
}

async fn attempt(bench: &Bench, model: &mut Model, limit: usize, ended: u8, state: u8, notice: bool) {
    let states =
        [RecipientState::Delivered, RecipientState::Failed, RecipientState::Expired, RecipientState::Discarded];
    for lease in bench.spool.take_due(far(), limit) {
        let key = (lease.id(), lease.domain().unwrap().to_string());
        let branch = model.queue.get_mut(&key).unwrap();
        assert!(!branch.held);
        assert_eq!(lease.recipients().collect::<Vec<_>>(), branch.pending);
        assert!(bytes_of(&lease).await == model.bodies[&key.0], "the body of {}", key.0);
        let outcomes: Vec<_> =
            branch.pending.iter().take(ended.into()).map(|index| (*index, states[usize::from(state)])).collect();
        branch.pending.drain(..outcomes.len());
        branch.attempts += 1;
        branch.error = Some(format!("451 attempt {}", branch.attempts));
        let mut settlement = Settlement {
            outcomes,
            retry_at: Some(START.plus(Duration::from_secs(60))),
            last_error: branch.error.clone(),
            ..Settlement::default()
        };
        if branch.pending.is_empty() {
            model.queue.remove(&key);
        }
        if notice {
            let number = model.next;
            model.next += 1;
            let to = ["sender@client.example".to_owned()];
            let rest = bytes::Bytes::from(text(number, 900));
            let body = sekisho::spool::Body::Memory { head: bytes::Bytes::new(), rest };
            settlement.notices.push(sekisho::spool::NewMessage::notice(id(number), about(&[&to[0]]), body));
            model.add(number, 900, &to);
        }
        lease.settle(settlement).await.unwrap();
    }
}

async fn step(bench: &Bench, model: &mut Model, op: &Op) {
    match *op {
        Op::Commit { size, domains, recipients } => {
            let number = model.next;
            model.next += 1;
            let to: Vec<String> = (0..recipients).map(|n| format!("r{n}@d{}.example", n % domains)).collect();
            let texts: Vec<&str> = to.iter().map(String::as_str).collect();
            bench.spool.commit(vec![message(number, size, &texts)]).await.unwrap();
            model.add(number, size, &to);
        }
        Op::Attempt { limit, ended, state, notice } => attempt(bench, model, limit, ended, state, notice).await,
        Op::Hold(domain) => {
            let domain = format!("d{domain}.example");
            let filter = Filter { domain: Some(Domain::parse(&domain).unwrap()), ..Filter::default() };
            bench.spool.hold(&filter, "model").await.unwrap();
            model.queue.iter_mut().filter(|((_, at), _)| *at == domain).for_each(|(_, branch)| branch.held = true);
        }
        Op::Release => {
            bench.spool.release(&Filter::default(), "model").await.unwrap();
            model.queue.values_mut().for_each(|branch| branch.held = false);
        }
        Op::Remove(number) => {
            bench.spool.remove(&Filter::of(id(number.into())), "model").await.unwrap();
            model.queue.retain(|(one, _), _| *one != id(number.into()));
        }
        Op::Tidy => bench.spool.tidy(),
        Op::Restart | Op::Crash => {}
    }
}

async fn run(ops: Vec<Op>) {
    let shm = Path::new("/dev/shm");
    let fresh = || if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap();
    let mut dir = fresh();
    let mut bench = open(small(dir.path()));
    let mut model = Model::default();
    for op in ops {
        step(&bench, &mut model, &op).await;
        match op {
            Op::Restart => {
                drop(bench);
                bench = open(small(dir.path()));
            }
            Op::Crash => {
                // What a kill leaves: everything written so far, and nobody to close it.
                let copied = fresh();
                copy(dir.path(), copied.path());
                drop(bench);
                dir = copied;
                bench = open(small(dir.path()));
            }
            _ => {}
        }
        if matches!(op, Op::Restart | Op::Crash) {
            assert!(bench.report.damaged.is_empty(), "{:?}", bench.report.damaged);
            assert_eq!((bench.report.known_damage, bench.report.missing_frames), (0, 0));
        }
        compare(&bench, &model);
    }
    // In the end everything is delivered, and nothing comes back.
    bench.spool.release(&Filter::default(), "end").await.unwrap();
    model.queue.values_mut().for_each(|branch| branch.held = false);
    while !model.queue.is_empty() {
        attempt(&bench, &mut model, 100, 255, 0, false).await;
    }
    bench.spool.tidy();
    assert!(std::fs::read_dir(dir.path().join("segments")).unwrap().count() <= 3, "segments are left behind");
    drop(bench);
    let bench = open(small(dir.path()));
    assert_eq!(bench.report.messages, 0);
    assert_eq!(std::fs::read_dir(dir.path().join("large")).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_spool_is_what_the_model_is(ops in prop::collection::vec(op(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(ops));
    }
}
