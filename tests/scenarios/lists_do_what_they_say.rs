//! Allow and block lists in four layers, on live connections: mailbox block, administrator's block, mailbox allow,
//! administrator's allow. An allow entry speaks for who is authenticated, and for nobody who only says so.

use std::time::{Duration, Instant};

use sekisho::sender::authentication::keys::SigningKey;
use sekisho::sender::authentication::sign::{self, Signer};
use serde_json::Value;

use crate::support::client::Reply;
use crate::support::fake_dns::FakeDns;
use crate::support::gateway::judged;
use crate::support::{FakeMx, Gateway, eventually, eventually_some, message};

const OWN: &str = "192.0.2.7";
const STRANGER: &str = "198.51.100.9";
const YOU: &str = "you@acme.example";

/// Both clients have a bad name, so that nobody gets in but by an entry.
fn world() -> (FakeMx, FakeDns, Gateway) {
    let (mx, dns) = (FakeMx::start(), FakeDns::start());
    dns.txt("sender.example", "v=spf1 ip4:192.0.2.7 -all");
    let tenants = judged("acme", "acme.example", &[mx.address()], "\"any\"");
    let gateway = Gateway::builder().tenants(&tenants).dns(dns.address()).clients_anywhere().start();
    for ip in [OWN, STRANGER] {
        gateway.cli_ok(&["reputation", "set", ip, "delayed", "--reason", "for the test"]);
    }
    (mx, dns, gateway)
}

fn add(gateway: &Gateway, action: &str, value: &str, whom: &[&str]) {
    gateway.cli_ok(&[&["list", "add", action, value, "--reason", "for the test"], whom].concat());
}

fn send(gateway: &Gateway, ip: &str) -> Reply {
    gateway.try_from(ip, "aoi@sender.example", YOU, &message("listed", "x\r\n"))
}

#[track_caller]
fn soon(gateway: &Gateway, code: u16, why: &str) {
    eventually(why, || send(gateway, OWN).code == code);
}

fn entries(gateway: &Gateway) -> Vec<Value> {
    let text = gateway.cli_ok(&["list", "ls", "--json"]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn four_layers_from_the_last_to_the_first() {
    let (_mx, _dns, gateway) = world();
    assert_eq!(send(&gateway, OWN).code, 450);
    add(&gateway, "allow", "sender.example", &["--tenant", "acme"]);
    soon(&gateway, 250, "the administrator's allow");
    add(&gateway, "block", "sender.example", &["--operator"]);
    soon(&gateway, 550, "the administrator's block before the administrator's allow");
    add(&gateway, "allow", "aoi@sender.example", &["--mailbox", YOU]);
    let blocked = gateway.logged("rcpt", |line| line["code"] == 550);
    assert_eq!(blocked["explanation"]["judgements"][0]["decided_by"]["scope"], "operator", "{blocked}");
    let shown = eventually_some("the mailbox's entry to be live", || {
        send(&gateway, OWN);
        let lines = gateway.mail_log();
        let judgement = |line: &Value| line["explanation"]["judgements"][0].clone();
        let steps = |judgement: &Value| judgement["steps"].as_array().map_or(0, Vec::len);
        lines
            .iter()
            .rev()
            .map(judgement)
            .find(|found| steps(found) >= 3 && found["steps"].to_string().contains("\"mailbox\""))
    });
    assert_eq!(shown["decided_by"]["action"], "block", "the administrator's block before the mailbox's allow: {shown}");
    let operators = entries(&gateway).into_iter().find(|entry| entry["scope"] == "operator").unwrap();
    gateway.cli_ok(&["list", "rm", &operators["id"].to_string()]);
    soon(&gateway, 250, "the mailbox's allow");
    add(&gateway, "block", "sender.example", &["--mailbox", YOU]);
    soon(&gateway, 550, "the mailbox's block before everything");
    let other = gateway.try_from(OWN, "aoi@sender.example", "else@acme.example", &message("else", "x\r\n"));
    assert_eq!(other.code, 250, "another mailbox is its owner's: {other:?}");
    gateway.assert_settled();
}

#[test]
fn mail_that_only_says_it_is_from_an_allowed_domain_stays_out() {
    let (mx, dns, gateway) = world();
    add(&gateway, "allow", "sender.example", &["--tenant", "acme"]);
    soon(&gateway, 250, "the entry to be live");
    let accepted = mx.wait_for_at_least(1).len();

    // Provisional: the recipient is taken, and the message is not, because nothing proves it.
    let mut client = gateway.client_at(STRANGER);
    client.envelope("aoi@sender.example", &[YOU]);
    let spoofed = client.data(message("spoofed", "x\r\n"));
    assert!(spoofed.code == 450 && spoofed.is("4.7.1"), "the refusal that was put off: {spoofed:?}");
    let logged = gateway.logged("message", |line| line["code"] == 450);
    let judgements = &logged["explanation"]["judgements"];
    assert!(judgements[0]["provisional"].is_object(), "{logged}");
    assert_eq!(judgements[1]["decided_by"]["rule"], "reputation", "{logged}");

    // The same client with the domain's signature is let in.
    let key = SigningKey::read(&SigningKey::generate_ed25519().unwrap()).unwrap();
    dns.txt("s1._domainkey.sender.example", &key.record());
    let plain = message("proven", "x\r\n");
    let (layout, now) = (sign::Layout::default(), 1_795_000_000);
    let signer = Signer { key: &key, domain: "sender.example", selector: "s1", now, layout };
    let signature = String::from_utf8(sign::dkim(plain.as_bytes(), &signer, None).unwrap()).unwrap();
    client.envelope("aoi@sender.example", &[YOU]);
    assert_eq!(client.data(signature + &plain).code, 250);
    client.quit();
    assert_eq!(mx.wait_for_at_least(accepted + 1).len(), accepted + 1);
    gateway.assert_settled();
}

#[test]
fn an_entry_bound_to_a_network_needs_no_other_proof() {
    let (_mx, _dns, gateway) = world();
    add(&gateway, "allow", "sender.example", &["--tenant", "acme", "--from-network", "198.51.100.0/24"]);
    eventually("the entry to be live", || send(&gateway, STRANGER).code == 250);
    assert_eq!(send(&gateway, OWN).code, 450, "outside its network an entry says nothing");
    gateway.assert_settled();
}

#[test]
fn an_edit_is_live_within_a_second_and_on_open_connections() {
    let (_mx, _dns, gateway) = world();
    let mut client = gateway.client_at(OWN);
    add(&gateway, "allow", "192.0.2.0/24", &["--domain", "acme.example"]);
    let added = Instant::now();
    loop {
        client.command("MAIL FROM:<aoi@sender.example>", 250);
        let code = client.ask(&format!("RCPT TO:<{YOU}>")).code;
        client.command("RSET", 250);
        if code == 250 {
            break;
        }
        assert!(added.elapsed() < Duration::from_secs(1), "not live within a second");
        std::thread::sleep(Duration::from_millis(50));
    }
    client.quit();
}

#[test]
fn hits_are_counted_for_senders_and_for_networks() {
    let (_mx, _dns, gateway) = world();
    add(&gateway, "allow", OWN, &["--tenant", "acme"]);
    add(&gateway, "block", "bad.example", &["--tenant", "acme"]);
    soon(&gateway, 250, "the entries to be live");
    eventually("the block to be live", || {
        gateway.try_from(OWN, "x@bad.example", YOU, &message("bad", "x\r\n")).code == 550
    });
    eventually("both to be counted", || {
        let hits = entries(&gateway);
        hits.len() == 2 && hits.iter().all(|entry| entry["hits"].as_u64() > Some(0) && entry["last_hit"].is_string())
    });
    gateway.assert_settled();
}

#[test]
fn an_expired_entry_counts_no_more() {
    let (_mx, _dns, gateway) = world();
    add(&gateway, "allow", OWN, &["--tenant", "acme", "--for", "4s"]);
    soon(&gateway, 250, "the entry to be live");
    soon(&gateway, 450, "its end");
    assert_eq!(entries(&gateway)[0]["expired"], true);
    gateway.assert_settled();
}
