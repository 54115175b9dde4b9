//! Who may send as whom: sixty ways to be somebody else are refused at the end of data, and the honest forms pass (SEC-A04). The
//! client is acme's own server; beta is another tenant of the same gateway.

use crate::support::gateway::{MX_PORT, acme, tenant};
use crate::support::{Client, FakeMx, Gateway, fake_dns::FakeDns, loopback};

/// Header lines of what must not leave; `~` stands for a line's end.
const SPOOFED: [&str; 60] = [
    // Plainly somebody else.
    "From: ceo@beta.example",
    "From: Ceo <ceo@beta.example>",
    "From: ceo@other.example",
    "FROM:ceo@BETA.EXAMPLE",
    "from : <ceo@beta.example>",
    "From: ceo@sub.acme.example",
    "From: ceo@acme.example.beta.example",
    "From: ceo@xacme.example",
    "From: ceo@acme.example.",
    "From: ceo@[127.0.0.1]",
    "From: ceo@beta.example (aoi@acme.example)",
    "From: \"aoi@acme.example\" <ceo@beta.example>",
    // Beside one of ours.
    "From: aoi@acme.example, ceo@beta.example",
    "From: ceo@beta.example, aoi@acme.example~Sender: aoi@acme.example",
    "From: Board: aoi@acme.example, ceo@beta.example;",
    "From: aoi@acme.example;ceo@beta.example",
    "From: aoi@acme.example ceo@beta.example",
    "From: <aoi@acme.example> <ceo@beta.example>",
    "From: <aoi@acme.example>, <ceo@beta.example>",
    "From: <aoi@acme.example> ceo@beta.example",
    "From: ceo@beta.example <aoi@acme.example>",
    "From: \"Ceo, ceo@beta.example\" <aoi@acme.example>",
    "From: \"<ceo@beta.example>\" <aoi@acme.example>",
    "From: aoi@acme.example (<ceo@beta.example>)",
    // In another field.
    "From: aoi@acme.example~Sender: ceo@beta.example",
    "From: aoi@acme.example~sender : ceo@other.example",
    "From: aoi@acme.example~Resent-From: ceo@beta.example",
    "From: aoi@acme.example~Resent-Sender: ceo@beta.example",
    "From: aoi@acme.example~Resent-From: aoi@acme.example~Resent-From: ceo@beta.example",
    "From: aoi@acme.example~Resent-From: aoi@acme.example~Resent-Sender: ceo@beta.example",
    // More than one From or Sender.
    "From: aoi@acme.example~From: ceo@beta.example",
    "From: ceo@beta.example~From: aoi@acme.example",
    "From: aoi@acme.example~from : ceo@beta.example",
    "From: aoi@acme.example~FROM\t: ceo@beta.example",
    "From: aoi@acme.example~Sender: aoi@acme.example~Sender: ceo@beta.example",
    // Hidden by encoding.
    "From: =?utf-8?q?ceo=40beta.example?=",
    "From: =?utf-8?b?PGNlb0BiZXRhLmV4YW1wbGU+?= <aoi@acme.example>",
    "From: =?utf-8?q?Ceo_=3Cceo=40beta.example=3E=2C?= aoi@acme.example",
    "From: =?utf-8?q?ceo=40beta.example?= @acme.example",
    "From: =?utf-8?q?ceo=40beta.example=2C?=@acme.example",
    "From: ceo@=?utf-8?q?beta.example?=",
    "From: =?utf-8?q?Aoi=0D=0AFrom:_ceo=40beta.example?= <aoi@acme.example>",
    // Hidden by what is not ASCII.
    "From: ceo＠beta.example",
    "From: ceo＠beta.example@acme.example",
    "From: ceo@b\u{435}ta.example",
    "From: ceo@beta\u{ff0e}example",
    "From: ceo\u{202e}@acme.example",
    // Routes of old.
    "From: <@beta.example:aoi@acme.example>",
    "From: ceo%beta.example@acme.example",
    "From: beta.example!ceo@acme.example",
    "From: \"ceo@beta.example\"@acme.example",
    "From: <aoi@acme.example@beta.example>",
    // Lines that are read in two ways.
    "From: aoi@acme.example~\tFrom: ceo@beta.example",
    "From: aoi@acme.example~Fr om: ceo@beta.example",
    "From: aoi@acme.example~no field~From: ceo@beta.example",
    " From: ceo@beta.example~From: aoi@acme.example",
    "From: aoi(ceo@beta.example)@acme.example",
    "From: (aoi@acme.example~ ) ceo@beta.example",
    // Nobody.
    "To: you@dest.example",
    "From: undisclosed:;",
];

const HONEST: [&str; 28] = [
    "From: aoi@acme.example",
    "From: Aoi Suzuki <aoi@acme.example>",
    "from : Aoi <AOI@Acme.EXAMPLE>",
    "From:~\tAoi~\t<aoi@acme.example>",
    "From: aoi@acme.example (Aoi (of Acme))",
    "From: \"Suzuki, Aoi\" <aoi@acme.example>",
    "From: Acme, Inc. <info@acme.example>",
    "From: [Ticket 7] Support <support@acme.example>",
    "From: Sales: aoi@acme.example, ken@acme.example;",
    "From: \"aoi suzuki\"@acme.example",
    "From: <\"aoi.s\"@acme.example>",
    "From: =?iso-2022-jp?B?GyRCTmtMWhsoQg==?= <aoi@acme.example>",
    "From: =?utf-8?B?6Yi05pyo?= =?utf-8?B?6JG1?=~ <aoi@acme.example>",
    "From: =?Shift_JIS?B?l+mW2A==?= <aoi@acme.example>",
    "From: \"=?utf-8?B?6Yi05pyo?=\" <aoi@acme.example>",
    "From: aoi+news@acme.example",
    "From: aoi-list.x=y@acme.example",
    "From: o'brien@acme.example",
    "From: aoi @ acme.example",
    "From: aoi@日本語.example",
    "From: aoi@xn--wgv71a119e.example",
    "From: Aoi <aoi@XN--WGV71A119E.example>",
    "From: aoi@acme.example, ken@日本語.example~Sender: ken@acme.example",
    "From: aoi@acme.example~Sender: Aoi's secretary <mei@acme.example>",
    "From: aoi@acme.example~Resent-From: ken@acme.example~Resent-Sender: mei@acme.example",
    "From: aoi@acme.example~Resent-From: ken@acme.example~Resent-From: mei@acme.example",
    "From: aoi@acme.example <aoi@acme.example>",
    "From: MAILER-DAEMON@acme.example (Mail Delivery System)~Reply-To: ceo@beta.example",
];

fn mail(header: &str) -> String {
    format!("{}\r\nSubject: plan\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\r\nx\r\n", header.replace('~', "\r\n"))
}

fn world() -> (FakeMx, FakeDns, Gateway) {
    let (acme_mx, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let dest = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    let hop = acme_mx.address();
    let more = format!("[[tenant.domain]]\nname = \"日本語.example\"\nnext_hops = [\"{hop}\"]\nrecipients = \"any\"\n");
    let gateway = Gateway::builder()
        .tenants(&(acme("queued", &[hop], "\"any\"") + &more))
        .tenants(&tenant("beta", "beta.example", "queued", &[hop], "\"any\""))
        .dns(dns.address())
        .start();
    (dest, dns, gateway)
}

#[test]
fn sixty_ways_to_be_somebody_else_and_none_leaves() {
    let (dest, _dns, gateway) = world();
    for (n, header) in SPOOFED.iter().enumerate() {
        let mut client = Client::ready(gateway.outbound);
        // Every third from nobody, as a server's own notices are.
        let sender = if n % 3 == 2 { "" } else { "aoi@acme.example" };
        client.envelope(sender, &["you@dest.example"]);
        let reply = client.data(mail(header));
        assert!(reply.code == 550, "{header:?} was answered {reply:?}");
        client.quit();
    }
    gateway.assert_settled();
    assert_eq!(dest.count(), 0);
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("sekisho_outbound_author_refusals_total"), 60.0);
    assert_eq!(metrics.sum("sekisho_recipients_accepted_total"), 0.0);
}

#[test]
fn honest_forms_pass() {
    let (dest, _dns, gateway) = world();
    for header in HONEST {
        let mut client = Client::ready(gateway.outbound);
        client.envelope("aoi@acme.example", &["you@dest.example"]);
        let reply = client.data(mail(header));
        assert_eq!(reply.code, 250, "{header:?} was answered {reply:?}");
        client.quit();
    }
    dest.wait(HONEST.len());
    gateway.assert_settled();
}

const SECRET: &str = "0f8b2c9d4e6a71530f8b2c9d";
const BETAS: &str = "b7d1e5a90c3f42868b7d1e5a";

/// Both tenants send from one network, each with its field.
fn cloud() -> (FakeMx, FakeDns, Gateway) {
    let (mx, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let dest = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    let client = |value: &str| {
        format!(
            "[[tenant.outbound_client]]\nnetwork = \"127.0.0.0/8\"\nheader = \"X-Gate-Tenant\"\nvalue = \"{value}\"\n"
        )
    };
    let gateway = Gateway::builder()
        .tenants(&(tenant("acme", "acme.example", "queued", &[mx.address()], "\"any\"") + &client(SECRET)))
        .tenants(&(tenant("beta", "beta.example", "queued", &[mx.address()], "\"any\"") + &client(BETAS)))
        .dns(dns.address())
        .start();
    (dest, dns, gateway)
}

#[test]
fn in_a_shared_network_the_message_shows_whose_it_is() {
    let (dest, _dns, gateway) = cloud();
    let send = |sender: &str, header: &str| {
        let mut client = Client::ready(gateway.outbound);
        let asked = client.ask(&format!("MAIL FROM:<{sender}>"));
        if asked.code != 250 {
            return asked.code;
        }
        client.command("RCPT TO:<you@dest.example>", 250);
        client.data(mail(header)).code
    };
    let with = |author: &str, value: &str| format!("X-Gate-Tenant: {value}~From: {author}");
    for (sender, header) in [
        ("aoi@acme.example", "From: aoi@acme.example".to_owned()),
        ("aoi@acme.example", with("aoi@acme.example", BETAS)),
        ("aoi@acme.example", with("aoi@acme.example", "")),
        ("aoi@acme.example", with("aoi@acme.example", &SECRET[1..])),
        ("aoi@acme.example", format!("{}~X-GATE-TENANT : {BETAS}", with("aoi@acme.example", SECRET))),
        ("aoi@acme.example", with("ceo@beta.example", SECRET)),
        ("ceo@beta.example", with("ceo@beta.example", SECRET)),
        ("ceo@other.example", with("ceo@other.example", SECRET)),
        ("", with("aoi@acme.example", SECRET)),
    ] {
        assert_eq!(send(sender, &header), 550, "{sender} {header}");
    }
    assert_eq!(send("aoi@acme.example", &with("Aoi <aoi@acme.example>", SECRET)), 250);
    assert_eq!(send("ceo@beta.example", &format!("From: ceo@beta.example~x-gate-tenant:~\t{BETAS}")), 250);
    for received in dest.wait(2) {
        assert!(!received.text().to_ascii_lowercase().contains("x-gate-tenant"), "{}", received.headers());
        assert!(!received.text().contains(SECRET) && !received.text().contains(BETAS), "{}", received.headers());
    }
    gateway.assert_settled();
    assert!(!gateway.spool_contains(SECRET.as_bytes()), "not in the store either");
    let log = std::fs::read_to_string(gateway.mail_log_file()).unwrap() + &gateway.stderr();
    assert!(!log.contains(SECRET) && !log.contains(BETAS));
    let shown = gateway.cli_ok(&["tenant", "show", "acme"]) + &gateway.cli_ok(&["tenant", "show", "acme", "--json"]);
    assert!(shown.contains("X-Gate-Tenant") && !shown.contains(SECRET), "{shown}");
}
