//! Rewriting of envelope senders (SRS): mail that a tenant's server sends on for somebody else leaves under one of the tenant's
//! domains, so that SPF holds, and what bounces finds its way back.
//!
//! `SRS0=HASH=DAY=domain=local@onto` for a first hop, `SRS1=HASH=first==HASH=DAY=domain=local@onto` for what another hop rewrote
//! before: then the first hop is answered, and the ones between are left out. HASH: 8 characters of base32 of an HMAC-SHA256
//! over all that follows it and the domain it is for, in lower case, because servers on the way change case.
//!
//! **Failure**: an address without room for it is not rewritten ([`NoRoom`]); a hash that doesn't hold, or a day out of
//! [`VALID_DAYS`], leads nowhere. **Invariants**: without a key nobody makes an address that [`Rewriter::back`] believes.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use crate::model::{Address, Domain, Timestamp};

/// A bounce that comes later than this is refused.
pub const VALID_DAYS: u64 = 21;
/// Characters of a hash: 40 bits.
const HASH: usize = 8;
/// Days are counted to here and begin again.
const DAYS: u64 = 1_024;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The sender's address is too long to be rewritten (RFC 5321: 64 octets before the `@`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is too long to be rewritten")]
pub struct NoRoom;

/// What an address that was rewritten leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// It was never rewritten by us or anybody.
    Ordinary,
    To(Address),
    /// It looks rewritten, and hash or day are wrong.
    Invalid,
}

/// The keys; never printed.
#[derive(Clone)]
pub struct Rewriter {
    keys: Vec<hmac::Key>,
}

impl std::fmt::Debug for Rewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rewriter")
    }
}

impl Rewriter {
    /// The first secret signs, all are believed. Without any, nothing is rewritten or believed.
    #[must_use]
    pub fn new(secrets: &[Vec<u8>]) -> Self {
        Self { keys: secrets.iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret)).collect() }
    }

    /// The sender to leave with.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn onto(&self, sender: &Address, onto: &Domain, now: Timestamp) -> Result<Address, NoRoom> {
        let key = self.keys.first().ok_or(NoRoom)?;
        let (local, domain) = (sender.local(), sender.domain());
        let (tag, content) = match tagged(local) {
            // The first hop has put hash and day in already.
            Some(("srs0", rest)) => ("SRS1", format!("{domain}={rest}")),
            // Between it and us nobody needs to hear of it.
            Some((_, rest)) => ("SRS1", split(rest.get(1..).unwrap_or_default()).ok_or(NoRoom)?.1.to_owned()),
            None => ("SRS0", format!("{}={domain}={local}", day(now))),
        };
        let rewritten = format!("{tag}={}={content}", hash(key, onto, &content));
        let quoted = rewritten.replace('\\', "\\\\").replace('"', "\\\"");
        Address::parse(&format!("\"{quoted}\"@{onto}")).map_err(|_| NoRoom)
    }

    /// Whom mail to `address` is for.
    #[must_use]
    pub fn back(&self, address: &Address, now: Timestamp) -> Back {
        let Some((tag, rest)) = tagged(address.local()) else { return Back::Ordinary };
        let found = rest.get(1..).and_then(split).and_then(|(hashed, content)| {
            let holds = |key| {
                let own = hash(key, address.domain(), content);
                verify_slices_are_equal(own.as_bytes(), hashed.to_ascii_lowercase().as_bytes()).is_ok()
            };
            self.keys.iter().any(holds).then(|| original(tag, content, now))?
        });
        found.map_or(Back::Invalid, Back::To)
    }
}

fn original(tag: &str, content: &str, now: Timestamp) -> Option<Address> {
    let (local, domain) = if tag == "srs0" {
        let (stamp, rest) = split(content)?;
        if !is_recent(stamp, now) {
            return None;
        }
        let (domain, local) = split(rest)?;
        (local.to_owned(), domain)
    } else {
        // What follows the first hop's domain begins with that hop's own separator.
        let (domain, rest) = split(content)?;
        (format!("SRS0{rest}"), domain)
    };
    let quoted = local.replace('\\', "\\\\").replace('"', "\\\"");
    let address = Address::parse(&format!("\"{quoted}\"@{domain}")).ok()?;
    (address.domain().as_ip().is_none() && !address.asks_for_routing()).then_some(address)
}

/// `SRS0` or `SRS1` in lower case, and the rest from its separator on.
fn tagged(local: &str) -> Option<(&'static str, &str)> {
    let (tag, rest) = local.split_at_checked(4)?;
    let tag = ["srs0", "srs1"].into_iter().find(|own| own.eq_ignore_ascii_case(tag))?;
    rest.starts_with(['=', '+', '-']).then_some((tag, rest))
}

fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once('=')
}

fn hash(key: &hmac::Key, onto: &Domain, content: &str) -> String {
    let tag = hmac::sign(key, format!("{onto}={}", content.to_lowercase()).as_bytes());
    let bits = tag.as_ref().iter().take(8).fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
    (0..HASH).map(|n| letter(bits >> (59 - 5 * n))).collect()
}

fn letter(bits: u64) -> char {
    ALPHABET.get(usize::try_from(bits % 32).unwrap_or(0)).map_or('a', |octet| char::from(*octet))
}

fn day_number(now: Timestamp) -> u64 {
    now.as_millis() / 86_400_000 % DAYS
}

fn day(now: Timestamp) -> String {
    let number = day_number(now);
    [letter(number / 32), letter(number)].into_iter().collect()
}

fn is_recent(stamp: &str, now: Timestamp) -> bool {
    let digit = |octet: u8| ALPHABET.iter().position(|own| *own == octet.to_ascii_lowercase());
    let [high, low] = stamp.as_bytes() else { return false };
    let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
    let made = high as u64 * 32 + low as u64;
    // A clock that is a day behind another's is no fault.
    let age = (day_number(now) + 1 + DAYS - made) % DAYS;
    age <= VALID_DAYS + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_176_451_000);

    fn rewriter() -> Rewriter {
        Rewriter::new(&[vec![1; 32]])
    }

    fn at(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn acme() -> Domain {
        Domain::parse("acme.example").unwrap()
    }

    fn days(n: u64) -> Timestamp {
        Timestamp(NOW.0 + n * 86_400_000)
    }

    #[test]
    fn what_was_rewritten_leads_back() {
        for sender in ["list@sender.example", "a=b=c@sender.example", "\"a b\"@sender.example", "Mixed.Case@x.example"]
        {
            let rewritten = rewriter().onto(&at(sender), &acme(), NOW).unwrap();
            assert_eq!(rewritten.domain(), &acme());
            assert_eq!(rewriter().back(&rewritten, NOW), Back::To(at(sender)), "{rewritten}");
            // A server on the way made it lower case.
            let lower = at(&rewritten.to_string().to_lowercase());
            assert!(
                matches!(rewriter().back(&lower, NOW), Back::To(back) if back.key() == at(sender).key()),
                "{lower}"
            );
        }
        assert_eq!(rewriter().back(&at("aoi@acme.example"), NOW), Back::Ordinary);
    }

    #[test]
    fn a_third_hop_answers_the_first() {
        let first = Domain::parse("first.example").unwrap();
        let theirs = Rewriter::new(&[vec![2; 32]]);
        let zero = theirs.onto(&at("a@s.example"), &first, NOW).unwrap();
        let one = rewriter().onto(&zero, &acme(), NOW).unwrap();
        assert!(one.local().starts_with("SRS1=") && one.local().contains("=first.example=="), "{one}");
        assert_eq!(rewriter().back(&one, NOW), Back::To(zero.clone()));
        let third = Domain::parse("t.example").unwrap();
        let again = theirs.onto(&one, &third, NOW).unwrap();
        assert_eq!(theirs.back(&again, NOW), Back::To(zero));
    }

    #[test]
    fn nobody_makes_one_without_the_key_and_none_is_for_ever() {
        let rewritten = rewriter().onto(&at("a@s.example"), &acme(), NOW).unwrap();
        assert_eq!(rewriter().back(&rewritten, days(VALID_DAYS)), Back::To(at("a@s.example")));
        assert_eq!(rewriter().back(&rewritten, days(VALID_DAYS + 1)), Back::Invalid);
        assert_eq!(rewriter().back(&rewritten, days(400)), Back::Invalid);
        let others = Rewriter::new(&[vec![3; 32]]);
        assert_eq!(others.back(&rewritten, NOW), Back::Invalid);
        assert_eq!(Rewriter::new(&[vec![3; 32], vec![1; 32]]).back(&rewritten, NOW), Back::To(at("a@s.example")));
        let elsewhere = at(&rewritten.to_string().replace("acme.example", "beta.example"));
        assert_eq!(rewriter().back(&elsewhere, NOW), Back::Invalid, "of another domain");
        for forged in
            ["SRS0=aaaaaaaa=aa=s.example=victim", "SRS0=", "SRS1==", "srs0=x", "SRS0=a=b", "SRS1=aaaaaaaa=s.example"]
        {
            assert_eq!(rewriter().back(&at(&format!("{forged}@acme.example")), NOW), Back::Invalid, "{forged}");
        }
        let changed = at(&rewritten.to_string().replace("=s.example=a", "=s.example=b"));
        assert_eq!(rewriter().back(&changed, NOW), Back::Invalid);
    }

    #[test]
    fn what_does_not_fit_is_not_rewritten() {
        let long = at(&format!("{}@sender.example", "x".repeat(60)));
        assert_eq!(rewriter().onto(&long, &acme(), NOW), Err(NoRoom));
        assert_eq!(Rewriter::new(&[]).onto(&at("a@s.example"), &acme(), NOW), Err(NoRoom));
    }
}
