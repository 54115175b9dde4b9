//! Sets come into force signed, in order and tried; whatever is wrong with one, the one before stays.

use std::fs;
use std::path::Path;

use super::*;
use crate::message::specimen::{HeaderField, Part, PartKind, Text};
use crate::signatures::keys::{SigningKey, generate};
use crate::signatures::pack::{Pack, PackFile};
use crate::signatures::published::Canary;

/// Header and text, no MIME.
fn parse(raw: Bytes) -> Specimen {
    let text = String::from_utf8_lossy(&raw).into_owned();
    let (header, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some(HeaderField { name: name.into(), raw: 0..0, value: value.trim().into() })
    };
    let part = Part {
        path: "1".into(),
        parent: None,
        depth: 0,
        kind: PartKind::Text,
        content_type: "text/plain".into(),
        charset: None,
        names: Vec::new(),
        is_attachment: false,
        fields: Vec::new(),
        encoded: 0..0,
        octets: Bytes::from(body.to_owned()),
        other_octets: Vec::new(),
        text: Some(body.into()),
        other_texts: Vec::new(),
    };
    Specimen {
        fields: header.lines().filter_map(field).collect(),
        parts: vec![part],
        texts: vec![Text { visible: body.into(), ..Text::default() }],
        raw,
        ..Specimen::default()
    }
}

fn pack(rules: &str) -> Vec<Pack> {
    let file = |path: &str, text: &str| PackFile { path: path.into(), octets: text.to_owned().into() };
    vec![Pack::from_files("x", vec![file("pack.toml", "[pack]\nname = \"x\""), file("r.toml", rules)]).unwrap()]
}

struct Node {
    dir: tempfile::TempDir,
    key: SigningKey,
    config: Config,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::read(&generate().unwrap()).unwrap();
        let config = Config {
            published: Published::open(dir.path()).unwrap(),
            trust: Trust::any_of(vec![key.public()]),
            clock: Clock::manual(Timestamp(1_000_000)),
            parse,
            judge: |_, _| Vec::new(),
        };
        Self { dir, key, config }
    }

    fn write(&self, rules: &str) -> u64 {
        let now = self.config.clock.now();
        self.config.published.write(&pack(rules), &self.key, now, now.plus(DAY)).unwrap()
    }

    fn want(&self, current: u64) {
        self.config
            .published
            .change(|state| {
                *state = State { current, serial: state.serial, ..State::default() };
                Ok(())
            })
            .unwrap();
    }

    fn open(&self) -> (Sets, Refreshed) {
        Sets::open(self.config.clone(), SignatureSet::empty())
    }

    fn file(&self, number: u64, name: &str) -> std::path::PathBuf {
        self.dir.path().join("sets").join(number.to_string()).join(name)
    }
}

fn rule(id: &str, word: &str, score: f64) -> String {
    format!("[[rule]]\nid = \"{id}\"\nen = \"e\"\nja = \"j\"\nscore = {score:.1}\nany = \"{word}\"\n")
}

fn flip(path: &Path) {
    let mut octets = fs::read(path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    fs::write(path, octets).unwrap();
}

#[test]
fn what_every_set_has_reads_and_proves_itself() {
    let set = SignatureSet::compile(1, &[]).unwrap();
    assert!(set.skipped.is_empty(), "{:?}", set.skipped);
    self_test::run(&set, &[], &parse, &|_, _| Vec::new()).unwrap();
    let nothing = SignatureSet::empty();
    let wrong = self_test::run(&nothing, &[], &parse, &|_, _| Vec::new()).unwrap_err();
    assert_eq!(wrong, ["EICAR is not found", "GTUBE is not found"]);
}

#[test]
fn a_published_set_comes_in_force() {
    let node = Node::new();
    let first = node.write(&rule("A", "lottery", 3.0));
    node.want(first);
    let (sets, refreshed) = node.open();
    assert_eq!((sets.number(), refreshed.refused), (1, vec![]));
    let second = node.write(&rule("B", "lottery", 3.0));
    assert_eq!(sets.refresh().current, 1, "not before somebody wants it");
    node.want(second);
    let began_with = sets.pick(7, None);
    assert!(sets.refresh().changed);
    assert_eq!((sets.number(), sets.pick(7, None).number, began_with.number), (2, 2, 1));
    assert!(!sets.refresh().changed);
}

/// Everything that may not come in force doesn't, and what was stays.
#[test]
fn bad_sets_are_refused_and_the_running_one_stays() {
    let node = Node::new();
    let good = node.write(&rule("A", "lottery", 3.0));
    node.want(good);
    let (sets, _) = node.open();
    let stranger = SigningKey::read(&generate().unwrap()).unwrap();
    let now = node.config.clock.now();
    let published = &node.config.published;
    type Says = fn(&Refused) -> bool;
    let mut bad: Vec<(u64, Says)> = Vec::new();
    for name in ["manifest.json", "packs/x/r.toml", "packs/x/pack.toml", "manifest.sig"] {
        let number = node.write(&rule("A", "lottery", 3.0));
        flip(&node.file(number, name));
        bad.push((number, |refused| matches!(refused, Refused::Unsigned | Refused::Damaged(_))));
    }
    let number = node.write(&rule("A", "lottery", 3.0));
    fs::remove_file(node.file(number, "manifest.sig")).unwrap();
    bad.push((number, |refused| *refused == Refused::Unsigned));
    let number = published.write(&pack(&rule("A", "lottery", 3.0)), &stranger, now, now.plus(DAY)).unwrap();
    bad.push((number, |refused| *refused == Refused::Unsigned));
    let number = node.write(&rule("A", "lottery", 3.0));
    fs::write(node.file(number, "packs/x/more.toml"), rule("M", "more", 1.0)).unwrap();
    bad.push((number, |refused| matches!(refused, Refused::Damaged(_))));
    let number = node.write(&rule("A", "lottery", 3.0));
    fs::remove_file(node.file(number, "packs/x/r.toml")).unwrap();
    bad.push((number, |refused| matches!(refused, Refused::Damaged(_))));
    let number = node.write(&rule("A", "lottery", 3.0));
    let octets = fs::read(node.file(number, "packs/x/r.toml")).unwrap();
    fs::write(node.file(number, "packs/x/r.toml"), &octets[..octets.len() / 2]).unwrap();
    bad.push((number, |refused| matches!(refused, Refused::Damaged(_))));
    bad.push((
        node.write("[[rule]]\nid = \"A\"\nany = \"x\"\n"),
        |refused| matches!(refused, Refused::Faults(faults) if faults[0].to_string().starts_with("x/r.toml:1: A: ")),
    ));
    // It finds everything: honest mail, too.
    bad.push((node.write(&rule("ALL", "e", 9.0).replace("any = \"e\"", "regex = 'e'")), |refused| {
        matches!(refused, Refused::SelfTest(_))
    }));
    // It leaves out what proves that anything is found.
    let mut blind = pack(&rule("A", "lottery", 3.0));
    blind[0].files.push(PackFile { path: "a.ign2".into(), octets: "Eicar-Test-Signature\n".into() });
    let number = published.write(&blind, &node.key, now, now.plus(DAY)).unwrap();
    bad.push((number, |refused| *refused == Refused::SelfTest(vec!["EICAR is not found".to_owned()])));
    let number = published.write(&pack(&rule("A", "lottery", 3.0)), &node.key, now, now).unwrap();
    bad.push((number, |refused| matches!(refused, Refused::Expired(_))));
    let number = node.write(&rule("A", "lottery", 3.0));
    fs::rename(node.file(number, ""), node.file(number + 100, "")).unwrap();
    bad.push((number + 100, |refused| matches!(refused, Refused::Misplaced(..))));
    bad.push((9_999, |refused| *refused == Refused::Missing(9_999)));
    for (number, expected) in bad {
        node.want(number);
        let refreshed = sets.refresh();
        assert_eq!(refreshed.refused.len(), 1, "set {number}");
        assert!(expected(&refreshed.refused[0].1), "set {number}: {:?}", refreshed.refused);
        assert_eq!(sets.number(), good);
    }
}

#[test]
fn an_older_set_is_refused_unless_it_was_in_force_here() {
    let node = Node::new();
    let [one, two, three] = [(); 3].map(|()| node.write(&rule("A", "lottery", 3.0)));
    node.want(one);
    let (sets, _) = node.open();
    node.want(three);
    assert_eq!(sets.refresh().current, three);
    node.want(two);
    assert_eq!(sets.refresh().refused, [(two, Refused::Older { number: two, highest: three })]);
    node.want(one);
    assert_eq!(sets.refresh().current, one, "it was in force: this is a rollback");
}

#[test]
fn at_the_start_the_one_before_serves_if_the_wanted_one_is_bad() {
    let node = Node::new();
    let [one, two] = [(); 2].map(|()| node.write(&rule("A", "lottery", 3.0)));
    flip(&node.file(two, "packs/x/r.toml"));
    node.config
        .published
        .change(|state| {
            (state.current, state.previous) = (two, Some(one));
            Ok(())
        })
        .unwrap();
    let (sets, refreshed) = node.open();
    assert_eq!((sets.number(), refreshed.refused.len()), (one, 1));
}

#[test]
fn an_expired_set_goes_on_over_a_restart() {
    let node = Node::new();
    let one = node.write(&rule("A", "lottery", 3.0));
    node.want(one);
    let _ = node.open();
    node.config.clock.advance(DAY * 2);
    assert_eq!(node.open().0.number(), one);
}

fn canary(node: &Node, share: u16) -> Sets {
    let [one, two] = [(); 2].map(|()| node.write(&rule("A", "lottery", 3.0)));
    node.config
        .published
        .change(|state| {
            (state.current, state.canary) = (one, Some(Canary { number: two, share }));
            Ok(())
        })
        .unwrap();
    node.open().0
}

#[test]
fn a_canary_judges_its_share_and_always_the_same_messages() {
    let sets = canary(&Node::new(), 500);
    let picked: Vec<u64> = (0..10_000).map(|message| sets.pick(message << 70 | 5, None).number).collect();
    let share = picked.iter().filter(|number| **number == 2).count();
    assert!((400..=600).contains(&share), "{share}");
    assert_eq!(sets.pick(3 << 70 | 5, None).number, picked[3]);
}

#[test]
fn a_canary_that_finds_too_much_is_taken_back_and_stays_away() {
    let node = Node::new();
    let sets = canary(&node, 5_000);
    let mut returned = None;
    for message in 0..2_000_u128 {
        let picked = sets.pick(message << 64, None);
        // The new one finds something in every other message.
        let hit = picked.number == 2 && message % 2 == 0;
        returned = returned.or(sets.told(&picked, hit, Duration::from_millis(1)));
    }
    let returned = returned.unwrap();
    assert_eq!((returned.number, returned.instead), (2, 1));
    assert!((0..100).all(|message| sets.pick(message << 64, None).number == 1));
    node.config.published.change(|_| Ok(())).unwrap();
    assert!(matches!(sets.refresh().refused[..], [(2, Refused::Returned(_))]));
    assert!(node.open().0.in_force().canary.is_none(), "after a restart, too");
}

/// What came in force without a trial has no control group: strangers could send what it finds until it goes.
#[test]
fn a_new_current_set_is_doubted_and_stays() {
    let node = Node::new();
    let [one, two] = [(); 2].map(|()| node.write(&rule("A", "lottery", 3.0)));
    node.want(one);
    let (sets, _) = node.open();
    let judge = |millis: u64| {
        for message in 0..1_000 {
            let picked = sets.pick(message, None);
            assert_eq!(sets.told(&picked, message % 10 == 0, Duration::from_millis(millis)), None);
        }
    };
    judge(2);
    node.want(two);
    sets.refresh();
    judge(50);
    assert_eq!((sets.number(), sets.review()), (two, None));
    let (number, reason) = sets.doubt().unwrap();
    assert!(number == two && reason.contains("50.0 ms"), "{reason}");
    assert_eq!(sets.doubt(), None, "told once");
    assert_eq!(node.config.published.seen().unwrap().returned.len(), 0);
}

#[test]
fn a_few_very_slow_messages_say_nothing_of_a_canary() {
    let sets = canary(&Node::new(), 5_000);
    let mut slow = 0;
    for message in 0..2_000_u128 {
        let picked = sets.pick(message << 64, None);
        slow += u32::from(picked.number == 2);
        let took = if picked.number == 2 && slow.is_multiple_of(250) { 20_000 } else { 1 };
        assert_eq!(sets.told(&picked, false, Duration::from_millis(took)), None);
    }
}

/// Before the canary came there was no spam; now there is, and both sets find it.
#[test]
fn a_canary_is_compared_with_what_the_other_set_does_now() {
    let node = Node::new();
    let [one, two] = [(); 2].map(|()| node.write(&rule("A", "lottery", 3.0)));
    node.want(one);
    let (sets, _) = node.open();
    for message in 0..5_000 {
        sets.told(&sets.pick(message, None), false, Duration::from_millis(1));
    }
    let change = |state: &mut State| {
        state.canary = Some(Canary { number: two, share: 5_000 });
        Ok(())
    };
    node.config.published.change(change).unwrap();
    assert_eq!(sets.refresh().canary, Some(two));
    for message in 0..2_000_u128 {
        let picked = sets.pick(message << 64, None);
        assert_eq!(sets.told(&picked, message % 3 == 0, Duration::from_millis(1)), None);
    }
}

#[test]
fn going_back_makes_nothing_of_what_was_left() {
    let node = Node::new();
    let [one, two] = [(); 2].map(|()| node.write(&rule("A", "lottery", 3.0)));
    node.want(one);
    let (sets, _) = node.open();
    for message in 0..1_000 {
        sets.told(&sets.pick(message, None), false, Duration::from_millis(1));
    }
    node.want(two);
    sets.refresh();
    for message in 0..1_000 {
        sets.told(&sets.pick(message, None), message % 2 == 0, Duration::from_millis(1));
    }
    node.want(one);
    sets.refresh();
    assert!(sets.in_force().previous.is_none());
    for message in 0..1_000 {
        assert_eq!(sets.told(&sets.pick(message, None), false, Duration::from_millis(1)), None);
    }
    assert_eq!((sets.number(), sets.doubt()), (one, None));
}

#[test]
fn a_set_that_was_taken_back_does_not_return_through_a_pin() {
    let node = Node::new();
    let sets = canary(&node, 5_000);
    let tenant = TenantId::parse("acme").unwrap();
    let pin = |state: &mut State| {
        state.pins.insert(tenant.clone(), 2);
        Ok(())
    };
    node.config.published.change(pin).unwrap();
    sets.refresh();
    for message in 0..2_000_u128 {
        let picked = sets.pick(message << 64, None);
        sets.told(&picked, picked.number == 2, Duration::from_millis(1));
    }
    node.config.published.change(|_| Ok(())).unwrap();
    let refreshed = sets.refresh();
    assert!(matches!(refreshed.refused[..], [(2, Refused::Returned(_))]), "{:?}", refreshed.refused);
    assert_eq!((refreshed.current, refreshed.canary), (1, None));
    assert_eq!(sets.pick(1, Some(&tenant)).number, 2, "who is pinned to it keeps it");
}

#[test]
fn a_pin_that_does_not_load_leaves_the_tenant_what_it_had() {
    let node = Node::new();
    let [one, two, three] = [(); 3].map(|()| node.write(&rule("A", "lottery", 3.0)));
    let tenant = TenantId::parse("acme").unwrap();
    let pin = |number: u64| {
        let change = |state: &mut State| {
            state.pins.insert(tenant.clone(), number);
            Ok(())
        };
        node.config.published.change(change).unwrap();
    };
    node.want(one);
    let (sets, _) = node.open();
    node.want(two);
    pin(one);
    sets.refresh();
    flip(&node.file(three, "packs/x/r.toml"));
    pin(three);
    assert_eq!(sets.refresh().refused.len(), 1);
    assert_eq!((sets.pick(1, Some(&tenant)).number, sets.number()), (one, two));
}

#[test]
fn a_set_that_was_refused_for_want_of_its_key_is_taken_when_the_key_comes() {
    let node = Node::new();
    let stranger = SigningKey::read(&generate().unwrap()).unwrap();
    let (published, now) = (&node.config.published, node.config.clock.now());
    let one = published.write(&pack(&rule("A", "lottery", 3.0)), &stranger, now, now.plus(DAY)).unwrap();
    node.want(one);
    let (sets, refreshed) = node.open();
    assert!(matches!(refreshed.refused[..], [(number, _)] if number == one), "{:?}", refreshed.refused);
    assert_eq!(sets.refresh(), Refreshed::default(), "it is not tried again for nothing");
    // A key that can't be read is no reason to go on without the others: nothing changes, and it is told until it is mended.
    let bad = node.dir.path().join("keys").join("bad.pub");
    fs::write(&bad, "not a key").unwrap();
    assert!(matches!(sets.refresh().refused[..], [(0, Refused::Unreadable(_))]));
    fs::remove_file(&bad).unwrap();
    published.trust("stranger", stranger.public()).unwrap();
    assert_eq!((sets.refresh().changed, sets.number()), (true, one));
}

/// The file that can't be read is left alone, and the fact is written as soon as it can be.
#[test]
fn a_take_back_does_not_overwrite_what_it_can_not_read() {
    let node = Node::new();
    let sets = canary(&node, 5_000);
    let file = node.dir.path().join("node.json");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, b"{").unwrap();
    for message in 0..2_000_u128 {
        let picked = sets.pick(message << 64, None);
        sets.told(&picked, picked.number == 2, Duration::from_millis(1));
    }
    assert!(sets.in_force().canary.is_none());
    assert_eq!(fs::read(&file).unwrap(), b"{");
    fs::write(&file, whole).unwrap();
    sets.refresh();
    let seen = node.config.published.seen().unwrap();
    assert_eq!((seen.highest, seen.returned.keys().copied().collect::<Vec<_>>()), (2, vec![2]));
}

#[test]
fn a_tenant_may_be_pinned() {
    let node = Node::new();
    let [one, two] = [(); 2].map(|()| node.write(&rule("A", "lottery", 3.0)));
    let tenant = TenantId::parse("acme").unwrap();
    node.want(one);
    let (sets, _) = node.open();
    node.config
        .published
        .change(|state| {
            state.current = two;
            state.pins.insert(tenant.clone(), one);
            Ok(())
        })
        .unwrap();
    sets.refresh();
    assert_eq!((sets.pick(1, Some(&tenant)).number, sets.pick(1, None).number), (one, two));
}

/// Picks from many threads while sets are swapped a hundred times: each sees one whole set or the other.
#[test]
fn swaps_under_load_lose_nothing() {
    let node = Node::new();
    let [one, two] = [(); 2].map(|()| node.write(&rule("A", "lottery", 3.0)));
    node.want(one);
    let (sets, _) = node.open();
    node.want(two);
    sets.refresh();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3_u128)
            .map(|thread| {
                let (sets, stop) = (&sets, &stop);
                scope.spawn(move || {
                    let mut judged = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        let picked = sets.pick(u128::from(judged) << 8 | thread, None);
                        let number = picked.number;
                        assert!(number == one || number == two);
                        assert_eq!(picked.rules.len(), 2);
                        sets.told(&picked, false, Duration::from_micros(10));
                        assert_eq!(picked.number, number);
                        judged += 1;
                    }
                    judged
                })
            })
            .collect();
        for swap in 0..100 {
            node.want(if swap % 2 == 0 { one } else { two });
            assert!(sets.refresh().changed);
        }
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| assert!(thread.join().unwrap() > 0));
    });
}

/// It did: whoever judged mail waited until the next set was compiled.
#[test]
fn nobody_who_judges_mail_waits_for_the_next_set() {
    let node = Node::new();
    let sets = Arc::new(canary(&node, 5_000));
    let compiling = sets.changing.lock().unwrap();
    let (done, told) = std::sync::mpsc::channel();
    let judging = Arc::clone(&sets);
    std::thread::spawn(move || {
        for message in 0..ENOUGH as u128 * 4 {
            let picked = judging.pick(message << 64, None);
            judging.told(&picked, picked.number == 2, Duration::from_millis(1));
        }
        done.send(()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(30)).expect("all messages are told of while a set is compiled");
    drop(compiling);
    assert_eq!(sets.review().map(|returned| returned.number), Some(2), "what was put off is made up for");
}
