//! What is in a message decides what becomes of it, for each recipient by their own policy, in both directions; and nobody gets
//! round it.

use std::time::Duration;

use serde_json::Value;

use crate::support::fake_dns::FakeDns;
use crate::support::gateway::tenant;
use crate::support::{Client, FakeMx, Gateway, eventually, message, own};

/// The test texts of the trade, in pieces, so that this file is none.
fn gtube() -> String {
    ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE", "-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"].concat()
}

fn eicar() -> String {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

/// Mail with a file.
fn with_file(subject: &str, name: &str, content: &str) -> String {
    format!(
        "From: Aoi <aoi@sender.example>\r\nTo: you@acme.example\r\nSubject: {subject}\r\n\
         Date: Fri, 20 Nov 2026 09:00:00 +0900\r\nMessage-ID: <{}@sender.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         See the attached file.\r\n--b\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{content}\r\n--b--\r\n",
        subject.replace(' ', ".")
    )
}

fn world() -> (FakeMx, Gateway) {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    (mx, gateway)
}

fn held(gateway: &Gateway) -> Vec<Value> {
    let listed = gateway.cli_ok(&["quarantine", "ls", "--json"]);
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_virus_is_quarantined_and_the_next_hop_never_sees_it() {
    let (mx, gateway) = world();
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &with_file("a file", "a.bin", &eicar()));
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &message("clean", "hello\r\n"));
    let received = mx.wait_for_at_least(1);
    assert!(received[0].text().contains("Subject: clean"), "{}", received[0].headers());
    let held = held(&gateway);
    assert_eq!(held.len(), 1);
    assert_eq!(held[0]["class"], "malware");
    assert_eq!(held[0]["subject"], "a file");
    gateway.assert_settled();
    assert_eq!(mx.count(), 1);
}

#[test]
fn a_borrowed_name_is_stamped_for_the_tenant_that_named_the_person() {
    let mx = FakeMx::start();
    let person = "[[tenant.person]]\nname = \"山田 太郎\"\naddresses = [\"taro@home.example\"]\n";
    let tenants = tenant("acme", "acme.example", "queued", &[mx.address()], "\"any\"")
        + person
        + &tenant("beta", "beta.example", "queued", &[mx.address()], "\"any\"");
    let gateway = Gateway::builder().tenants(&tenants).start();
    // 山田太郎
    let name = "=?utf-8?B?5bGx55Sw5aSq6YOO?=";
    let cases = [
        ("boss@freemail.example", "you@acme.example", true),
        ("taro@home.example", "you@acme.example", false),
        ("boss@freemail.example", "you@beta.example", false),
    ];
    for (nth, (from, to, is_stamped)) in cases.into_iter().enumerate() {
        let text = message("minutes", "hello\r\n");
        gateway.send_inbound(from, &[to], &text.replacen("Aoi <aoi@sender.example>", &format!("{name} <{from}>"), 1));
        let received = mx.wait(nth + 1).pop().unwrap();
        let said = received.headers().contains("X-Sekisho-Verdict: impersonation");
        assert_eq!(said, is_stamped, "{from} to {to}: {}", received.headers());
    }
    assert!(gateway.cli_ok(&["tenant", "show", "acme"]).contains("[[tenant.person]]\nname = \"山田 太郎\""));
    gateway.assert_settled();
}

#[test]
fn a_virus_does_not_leave() {
    let (mx, gateway) = world();
    let mut client = Client::ready(gateway.outbound);
    let mut send = |message: &str| client.mail("you@acme.example", &["her@partner.example"], own(message)).id();
    let told = send(&with_file("a file", "a.bin", &eicar()));
    send(&message("spam", &gtube()));
    client.quit();
    let held = held(&gateway);
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|one| one["direction"] == "outbound"), "{held:?}");
    let virus = held.iter().find(|one| one["class"] == "malware").and_then(|one| one["id"].as_str()).unwrap();
    // One id for the client, the quarantine and every line, although the postmaster was told in a message of its own.
    assert_eq!(told, virus);
    let quarantined = gateway.logged("quarantined", |event| event["reason"] == "malware");
    assert_eq!(quarantined["message"], virus, "{quarantined}");
    assert_eq!((&quarantined["tenant"], &quarantined["direction"]), (&"acme".into(), &"outbound".into()));
    assert_eq!((&quarantined["sender"], &quarantined["recipients"]), (&"you@acme.example".into(), &1.into()));
    let of_virus = |event: &Value| event.to_string().contains("Eicar");
    assert_eq!(gateway.logged("judged", of_virus)["message"], virus);
    let released = gateway.cli(&["quarantine", "release", virus, "--reason", "the customer insists"]);
    assert!(!released.status.success());
    gateway.assert_settled();
    // Nothing came but the word to the tenant's postmaster that there is a virus.
    assert_eq!(mx.one().recipients(), ["postmaster@acme.example"]);
}

#[test]
fn what_others_say_in_our_name_is_taken_out_and_our_word_put_in() {
    let (mx, gateway) = world();
    let forged = format!(
        "X-Spam-Status: No, score=-100\r\nx-sekisho-verdict: clean\r\nX-Spam-Flag: NO\r\n{}",
        message("hello", "A word or two.\r\n")
    );
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &forged);
    let received = mx.wait_for_at_least(1).remove(0);
    let headers = received.headers().to_owned();
    assert!(!headers.contains("-100"), "{headers}");
    assert_eq!(headers.to_lowercase().matches("x-sekisho-verdict:").count(), 1, "{headers}");
    assert_eq!(headers.to_lowercase().matches("x-spam-flag:").count(), 1, "{headers}");
    assert!(received.header("X-Sekisho-Verdict").is_some_and(|verdict| verdict.starts_with("clean")), "{headers}");
}

#[test]
fn each_tenant_has_its_own_way_with_the_same_message() {
    let mx = FakeMx::start();
    let any = "\"any\"";
    let two = tenant("acme", "acme.example", "queued", &[mx.address()], any)
        + "[tenant.content.inbound.actions]\nspam = [\"tag\"]\n"
        + &tenant("beta", "beta.example", "queued", &[mx.address()], any)
        + &tenant("gamma", "gamma.example", "queued", &[mx.address()], any)
        + "[tenant.content.inbound.actions]\nspam = \"discard\"\n";
    let gateway = Gateway::builder().tenants(&two).start();
    let to = ["you@acme.example", "you@beta.example", "you@gamma.example"];
    gateway.send_inbound("aoi@sender.example", &to, &message("offer", &gtube()));
    let received = mx.wait_for_at_least(1).remove(0);
    assert_eq!(received.header("Subject").as_deref(), Some("[SPAM] offer"), "{}", received.headers());
    assert_eq!(received.recipients(), ["you@acme.example"]);
    let held = held(&gateway);
    assert_eq!((held.len(), &held[0]["tenant"]), (1, &Value::from("beta")));
    gateway.logged("discarded", |event| event["recipient"] == "you@gamma.example");
    gateway.assert_settled();
}

/// Fates that make no edition stand between those that make one, and two tenants want the same.
#[test]
fn each_tenant_gets_the_edition_that_was_made_for_it() {
    let mx = FakeMx::start();
    let own_word = "[tenant.content.inbound.tags]\nspam = \"[OWN]\"\n";
    let tenants: String = [
        ("aa", "", "\"discard\"", ""),
        ("bb", "", "[\"tag\"]", ""),
        ("cc", "", "\"quarantine\"", ""),
        ("dd", "", "[\"tag\"]", own_word),
        ("ee", "[tenant.content.inbound]\nheaders = false\n", "\"deliver\"", ""),
        ("ff", "", "[\"tag\"]", ""),
        ("gg", "", "\"deliver\"", ""),
    ]
    .iter()
    .map(|(id, before, spam, after)| {
        let actions = format!("[tenant.content.inbound.actions]\nspam = {spam}\n");
        tenant(id, &format!("{id}.example"), "queued", &[mx.address()], "\"any\"") + before + &actions + after
    })
    .collect();
    let gateway = Gateway::builder().tenants(&tenants).start();
    let to = ["aa", "bb", "cc", "dd", "ee", "ff", "gg"].map(|id| format!("you@{id}.example"));
    gateway.send_inbound("aoi@sender.example", &to.each_ref().map(String::as_str), &message("offer", &gtube()));
    let mut received: Vec<(String, String, bool)> = mx
        .wait_for_at_least(5)
        .iter()
        .map(|one| {
            let subject = one.header("Subject").unwrap();
            (one.recipients().concat(), subject, one.header("X-Sekisho-Verdict").is_some())
        })
        .collect();
    received.sort();
    let wanted = [
        ("you@bb.example", "[SPAM] offer", true),
        ("you@dd.example", "[OWN] offer", true),
        ("you@ee.example", "offer", false),
        ("you@ff.example", "[SPAM] offer", true),
        ("you@gg.example", "offer", true),
    ];
    let wanted = wanted.map(|(to, subject, has_fields)| (to.to_owned(), subject.to_owned(), has_fields));
    assert_eq!(received, wanted);
    let held = held(&gateway);
    assert_eq!((held.len(), &held[0]["tenant"]), (1, &Value::from("cc")));
    gateway.logged("discarded", |event| event["recipient"] == "you@aa.example");
    gateway.assert_settled();
    assert_eq!(mx.count(), 5);
}

#[test]
fn a_refusal_is_told_at_the_end_of_data_and_nothing_is_kept() {
    let mx = FakeMx::start();
    let tenants = tenant("acme", "acme.example", "queued", &[mx.address()], "\"any\"")
        + "[tenant.content.inbound.actions]\nspam = \"reject\"\n";
    let gateway = Gateway::builder().tenants(&tenants).clients_anywhere().start();
    let reply = gateway.try_from("192.0.2.1", "aoi@sender.example", "you@acme.example", &message("offer", &gtube()));
    assert_eq!(reply.code, 550, "{reply:?}");
    assert!(!reply.text().contains("GTUBE"), "a rule is nobody's business: {reply:?}");
    assert!(held(&gateway).is_empty());
    gateway.assert_settled();
    assert_eq!(mx.count(), 0);
}

#[test]
fn an_allowed_sender_is_spared_points_and_never_a_virus() {
    let mx = FakeMx::start();
    let dns = FakeDns::start();
    let gateway = Gateway::builder().acme(mx.address()).dns(dns.address()).clients_anywhere().start();
    let from = ["--from-network", "192.0.2.9", "--tenant", "acme", "--reason", "our printer"];
    gateway.cli_ok(&[["list", "add", "allow", "aoi@sender.example"].as_slice(), &from].concat());
    let send = |text: &str| {
        let reply = gateway.try_from("192.0.2.9", "aoi@sender.example", "you@acme.example", text);
        assert_eq!(reply.code, 250, "{reply:?}");
    };
    let begun = std::time::Instant::now();
    while mx.count() == 0 {
        send(&message("offer", &gtube()));
        assert!(begun.elapsed() < Duration::from_secs(10), "the entry never counted");
    }
    let spam = held(&gateway).len();
    send(&with_file("a file", "a.bin", &eicar()));
    eventually("the virus to be held", || held(&gateway).len() == spam + 1);
    gateway.assert_settled();
}

#[test]
fn what_is_released_goes_to_its_recipient() {
    let (mx, gateway) = world();
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &message("offer", &gtube()));
    let id = held(&gateway)[0]["id"].as_str().unwrap().to_owned();
    gateway.cli_ok(&["quarantine", "release", &id, "--reason", "asked for by phone"]);
    let received = mx.wait_for_at_least(1).remove(0);
    assert_eq!(received.recipients(), ["you@acme.example"]);
    assert!(received.text().contains("Subject: offer"), "{}", received.headers());
    assert!(held(&gateway).is_empty());
    gateway.assert_settled();
}

#[test]
fn administrators_are_told_and_get_no_content() {
    let mx = FakeMx::start();
    let tenants = tenant("acme", "acme.example", "queued", &[mx.address()], "\"any\"")
        + "[tenant.content.inbound]\nnotify = [\"admin@acme.example\"]\n\
           [tenant.content.inbound.actions]\nspam = [\"quarantine\", \"notify\"]\n";
    let gateway = Gateway::builder().tenants(&tenants).start();
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &message("offer", &gtube()));
    let notice = mx.wait_for_at_least(1).remove(0);
    assert_eq!(notice.recipients(), ["admin@acme.example"]);
    assert_eq!(notice.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    assert!(!notice.text().contains("GTUBE"));
    gateway.assert_settled();
}

#[test]
fn why_it_was_held_is_in_the_mail_log() {
    let (_mx, gateway) = world();
    gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &message("offer", &gtube()));
    let judged = gateway.logged("judged", |_| true);
    let content = &judged["explanation"]["content"];
    assert_eq!(content["verdict"]["findings"][0]["symbol"], "GTUBE", "{content}");
    assert_eq!(content["groups"][0]["disposition"]["fate"], "quarantine");
    assert!(content["groups"][0]["summary"]["ja"].as_str().is_some_and(|said| !said.is_empty()), "{content}");
}

#[test]
fn whatever_is_switched_off_a_message_arrives_whole() {
    const ALL: &str = "off = [\"hashes\", \"rules\", \"feeds\", \"yara\", \"spamassassin\", \"classifier\", \"impersonation\", \
                       \"bulk\", \"files\"]";
    for off in ["off = [\"hashes\", \"yara\", \"files\"]", ALL] {
        let mx = FakeMx::start();
        let gateway = Gateway::builder().acme(mx.address()).set("scan", off).start();
        // The long one goes to another thread.
        for (at, body) in ["A word or two.\r\n".to_owned(), "A word or two.\r\n".repeat(2_000)].into_iter().enumerate()
        {
            let forged = format!("X-Spam-Flag: YES\r\n{}", message("hello", &body));
            gateway.send_inbound("aoi@sender.example", &["you@acme.example"], &forged);
            let received = mx.wait_for_at_least(at + 1).remove(at);
            assert!(received.text().ends_with(&format!("\r\n\r\n{body}")), "{off}: {}", received.text());
            assert!(!received.text().contains("X-Spam-Flag: YES"), "{off}: {}", received.headers());
        }
        gateway.assert_settled();
    }
}
