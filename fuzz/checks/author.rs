//! What must hold of any header that may leave: no panic, and if its authors are taken for the tenant's, so are the addresses
//! that our other reader finds in From.

use bytes::Bytes;
use sekisho::message::specimen::{Limits, Specimen};
use sekisho::model::Domain;
use sekisho::policy::author::read;

const OURS: &str = "acme.example";

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let Ok(authors) = read(data, &|domain| domain.as_str() == OURS) else { return };
    assert_eq!(authors.from.as_str(), OURS);
    let specimen = Specimen::parse(Bytes::copy_from_slice(data), &Limits::default(), &|| false);
    for mailbox in specimen.from() {
        let Some((_, domain)) = mailbox.address.rsplit_once('@') else { continue };
        if let Ok(domain) = Domain::parse(domain.trim()) {
            assert_eq!(domain.as_str(), OURS, "{mailbox:?} in {}", data.escape_ascii());
        }
    }
}
