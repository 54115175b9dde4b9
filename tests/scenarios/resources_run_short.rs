//! Storage or memory below their reserves: nothing new is taken, nobody is refused for good, and the balancer is told.

use crate::support::{Client, FakeMx, Gateway, eventually, message};

/// Started, but not to be waited ready for.
fn short_of(section: &str, line: &str) -> (FakeMx, Gateway) {
    let mx = FakeMx::start();
    let mut gateway = Gateway::builder().acme(mx.address()).set(section, line).build();
    gateway.apply();
    gateway.spawn();
    let address = gateway.observe;
    let alive = || matches!(crate::support::metrics::get(address, "/livez"), Ok((200, _)));
    eventually("the gateway to be alive", alive);
    (mx, gateway)
}

#[test]
fn low_storage_is_452_at_mail_and_not_ready() {
    for line in ["min_free = \"100000GiB\"", "min_free_inodes = 1000000000000"] {
        let (mx, gateway) = short_of("spool", line);
        eventually("not ready", || gateway.get("/readyz").0 == 503);
        for listener in [gateway.inbound, gateway.outbound] {
            let mut client = Client::ready(listener);
            let deferred = client.command("MAIL FROM:<aoi@acme.example>", 452);
            assert!(deferred.is("4.3.1"), "{deferred:?}");
            client.quit();
        }
        assert_eq!(mx.connections(), 0);
    }
}

#[test]
fn low_memory_is_421_before_anything_else() {
    let (_mx, gateway) = short_of("limits", "memory_reserve = \"100000GiB\"");
    eventually("not ready", || gateway.get("/readyz").0 == 503);
    let mut client = Client::connect(gateway.inbound);
    let replies = client.closed();
    assert_eq!((replies.len(), replies[0].code), (1, 421), "{replies:?}");
    assert!(replies[0].is("4.3.2"), "{replies:?}");
}

#[test]
fn a_suspended_tenants_mail_is_put_off_in_both_directions() {
    let mx = FakeMx::start();
    let file = crate::support::gateway::acme("queued", &[mx.address()], "\"any\"");
    let gateway = Gateway::builder().tenants(&file.replace("custody", "state = \"suspended\"\ncustody")).start();
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example>", 250);
    let deferred = client.ask("RCPT TO:<you@acme.example>");
    assert!((400..500).contains(&deferred.code), "{deferred:?}");
    client.quit();
    let mut client = Client::ready(gateway.outbound);
    let deferred = client.ask("MAIL FROM:<aoi@acme.example>");
    assert!((400..500).contains(&deferred.code), "{deferred:?}");
    client.quit();
    // Active again, within a second.
    gateway.write_tenants(&file);
    gateway.apply();
    eventually("the tenant to be active", || {
        let mut client = Client::ready(gateway.inbound);
        client.command("MAIL FROM:<a@sender.example>", 250);
        client.ask("RCPT TO:<you@acme.example>").code == 250
    });
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("active", "x\r\n"));
    mx.one();
}
