//! A tenant whose own Postfix sends through us, with many accounts: what measures against one of them do to it and to the others.

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
        let postfix = Postfix::start(gateway.outbound, &["initial_destination_concurrency = 20"]);
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

/// How many messages a scenario sends: a twentieth of what the long form does.
fn scaled(whole: usize) -> usize {
    if std::env::var_os("SEKISHO_FULL").is_some() { whole } else { whole / 20 }
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

impl Company {
    /// `account` hands a message for each of these to its server, over one connection.
    fn send_many(&self, account: &str, recipients: impl Iterator<Item = String>, text: &str) {
        let mut client = Client::ready(self.postfix.address);
        let from = format!("{account}@acme.example");
        for (n, recipient) in recipients.enumerate() {
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
}

#[test]
fn an_infected_machine_is_stopped_and_its_colleagues_notice_nothing() {
    need_postfix!();
    let company = Company::open(quick_stages);
    // Half of its recipients don't exist any more: lists that are sold are old.
    let victims = |range: std::ops::Range<usize>| {
        range.map(|n| if n % 2 == 0 { format!("gone{n}@dest.example") } else { format!("r{n}@dest.example") })
    };
    let all = scaled(20_000);
    let colleagues = 49;
    std::thread::scope(|scope| {
        scope.spawn(|| company.send_many("taro", victims(0..all / 2), OFFER));
        for n in 0..colleagues {
            company.send(
                &format!("colleague{n}"),
                "you@dest.example",
                &format!("minutes {n}"),
                &format!("item {n}\r\n"),
            );
        }
    });
    company.send_many("taro", victims(all / 2..all), OFFER);
    for n in 0..colleagues {
        let account = format!("colleague{n}");
        eventually("the colleagues' mail is there", || company.left(&account) == 1);
        assert_eq!(company.stage(&account), None, "{account}");
    }
    eventually("the account is stopped", || {
        // It goes on trying.
        company.send("taro", "r1@dest.example", "an offer", OFFER);
        company.stage("taro").as_deref() == Some("suspend")
    });
    let left = company.left("taro");
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
    let wait = std::time::Duration::from_mins(4);
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
