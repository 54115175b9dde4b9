//! Measures against senders of outbound mail: an operator's suspension stops MAIL, holds what is queued, survives restart and kill,
//! and ends with a lift; a throttle lets a little pass; notices and their codes.

use std::net::IpAddr;

use base64::Engine as _;
use serde_json::Value;

use crate::support::fake_dns::FakeDns;
use crate::support::gateway::MX_PORT;
use crate::support::{Client, FakeMx, Gateway, GatewayBuilder, eventually, loopback, message};

/// A tenant with an administrator, its own server, and a destination of its outbound mail.
struct World {
    gateway: Gateway,
    /// The tenant's server, where notices go.
    acme: FakeMx,
    dest: FakeMx,
    _dns: FakeDns,
}

impl World {
    fn new(dest: impl FnOnce(IpAddr) -> FakeMx, more: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let (acme, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
        let dest = dest(ip);
        dns.a("dest.example", &[ip]);
        let tenants = format!(
            "[[tenant]]\nid = \"acme\"\nadministrators = [\"admin@acme.example\"]\n\
             [[tenant.domain]]\nname = \"acme.example\"\nnext_hops = [{:?}]\nrecipients = \"any\"\n\
             [[tenant.outbound_client]]\nnetwork = \"127.0.0.0/8\"\n",
            acme.address().to_string()
        );
        let gateway = more(Gateway::builder().tenants(&tenants).dns(dns.address()).quick_retries()).start();
        Self { gateway, acme, dest, _dns: dns }
    }

    fn up() -> Self {
        Self::new(|ip| FakeMx::builder().ip(ip).port(MX_PORT).start(), |builder| builder)
    }

    fn down() -> Self {
        Self::new(|ip| FakeMx::builder().ip(ip).port(MX_PORT).start_down(), |builder| builder)
    }

    fn suspension(&self, words: &[&str]) -> Vec<Value> {
        let text = self.gateway.cli_ok(&[&["suspension"], words, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The id of the new measure.
    fn add(&self, stage: &str, whom: &[&str]) -> String {
        let words = [&["add", stage, "--tenant", "acme"], whom, &["--reason", "ticket 812", "--by", "mika"]].concat();
        self.suspension(&words)[0]["id"].as_str().unwrap().to_owned()
    }

    fn lift(&self, id: &str) {
        self.suspension(&["lift", id, "--reason", "password changed", "--by", "mika"]);
    }

    /// The reply to MAIL.
    fn mail(&self, sender: &str) -> (u16, String) {
        let mut client = Client::ready(self.gateway.outbound);
        let reply = client.ask(&format!("MAIL FROM:<{sender}>"));
        client.quit();
        (reply.code, reply.text())
    }

    fn send(&self, sender: &str, subject: &str) {
        self.gateway.send_outbound(sender, &["you@dest.example"], &letter(sender, subject));
    }

    fn notice(&self, number: usize) -> String {
        let mail = self.acme.wait(number).remove(number - 1);
        assert_eq!((mail.from.as_str(), mail.recipients()), ("", vec!["admin@acme.example"]));
        assert_eq!(mail.header("Auto-Submitted").as_deref().map(str::trim), Some("auto-generated"));
        let body: String = String::from_utf8_lossy(mail.body()).split_whitespace().collect();
        let text = base64::engine::general_purpose::STANDARD.decode(body).expect("base 64");
        String::from_utf8(text).expect("UTF-8")
    }
}

fn letter(sender: &str, subject: &str) -> String {
    message(subject, "hello\r\n").replace("Aoi <aoi@sender.example>", sender)
}

#[test]
fn a_suspended_sender_is_stopped_and_its_colleagues_are_not() {
    let world = World::up();
    let id = world.add("suspend", &["--sender", "taro@acme.example"]);
    for sender in ["taro@acme.example", "Taro+x@ACME.example"] {
        let (code, text) = world.mail(sender);
        assert!(code == 450 && text.starts_with("4.7.1 ") && text.contains(&id), "{code} {text}");
    }
    world.send("hanako@acme.example", "from hanako");
    assert_eq!(world.dest.one().from, "hanako@acme.example");
    world.gateway.send_inbound("a@sender.example", &["taro@acme.example"], &message("to taro", "x\r\n"));
    let inbound = world.acme.wait(2);
    assert!(inbound.iter().any(|mail| mail.recipients() == ["taro@acme.example"]), "mail to the tenant goes on");
    let refused = world.gateway.logged("mail", |line| line["sender"] == "taro@acme.example");
    assert_eq!(refused["reason"], "suspension");
    assert!(refused["reply"].as_str().unwrap().contains(&id), "{refused}");
    let told = world.gateway.logged("suspension", |line| line["tenant"] == "acme");
    assert_eq!(told["sender"], "taro@acme.example");
    assert!(told["reason"].as_str().unwrap().starts_with("suspend sender taro@acme.example of acme"), "{told}");
    assert_eq!(world.gateway.metrics().sum("sekisho_suspensions"), 1.0);
    assert_eq!(world.gateway.metrics().sum("sekisho_suspension_refused_total"), 2.0);
    world.lift(&id);
    world.send("taro@acme.example", "free again");
    world.dest.wait(2);
    world.gateway.logged("suspension", |line| line["reason"].as_str().unwrap().starts_with("lifted "));
    world.gateway.assert_settled();
}

#[test]
fn a_sender_suspended_within_its_transaction_gets_nothing_in() {
    let world = World::up();
    let mut client = Client::ready(world.gateway.outbound);
    client.envelope("taro@acme.example", &["you@dest.example"]);
    world.add("suspend", &["--whole-tenant"]);
    assert_eq!(client.data(letter("taro@acme.example", "late")).code, 450);
    client.quit();
    assert_eq!((world.dest.count(), world.gateway.metrics().sum("sekisho_recipients_held")), (0, 0.0));
}

#[test]
fn queued_mail_is_held_and_goes_on_when_the_measure_is_lifted() {
    let mut world = World::down();
    for (sender, subject) in
        [("taro@acme.example", "one"), ("taro@acme.example", "two"), ("hanako@acme.example", "other")]
    {
        world.send(sender, subject);
    }
    let id = world.add("suspend", &["--sender", "taro@acme.example"]);
    eventually("both are held", || world.gateway.metrics().sum("sekisho_recipients_held") == 2.0);
    world.gateway.assert_balanced();
    assert_eq!(world.suspension(&["show", &id])[0]["held"], 2);
    world.dest.come_up();
    assert_eq!(world.dest.one().from, "hanako@acme.example");
    // A kill before the outcome is on disk would deliver it again.
    eventually("the delivery is settled", || world.gateway.metrics().sum("sekisho_recipients_queued") == 0.0);
    // Neither a restart nor a kill forgets.
    world.gateway.kill();
    world.gateway.serve();
    assert_eq!(world.gateway.metrics().sum("sekisho_recipients_held"), 2.0);
    assert_eq!(world.mail("taro@acme.example").0, 450);
    assert_eq!(world.gateway.terminate().code(), Some(0));
    world.gateway.serve();
    assert_eq!(world.suspension(&["ls"])[0]["id"], id.as_str());
    world.lift(&id);
    let arrived = world.dest.wait(3);
    assert_eq!(arrived.iter().filter(|mail| mail.from == "taro@acme.example").count(), 2);
    assert!(world.suspension(&["ls"]).is_empty());
    let ended = &world.suspension(&["ls", "--ended"])[0];
    assert_eq!((&ended["state"], &ended["ended"]["by"]), (&Value::from("lifted"), &Value::from("operator mika")));
    assert_eq!(world.mail("taro@acme.example").0, 250);
    world.gateway.assert_settled();
}

#[test]
fn every_scope_and_the_answer_that_settings_ask_for() {
    let world = World::new(
        |ip| FakeMx::builder().ip(ip).port(MX_PORT).start(),
        |builder| builder.set("suspension", "answer = \"reject\""),
    );
    for whom in [&["--domain", "acme.example"][..], &["--client", "127.0.0.1"], &["--whole-tenant"]] {
        let id = world.add("suspend", whom);
        let (code, text) = world.mail("hanako@acme.example");
        assert!(code == 550 && text.contains(&id), "{whom:?}: {code} {text}");
        world.lift(&id);
        assert_eq!(world.mail("hanako@acme.example").0, 250, "{whom:?}");
    }
    let id = world.add("suspend", &["--client", "127.0.0.99"]);
    assert_eq!(world.mail("hanako@acme.example").0, 250, "another machine");
    let again = world.gateway.cli(&["suspension", "lift", &id, "--reason", "x"]);
    assert_eq!(again.status.code(), Some(0));
    let again = world.gateway.cli(&["suspension", "lift", &id, "--reason", "x"]);
    assert_eq!(again.status.code(), Some(5), "lifted already");
    let nobody = ["suspension", "add", "warn", "--tenant", "nobody", "--whole-tenant", "--reason", "x"];
    assert_eq!(world.gateway.cli(&nobody).status.code(), Some(3));
}

#[test]
fn a_throttled_sender_may_send_a_little_and_end_it_by_its_code_once() {
    let world = World::new(
        |ip| FakeMx::builder().ip(ip).port(MX_PORT).start(),
        |builder| builder.set("suspension", "throttle = \"3/1h\""),
    );
    let id = world.add("throttle", &["--sender", "taro@acme.example"]);
    let mut client = Client::ready(world.gateway.outbound);
    client.command("MAIL FROM:<taro@acme.example>", 250);
    let codes: Vec<u16> = (0..5).map(|n| client.ask(&format!("RCPT TO:<you{n}@dest.example>")).code).collect();
    assert_eq!(codes, [250, 250, 250, 450, 450]);
    assert_eq!(client.data(letter("taro@acme.example", "three of five")).code, 250);
    client.quit();
    let notice = world.notice(1);
    assert!(notice.contains(&id) && notice.contains("taro@acme.example") && notice.contains("ticket 812"), "{notice}");
    let token = notice.lines().find_map(|line| line.strip_prefix("Code: ")).expect("a code").trim();
    assert!(!world.gateway.mail_log().iter().any(|line| line.to_string().contains(token)), "a code is a secret");
    assert!(!world.gateway.cli_ok(&["suspension", "show", &id, "--json"]).contains(token));
    world.suspension(&["confirm", token, "--reason", "the machine was cleaned"]);
    world.send("taro@acme.example", "free again");
    let used = world.gateway.cli(&["suspension", "confirm", token, "--reason", "x"]);
    assert_eq!(used.status.code(), Some(3));
    assert!(world.notice(2).contains("your administrator confirmed it"));
    let again = world.add("warn", &["--sender", "taro@acme.example"]);
    assert_eq!(world.mail("taro@acme.example").0, 250, "a warning hinders nobody");
    let notice = world.notice(3);
    let token = notice.lines().find_map(|line| line.strip_prefix("Code: ")).expect("a code").trim();
    let too_soon = world.gateway.cli(&["suspension", "confirm", token, "--reason", "x"]);
    assert_eq!(too_soon.status.code(), Some(5), "once in a period");
    world.lift(&again);
    world.gateway.assert_settled();
}
