//! Mail of a tenant's own server goes out by MX: preference, implicit MX, null MX, no such domain, DNS trouble.

use std::net::IpAddr;

use crate::support::fake_dns::FakeDns;
use crate::support::gateway::{MX_PORT, acme, tenant};
use crate::support::{FakeMx, Gateway, eventually, loopback, message, sha256};

struct World {
    gateway: Gateway,
    dns: FakeDns,
    acme: FakeMx,
}

impl World {
    fn new(prepare: impl FnOnce(&FakeDns)) -> Self {
        let (acme_mx, dns) = (FakeMx::start(), FakeDns::start());
        prepare(&dns);
        let gateway = Gateway::builder().acme(acme_mx.address()).dns(dns.address()).quick_retries().start();
        Self { gateway, dns, acme: acme_mx }
    }

    fn send(&self, to: &[&str]) {
        self.gateway.send_outbound("aoi@acme.example", to, &message("out", "going out\r\n"));
    }

    /// The failure notice that comes back to the sender, at the tenant's own next hop.
    fn notice(&self) -> String {
        let notice = self.acme.one();
        assert_eq!((notice.from.as_str(), notice.recipients()), ("", vec!["aoi@acme.example"]));
        self.gateway.assert_settled();
        notice.text()
    }
}

fn server_at(ip: IpAddr) -> FakeMx {
    FakeMx::builder().ip(ip).port(MX_PORT).start()
}

#[test]
fn the_most_preferred_exchange_that_answers_gets_it() {
    let (dead, second, third) = (loopback::fresh_ip(), loopback::fresh_ip(), loopback::fresh_ip());
    let (second_mx, third_mx) = (server_at(second), server_at(third));
    let world = World::new(|dns| {
        dns.mx("dest.example", &[(30, "mx3.dest.example"), (10, "mx1.dest.example"), (20, "mx2.dest.example")]);
        dns.a("mx1.dest.example", &[dead]);
        dns.a("mx2.dest.example", &[second]);
        dns.a("mx3.dest.example", &[third]);
    });
    world.send(&["you@dest.example"]);
    let received = second_mx.one();
    assert_eq!((received.from.as_str(), received.recipients()), ("aoi@acme.example", vec!["you@dest.example"]));
    assert_eq!(received.body_hash, sha256(b"going out\r\n"));
    world.gateway.assert_settled();
    assert_eq!((third_mx.count(), world.acme.count()), (0, 0));
}

#[test]
fn without_mx_the_address_is_the_exchange() {
    let ip = loopback::fresh_ip();
    let mx = server_at(ip);
    let world = World::new(|dns| dns.a("dest.example", &[ip]));
    world.send(&["you@dest.example"]);
    mx.one();
    world.gateway.assert_settled();
}

#[test]
fn a_null_mx_fails_at_once() {
    let world = World::new(|dns| dns.null_mx("dest.example"));
    world.send(&["you@dest.example"]);
    let notice = world.notice();
    assert!(notice.contains("Status: 5.1.10"), "{notice}");
    assert!(notice.contains("rfc822; you@dest.example") || notice.contains("rfc822;you@dest.example"), "{notice}");
}

#[test]
fn a_domain_that_is_none_fails_at_once() {
    let world = World::new(|_| {});
    world.send(&["you@nowhere.example"]);
    let notice = world.notice();
    assert!(notice.contains("Status: 5.1.2"), "{notice}");
}

#[test]
fn dns_trouble_defers_and_passes() {
    let ip = loopback::fresh_ip();
    let mx = server_at(ip);
    let world = World::new(|dns| {
        dns.fail("dest.example");
        dns.a("dest.example", &[ip]);
    });
    world.send(&["you@dest.example"]);
    let line = world.gateway.logged("deferred", |line| line["recipient"] == "you@dest.example");
    assert!(line["reply"].as_str().unwrap_or_default().contains("4.4.3") || line["reason"].is_string(), "{line}");
    world.dns.mend("dest.example");
    mx.one();
    world.gateway.assert_settled();
    assert_eq!(world.acme.count(), 0, "no notice for a delay of seconds");
}

#[test]
fn each_domain_of_one_mail_goes_its_own_way() {
    let (one, two) = (loopback::fresh_ip(), loopback::fresh_ip());
    let (one_mx, two_mx) = (server_at(one), server_at(two));
    let world = World::new(|dns| {
        dns.a("one.example", &[one]);
        dns.mx("two.example", &[(0, "mail.two.example")]);
        dns.a("mail.two.example", &[two]);
    });
    world.send(&["a@one.example", "b@two.example", "c@one.example"]);
    assert_eq!(one_mx.one().recipients(), ["a@one.example", "c@one.example"]);
    assert_eq!(two_mx.one().recipients(), ["b@two.example"]);
    world.gateway.assert_settled();
}

#[test]
fn mail_between_tenants_goes_straight_to_the_next_hop() {
    let (acme_mx, beta_mx, dns) = (FakeMx::start(), FakeMx::start(), FakeDns::start());
    let gateway = Gateway::builder()
        .tenants(&acme("queued", &[acme_mx.address()], "\"any\""))
        .tenants(&tenant("beta", "beta.example", "queued", &[beta_mx.address()], "\"any\""))
        .dns(dns.address())
        .start();
    gateway.send_outbound("aoi@acme.example", &["you@beta.example", "me@acme.example"], &message("in", "x\r\n"));
    assert_eq!(beta_mx.one().recipients(), ["you@beta.example"]);
    assert_eq!(acme_mx.one().recipients(), ["me@acme.example"]);
    gateway.assert_settled();
    assert_eq!(dns.asked("beta.example"), 0);
}

#[test]
fn an_exchange_that_is_ourselves_is_a_loop() {
    let (acme_mx, dns) = (FakeMx::start(), FakeDns::start());
    let gateway = Gateway::builder().acme(acme_mx.address()).dns(dns.address()).quick_retries().start();
    dns.mx("loop.example", &[(10, "mx.gateway.example")]);
    dns.a("mx.gateway.example", &[gateway.inbound.ip()]);
    gateway.send_outbound("aoi@acme.example", &["you@loop.example"], &message("loop", "x\r\n"));
    let notice = acme_mx.one();
    assert!(notice.text().contains("Status: 5.4.6"), "{}", notice.text());
    eventually("nothing more to do", || gateway.metrics().sum("sekisho_recipients_queued") == 0.0);
    gateway.assert_settled();
}
