//! A tenant that lists its recipients: others are refused at RCPT, and nothing about them reaches the next hop.

use crate::support::gateway::acme;
use crate::support::{Client, FakeMx, Gateway, message};

#[test]
fn only_listed_recipients_are_taken() {
    let mx = FakeMx::start();
    let list = "[\"aoi@acme.example\", \"Ken.Sato@acme.example\"]";
    let gateway = Gateway::builder().tenants(&acme("queued", &[mx.address()], list)).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<x@sender.example>", 250);
    let refused = client.command("RCPT TO:<nobody@acme.example>", 550);
    assert!(refused.is("5.1.1"), "{refused:?}");
    client.command("RCPT TO:<aoi@acme.example.example>", 550);
    for good in ["aoi@acme.example", "AOI@ACME.Example", "ken.sato@acme.example", "aoi+list@acme.example"] {
        client.command(&format!("RCPT TO:<{good}>"), 250);
    }
    client.command("RCPT TO:<postmaster@acme.example>", 250);
    assert_eq!(client.data(message("listed", "x\r\n")).code, 250);
    client.quit();
    let received = mx.one();
    assert_eq!(received.to.len(), 5, "{:?}", received.recipients());
    assert!(!mx.commands().iter().any(|line| line.contains("nobody")));
    let line = gateway.logged("rcpt", |line| line["recipient"] == "nobody@acme.example");
    assert_eq!(line["code"], 550);
    gateway.assert_settled();
}

#[test]
fn a_transaction_whose_recipients_are_all_refused_has_no_data() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().tenants(&acme("queued", &[mx.address()], "[\"aoi@acme.example\"]")).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<x@sender.example>", 250);
    client.command("RCPT TO:<nobody@acme.example>", 550);
    let refused = client.ask("DATA");
    assert!(refused.permanent(), "{refused:?}");
    let refused = client.bdat("Subject: x\r\n\r\nx\r\n", true);
    assert!(refused.permanent(), "{refused:?}");
    client.quit();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_accepted_total"), 0.0);
}

#[test]
fn a_domain_is_the_same_in_every_spelling() {
    let mx = FakeMx::start();
    let file = acme("queued", &[mx.address()], "[\"aoi@日本.example\"]").replace("acme.example", "日本.example");
    let gateway = Gateway::builder().tenants(&file).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<x@sender.example> SMTPUTF8", 250);
    for good in ["aoi@日本.example", "aoi@xn--wgv71a.example", "AOI@XN--WGV71A.example"] {
        client.command(&format!("RCPT TO:<{good}>"), 250);
    }
    client.command("RCPT TO:<other@日本.example>", 550);
    client.command("RCPT TO:<aoi@日本国.example>", 550);
    assert_eq!(client.data(message("idn", "x\r\n")).code, 250);
    client.quit();
    let received = mx.one();
    assert!(received.recipients().iter().all(|to| to.is_ascii()), "{:?}", received.recipients());
    gateway.assert_settled();
}

#[test]
fn our_own_postmaster_is_a_mailbox_of_a_tenant_if_the_settings_say_so() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().set("", "postmaster = \"ops@acme.example\"").acme(mx.address()).start();
    gateway.send_inbound(
        "aoi@sender.example",
        &["postmaster", "postmaster@mx.gateway.example"],
        &message("hello", "x\r\n"),
    );
    assert_eq!(mx.one().recipients(), ["ops@acme.example"]);
    // By default it is at our own name, which is no tenant's: nobody to take it.
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<aoi@sender.example>", 250);
    client.command("RCPT TO:<postmaster>", 550);
    client.quit();
}
