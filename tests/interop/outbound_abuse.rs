//! A tenant whose own Postfix sends through us, with many accounts: what measures against one of them do to it and to the others.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::need_postfix;
use crate::postfix::Postfix;
use crate::support::fake_dns::FakeDns;
use crate::support::fake_mx::Command;
use crate::support::gateway::MX_PORT;
use crate::support::{Answer, Client, FakeMx, Gateway, GatewayBuilder, eventually, loopback, message};

/// A company: its Postfix relays all that its accounts send to the gateway, and the gateway to the destination.
pub struct Company {
    pub gateway: Gateway,
    pub postfix: Postfix,
    /// The company's own mailboxes: notices come here.
    pub own: FakeMx,
    pub dest: FakeMx,
    _dns: FakeDns,
}

impl Company {
    /// `settings` are those of the gateway.
    pub fn open(settings: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        Self::open_with(settings, &[])
    }

    /// `postfix`: more lines of its main.cf.
    pub fn open_with(settings: impl FnOnce(GatewayBuilder) -> GatewayBuilder, postfix: &[&str]) -> Self {
        let (own, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
        let gone = |to: &Command| {
            if to.address.starts_with("gone") { Answer::reply("550 5.1.1 no such user") } else { Answer::Accept }
        };
        let dest = FakeMx::builder().ip(ip).port(MX_PORT).hashes_only().on_rcpt(gone).start();
        dns.a("dest.example", &[ip]);
        let tenants = format!(
            "[[tenant]]\nid = \"acme\"\nadministrators = [\"admin@acme.example\"]\n\
             [[tenant.domain]]\nname = \"acme.example\"\nnext_hops = [{:?}]\nrecipients = \"any\"\n\
             [[tenant.outbound_client]]\nnetwork = \"127.0.0.0/8\"\n",
            own.address().to_string()
        );
        let gateway = settings(Gateway::builder().tenants(&tenants).dns(dns.address()).quick_retries()).start();
        let postfix = [&["initial_destination_concurrency = 20"], postfix].concat();
        let postfix = Postfix::start(gateway.outbound, &postfix);
        Self { gateway, postfix, own, dest, _dns: dns }
    }

    /// `account` hands one message for one recipient to its server.
    pub fn send(&self, account: &str, recipient: &str, subject: &str, body: &str) {
        let mut client = Client::ready(self.postfix.address);
        let from = format!("{account}@acme.example");
        let text = message(subject, body).replace("Aoi <aoi@sender.example>", &from);
        client.mail(&from, &[recipient], text);
        client.quit();
    }

    /// Messages of an account that reached the destination.
    pub fn left(&self, account: &str) -> usize {
        let from = format!("{account}@acme.example");
        self.dest.accepted().iter().filter(|mail| mail.from == from).count()
    }

    /// Stage of the one measure about an account; `None`: there is none.
    pub fn stage(&self, account: &str) -> Option<String> {
        let listed = self.gateway.cli_ok(&["suspension", "ls", "--json"]);
        let of = |line: &&str| line.contains(&format!("\"sender\":\"{account}@acme.example\""));
        let line: serde_json::Value = serde_json::from_str(listed.lines().find(of)?).expect("JSON");
        line["stage"].as_str().map(ToOwned::to_owned)
    }
}

#[test]
fn a_suspended_account_waits_in_postfix_and_its_colleagues_mail_goes() {
    need_postfix!();
    let company = Company::open(|builder| builder);
    let add = ["suspension", "add", "suspend", "--tenant", "acme", "--sender", "taro@acme.example", "--reason", "x"];
    let id = company.gateway.cli_ok(&add).trim().to_owned();
    for n in 0..10 {
        company.send("taro", "you@dest.example", &format!("taro {n}"), "x\r\n");
        company.send(&format!("colleague{n}"), "you@dest.example", &format!("colleague {n}"), "x\r\n");
    }
    company.dest.wait(10);
    eventually("Postfix is told to wait", || {
        let log = company.postfix.log();
        log.lines().any(|line| line.contains("status=deferred") && line.contains(&id))
    });
    assert_eq!((company.left("taro"), company.stage("taro").as_deref()), (0, Some("suspend")));
    assert_eq!(company.own.one().recipients(), ["admin@acme.example"], "the administrator is told");
    company.gateway.cli_ok(&["suspension", "lift", &id, "--reason", "cleaned"]);
    company.dest.wait(20);
    assert_eq!((company.dest.count(), company.stage("taro")), (20, None), "each once");
    company.gateway.assert_settled();
}

fn is_full() -> bool {
    std::env::var_os("SEKISHO_FULL").is_some()
}

/// How many messages a scenario sends: a twentieth of what the long form does.
fn scaled(whole: usize) -> usize {
    if is_full() { whole } else { whole / 20 }
}

/// Waits for the time of the `n`th of something that comes `times` in `whole`; in the short form everything comes at once.
fn pace(begun: Instant, n: usize, times: usize, whole: Duration) {
    if is_full() {
        let at = whole.mul_f64(n as f64 / times as f64);
        std::thread::sleep(at.saturating_sub(begun.elapsed()));
    }
}

const OFFER: &str = "Our warehouse has reduced all prices of watches and bags for this week only. Order before Sunday and choose a\r\n\
    second piece from the list without paying for it. Every order leaves on the same day, wherever you live.\r\n";

/// Stages follow each other at once, so that a test sees them; everything else is as it comes.
fn quick_stages(builder: GatewayBuilder) -> GatewayBuilder {
    builder
        .set("bulk", "sender = \"50/10m\"")
        .set("suspension", "dwell = \"1s\"")
        .set("suspension", "dwell_harm = \"1s\"")
}

/// Colleagues of the infected account.
const COLLEAGUES: usize = 49;
/// How long the attack takes in the long form, and the quiet before it.
const ATTACK: Duration = Duration::from_mins(5);
const QUIET: Duration = Duration::from_mins(1);

/// Text like no other: colleagues who all wrote the same would be senders of bulk mail.
fn own_words(seed: &str) -> String {
    let (mut text, mut hash) = (String::new(), crate::support::sha256(seed.as_bytes()));
    for _ in 0..8 {
        let letters: Vec<u8> = hash.bytes().map(|hex| b'a' + hex % 26).collect();
        for word in letters.chunks(7) {
            text.push_str(&String::from_utf8_lossy(word));
            text.push(' ');
        }
        text.push_str("\r\n");
        hash = crate::support::sha256(hash.as_bytes());
    }
    text
}

/// How long mail took: from its last dot at the company's Postfix to the destination's, and the part of it that Postfix spent on
/// handing it to the gateway.
struct Latency {
    whole: Vec<Duration>,
    gateway: Vec<Duration>,
}

impl Latency {
    fn sorted(mut whole: Vec<Duration>, mut gateway: Vec<Duration>) -> Self {
        whole.sort_unstable();
        gateway.sort_unstable();
        Self { whole, gateway }
    }

    fn tell(&self, phase: &str) {
        let at = |of: &[Duration], percent: usize| of.get(of.len() * percent / 100).copied().unwrap_or_default();
        println!(
            "{phase}: {} messages of colleagues, to the destination p50 {:.1?} p99 {:.1?}, of it to the gateway p50 {:.1?} p99 {:.1?}",
            self.whole.len(),
            at(&self.whole, 50),
            at(&self.whole, 99),
            at(&self.gateway, 50),
            at(&self.gateway, 99)
        );
    }

    fn p99(&self) -> Duration {
        self.whole.get(self.whole.len() * 99 / 100).copied().unwrap_or_default()
    }
}

impl Company {
    /// `account` hands a message for each of these to its server, `times` of them in `whole`.
    fn send_paced(
        &self,
        account: &str,
        recipients: impl Iterator<Item = String>,
        text: &str,
        (times, whole): (usize, Duration),
    ) {
        let begun = Instant::now();
        let mut client = Client::ready(self.postfix.address);
        let from = format!("{account}@acme.example");
        for (n, recipient) in recipients.enumerate() {
            pace(begun, n, times, whole);
            if n > 0 && n % 90 == 0 {
                // Postfix ends a session after a hundred.
                client.quit();
                client = Client::ready(self.postfix.address);
            }
            let text = message(&format!("an offer {n}"), &format!("Dear {recipient},\r\n\r\n{text}"));
            client.mail(&from, &[&recipient], text.replace("Aoi <aoi@sender.example>", &from));
        }
        client.quit();
    }

    /// `account` hands a message for each of these to its server, as fast as that takes them.
    fn send_many(&self, account: &str, recipients: impl Iterator<Item = String>, text: &str) {
        self.send_paced(account, recipients, text, (1, Duration::ZERO));
    }

    /// Each colleague writes `each` messages in `whole`; when each had been handed in, by its recipient.
    fn colleagues_write(&self, phase: &str, each: usize, whole: Duration) -> HashMap<String, Instant> {
        let handed = Mutex::new(HashMap::new());
        let begun = Instant::now();
        let all = COLLEAGUES * each;
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let handed = &handed;
                scope.spawn(move || {
                    for n in (thread..all).step_by(4) {
                        pace(begun, n, all, whole);
                        let (who, recipient) = (n % COLLEAGUES, format!("{phase}.{n}@dest.example"));
                        let text = own_words(&format!("{phase}{n}"));
                        self.send(&format!("colleague{who}"), &recipient, &format!("minutes {n}"), &text);
                        handed.lock().unwrap().insert(recipient, Instant::now());
                    }
                });
            }
        });
        handed.into_inner().unwrap()
    }

    /// Waits until all of it has arrived.
    fn latency(&self, phase: &str, handed: &HashMap<String, Instant>) -> Latency {
        let of_phase = format!("{phase}.");
        let arrived = crate::support::wait::within(Duration::from_mins(2), "the colleagues' mail", || {
            let accepted = self.dest.accepted();
            let arrived: HashMap<String, Instant> = accepted
                .iter()
                .filter_map(|mail| mail.recipients().first().map(|to| ((*to).to_owned(), mail.at)))
                .filter(|(to, _)| to.starts_with(&of_phase))
                .collect();
            (arrived.len() >= handed.len()).then_some(arrived)
        });
        let whole = handed.iter().map(|(to, at)| arrived[to].saturating_duration_since(*at)).collect();
        Latency::sorted(whole, handing_on(&self.postfix.log(), &of_phase))
    }
}

/// What Postfix says of the time that it took to hand mail to these recipients on: `delays=a/b/c/d`, `d` in seconds.
fn handing_on(log: &str, recipients: &str) -> Vec<Duration> {
    let to = format!("to=<{recipients}");
    let last = |line: &str| {
        let delays = line.split_once("delays=")?.1.split(',').next()?;
        delays.rsplit('/').next()?.parse().ok().map(Duration::from_secs_f64)
    };
    log.lines().filter(|line| line.contains(&to) && line.contains("status=sent")).filter_map(last).collect()
}

#[test]
fn an_infected_machine_is_stopped_and_its_colleagues_notice_nothing() {
    need_postfix!();
    // In the long form Postfix comes again with what was put off as late as it does by itself.
    let patient = ["minimal_backoff_time = 300s", "maximal_backoff_time = 4000s", "queue_run_delay = 300s"];
    let company = Company::open_with(quick_stages, if is_full() { &patient } else { &[] });
    // Half of its recipients don't exist any more: lists that are sold are old.
    let victims = |range: std::ops::Range<usize>| {
        range.map(|n| if n % 2 == 0 { format!("gone{n}@dest.example") } else { format!("r{n}@dest.example") })
    };
    let all = scaled(20_000);
    let quiet = company.colleagues_write("quiet", scaled(20), QUIET);
    let quiet = company.latency("quiet", &quiet);
    let attacked = std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            company.send_paced("taro", victims(0..all), OFFER, (all, ATTACK));
            println!("{all} of the infected account were handed in within {:.1?}", begun.elapsed());
        });
        company.colleagues_write("attack", scaled(100), ATTACK)
    });
    let attacked = company.latency("attack", &attacked);
    quiet.tell("quiet");
    attacked.tell("attack");
    println!("p99 during the attack against before: {:.2}", attacked.p99().as_secs_f64() / quiet.p99().as_secs_f64());
    for n in 0..COLLEAGUES {
        let account = format!("colleague{n}");
        assert_eq!(company.stage(&account), None, "{account}");
    }
    eventually("the account is stopped", || {
        // It goes on trying.
        company.send("taro", "r1@dest.example", "an offer", OFFER);
        company.stage("taro").as_deref() == Some("suspend")
    });
    let left = company.left("taro");
    println!("{left} of {all} left");
    assert!(left < 100, "{left} left");
    eventually("the administrator is told", || {
        company.own.accepted().iter().any(|notice| notice.recipients() == ["admin@acme.example"])
    });
}

#[test]
fn a_newsletter_that_its_readers_want_is_slowed_down_and_arrives() {
    need_postfix!();
    // Time is shorter here: 50 in two seconds instead of ten minutes.
    let company = Company::open(|builder| {
        builder
            .set("bulk", "sender = \"50/2s\"")
            .set("bulk", "text = \"off\"")
            .set("suspension", "least_messages = 20")
            .set("suspension", "dwell = \"1s\"")
    });
    let all = scaled(5_000);
    let text = format!("{OFFER}List: to leave, write to leave@acme.example\r\n");
    company.send_many("news", (0..all).map(|n| format!("reader{n}@dest.example")), &text);
    // Postfix comes again with what was put off.
    let wait = Duration::from_mins(4);
    crate::support::wait::within(wait, "all of the newsletter", || (company.left("news") >= all).then_some(()));
    assert_eq!(company.left("news"), all, "each once");
    assert_eq!(company.stage("news"), None);
    company.gateway.assert_settled();
    let refused = company.gateway.metrics().sum("sekisho_limits_refused_total{limit=\"alike\"}");
    assert!(refused >= 1.0, "it was slowed down");
}

#[test]
fn one_bounce_in_thirteen_changes_nothing() {
    need_postfix!();
    let company = Company::open(quick_stages);
    for n in 0..13 {
        let to = if n == 7 { "gone@dest.example".to_owned() } else { format!("r{n}@dest.example") };
        company.send(
            "hanako",
            &to,
            &format!("letter {n}"),
            &format!("Letter number {n}: {}\r\n", "word ".repeat(n + 3)),
        );
    }
    eventually("all but one are there", || company.left("hanako") == 12);
    company.gateway.assert_settled();
    assert_eq!(company.stage("hanako"), None);
    company.send("hanako", "you@dest.example", "one more", "Good bye.\r\n");
    eventually("the next one is there, too", || company.left("hanako") == 13);
}
