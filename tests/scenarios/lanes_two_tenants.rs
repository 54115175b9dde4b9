//! One transaction for two tenants: two lanes, each with its own recipients, next hop and fate.

use crate::support::gateway::{acme, tenant};
use crate::support::{Client, FakeMx, Gateway, message, sha256};

#[test]
fn each_tenant_gets_its_own_recipients_and_no_others() {
    let (acme_mx, beta_mx) = (FakeMx::start(), FakeMx::start());
    let gateway = Gateway::builder()
        .tenants(&acme("queued", &[acme_mx.address()], "\"any\""))
        .tenants(&tenant("beta", "beta.example", "queued", &[beta_mx.address()], "\"any\""))
        .start();
    let to = ["one@acme.example", "secret@beta.example", "two@acme.example"];
    gateway.send_inbound("aoi@sender.example", &to, &message("both", "to both\r\n"));
    let (at_acme, at_beta) = (acme_mx.one(), beta_mx.one());
    assert_eq!(at_acme.recipients(), ["one@acme.example", "two@acme.example"]);
    assert_eq!(at_beta.recipients(), ["secret@beta.example"]);
    assert!(
        !at_acme.headers().contains("beta") && !at_beta.headers().contains("one@acme"),
        "a lane tells of the other"
    );
    assert_eq!(at_acme.body_hash, sha256(b"to both\r\n"));
    assert_eq!(at_acme.body_hash, at_beta.body_hash);
    gateway.assert_settled();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_delivered_total"), 3.0);
}

#[test]
fn one_tenants_dead_next_hop_is_not_the_others_trouble() {
    let (acme_mx, beta_mx) = (FakeMx::start(), FakeMx::builder().start_down());
    let gateway = Gateway::builder()
        .tenants(&acme("queued", &[acme_mx.address()], "\"any\""))
        .tenants(&tenant("beta", "beta.example", "queued", &[beta_mx.address()], "\"any\""))
        .quick_retries()
        .start();
    gateway.send_inbound("aoi@sender.example", &["a@acme.example", "b@beta.example"], &message("both", "x\r\n"));
    // Each tenant's own record has nothing of the other's; the operator's has both.
    for (tenant, own, other) in [("acme", "a@acme.example", "b@beta"), ("beta", "b@beta.example", "a@acme")] {
        let line = gateway.logged("judged", |line| line["tenant"] == tenant);
        let queued = gateway.logged("queued", |line| line["tenant"] == tenant);
        assert_eq!((&line["message"], &line["explanation"]["tenant"]), (&queued["message"], &tenant.into()));
        let text = line.to_string();
        assert!(text.contains(own) && !text.contains(other), "{text}");
    }
    let whole = gateway.logged("judged", |line| line["tenant"].is_null()).to_string();
    assert!(whole.contains("a@acme.example") && whole.contains("b@beta.example"), "{whole}");
    acme_mx.one();
    gateway.logged("deferred", |line| line["recipient"] == "b@beta.example");
    beta_mx.come_up();
    beta_mx.one();
    gateway.assert_settled();
    assert_eq!(acme_mx.count(), 1);
}

#[test]
fn the_tenant_that_is_one_too_many_is_put_off() {
    let mx = FakeMx::start();
    let all = (0..33).map(|n| tenant(&format!("t{n}"), &format!("t{n}.example"), "queued", &[mx.address()], "\"any\""));
    let gateway = Gateway::builder()
        .tenants(&all.collect::<String>())
        .set("spool", "large_message = \"64 KiB\"")
        .set("limits", "body_memory = \"1 MiB\"")
        .start();
    let mut client = Client::ready(gateway.inbound);
    let to: Vec<String> = (0..32).map(|n| format!("a@t{n}.example")).collect();
    client.envelope("aoi@sender.example", &to.iter().map(String::as_str).collect::<Vec<_>>());
    let refused = client.command("RCPT TO:<a@t32.example>", 452);
    assert!(refused.is("4.5.3"), "{refused:?}");
    client.command("RCPT TO:<b@t31.example>", 250);
    // Large enough for files: each lane has its own.
    let body = "0123456789abcdef\r\n".repeat(20_000);
    assert_eq!(client.data(message("many", &body)).code, 250);
    client.quit();
    let received = mx.wait(32);
    assert!(received.iter().all(|mail| mail.body_hash == sha256(body.as_bytes())));
    gateway.assert_settled();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_delivered_total"), 33.0);
}
