//! A source that sends both ham and spam counts as a source of spam; it passes by a tenant's word, by an operator's, and by
//! time. A clean sender is never delayed.

use std::time::Duration;

use crate::support::gateway::judged;
use crate::support::{Client, FakeMx, Gateway, eventually, message};

const MIXED: &str = "192.0.2.7";
const NEIGHBOUR: &str = "192.0.2.200";
const CLEAN: &str = "198.51.100.9";
const TRAP: &str = "trap@acme.example";

/// acme.example and beta.example, judged at this level.
fn world(level: u8) -> (FakeMx, Gateway) {
    let mx = FakeMx::start();
    let sender = format!("[tenant.sender]\nreputation = {level}\n");
    let gateway = Gateway::builder()
        .tenants(&(judged("acme", "acme.example", &[mx.address()], "\"any\"") + &sender))
        .tenants(&(judged("beta", "beta.example", &[mx.address()], "\"any\"") + &sender))
        .set("reputation", &format!("spam_traps = [{TRAP:?}]"))
        .clients_anywhere()
        .start();
    (mx, gateway)
}

/// The code of a good message's answer.
#[track_caller]
fn ham(gateway: &Gateway, ip: &str) -> u16 {
    ham_to(gateway, ip, "you@acme.example")
}

#[track_caller]
fn ham_to(gateway: &Gateway, ip: &str, to: &str) -> u16 {
    let reply = gateway.try_from(ip, "aoi@sender.example", to, &message("ham", "x\r\n"));
    assert!(reply.code == 250 || reply.is("4.7.1") || reply.is("5.7.1"), "{reply:?}");
    reply.code
}

/// Spam shows by its recipient: nobody has this address.
#[track_caller]
fn spam(gateway: &Gateway, ip: &str) {
    let mut client: Client = gateway.client_at(ip);
    client.command("MAIL FROM:<aoi@sender.example>", 250);
    assert!(client.command(&format!("RCPT TO:<{TRAP}>"), 550).is("5.1.1"), "a trap looks like any unknown recipient");
    client.quit();
}

#[test]
fn at_the_usual_level_it_is_delayed_and_a_clean_sender_never() {
    let (mx, gateway) = world(2);
    for round in 1..=3 {
        assert_eq!(ham(&gateway, MIXED), 250, "round {round}: two in four may be a mishap");
        assert_eq!(ham(&gateway, CLEAN), 250);
        spam(&gateway, MIXED);
    }
    for _ in 0..5 {
        assert_eq!(ham(&gateway, MIXED), 450, "three spams, and as many good messages don't outweigh them");
        assert_eq!(ham(&gateway, CLEAN), 250);
        assert_eq!(ham(&gateway, NEIGHBOUR), 250, "one bad address is not its network");
    }
    let logged = gateway.logged("rcpt", |line| line["ip"] == MIXED && line["code"] == 450);
    assert_eq!(logged["reason"], "reputation", "{logged}");
    assert_eq!(mx.wait_for_at_least(16).len(), 16, "three of the mixed one, eight clean ones, five of the neighbour");
    gateway.assert_settled();
}

#[test]
fn at_the_strictest_level_one_spam_delays_and_five_refuse() {
    let (_mx, gateway) = world(4);
    assert_eq!(ham(&gateway, MIXED), 250);
    spam(&gateway, MIXED);
    assert_eq!(ham(&gateway, MIXED), 450);
    // What is sent into traps while it is delayed still counts.
    (0..4).for_each(|_| spam(&gateway, MIXED));
    assert_eq!(ham(&gateway, MIXED), 550);
    assert_eq!(ham(&gateway, CLEAN), 250);
    gateway.assert_settled();
}

#[test]
fn level_0_computes_and_never_acts() {
    let (_mx, gateway) = world(0);
    (0..6).for_each(|_| spam(&gateway, MIXED));
    assert_eq!(ham(&gateway, MIXED), 250);
    gateway.assert_settled();
}

#[test]
fn a_tenants_entry_lets_it_pass_for_that_tenant() {
    let (_mx, gateway) = world(2);
    (0..3).for_each(|_| spam(&gateway, MIXED));
    assert_eq!((ham(&gateway, MIXED), ham_to(&gateway, MIXED, "you@beta.example")), (450, 450));
    gateway.cli_ok(&["list", "add", "allow", MIXED, "--tenant", "acme", "--reason", "our branch office"]);
    eventually("the entry to be live", || ham(&gateway, MIXED) == 250);
    assert_eq!(ham_to(&gateway, MIXED, "you@beta.example"), 450, "another tenant's taste is another's");
    gateway.assert_settled();
}

#[test]
fn an_operators_word_goes_over_the_counts_until_it_is_forgotten() {
    let (_mx, gateway) = world(2);
    (0..3).for_each(|_| spam(&gateway, MIXED));
    assert_eq!(ham(&gateway, MIXED), 450);
    gateway.cli_ok(&["reputation", "set", MIXED, "good", "--for", "24h", "--reason", "ticket 812"]);
    assert_eq!(ham(&gateway, MIXED), 250);
    gateway.cli_ok(&["reputation", "set", MIXED, "delayed", "--reason", "ticket 813"]);
    assert_eq!(ham(&gateway, MIXED), 450);
    gateway.cli_ok(&["reputation", "forget", MIXED]);
    assert_eq!(ham(&gateway, MIXED), 250, "counts and word are gone");
    gateway.assert_settled();
}

/// The same judges as in the node, with a clock that is turned by hand.
mod by_time {
    use std::sync::Arc;

    use sekisho::clock::Clock;
    use sekisho::dns::{MemoryResolver, Resolver};
    use sekisho::intake::judging::{ClientKnown, Judges, Mode, SenderKnown, Who, Whom};
    use sekisho::limits::Limits;
    use sekisho::model::{Address, Decision, ReversePath, Timestamp};
    use sekisho::policy::sender::Tls;
    use sekisho::sender::authentication::Authenticator;
    use sekisho::sender::{Config as SourceConfig, Source};
    use sekisho::telemetry::Metrics;
    use sekisho::tenant::{Snapshot, Tenant, read};

    use super::{Duration, MIXED, judged};

    pub struct World {
        judges: Judges,
        snapshot: Snapshot,
        pub clock: Clock,
    }

    impl World {
        pub fn at_level(level: u8) -> Self {
            let resolver: Arc<dyn Resolver> = Arc::new(MemoryResolver::default());
            let (metrics, clock) = (Metrics::new(), Clock::manual(Timestamp::from_millis(1_795_176_451_250)));
            let source = Source::build(SourceConfig::default(), Arc::clone(&resolver), Arc::clone(&metrics)).unwrap();
            let authenticator = Authenticator::build(Default::default(), resolver, clock.clone());
            let judges = Judges {
                source: Arc::new(source),
                authenticator: Arc::new(authenticator),
                limits: Arc::new(Limits::build(&Default::default(), metrics)),
                hits: Arc::default(),
                spam_traps: Arc::default(),
            };
            let file = judged("acme", "acme.example", &["192.0.2.1:25".parse().unwrap()], "\"any\"");
            let specs = read("tenants.toml", &(file + &format!("[tenant.sender]\nreputation = {level}\n"))).unwrap();
            let snapshot = Snapshot::compile(1, specs.into_iter().map(Tenant::compile)).unwrap();
            Self { judges, snapshot, clock }
        }

        pub fn spam(&self, times: usize) {
            let sender = ReversePath::Null;
            (0..times).for_each(|_| self.judges.saw_trap(&self.who(&sender), self.clock.now()));
        }

        fn who<'a>(&self, sender: &'a ReversePath) -> Who<'a> {
            Who { ip: MIXED.parse().unwrap(), is_relay: false, helo: "mail.sender.example", tls: Tls::Plain, sender }
        }

        pub async fn said(&self) -> u16 {
            let (sender, recipient) = (ReversePath::Null, Address::parse("you@acme.example").unwrap());
            let found = self.snapshot.domain("acme.example").unwrap();
            let whom =
                Whom { snapshot: &self.snapshot, tenant: found.tenant, domain: found.domain, recipient: &recipient };
            let (mut client, mut known) = (ClientKnown::default(), SenderKnown::new(&self.judges));
            let state = (&mut client, &mut known);
            let when = (Mode::Live, self.clock.now());
            match self.judges.at_rcpt(&self.who(&sender), (&whom, found.tenant), state, when).await.decision {
                Decision::Accept => 250,
                Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply) => reply.code(),
            }
        }

        /// Asks again and again, as a client that retries does; how long it took until it was let in.
        pub async fn recovered_after(&self) -> Duration {
            // An hour: asked more often, the limit for one recipient would speak.
            let step = Duration::from_secs(3600);
            let mut waited = Duration::ZERO;
            while self.said().await != 250 {
                self.clock.advance(step);
                waited += step;
                assert!(waited < Duration::from_secs(30 * 24 * 3600), "never");
            }
            waited
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn it_recovers_by_time_and_retries_do_not_prolong_it() {
    let usual = by_time::World::at_level(2);
    assert_eq!(usual.said().await, 250);
    usual.spam(3);
    assert_eq!(usual.said().await, 450);
    let waited = usual.recovered_after().await;
    assert!((2 * HOUR..=4 * HOUR).contains(&waited), "{waited:?}");

    let strictest = by_time::World::at_level(4);
    strictest.spam(6);
    assert_eq!(strictest.said().await, 550);
    let longer = strictest.recovered_after().await;
    assert!(longer > 24 * HOUR, "a higher level, a longer stay: {longer:?}");
}
