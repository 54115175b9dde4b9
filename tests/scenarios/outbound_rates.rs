//! Outbound mail is limited by rates, and alike messages to many are taken slowly: 4xx with a text that says when to come back, the
//! mail log says why, and others are not concerned.

use crate::support::client::Client;
use crate::support::fake_dns::FakeDns;
use crate::support::gateway::{MX_PORT, acme};
use crate::support::{FakeMx, Gateway, loopback, own};

/// Of an author of acme's.
fn message(subject: &str, body: &str) -> String {
    own(&crate::support::message(subject, body))
}

const TEXT: &str = "Our warehouse has reduced all prices of watches and bags for this week only. Order before Sunday and choose a\r\n\
    second piece from the list without paying for it. Every order leaves on the same day, wherever you live.\r\n";

struct World {
    gateway: Gateway,
    outside: FakeMx,
    _dns: FakeDns,
    _inside: FakeMx,
}

impl World {
    fn new(settings: &[(&str, &str)], tenant: &str) -> Self {
        let (inside, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
        let outside = FakeMx::builder().ip(ip).port(MX_PORT).start();
        dns.a("dest.example", &[ip]);
        let tenants = acme("queued", &[inside.address()], "\"any\"") + tenant;
        let mut builder = Gateway::builder().tenants(&tenants).dns(dns.address()).quick_retries();
        for (section, line) in settings {
            builder = builder.set(section, line);
        }
        Self { gateway: builder.start(), outside, _dns: dns, _inside: inside }
    }

    fn client(&self) -> Client {
        Client::ready(self.gateway.outbound)
    }
}

fn written(n: usize) -> String {
    message(&format!("an offer {n}"), &format!("Dear r{n},\r\n\r\n{TEXT}https://shop.example/{n}\r\n"))
}

#[test]
fn alike_messages_to_many_are_taken_slowly_and_colleagues_notice_nothing() {
    let world = World::new(&[("bulk", "sender = \"20/10m\"")], "");
    let mut client = world.client();
    let mut answers = Vec::new();
    for n in 0..60 {
        client.envelope("pc@acme.example", &[&format!("r{n}@dest.example")]);
        answers.push(client.data(written(n)));
    }
    let passed = answers.iter().filter(|answer| answer.code == 250).count();
    assert!((20..=23).contains(&passed), "{passed} passed");
    let refused = answers.last().unwrap();
    assert_eq!(refused.code, 451, "{refused:?}");
    assert!(refused.is("4.7.1") && refused.text().contains("20 recipients in 10m may pass"), "{refused:?}");
    assert!(refused.text().contains("try again in"), "{refused:?}");
    client.mail("aoi@acme.example", &["you@dest.example"], message("minutes", "Please find the minutes below.\r\n"));
    client.quit();
    let line = world.gateway.logged("message", |line| line["reply"].to_string().contains("Alike messages"));
    let bulk = &line["explanation"]["bulk"];
    assert!(bulk["reached"].as_u64().unwrap() >= 20 && bulk["alike"] == 1, "{line}");
    assert_eq!(bulk["allowance"], serde_json::json!([20, 600]), "{line}");
    world.outside.wait_for_at_least(passed + 1);
    world.gateway.assert_settled();
    let metrics = world.gateway.metrics();
    assert!(metrics.sum("sekisho_limits_refused_total{limit=\"alike\"}") >= 35.0);
    assert!(metrics.sum("sekisho_outbound_alike_total") >= 20.0);
}

#[test]
fn one_message_reaches_no_more_at_once_and_the_others_come_again() {
    let world = World::new(&[("bulk", "sender = \"5/10m\"")], "");
    let mut client = world.client();
    client.command("MAIL FROM:<news@acme.example>", 250);
    for n in 0..5 {
        client.command(&format!("RCPT TO:<r{n}@dest.example>"), 250);
    }
    let beyond = client.command("RCPT TO:<r5@dest.example>", 451);
    assert!(beyond.text().contains("5 recipients in 10m may pass"), "{beyond:?}");
    assert_eq!(client.data(written(1)).code, 250, "those before it are not concerned");
    client.envelope("news@acme.example", &["r5@dest.example", "r6@dest.example"]);
    assert_eq!(client.data(written(1)).code, 451);
    client.quit();
    world.outside.wait_for_at_least(1);
    world.gateway.assert_settled();
}

#[test]
fn rates_hold_at_rcpt_and_mail_and_a_tenant_may_ask_for_less() {
    let rates = [("rates", "outbound_sender = \"4/1h\""), ("rates", "outbound_client = \"off\"")];
    let world = World::new(&rates, "[tenant.rates]\ntenant_messages = \"3/1h\"\n");
    let mut client = world.client();
    client.command("MAIL FROM:<aoi@acme.example>", 250);
    for n in 0..4 {
        client.command(&format!("RCPT TO:<r{n}@dest.example>"), 250);
    }
    let beyond = client.command("RCPT TO:<r4@dest.example>", 450);
    assert!(beyond.text().contains("Too much mail of this sender: 4 recipients in 1h may pass"), "{beyond:?}");
    assert_eq!(client.data(message("to four", "one letter to four people\r\n")).code, 250);
    let beyond = client.command("MAIL FROM:<aoi+x@ACME.example>", 450);
    assert!(beyond.text().contains("try again in 15m") || beyond.text().contains("try again in 14m"), "{beyond:?}");
    client.mail("bob@acme.example", &["you@dest.example"], message("a", "the second letter of three\r\n"));
    client.mail("bob@acme.example", &["you@dest.example"], message("b", "the third letter, which is the last\r\n"));
    let beyond = client.command("MAIL FROM:<carol@acme.example>", 450);
    assert!(beyond.text().contains("of your contract: 3 messages in 1h may pass"), "{beyond:?}");
    client.quit();
    world.outside.wait_for_at_least(3);
    world.gateway.assert_settled();
    world.gateway.logged("mail", |line| line["reply"].to_string().contains("of your contract"));
}

#[test]
fn what_is_known_of_senders_outlives_a_restart() {
    let mut world = World::new(&[], "");
    let mut client = world.client();
    client.mail("aoi@acme.example", &["you@dest.example"], message("one", "the only letter of this test\r\n"));
    client.quit();
    world.gateway.assert_settled();
    assert!(world.gateway.terminate().success());
    assert!(world.gateway.data_dir().join("outbound.state").is_file());
    world.gateway.serve();
    let remembered = || world.gateway.metrics().sum("sekisho_outbound_records");
    crate::support::eventually("the sender, its client, its domain and its tenant to be remembered", || {
        remembered() == 4.0
    });
}
