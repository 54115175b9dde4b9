//! What must hold of any file of SpamAssassin's rules: it is read and compiled without a panic, what is wrong is skipped with its
//! line, and the rules come to an end with a message.

use std::sync::LazyLock;

use bytes::Bytes;
use sekisho::message::specimen::{Limits, Specimen};
use sekisho::scan::spamassassin::{Facts, scan};
use sekisho::signatures::spamassassin::{ScoreSet, compile};

static MAIL: LazyLock<Specimen> = LazyLock::new(|| {
    let mail = "Received: from a.example ([192.0.2.1]) by b.example; Sat, 21 Nov 2026 10:00:00 +0900\r\nFrom: \"A\" <a@a.example>\r\nTo: b@b.example\r\nSubject: free offer\r\nContent-Type: text/html\r\n\r\n<p>aaaaaaaaaaaaaaaaaaaaaaaaaaaa!! click <a href='http://a.example/?b=c'>here</a> $100\r\n";
    Specimen::parse(Bytes::from_static(mail.as_bytes()), &Limits::default(), &|| false)
});

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let rules = compile([("fuzz.cf", data)], ScoreSet::default());
    let hits = scan(&rules, &MAIL, Facts { envelope_from: Some("a@a.example") }, &|| false);
    assert!(hits.points.is_finite() || hits.points.is_infinite(), "points are a number");
    let _ = sekisho::scan::spamassassin::findings(&rules, &hits);
}
