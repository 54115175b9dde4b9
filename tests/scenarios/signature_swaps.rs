//! Signature sets change while mail flows: each message is judged by one set that was in force, and a bad set changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sekisho::signatures::{Pack, Published, SigningKey};

use crate::support::wait::within;
use crate::support::{Client, FakeMx, Gateway, Received, eventually, message};

/// One transaction, as its client saw it.
#[derive(Debug, Clone, Copy)]
struct Sent {
    id: usize,
    data: Instant,
    replied: Instant,
}

/// A set that was published: no earlier in force than `asked`, no later than `in_force`.
#[derive(Debug, Clone, Copy)]
struct Swap {
    number: u64,
    asked: Instant,
    in_force: Instant,
}

struct World {
    mx: FakeMx,
    gateway: Gateway,
    key: String,
}

impl World {
    /// A node that trusts one key and looks for sets all the time.
    fn new() -> Self {
        let mut world = Self::unstarted("20ms");
        world.gateway.cli_ok(&["signatures", "keygen", &world.key, "--trust"]);
        world.gateway.apply();
        world.gateway.serve();
        world
    }

    /// `refresh`: how often the node looks for sets.
    fn unstarted(refresh: &str) -> Self {
        let mx = FakeMx::start();
        let builder = Gateway::builder().acme(mx.address());
        let gateway = builder
            .set("signatures", &format!("refresh = {refresh:?}"))
            .set("smtp", "transactions = 100000")
            // Two threads judge, others wait for them: swaps fall into all of it.
            .set("scan", "workers = 2")
            .build();
        let key = gateway.path().join("sets.pem").to_str().unwrap().to_owned();
        Self { mx, gateway, key }
    }

    /// The folder of a pack that finds the mail of these tests, and says so by its own number.
    fn pack(&self, number: u64) -> PathBuf {
        let dir = self.gateway.path().join(format!("pack-{number}"));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("pack.toml"), format!("[pack]\nname = \"swap\"\nversion = \"{number}\"\n")).unwrap();
        std::fs::write(dir.join("rules.toml"), rule(&format!("SWAP_{number}"), 0.01)).unwrap();
        dir
    }

    /// Makes the set of that number.
    fn compile(&self, number: u64) {
        let pack = self.pack(number);
        let made = self.gateway.cli_ok(&["signatures", "compile", pack.to_str().unwrap(), "--key", &self.key]);
        assert_eq!(made.trim(), number.to_string());
    }

    fn set(&self) -> f64 {
        self.gateway.metrics().sum("sekisho_signatures_set")
    }

    fn publish(&self, number: u64) -> Swap {
        let asked = Instant::now();
        self.gateway.cli_ok(&["signatures", "publish", &number.to_string()]);
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        eventually("the set to be in force", || self.set() == number as f64);
        Swap { number, asked, in_force: Instant::now() }
    }

    fn file(&self, number: u64, name: &str) -> PathBuf {
        self.gateway.data_dir().join("signatures/sets").join(number.to_string()).join(name)
    }

    /// What the operator wants, written by something else than our command, which would refuse.
    fn want(&self, number: u64) {
        let published = Published::open(&self.gateway.data_dir().join("signatures")).unwrap();
        published
            .change(|state| {
                state.current = number;
                Ok(())
            })
            .unwrap();
    }

    /// Sends from these many clients while `during` runs, and until so many were sent; every one must be accepted.
    fn load(&self, clients: usize, least: usize, during: impl FnOnce(&dyn Fn() -> usize)) -> Vec<Sent> {
        let (next, stop, all) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    // Also when an assertion fails.
                    let _last = OnDrop(|| stop.store(true, Ordering::SeqCst));
                    let mut client = Client::ready(self.gateway.inbound);
                    while !stop.load(Ordering::SeqCst) {
                        let id = next.fetch_add(1, Ordering::SeqCst);
                        client.envelope("aoi@sender.example", &["you@acme.example"]);
                        let data = Instant::now();
                        let reply = client.data(message(&format!("load {id}"), "The papers, please.\r\n"));
                        assert_eq!(reply.code, 250, "{reply:?}");
                        all.lock().unwrap().push(Sent { id, data, replied: Instant::now() });
                    }
                    client.quit();
                });
            }
            let _last = OnDrop(|| stop.store(true, Ordering::SeqCst));
            let count = || all.lock().unwrap().len();
            during(&count);
            within(Duration::from_mins(1), "enough mail", || {
                (stop.load(Ordering::SeqCst) || count() >= least).then_some(())
            });
        });
        all.into_inner().unwrap()
    }

    /// The messages of a load, each delivered once, with its set.
    fn delivered(&self, sent: &[Sent]) -> Vec<(Sent, u64)> {
        let mut there = self.mx.wait(sent.len());
        sent.iter()
            .map(|one| {
                let subject = format!("load {}", one.id);
                let place = there.iter().position(|mail| mail.header("Subject").as_deref() == Some(&subject));
                (*one, judged_by(&there.swap_remove(place.expect("delivered, and once"))))
            })
            .collect()
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

fn rule(id: &str, score: f64) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nen = \"swap\"\nja = \"交代\"\nclass = \"spam\"\nscore = {score:?}\nin = \"body\"\n\
         any = \"papers, please\"\n"
    )
}

/// The one set that a message names, by its number and by what it found.
fn judged_by(mail: &Received) -> u64 {
    let headers = mail.headers();
    let numbers = |text: &str, before: &str| -> Vec<u64> {
        text.split(before)
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap())
            .collect()
    };
    let sets = numbers(&mail.header("X-Sekisho-Verdict").unwrap_or_default(), "set=");
    let found = numbers(&mail.header("X-Spam-Status").unwrap_or_default(), "SWAP_");
    assert!(sets.len() == 1 && sets == found, "sets {sets:?}, found by {found:?}: {headers}");
    assert_eq!(headers.matches("X-Sekisho-Verdict:").count(), 1, "{headers}");
    sets[0]
}

#[test]
fn each_message_is_judged_by_one_set_that_was_in_force() {
    let world = World::new();
    (1..=10).for_each(|number| world.compile(number));
    let mut swaps = vec![world.publish(1)];
    let sent = world.load(4, 400, |count| {
        for number in 2..=10 {
            // Mail before and after each.
            let before = count();
            eventually("more mail", || count() >= before + 10);
            swaps.push(world.publish(number));
        }
    });
    let mut seen = BTreeSet::new();
    for (sent, number) in world.delivered(&sent) {
        seen.insert(number);
        let place = swaps.iter().position(|swap| swap.number == number).expect("a set that was published");
        assert!(swaps[place].asked < sent.replied, "message {} was judged by set {number} too early", sent.id);
        let next = swaps.get(place + 1);
        assert!(next.is_none_or(|next| next.in_force > sent.data), "message {}: set {number} was gone", sent.id);
    }
    assert_eq!(seen, (1..=10).collect(), "mail met every set");
    world.gateway.assert_settled();
    assert_eq!(world.gateway.metrics().sum("sekisho_signatures_refusals_total"), 0.0);
}

/// Turns a bit in the middle of a file.
fn damage(path: &Path) {
    let mut octets = std::fs::read(path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(path, octets).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &there)
        } else {
            std::fs::copy(entry.path(), there).map(drop).unwrap()
        }
    }
}

/// Sets that may not come in force, each with what is said of it.
fn bad_sets(world: &World) -> Vec<(u64, &'static str)> {
    let mut bad = vec![(2, "older than set 3")];
    for (number, name, said) in [
        (4, "packs/swap/rules.toml", "damaged: swap/rules.toml is not as the manifest says"),
        (5, "manifest.json", "no trusted key signed the manifest"),
        (6, "manifest.sig", "no trusted key signed the manifest"),
    ] {
        world.compile(number);
        damage(&world.file(number, name));
        bad.push((number, said));
    }
    world.compile(7);
    std::fs::remove_file(world.file(7, "manifest.sig")).unwrap();
    bad.push((7, "no trusted key signed the manifest"));
    // Signed, by somebody whom the node doesn't know.
    let stranger = world.gateway.path().join("stranger.pem").to_str().unwrap().to_owned();
    world.gateway.cli_ok(&["signatures", "keygen", &stranger]);
    let pack = world.pack(8);
    world.gateway.cli_ok(&["signatures", "compile", pack.to_str().unwrap(), "--key", &stranger]);
    bad.push((8, "no trusted key signed the manifest"));
    // The set of long ago, in the place of a new one.
    copy(&world.file(1, ""), &world.file(9, ""));
    bad.push((9, "it says that it is set 1, in the place of set 9"));
    // Made by something that tests nothing: it takes honest mail for spam.
    let greedy = world.pack(10);
    let text = rule("GREEDY", 9.0).replace("any = \"papers, please\"", "regex = 'e'");
    std::fs::write(greedy.join("rules.toml"), text).unwrap();
    let made = world.gateway.cli(&["signatures", "compile", greedy.to_str().unwrap(), "--key", &world.key]);
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(!made.status.success() && told.contains("honest mail is found"), "{told}");
    let published = Published::open(&world.gateway.data_dir().join("signatures")).unwrap();
    let key = SigningKey::read(&std::fs::read_to_string(&world.key).unwrap()).unwrap();
    let now = sekisho::clock::Clock::System.now();
    let packs = [Pack::read(&greedy).unwrap()];
    let number = published.write(&packs, &key, now, now.plus(Duration::from_hours(1))).unwrap();
    bad.push((number, "it fails its self-test: honest mail is found"));
    bad
}

#[test]
fn a_bad_set_is_refused_with_its_reason_while_mail_flows_and_the_running_one_stays() {
    let world = World::new();
    (1..=3).for_each(|number| world.compile(number));
    world.publish(1);
    world.publish(3);
    world.gateway.logged("signatures", |line| line["reason"] == "signature set 3 is in force");
    let bad = bad_sets(&world);
    let sent = world.load(2, 100, |count| {
        for (number, said) in &bad {
            let refused = world.gateway.cli(&["signatures", "publish", &number.to_string()]);
            let told = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && told.contains(said), "set {number}: {told}");
            // And if the command was not asked: the node itself.
            world.want(*number);
            let alert = format!("signature set {number} refused: ");
            let alert = world.gateway.logged("alert", |line| line["reason"].as_str().unwrap().starts_with(&alert));
            assert!(alert["reason"].as_str().unwrap().contains(said), "{alert}");
            world.gateway.logged("signatures", |line| line["reason"] == alert["reason"]);
            let before = count();
            eventually("more mail", || count() >= before + 10);
            assert_eq!(world.set(), 3.0);
        }
    });
    for (sent, number) in world.delivered(&sent) {
        assert_eq!(number, 3, "message {}", sent.id);
    }
    let refusals = world.gateway.metrics().sum("sekisho_signatures_refusals_total");
    assert!(refusals == bad.len() as f64, "{refusals} refused, {} were bad", bad.len());
    world.compile(11);
    world.publish(11);
    world.gateway.assert_settled();
}

#[test]
fn a_key_that_is_trusted_while_the_node_runs_counts_and_sighup_looks_at_once() {
    let mut world = World::unstarted("1h");
    world.gateway.apply();
    world.gateway.serve();
    world.gateway.cli_ok(&["signatures", "keygen", &world.key, "--trust"]);
    world.compile(1);
    world.gateway.cli_ok(&["signatures", "publish", "1"]);
    world.gateway.signal(rustix::process::Signal::HUP);
    eventually("the set to be in force", || world.set() == 1.0);
}
