//! Notices by RFC 3464, asked for by RFC 3461: who gets one, who never, and what stands in it.

use crate::support::gateway::MX_PORT;
use crate::support::{Client, FakeMx, Gateway, GatewayBuilder, Received, fake_dns::FakeDns, loopback, message, own};

struct World {
    gateway: Gateway,
    acme: FakeMx,
    dest: FakeMx,
    _dns: FakeDns,
}

/// A tenant that sends out to dest.example, whose server refuses `gone`.
fn world(settle: impl FnOnce(GatewayBuilder) -> GatewayBuilder, dsn: bool) -> World {
    let (acme, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let capabilities: &[&str] = if dsn { &["PIPELINING", "DSN"] } else { &["PIPELINING"] };
    let dest = FakeMx::builder()
        .capabilities(capabilities)
        .refusing("gone@dest.example", "550 5.1.1 no such mailbox")
        .ip(ip)
        .port(MX_PORT)
        .start();
    dns.mx("dest.example", &[(10, "mx.dest.example")]);
    dns.a("mx.dest.example", &[ip]);
    let builder = Gateway::builder().acme(acme.address()).dns(dns.address()).quick_retries();
    World { gateway: settle(builder).start(), acme, dest, _dns: dns }
}

impl World {
    fn send(&self, mail: &str, rcpts: &[&str]) {
        let mut client = Client::ready(self.gateway.outbound);
        client.command(&format!("MAIL FROM:{mail}"), 250);
        for rcpt in rcpts {
            client.command(&format!("RCPT TO:{rcpt}"), 250);
        }
        let reply = client.data(own(&message("notify me", "secret body\r\n")));
        assert_eq!(reply.code, 250, "{reply:?}");
        client.quit();
    }
}

/// The fields of the notice's machine-readable part: per message, then per recipient.
fn fields(notice: &Received) -> Vec<Vec<(String, String)>> {
    let text = notice.text();
    let start = text.find("message/delivery-status").or_else(|| text.find("message/global-delivery-status"));
    let part = &text[start.expect("a delivery-status part")..];
    let part = &part[part.find("\r\n\r\n").expect("its header's end") + 4..];
    let part = &part[..part.find("\r\n--").expect("its end")];
    let unfolded = part.replace("\r\n ", " ").replace("\r\n\t", " ");
    let groups = unfolded.split("\r\n\r\n").filter(|group| !group.trim().is_empty());
    groups
        .map(|group| {
            let lines = group.split("\r\n").filter(|line| !line.is_empty());
            lines
                .map(|line| {
                    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}"));
                    (name.to_ascii_lowercase(), value.trim().to_owned())
                })
                .collect()
        })
        .collect()
}

fn field<'a>(group: &'a [(String, String)], name: &str) -> Option<&'a str> {
    group.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_failure_notice_says_everything_rfc_3464_asks_for() {
    let world = world(|builder| builder, true);
    world.send(
        "<aoi@acme.example> ENVID=QQ+2B314159 RET=HDRS",
        &["<gone@dest.example> NOTIFY=FAILURE ORCPT=rfc822;Gone+2BTag@dest.example", "<ok@dest.example>"],
    );
    let notice = world.acme.one();
    assert_eq!((notice.from.as_str(), notice.recipients()), ("", vec!["aoi@acme.example"]));
    let content_type = notice.header("Content-Type").unwrap();
    assert!(content_type.contains("multipart/report") && content_type.contains("delivery-status"), "{content_type}");
    assert!(notice.header("Auto-Submitted").unwrap().starts_with("auto-replied"), "RFC 3834");
    for name in ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version"] {
        assert!(notice.header(name).is_some(), "no {name}: {}", notice.headers());
    }
    let groups = fields(&notice);
    assert_eq!(groups.len(), 2, "one group for the message, one for the failed recipient: {groups:?}");
    assert_eq!(field(&groups[0], "reporting-mta").unwrap().replace(' ', ""), "dns;mx.gateway.example");
    assert_eq!(field(&groups[0], "original-envelope-id"), Some("QQ+314159"));
    assert!(field(&groups[0], "arrival-date").is_some());
    assert_eq!(field(&groups[1], "final-recipient").unwrap().replace(' ', ""), "rfc822;gone@dest.example");
    assert_eq!(field(&groups[1], "original-recipient").unwrap().replace(' ', ""), "rfc822;Gone+Tag@dest.example");
    assert_eq!(field(&groups[1], "action"), Some("failed"));
    assert_eq!(field(&groups[1], "status"), Some("5.1.1"));
    let diagnostic = field(&groups[1], "diagnostic-code").unwrap();
    assert!(
        diagnostic.to_ascii_lowercase().starts_with("smtp") && diagnostic.contains("no such mailbox"),
        "{diagnostic}"
    );
    assert!(field(&groups[1], "remote-mta").is_some());
    let text = notice.text();
    assert!(text.contains("Subject: notify me"), "the original's header");
    assert!(!text.contains("secret body"), "RET=HDRS");
    world.gateway.assert_settled();
    assert_eq!(world.dest.one().recipients(), ["ok@dest.example"]);
}

#[test]
fn with_ret_full_the_message_comes_back_whole() {
    let world = world(|builder| builder, true);
    world.send("<aoi@acme.example> RET=FULL", &["<gone@dest.example>"]);
    assert!(world.acme.one().text().contains("secret body"));
    world.gateway.assert_settled();
}

#[test]
fn who_wants_none_and_nobody_get_none() {
    let world = world(|builder| builder, true);
    world.send("<aoi@acme.example>", &["<gone@dest.example> NOTIFY=NEVER"]);
    world.send("<aoi@acme.example>", &["<gone@dest.example> NOTIFY=SUCCESS"]);
    world.send("<aoi@acme.example>", &["<gone@dest.example> NOTIFY=DELAY"]);
    world.send("<>", &["<gone@dest.example>"]);
    world.send("<>", &["<gone@dest.example> NOTIFY=FAILURE,DELAY"]);
    world.gateway.assert_settled();
    let bounced = world.gateway.mail_log().iter().filter(|line| line["event"] == "bounced").count();
    assert_eq!(bounced, 5);
    assert_eq!(world.acme.seen().len(), 0);
}

#[test]
fn the_next_hop_gets_the_parameters_if_it_knows_dsn() {
    let world = world(|builder| builder, true);
    let rcpt = "<ok@dest.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Ok+2BTag@dest.example";
    world.send("<aoi@acme.example> ENVID=QQ+2B1 RET=HDRS", &[rcpt]);
    let received = world.dest.one();
    assert!(received.from_params.contains("ENVID=QQ+2B1"), "{}", received.from_params);
    assert!(received.from_params.contains("RET=HDRS"), "{}", received.from_params);
    let params = received.to[0].1.to_ascii_uppercase();
    assert!(
        params.contains("NOTIFY=SUCCESS,FAILURE") && params.contains("ORCPT=RFC822;OK+2BTAG@DEST.EXAMPLE"),
        "{params}"
    );
    world.gateway.assert_settled();
    assert_eq!(world.acme.count(), 0, "telling of the success is the next hop's matter now");
}

#[test]
fn where_the_next_hop_knows_no_dsn_the_success_is_told_as_relayed() {
    let world = world(|builder| builder, false);
    world.send("<aoi@acme.example>", &["<ok@dest.example> NOTIFY=SUCCESS", "<quiet@dest.example>"]);
    let notice = world.acme.one();
    let groups = fields(&notice);
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert_eq!(field(&groups[1], "action"), Some("relayed"));
    assert_eq!(field(&groups[1], "status").map(|status| &status[..1]), Some("2"));
    assert_eq!(world.dest.one().to[0].1, "");
    world.gateway.assert_settled();
}

#[test]
fn a_delay_is_told_once_and_then_the_failure() {
    let settle = |builder: GatewayBuilder| {
        builder.set("delivery", "delay_notice = \"1s\"").set("delivery", "expire_outbound = \"6s\"")
    };
    let world = world(settle, true);
    world.dest.go_down();
    world.send("<aoi@acme.example> ENVID=late", &["<late@dest.example>"]);
    world.send("<aoi@acme.example>", &["<patient@dest.example> NOTIFY=FAILURE"]);
    let notices = world.acme.wait_for_at_least(3);
    world.gateway.assert_settled();
    assert_eq!(world.acme.count(), 3, "one delay, two failures");
    let actions: Vec<(String, String, String)> = notices
        .iter()
        .map(|notice| {
            let groups = fields(notice);
            let get = |name: &str| field(&groups[1], name).unwrap_or_default().to_owned();
            (get("action"), get("final-recipient").replace(' ', ""), get("status"))
        })
        .collect();
    assert_eq!(actions[0].0, "delayed", "{actions:?}");
    assert_eq!(actions[0].1, "rfc822;late@dest.example");
    assert!(actions[0].2.starts_with('4'), "{actions:?}");
    assert!(field(&fields(&notices[0])[1], "will-retry-until").is_some());
    let mut failed: Vec<&str> = actions[1..].iter().map(|(_, recipient, _)| recipient.as_str()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["rfc822;late@dest.example", "rfc822;patient@dest.example"]);
    assert!(actions[1..].iter().all(|(action, ..)| action == "failed"), "{actions:?}");
    assert_eq!(world.gateway.metrics().sum("sekisho_recipients_expired_total"), 2.0);
}

#[test]
fn mail_refused_at_smtp_is_never_bounced() {
    let world = world(|builder| builder, true);
    let mut client = Client::ready(world.gateway.outbound);
    client.envelope("aoi@acme.example", &["ok@dest.example"]);
    assert!(client.data("Subject: x\r\n\r\nbare\nLF\r\n").permanent());
    client.quit();
    world.gateway.assert_settled();
    assert_eq!((world.acme.seen().len(), world.dest.seen().len()), (0, 0));
}

#[test]
fn a_notice_that_nobody_takes_is_dropped_and_makes_no_other() {
    // The sender's own mail server refuses everything that comes back to it.
    let (dns, ip) = (FakeDns::start(), loopback::fresh_ip());
    dns.a("dest.example", &[ip]);
    let dest = FakeMx::builder().refusing("gone@dest.example", "550 5.1.1 gone").ip(ip).port(MX_PORT).start();
    let acme = FakeMx::builder().refusing("aoi@acme.example", "550 5.1.1 left us").start();
    let gateway = Gateway::builder().acme(acme.address()).dns(dns.address()).quick_retries().start();
    gateway.send_outbound("aoi@acme.example", &["gone@dest.example"], &message("x", "x\r\n"));
    gateway.logged("bounced", |line| line["recipient"] == "gone@dest.example");
    gateway.assert_settled();
    assert_eq!(gateway.mail_log().iter().filter(|line| line["event"] == "notice").count(), 1);
    assert_eq!((acme.seen().len(), dest.seen().len()), (0, 0));
    assert_eq!(gateway.metrics().sum("sekisho_recipients_bounced_total"), 2.0);
}
