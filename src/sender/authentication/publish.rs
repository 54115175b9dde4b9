//! Whether the DNS has the record that a key needs, and how the record is written into a zone.
//!
//! **Failure**: [`Unpublished`] says what is there instead; no answer is no proof of either.
//! **Invariants**: several records at the name are refused, because every verifier may take another one (RFC 6376 section
//! 3.6.2.2).

use super::dkim::key::{Key, KeyError, LONGEST};
use super::dkim::tags::{Tags, without_space};
use crate::dns::{Answer, Resolver};

/// Octets of one string of a TXT record (RFC 1035 section 3.3).
const STRING: usize = 255;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpublished {
    #[error("nothing is published at {0}")]
    Missing(String),
    #[error("{0} records are published at the name; there must be one")]
    Several(usize),
    #[error("the published record can't be used: {0}")]
    Unusable(KeyError),
    #[error("another key is published")]
    OtherKey,
    #[error("the published record does not allow SHA-256")]
    NoSha256,
    #[error("no answer from the DNS: {0}")]
    NoAnswer(String),
}

/// Asks whether the record at `name` says what `record` says.
///
/// # Errors
/// [`Unpublished`].
pub async fn check(resolver: &dyn Resolver, name: &str, record: &str) -> Result<(), Unpublished> {
    match resolver.txt(name).await {
        Answer::Found(records) => match records.as_slice() {
            [published] => same(published, record),
            [] => Err(Unpublished::Missing(name.to_owned())),
            several => Err(Unpublished::Several(several.len())),
        },
        Answer::NoSuchDomain | Answer::NoRecords => Err(Unpublished::Missing(name.to_owned())),
        Answer::Temporary(why) => Err(Unpublished::NoAnswer(why)),
    }
}

fn same(published: &[u8], record: &str) -> Result<(), Unpublished> {
    let key = Key::parse(published).map_err(Unpublished::Unusable)?;
    if public(published) != public(record.as_bytes()) {
        return Err(Unpublished::OtherKey);
    }
    if key.sha256 { Ok(()) } else { Err(Unpublished::NoSha256) }
}

/// `k=` and `p=`.
fn public(record: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(record).ok().filter(|text| text.len() <= LONGEST)?;
    let tags = Tags::parse(text).ok()?;
    let kind = tags.get("k").map_or("rsa".into(), without_space);
    Some((kind.into_owned(), without_space(tags.get("p")?).into_owned()))
}

/// The record as a line of a zone file.
#[must_use]
pub fn zone_line(name: &str, record: &str) -> String {
    let mut line = format!("{name}. IN TXT");
    let mut rest = record;
    while !rest.is_empty() {
        let (string, after) = rest.split_at_checked(rest.len().min(STRING)).unwrap_or((rest, ""));
        line.push_str(" \"");
        line.push_str(string);
        line.push('"');
        rest = after;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::MemoryResolver;
    use crate::sender::authentication::keys::SigningKey;

    fn record() -> String {
        SigningKey::read(&SigningKey::generate_ed25519().unwrap()).unwrap().record()
    }

    #[tokio::test]
    async fn what_is_published_is_compared_by_its_key() {
        let (own, other) = (record(), record());
        let written_otherwise = own.replace("v=DKIM1; k=ed25519; p=", "v=DKIM1;t=s;k=ed25519;p= ");
        let sha1_only = own.replacen("; k=", "; h=sha1; k=", 1);
        for (published, expected) in [
            (vec![&*own], Ok(())),
            (vec![&*written_otherwise], Ok(())),
            (vec![&*other], Err(Unpublished::OtherKey)),
            (vec![&*own, &*other], Err(Unpublished::Several(2))),
            (vec!["v=DKIM1; p="], Err(Unpublished::Unusable(KeyError::Revoked))),
            (vec![&*sha1_only], Err(Unpublished::NoSha256)),
        ] {
            let resolver = MemoryResolver::default().with_txt("s._domainkey.x.example", &published);
            assert_eq!(check(&resolver, "s._domainkey.x.example", &own).await, expected, "{published:?}");
        }
        let resolver = MemoryResolver::default();
        let name = "s._domainkey.x.example";
        assert_eq!(check(&resolver, name, &own).await, Err(Unpublished::Missing(name.into())));
        resolver.set_txt(name, Answer::Temporary("time-out".into()));
        assert_eq!(check(&resolver, name, &own).await, Err(Unpublished::NoAnswer("time-out".into())));
    }

    #[test]
    fn a_long_record_is_written_in_several_strings() {
        let key = SigningKey::read(&SigningKey::generate_rsa().unwrap()).unwrap();
        let line = zone_line("s._domainkey.x.example", &key.record());
        let strings: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        assert!(strings.len() == 2 && strings.iter().all(|string| string.len() <= 255), "{line}");
        assert_eq!(strings.concat(), key.record());
        assert!(line.starts_with("s._domainkey.x.example. IN TXT \"v=DKIM1; k=rsa; p="), "{line}");
    }
}
