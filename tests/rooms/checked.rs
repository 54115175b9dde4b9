//! Outbound mail for tests: checked by a real scanner, for there is no other way.

use bytes::Bytes;
use sekisho::model::egress::OutboundSpam;
use sekisho::model::{Direction, ReversePath};
use sekisho::scan::{self, Checked, Request, Scanner, Terms};
use sekisho::signatures::SignatureSet;
use sekisho::signatures::pack::{Pack, PackFile};
use sekisho::signatures::sets::Sets;
use sekisho::telemetry::Metrics;
use sekisho::tenant::ContentPolicy;

/// Words that make a message spam for [`scanner`], without being certain.
pub const SPAM: &str = "sixpointsofspam";

pub fn scanner() -> Scanner {
    let file = |path: &str, text: &str| PackFile { path: path.into(), octets: text.to_owned().into() };
    let rule = format!(
        "[[rule]]\nid = \"SIX\"\nen = \"six points\"\nja = \"six points\"\nclass = \"spam\"\nscore = 6.0\nany = [\"{SPAM}\"]\n"
    );
    let pack = "[pack]\nname = \"t\"\nversion = \"1\"\ndescription = \"for tests\"\n";
    let files = vec![file("pack.toml", pack), file("rules.toml", &rule)];
    let pack = Pack::from_files("t", files).unwrap_or_else(|fault| panic!("{fault}"));
    let set = SignatureSet::compile(7, &[pack]).unwrap_or_else(|faults| panic!("{faults:?}"));
    let sets = Sets::fixed(set).into();
    Scanner::build(scan::Config::default(), sets, scan::external::Config::default(), Metrics::new(), "mx.example")
}

/// The check of a message that leaves.
pub async fn checked(text: &[u8]) -> Checked {
    let request = Request {
        octets: Bytes::copy_from_slice(text),
        number: 1,
        direction: Direction::Outbound,
        tenant: None,
        client: None,
        helo: "client.example".into(),
        sender: ReversePath::Null,
        recipients: Vec::new(),
        own_domains: Vec::new(),
        protected: [].into(),
        authentication: None,
        is_relayed: false,
        first_contact: false,
    };
    let scanned = scanner().scan(request).await.unwrap();
    let policy = ContentPolicy::default_ref(Direction::Outbound);
    let terms = Terms { policy, tries: 0, spam: OutboundSpam::SuspectPool };
    let (ruling, checked) = scanned.check(&terms);
    checked.unwrap_or_else(|| panic!("it may not leave: {ruling:?}"))
}

#[cfg(test)]
#[tokio::test]
async fn a_check_names_its_pool_and_its_set() {
    use sekisho::model::egress::Pool;
    let clean = checked(b"Subject: x\r\n\r\nhello\r\n").await;
    assert_eq!((clean.pool(), clean.set(), clean.length()), (Pool::Normal, 7, 21));
    let spam = format!("Subject: x\r\n\r\n{SPAM}\r\n");
    assert_eq!(checked(spam.as_bytes()).await.pool(), Pool::Suspect);
}
