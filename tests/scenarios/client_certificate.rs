//! A tenant's server known by its client certificate.

use crate::support::gateway::MX_PORT;
use crate::support::tls::{Identity, client_config};
use crate::support::{Client, FakeMx, Gateway, fake_dns::FakeDns, loopback, message, own};

#[test]
fn the_named_certificate_may_send_and_another_may_not() {
    let (acme, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let dest = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    let dir = tempfile::tempdir().unwrap();
    let (good, other) =
        (Identity::create(dir.path(), "mail.acme.example"), Identity::create(dir.path(), "evil.example"));
    let gateway = Gateway::builder()
        .tenants(&format!(
            "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\n[[tenant.domain]]\nname = \"acme.example\"\n\
             next_hops = [\"{}\"]\nrecipients = \"any\"\n[[tenant.outbound_client]]\ncertificate = \"{}\"\n",
            acme.address(),
            good.fingerprint()
        ))
        .with_tls()
        .outbound("client_certificates = true")
        .dns(dns.address())
        .start();
    for (identity, allowed) in [(Some(&good), true), (Some(&other), false), (None, false)] {
        let mut client = Client::ready(gateway.outbound);
        assert!(client.ask("MAIL FROM:<aoi@acme.example>").permanent(), "before TLS");
        client.starttls(&client_config(identity));
        client.ehlo();
        let reply = client.ask("MAIL FROM:<aoi@acme.example>");
        assert_eq!(reply.code == 250, allowed, "{reply:?}");
        if allowed {
            client.command("RCPT TO:<you@dest.example>", 250);
            assert_eq!(client.data(own(&message("certified", "x\r\n"))).code, 250);
        } else {
            assert!(reply.permanent(), "{reply:?}");
        }
        client.quit();
    }
    dest.one();
    gateway.assert_settled();
}
