//! An author's first mail to a tenant is told as a first contact; the second is not, nor is an answer to the tenant's own mail.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::fake_dns::FakeDns;
use crate::support::fake_mx::Command;
use crate::support::gateway::{acme, tenant};
use crate::support::{Answer, FakeMx, Gateway, message};

/// The one server of sender.example.
const OWN: &str = "192.0.2.7";
const STRANGER: &str = "198.51.100.9";

/// Two tenants; sender.example can prove who it is, and asks for nothing if it can't.
fn world(learning: Option<&str>) -> (FakeMx, FakeDns, Gateway) {
    let (mx, dns) = (FakeMx::start(), FakeDns::start());
    dns.txt("sender.example", "v=spf1 ip4:192.0.2.7 -all");
    dns.txt("_dmarc.sender.example", "v=DMARC1; p=none");
    let builder = Gateway::builder()
        .tenants(&acme("queued", &[mx.address()], "\"any\""))
        .tenants(&tenant("beta", "beta.example", "inline", &[mx.address()], "\"any\""))
        .dns(dns.address())
        .clients_anywhere();
    let builder = match learning {
        Some(learning) => builder.set("first_contact", &format!("learning = \"{learning}\"")),
        None => builder,
    };
    (mx, dns, builder.start())
}

fn mail_of(author: &str, body: &str) -> String {
    message("hello", body).replacen("aoi@sender.example", author, 1)
}

/// Sends, and says whether it was found to be a first contact.
#[track_caller]
fn is_first(gateway: &Gateway, ip: &str, author: &str, to: &[&str]) -> bool {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    // An envelope sender of its own, by which its line in the log is found.
    let sender = author.replacen('@', &format!("+{}@", SENT.fetch_add(1, Ordering::Relaxed)), 1);
    let mut client = gateway.client_at(ip);
    client.mail(&sender, to, mail_of(author, "A word or two.\r\n"));
    client.quit();
    let line = gateway.logged("judged", |line| line["explanation"]["sender"] == *sender);
    let findings = line["explanation"]["content"]["verdict"]["findings"].as_array().cloned();
    findings.unwrap_or_default().iter().any(|finding| finding["symbol"] == "FIRST_CONTACT")
}

#[test]
fn the_first_mail_of_an_author_is_told_and_the_second_is_not() {
    let (mx, _dns, mut gateway) = world(Some("0s"));
    let (aoi, you) = ("aoi@sender.example", "you@acme.example");
    assert!(is_first(&gateway, OWN, aoi, &[you]));
    assert!(!is_first(&gateway, OWN, aoi, &[you]));
    assert!(!is_first(&gateway, OWN, aoi, &["other@acme.example"]), "the tenant knows the author");
    assert!(is_first(&gateway, OWN, aoi, &["you@beta.example"]), "the other tenant does not");
    assert!(!is_first(&gateway, OWN, aoi, &["you@beta.example"]));
    assert!(is_first(&gateway, STRANGER, aoi, &[you]), "forged");
    assert!(!is_first(&gateway, OWN, "bob@sender.example", &[you, "you@beta.example"]), "whose first contact?");
    assert!(is_first(&gateway, OWN, "bob@sender.example", &[you]), "and nobody has met the author by it");
    mx.wait(9);

    // What is kept back makes no acquaintance.
    let gtube = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE", "-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"].concat();
    gateway.try_from(OWN, "eve@sender.example", you, &mail_of("eve@sender.example", &gtube));
    assert!(is_first(&gateway, OWN, "eve@sender.example", &[you]));

    // Whom the tenant wrote to may answer, and need not prove anything.
    gateway.send_outbound(you, &["Her@partner.example"], &message("hello", "x\r\n"));
    assert!(!is_first(&gateway, STRANGER, "her@partner.example", &[you]));
    assert!(is_first(&gateway, STRANGER, "his@partner.example", &[you]));
    assert!(is_first(&gateway, STRANGER, "her@partner.example", &["you@beta.example"]));

    assert!(gateway.terminate().success());
    gateway.serve();
    assert!(gateway.metrics().sum("sekisho_first_contact_entries") >= 8.0);
    assert!(!is_first(&gateway, OWN, aoi, &[you]), "it is saved");
    assert!(!is_first(&gateway, STRANGER, "her@partner.example", &[you]));
    assert!(is_first(&gateway, OWN, "new@sender.example", &[you]));
}

#[test]
fn a_fresh_installation_calls_nobody_a_stranger() {
    let (_mx, _dns, gateway) = world(None);
    assert!(!is_first(&gateway, OWN, "aoi@sender.example", &["you@acme.example"]));
    assert!(!is_first(&gateway, STRANGER, "eve@partner.example", &["you@acme.example"]));
}

#[test]
fn whom_the_next_hop_refuses_nobody_has_met() {
    let once = |dot: &Command| if dot.nth == 1 { Answer::reply("550 5.7.1 not wanted") } else { Answer::Accept };
    let mx = FakeMx::builder().on_dot(once).start();
    let gateway = Gateway::builder()
        .tenants(&tenant("beta", "beta.example", "inline", &[mx.address()], "\"any\""))
        .clients_anywhere()
        .set("first_contact", "learning = \"0s\"")
        .start();
    let (author, to) = ("aoi@sender.example", "you@beta.example");
    let refused = gateway.try_from(STRANGER, author, to, &mail_of(author, "x\r\n"));
    assert_eq!(refused.code, 550, "{refused:?}");
    assert!(is_first(&gateway, STRANGER, author, &[to]));
    assert!(!is_first(&gateway, STRANGER, author, &[to]));
}
