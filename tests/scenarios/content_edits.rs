//! What is changed in delivered mail is changed for all, and what can't be is told and kept back.

use crate::support::gateway::tenant;
use crate::support::{Client, FakeMx, Gateway, message};

/// Two scripts and a picture.
const FILES: &str = "From: Aoi <aoi@sender.example>\r\nTo: you@acme.example\r\nSubject: files\r\n\
    Date: Fri, 20 Nov 2026 09:00:00 +0900\r\nMessage-ID: <files@sender.example>\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
    See the attached files.\r\n--b\r\nContent-Type: application/octet-stream; name=\"a.js\"\r\n\
    Content-Disposition: attachment; filename=\"a.js\"\r\n\r\nfirst = 1\r\n--b\r\nContent-Type: text/csv; name=\"b.csv\"\r\n\
    Content-Disposition: attachment; filename=\"b.csv\"\r\n\r\na,b\r\n1,2\r\n--b\r\n\
    Content-Type: application/octet-stream; name=\"c.js\"\r\nContent-Disposition: attachment; filename=\"c.js\"\r\n\r\n\
    second = 2\r\n--b--\r\n";

fn gateway(mx: &FakeMx, content: &str) -> Gateway {
    Gateway::builder()
        .tenants(&(tenant("acme", "acme.example", "queued", &[mx.address()], "\"any\"") + content))
        .start()
}

#[test]
fn every_risky_file_goes_and_the_others_stay() {
    let mx = FakeMx::start();
    let gateway = gateway(&mx, "[tenant.content.inbound.actions]\nrisky-file = \"strip\"\n");
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], FILES);
    let received = mx.wait_for_at_least(1).remove(0);
    let text = received.text();
    assert!(!text.contains("first = 1") && !text.contains("second = 2"), "{text}");
    assert!(text.contains("a,b\r\n1,2"), "{text}");
    gateway.assert_settled();
}

#[test]
fn the_sender_never_hears_of_a_copy() {
    let mx = FakeMx::start();
    let content = "[tenant.content.inbound]\nbcc = [\"secret@acme.example\"]\n\
        [tenant.content.inbound.actions]\nspam = [\"tag\", \"bcc\"]\n";
    let gateway = gateway(&mx, content);
    let gtube = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE", "-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"].concat();
    let mut client = Client::ready(gateway.inbound);
    let told = client.mail("aoi@sender.example", &["you@acme.example"], message("offer", &gtube)).id();
    client.quit();
    // Its id is that of the message, not the copy's.
    let delivered = gateway.logged("delivered", |event| event["recipient"] == "you@acme.example");
    assert_eq!(delivered["message"], told.as_str(), "{delivered}");
    let received = mx.wait_for_at_least(2);
    let copy = received.iter().find(|one| one.recipients() == ["secret@acme.example"]).unwrap();
    assert_eq!(copy.from, "", "{}", copy.headers());
    gateway.assert_settled();
}

#[test]
fn what_is_held_says_why_and_repeats_nothing_of_the_text() {
    let mx = FakeMx::start();
    let gateway = gateway(&mx, "");
    let gtube = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE", "-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"].concat();
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &message("offer", &gtube));
    let listed = gateway.cli_ok(&["quarantine", "ls", "--json"]);
    let held: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let shown = gateway.cli_ok(&["quarantine", "show", held["id"].as_str().unwrap()]);
    assert!(shown.contains("GTUBE") && !shown.contains("XJS*C4JDBQADN1"), "{shown}");
    let judged = gateway.logged("judged", |_| true);
    assert!(!judged.to_string().contains("XJS*C4JDBQADN1"), "{judged}");
    gateway.assert_settled();
}
