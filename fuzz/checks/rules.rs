//! What must hold of any file of our own rules: it is read without a panic; what is wrong is refused with its line; rules that
//! compile come to an end with a message.

use std::sync::LazyLock;

use bytes::Bytes;
use sekisho::message::specimen::{Limits, Specimen};
use sekisho::model::finding::Verdict;
use sekisho::signatures::SignatureSet;
use sekisho::signatures::pack::{Pack, PackFile};
use sekisho::signatures::rules::Facts;

static MAIL: LazyLock<Specimen> = LazyLock::new(|| {
    let mail = "From: \"A\" <a@a.example>\r\nTo: b@b.example\r\nSubject: free offer\r\nContent-Type: text/html\r\n\r\n<p>aaaaaaaaaaaaaaaaaaaaaaaaaaaa!! click <a href='http://a.example/?b=c'>here</a> $100\r\n";
    Specimen::parse(Bytes::from_static(mail.as_bytes()), &Limits::default(), &|| false)
});

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let file = |path: &str, octets: &[u8]| PackFile { path: path.into(), octets: Bytes::copy_from_slice(octets) };
    let files = vec![file("pack.toml", b"[pack]\nname = \"fuzz\"\n"), file("rules.toml", data)];
    let pack = Pack::from_files("fuzz", files).expect("the pack itself is right");
    let set = match SignatureSet::compile(1, &[pack]) {
        Ok(set) => set,
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            return;
        }
    };
    let mut verdict = Verdict::new(1);
    let seen = set.rules.nothing_seen();
    sekisho::scan::rules::detect(&set, &MAIL, &Facts::default(), seen, &|| false, &mut verdict);
    assert!(verdict.findings.len() <= 1_000);
}
