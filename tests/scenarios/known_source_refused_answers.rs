//! A known-source list refuses whom it lists. One that refuses us or is silent blocks nobody and raises the alarm.

use crate::support::fake_dns::FakeDns;
use crate::support::{FakeMx, Gateway, eventually, message};

const ZONE: &str = "bl.example";
const LISTED: &str = "192.0.2.7";
const CLEAN: &str = "192.0.2.10";

/// The list is in service when this returns.
fn world(dns: &FakeDns) -> (FakeMx, Gateway) {
    let code = |code: &str| [code.parse().unwrap()];
    // RFC 5782 section 5.
    dns.a("2.0.0.127.bl.example", &code("127.0.0.2"));
    dns.a("7.2.0.192.bl.example", &code("127.0.0.2"));
    dns.a("8.2.0.192.bl.example", &code("127.255.255.254"));
    dns.silence("9.2.0.192.bl.example");
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .acme(mx.address())
        .dns(dns.address())
        .set("[known_source]", "name = \"test-list\"")
        .set("[known_source]", &format!("zone = {ZONE:?}"))
        .set("[known_source]", "kind = \"ip\"")
        .set("[known_source]", "timeout = \"300ms\"")
        .set("[known_source]", "codes = [{ code = \"127.0.0.2\", reason = \"sends spam\", weight = 100 }]")
        .clients_anywhere()
        .start();
    eventually("the list to have passed its test", || {
        let metrics = gateway.metrics();
        metrics.sum("sekisho_dnsxl_self_tests_total") > 0.0 && metrics.sum("sekisho_dnsxl_lists_degraded") == 0.0
    });
    (mx, gateway)
}

fn code(gateway: &Gateway, ip: &str) -> u16 {
    gateway.try_from(ip, "aoi@sender.example", "you@acme.example", &message("mail", "x\r\n")).code
}

#[test]
fn who_is_listed_is_refused_and_the_zone_is_told_to_nobody() {
    let dns = FakeDns::start();
    let (_mx, gateway) = world(&dns);
    let reply = gateway.try_from(LISTED, "aoi@sender.example", "you@acme.example", &message("listed", "x\r\n"));
    assert!(reply.code == 550 && reply.is("5.7.1"), "{reply:?}");
    assert_eq!(code(&gateway, CLEAN), 250);
    let logged = gateway.logged("rcpt", |line| line["code"] == 550);
    assert_eq!(logged["reason"], "known-source");
    let explanation = &logged["explanation"];
    assert_eq!(explanation["judgements"][0]["decided_by"]["list"], "test-list", "{explanation}");
    assert_eq!(explanation["judgements"][0]["decided_by"]["reason"], "sends spam");
    gateway.logged("judged", |_| true);
    assert!(!std::fs::read_to_string(gateway.mail_log_file()).unwrap().contains(ZONE), "a zone may hold a key");
    gateway.assert_settled();
}

#[test]
fn a_list_that_refuses_us_blocks_nobody_and_raises_the_alarm() {
    let dns = FakeDns::start();
    let (_mx, gateway) = world(&dns);
    assert_eq!(code(&gateway, LISTED), 550);
    assert_eq!(code(&gateway, "192.0.2.8"), 250, "127.255.255.254 is an error code, no listing");
    assert_eq!(gateway.metrics().sum("sekisho_dnsxl_lists_degraded"), 1.0);
    assert_eq!(code(&gateway, CLEAN), 250);
    assert!(dns.asked("10.2.0.192.bl.example") == 0, "a list out of service is not asked");
    let judged = gateway.logged("judged", |line| line["ip"] == "192.0.2.8");
    assert!(judged["explanation"]["zones"][0]["answer"]["degraded"].is_object(), "{judged}");
    gateway.assert_settled();
}

#[test]
fn a_time_out_blocks_nobody() {
    let dns = FakeDns::start();
    let (_mx, gateway) = world(&dns);
    assert_eq!(code(&gateway, "192.0.2.9"), 250);
    assert!(dns.asked("9.2.0.192.bl.example") > 0);
    assert_eq!(code(&gateway, LISTED), 550, "one silence does not put a list out of service");
    let judged = gateway.logged("judged", |line| line["ip"] == "192.0.2.9");
    assert!(judged["explanation"]["zones"][0]["answer"]["degraded"].is_object(), "{judged}");
    gateway.assert_settled();
}
