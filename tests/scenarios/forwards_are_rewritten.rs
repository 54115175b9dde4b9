//! Mail that a tenant's server sends on for others: refused unless the tenant says `forwards = "srs"`; then it leaves under the
//! tenant's domain if the author's domain signed it, and what bounces goes back to the first sender.

use sekisho::sender::authentication::keys::SigningKey;
use sekisho::sender::authentication::sign::{self, Layout, Signer};

use crate::support::fake_dns::FakeDns;
use crate::support::gateway::{MX_PORT, acme};
use crate::support::{Client, FakeMx, Gateway, loopback, message};

struct World {
    acme: FakeMx,
    dest: FakeMx,
    /// Where bounces to sender.example go.
    sender: FakeMx,
    gateway: Gateway,
    key: SigningKey,
    _dns: FakeDns,
}

fn world(forwards: &str) -> World {
    let (acme_mx, dns) = (FakeMx::start(), FakeDns::start());
    let (ip, other) = (loopback::fresh_ip(), loopback::fresh_ip());
    let dest = FakeMx::builder().refusing("gone@dest.example", "550 5.1.1 gone").ip(ip).port(MX_PORT).start();
    let sender = FakeMx::builder().ip(other).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    dns.a("sender.example", &[other]);
    let key = SigningKey::read(&SigningKey::generate_ed25519().unwrap()).unwrap();
    dns.txt("s1._domainkey.sender.example", &key.record());
    let text = acme("inline", &[acme_mx.address()], "\"any\"").replacen(
        "[tenant.sender]",
        &format!("forwards = \"{forwards}\"\n[tenant.sender]"),
        1,
    );
    let gateway = Gateway::builder().tenants(&text).dns(dns.address()).quick_retries().start();
    World { acme: acme_mx, dest, sender, gateway, key, _dns: dns }
}

impl World {
    fn signed(&self, domain: &str, mail: &str) -> String {
        let now = 1_795_000_000;
        let signer = Signer { key: &self.key, domain, selector: "s1", now, layout: Layout::default() };
        String::from_utf8(sign::dkim(mail.as_bytes(), &signer, None).unwrap()).unwrap() + mail
    }

    fn forward(&self, to: &str, mail: &str) -> u16 {
        let mut client = Client::ready(self.gateway.outbound);
        let reply = client.ask("MAIL FROM:<list@sender.example>");
        if reply.code != 250 {
            return reply.code;
        }
        client.command(&format!("RCPT TO:<{to}>"), 250);
        let reply = client.data(mail);
        client.quit();
        reply.code
    }

    fn bounce(&self, from: &str, to: &str) -> u16 {
        let mut client = Client::ready(self.gateway.inbound);
        client.command(&format!("MAIL FROM:<{from}>"), 250);
        let reply = client.ask(&format!("RCPT TO:<{to}>"));
        if reply.code != 250 {
            return reply.code;
        }
        let notice = "From: MAILER-DAEMON@dest.example\r\nTo: list@sender.example\r\nSubject: undelivered\r\n\r\nx\r\n";
        client.data(notice).code
    }
}

#[test]
fn refused_unless_the_tenant_says_so() {
    let world = world("refuse");
    assert_eq!(world.forward("you@dest.example", &world.signed("sender.example", &message("on", "x\r\n"))), 550);
    // Nor is anything taken for a rewritten sender.
    assert_eq!(world.bounce("", "SRS0=aaaaaaaa=aa=sender.example=list@acme.example"), 250);
    assert_eq!(world.acme.one().to[0].0, "SRS0=aaaaaaaa=aa=sender.example=list@acme.example");
    assert_eq!((world.dest.count(), world.sender.count()), (0, 0));
    world.gateway.assert_settled();
}

#[test]
fn sent_on_under_the_tenants_domain_and_back_again() {
    let world = world("srs");
    let mail = message("on", "x\r\n");
    // Without a signature of the author's domain, or with one that is broken, or of another domain.
    assert_eq!(world.forward("you@dest.example", &mail), 550);
    assert_eq!(
        world.forward("you@dest.example", &world.signed("sender.example", &mail).replace("\r\n\r\nx", "\r\n\r\ny")),
        550
    );
    assert_eq!(world.forward("you@dest.example", &world.signed("other.example", &mail)), 550);
    let two =
        world.signed("sender.example", &mail.replacen("<aoi@sender.example>", "<aoi@sender.example>, b@x.example", 1));
    assert_eq!(world.forward("you@dest.example", &two), 550, "nobody vouches for the other author");
    assert_eq!(world.dest.count(), 0);

    assert_eq!(world.forward("you@dest.example", &world.signed("sender.example", &mail)), 250);
    let received = world.dest.one();
    assert!(received.from.starts_with("SRS0="), "{}", received.from);
    assert!(received.from.ends_with("=sender.example=list@acme.example"), "{}", received.from);

    // What bounces there goes on to the first sender, and nowhere else.
    assert_eq!(world.bounce("", &received.from), 250);
    let back = world.sender.one();
    assert_eq!((back.from.as_str(), back.to[0].0.as_str(), back.to.len()), ("", "list@sender.example", 1));
    assert_eq!(world.bounce("a@dest.example", &received.from), 550, "only notices come back");
    let forged = received.from.replace("=list@", "=victim@");
    assert_eq!(world.bounce("", &forged), 550);
    assert_eq!(world.bounce("", "SRS0=aaaaaaaa=aa=sender.example=victim@acme.example"), 550);
    world.gateway.assert_settled();
    assert_eq!((world.sender.count(), world.acme.count()), (1, 0));
}

#[test]
fn our_own_notice_goes_to_the_first_sender_too() {
    let world = world("srs");
    let mail = world.signed("sender.example", &message("on", "x\r\n"));
    assert_eq!(world.forward("gone@dest.example", &mail), 250);
    let notice = world.sender.one();
    assert_eq!((notice.from.as_str(), notice.to[0].0.as_str(), notice.to.len()), ("", "list@sender.example", 1));
    world.gateway.assert_settled();
    assert_eq!(world.acme.count(), 0);
}
