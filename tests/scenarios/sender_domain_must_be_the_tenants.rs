//! A known client may send as its own tenant, not as another, not as the world (SEC-A04).

use crate::support::gateway::{MX_PORT, acme, tenant};
use crate::support::{Client, FakeMx, Gateway, fake_dns::FakeDns, loopback, message};

#[test]
fn only_the_tenants_own_domains_may_be_the_senders() {
    let (acme_mx, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let dest = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    let gateway = Gateway::builder()
        .tenants(&acme("queued", &[acme_mx.address()], "\"any\""))
        .tenants(&tenant("beta", "beta.example", "queued", &[acme_mx.address()], "\"any\""))
        .dns(dns.address())
        .start();
    for sender in [
        "aoi@beta.example",
        "aoi@other.example",
        "aoi@sub.acme.example",
        "aoi@acme.example.other.example",
        "aoi@xacme.example",
        "aoi@[127.0.0.1]",
        "\"aoi@acme.example\"@other.example",
    ] {
        let mut client = Client::ready(gateway.outbound);
        let mail = client.ask(&format!("MAIL FROM:<{sender}>"));
        assert!(mail.permanent(), "{sender}: {mail:?}");
        assert!(client.ask("RCPT TO:<you@dest.example>").permanent());
        client.quit();
    }
    gateway.send_outbound("Aoi@ACME.example", &["you@dest.example"], &message("own", "x\r\n"));
    assert_eq!(dest.one().from, "Aoi@acme.example");
    gateway.assert_settled();
    assert_eq!(gateway.metrics().sum("sekisho_recipients_accepted_total"), 1.0);
}
