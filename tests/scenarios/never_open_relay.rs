//! The relay tricks of fifty years: whatever the spelling, nothing leaves for a domain that is nobody's here, and nothing
//! enters a tenant's domain with a route in its local part.

use crate::support::gateway::{MX_PORT, acme, tenant};
use crate::support::{Client, FakeMx, Gateway, fake_dns::FakeDns, loopback};

/// Arguments of RCPT TO: none may be accepted from the internet, whether as syntax, as routing or as relaying.
const TRICKS: &[&str] = &[
    // Plain relaying.
    "<victim@evil.example>",
    "<VICTIM@EVIL.EXAMPLE>",
    "<victim@sub.acme.example>",
    "<victim@acme.example.evil.example>",
    "<victim@xacme.example>",
    "<victim@acme.example.>",
    "<victim@.acme.example>",
    "<victim@acme..example>",
    "<victim@acme>",
    "<victim@localhost>",
    "<victim@localhost.localdomain>",
    "<victim@mx.gateway.example>",
    "<victim@gateway.example>",
    "<victim@127.0.0.1>",
    "<victim@com>",
    // Source routes (RFC 5321 appendix C).
    "<@acme.example:victim@evil.example>",
    "<@mx.gateway.example:victim@evil.example>",
    "<@evil.example:victim@acme.example>",
    "<@acme.example,@beta.example:victim@evil.example>",
    "<@[127.0.0.1]:victim@evil.example>",
    "<@acme.example:@beta.example:victim@evil.example>",
    // The per-cent hack.
    "<victim%evil.example@acme.example>",
    "<victim%evil.example@mx.gateway.example>",
    "<victim%evil.example%beta.example@acme.example>",
    "<\"victim%evil.example\"@acme.example>",
    "<victim%evil.example>",
    "<victim%evil.example@[127.0.0.1]>",
    // UUCP bangs.
    "<evil.example!victim@acme.example>",
    "<evil.example!victim>",
    "<acme.example!evil.example!victim@beta.example>",
    "<\"evil.example!victim\"@acme.example>",
    "<evil.example!victim@[127.0.0.1]>",
    // Several @, quoted and not.
    "<victim@evil.example@acme.example>",
    "<\"victim@evil.example\"@acme.example>",
    "<\"victim@evil.example\">",
    "<\"victim\\@evil.example\"@acme.example>",
    "<victim\\@evil.example@acme.example>",
    "<victim@acme.example@evil.example>",
    "<\"victim@acme.example\"@evil.example>",
    "<\"\"@evil.example>",
    "<\"<victim@evil.example>\"@acme.example>",
    "<\"victim@evil.example,you\"@acme.example>",
    // Address literals.
    "<victim@[127.0.0.1]>",
    "<victim@[127.1]>",
    "<victim@[2130706433]>",
    "<victim@[0x7f000001]>",
    "<victim@[0177.0.0.1]>",
    "<victim@[::1]>",
    "<victim@[IPv6:::1]>",
    "<victim@[IPv6:::ffff:127.0.0.1]>",
    "<victim@[::ffff:127.0.0.1]>",
    "<victim@[IPv6:::ffff:7f00:1]>",
    "<victim@[IPv6:fe80::1%lo]>",
    "<victim@[192.0.2.1]>",
    "<victim@[acme.example]>",
    "<victim@[acme.example]evil.example>",
    // Lists, comments, garnish.
    "<you@acme.example,victim@evil.example>",
    "<you@acme.example>,<victim@evil.example>",
    "<you@acme.example> <victim@evil.example>",
    "<<victim@evil.example>>",
    "<victim@evil.example(@acme.example)>",
    "<victim@evil.example (acme.example)>",
    "<victim@evil.example#acme.example>",
    "<victim@evil.example/acme.example>",
    "<victim@evil.example?@acme.example>",
    "<victim@evil.example;you@acme.example>",
    "<victim@evil.example\\0acme.example>",
    "<victim@evil.example%00@acme.example>",
    "<victim@evil.example\tacme.example>",
    "<you:victim@evil.example>",
    "<mailto:victim@evil.example>",
    "\"victim\" <victim@evil.example>",
    "victim@evil.example",
    "<victim>",
    "<>",
    "<@>",
    "<@acme.example>",
    // Look-alikes: Cyrillic a, full-width letters, an ideographic full stop, a zero-width space.
    "<victim@\u{430}cme.example>",
    "<victim@\u{ff41}cme\u{3002}evil.example>",
    "<victim@acme.example\u{200b}.evil.example>",
    "<victim@evil.example\u{2028}@acme.example>",
    // Files and programs, for what was once Sendmail.
    "<|/bin/sh@acme.example>",
    "<\"|/bin/sh -c id\"@acme.example>",
    "</etc/passwd@acme.example>",
    "<\"/var/mail/root\"@acme.example>",
];

struct World {
    gateway: Gateway,
    acme: FakeMx,
    beta: FakeMx,
    evil: FakeMx,
    _dns: FakeDns,
}

impl World {
    /// `client`: the network from which acme's own servers may send out.
    fn new(client: &str) -> Self {
        let (acme_mx, beta) = (FakeMx::start(), FakeMx::start());
        let evil_ip = loopback::fresh_ip();
        let evil = FakeMx::builder().ip(evil_ip).port(MX_PORT).start();
        let dns = FakeDns::start();
        dns.mx("evil.example", &[(10, "mx.evil.example")]);
        dns.a("mx.evil.example", &[evil_ip]);
        let acme_file = acme("queued", &[acme_mx.address()], "\"any\"").replace("127.0.0.1/32", client);
        let gateway = Gateway::builder()
            .tenants(&acme_file)
            .tenants(&tenant("beta", "beta.example", "queued", &[beta.address()], "\"any\""))
            .dns(dns.address())
            .start();
        Self { gateway, acme: acme_mx, beta, evil, _dns: dns }
    }

    fn assert_nothing_moved(&self) {
        let metrics = self.gateway.metrics();
        assert_eq!(metrics.sum("sekisho_recipients_accepted_total"), 0.0);
        assert_eq!(metrics.sum("sekisho_recipients_queued"), 0.0);
        for mx in [&self.acme, &self.beta, &self.evil] {
            assert!(mx.seen().is_empty());
        }
    }
}

/// Each trick alone, on a connection of its own, with SMTPUTF8 so that it can't fail on that ground alone.
fn every_trick_is_refused(listener: std::net::SocketAddr, sender: &str) {
    for trick in TRICKS {
        let mut client = Client::ready(listener);
        let utf8 = if trick.is_ascii() { "" } else { " SMTPUTF8" };
        let mail = client.ask(&format!("MAIL FROM:<{sender}>{utf8}"));
        let rcpt = client.ask(&format!("RCPT TO:{trick}"));
        assert!(rcpt.permanent(), "{trick} was answered {rcpt:?} (MAIL: {mail:?})");
        let data = client.ask("DATA");
        assert!(data.permanent(), "DATA after {trick} was answered {data:?}");
    }
}

#[test]
fn from_the_internet_through_the_inbound_listener() {
    assert!(TRICKS.len() >= 60);
    let world = World::new("127.0.0.1/32");
    every_trick_is_refused(world.gateway.inbound, "anyone@sender.example");
    world.assert_nothing_moved();
}

#[test]
fn from_a_tenants_own_network_through_the_inbound_listener() {
    let world = World::new("127.0.0.1/32");
    every_trick_is_refused(world.gateway.inbound, "aoi@acme.example");
    every_trick_is_refused(world.gateway.inbound, "");
    world.assert_nothing_moved();
}

#[test]
fn from_a_stranger_through_the_outbound_listener() {
    let world = World::new("192.0.2.0/24");
    for sender in ["aoi@acme.example", "anyone@sender.example", ""] {
        every_trick_is_refused(world.gateway.outbound, sender);
    }
    // Not even the tenants' own domains: a stranger has no business here.
    let mut client = Client::ready(world.gateway.outbound);
    assert!(client.ask("MAIL FROM:<aoi@acme.example>").permanent());
    assert!(client.ask("RCPT TO:<you@acme.example>").permanent());
    assert!(client.ask("RCPT TO:<you@beta.example>").permanent());
    world.assert_nothing_moved();
}

#[test]
fn from_a_tenants_client_with_a_route_in_the_address() {
    let world = World::new("127.0.0.1/32");
    // A known client may mail evil.example; it may not have us, or evil.example, route by its own recipe.
    let plain = ["<victim@evil.example>", "<VICTIM@EVIL.EXAMPLE>", "<\"victim@evil.example\">"];
    let routed = |trick: &&&str| {
        trick.contains(['%', '!', '[', '|', ',', ' ', '\t', '#', '/', '?', ';', ':'])
            || trick.matches('@').count() != 1
            || trick.contains("<>")
    };
    for trick in TRICKS.iter().filter(|trick| !plain.contains(trick)).filter(routed) {
        let mut client = Client::ready(world.gateway.outbound);
        client.command("MAIL FROM:<aoi@acme.example>", 250);
        let rcpt = client.ask(&format!("RCPT TO:{trick}"));
        assert!(rcpt.permanent(), "{trick} was answered {rcpt:?}");
    }
    world.assert_nothing_moved();
}
