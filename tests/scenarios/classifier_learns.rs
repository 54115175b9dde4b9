//! What a tenant's users say of their mail changes how the next of it is judged, while the node runs.

use std::time::Duration;

use crate::support::{FakeMx, Gateway, eventually};

/// The seed has hardly an opinion of it.
fn news(number: u32) -> String {
    format!(
        "From: Club <sato@club.example>\r\nTo: you@acme.example\r\nSubject: news {number}\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0900\r\nMessage-ID: <{number}@club.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         琵琶湖のヨット教室から秋の練習会の報告です。参加した十二艇は南西の風をうけて竹生島を回り、\r\n\
         昼には全艇が港に帰着しました。写真は艇庫の掲示板に貼ってあります。来月は帆の繕い方を学びます。\r\n"
    )
}

/// Until mail is judged by what was just taught: the node looks again at the first message after a second.
fn send_until_judged_by_it(gateway: &Gateway) {
    for number in 0..200 {
        gateway.send_inbound("sato@club.example", &["you@acme.example"], &news(number));
        let log = gateway.mail_log();
        if log.iter().any(|line| line["event"] == "judged" && line.to_string().contains("CLASSIFIER_S")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("never judged by what was taught");
}

#[test]
fn what_is_taught_counts_at_once_and_a_release_teaches_too() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    gateway.send_inbound("sato@club.example", &["you@acme.example"], &news(1_000));
    assert!(mx.one().text().contains("news 1000"));
    let junk = gateway.path().join("junk.eml");
    std::fs::write(&junk, news(1_001)).unwrap();
    let path = junk.to_str().unwrap();
    let told = gateway.cli_ok(&["learn", "spam", "--tenant", "acme", path, path, path, path, path, path]);
    assert!(told.starts_with("acme: taught by 6 messages of spam and 0 good ones"), "{told}");
    send_until_judged_by_it(&gateway);
    let held = gateway.cli_ok(&["quarantine", "ls", "--json", "--class", "spam"]);
    let held: serde_json::Value = serde_json::from_str(held.lines().next().expect("one is held")).unwrap();
    let id = held["id"].as_str().unwrap();
    gateway.cli_ok(&["quarantine", "release", id, "--reason", "they asked for it"]);
    eventually("the lesson", || gateway.metrics().sum("sekisho_classifier_lessons_total") == 1.0);
    let told = gateway.cli_ok(&["learn", "show", "--tenant", "acme"]);
    assert!(told.starts_with("acme: taught by 6 messages of spam and 1 good ones"), "{told}");
    gateway.assert_settled();
}
