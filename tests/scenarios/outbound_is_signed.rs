//! Outbound mail is signed by each active key of the author's domain, and whoever gets it can verify that; a tenant that must sign
//! has its mail put off where it can't.

use std::time::{Duration, Instant};

use sekisho::clock::Clock;
use sekisho::dns::MemoryResolver;
use sekisho::model::authentication::{Dkim, DkimResult};
use sekisho::sender::authentication::{Authenticator, Config};
use serde_json::Value;

use crate::support::fake_dns::FakeDns;
use crate::support::fake_mx::Received;
use crate::support::gateway::{MX_PORT, acme, tenant};
use crate::support::{Client, FakeMx, Gateway, loopback, message, own};

fn world(more: &str) -> (FakeMx, FakeDns, Gateway) {
    let (mx, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let dest = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    let text =
        acme("queued", &[mx.address()], "\"any\"").replacen("[tenant.sender]", &format!("{more}[tenant.sender]"), 1);
    let gateway = Gateway::builder()
        .tenants(&text)
        .tenants(&tenant("beta", "beta.example", "queued", &[mx.address()], "\"any\""))
        .set("spool", "large_message = \"128KiB\"")
        .dns(dns.address())
        .start();
    (dest, dns, gateway)
}

/// Makes, publishes and activates a key; name and record.
fn activate(dns: &FakeDns, gateway: &Gateway, domain: &str, algorithm: &str) -> (String, String) {
    let made = gateway.cli_ok(&["dkim", "generate", domain, "--algorithm", algorithm, "--json"]);
    let made: Value = serde_json::from_str(made.trim()).unwrap();
    let word = |member: &str| made[member].as_str().unwrap().to_owned();
    dns.txt(&word("name"), &word("record"));
    gateway.cli_ok(&["dkim", "activate", domain, "--algorithm", algorithm]);
    (word("name"), word("record"))
}

fn send(gateway: &Gateway, text: &str) -> u16 {
    let mut client = Client::ready(gateway.outbound);
    client.envelope("aoi@acme.example", &["you@dest.example"]);
    let reply = client.data(text);
    client.quit();
    reply.code
}

fn received(dest: &FakeMx, gateway: &Gateway, text: &str) -> Received {
    let before = dest.count();
    assert_eq!(send(gateway, text), 250);
    dest.wait_for_at_least(before + 1).pop().unwrap()
}

/// Until so many signatures stand there: a key is live within a second.
fn signed(dest: &FakeMx, gateway: &Gateway, text: &str, signatures: usize) -> Received {
    let begun = Instant::now();
    loop {
        let received = received(dest, gateway, text);
        if received.headers().matches("DKIM-Signature:").count() == signatures {
            return received;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "never signed: {}", received.headers());
    }
}

async fn verified(message: &[u8], published: &[(String, String)]) -> Vec<Dkim> {
    let mut resolver = MemoryResolver::default();
    for (name, record) in published {
        resolver = resolver.with_txt(name, &[record]);
    }
    let verifier = Authenticator::build(Config::default(), std::sync::Arc::new(resolver), Clock::default());
    verifier.message(message, &[], &verifier.budget()).await.dkim
}

#[tokio::test]
async fn by_every_active_key_of_the_authors_domain() {
    let (dest, dns, gateway) = world("");
    let small = own(&message("small", "x\r\n"));
    assert!(received(&dest, &gateway, &small).header("DKIM-Signature").is_none(), "no key");
    // Another tenant's key signs nothing of acme's.
    activate(&dns, &gateway, "beta.example", "ed25519");
    let published =
        [activate(&dns, &gateway, "acme.example", "rsa-2048"), activate(&dns, &gateway, "acme.example", "ed25519")];
    let small = signed(&dest, &gateway, &small, 2);
    let body = "0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789ab\r\n".repeat(4_000);
    let large = received(&dest, &gateway, &own(&message("large", &body)));
    for one in [&small, &large] {
        assert!(!one.headers().contains("d=beta.example"), "{}", one.headers());
    }
    let found = verified(&small.message, &published).await;
    assert_eq!(found.len(), 2, "{found:?}\n{}", small.headers());
    assert!(found.iter().all(|one| one.result == DkimResult::Pass && &*one.domain == "acme.example"), "{found:?}");
    assert_eq!(large.headers().matches("DKIM-Signature:").count(), 2, "{}", large.headers());
    // Signed once more than they are there: none can be added.
    for added in ["From: evil@other.example\r\n", "Subject: pay\r\n", "To: all@other.example\r\n"] {
        let changed = [added.as_bytes(), &small.message].concat();
        let found = verified(&changed, &published).await;
        assert!(found.iter().all(|one| one.result != DkimResult::Pass), "{added}: {found:?}");
    }
    let metrics = gateway.metrics();
    assert!(metrics.sum("sekisho_dkim_signed_messages_total") >= 3.0);
    // A key that is taken back signs no more; the other goes on.
    let selector = published[0].0.split('.').next().unwrap();
    gateway.cli_ok(&["dkim", "retire", "acme.example", "--selector", selector, "--stop-signing"]);
    signed(&dest, &gateway, &own(&message("after", "x\r\n")), 1);
    gateway.assert_settled();
}

#[test]
fn a_tenant_that_must_sign_waits_for_its_key() {
    let (dest, dns, gateway) = world("sign = \"required\"\n");
    let mail = own(&message("must", "x\r\n"));
    assert_eq!(send(&gateway, &mail), 451);
    activate(&dns, &gateway, "acme.example", "ed25519");
    let begun = Instant::now();
    while send(&gateway, &mail) != 250 {
        assert!(begun.elapsed() < Duration::from_secs(10), "never signed");
    }
    assert!(dest.one().header("DKIM-Signature").is_some());
    gateway.assert_settled();
}
