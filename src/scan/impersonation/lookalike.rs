//! Whether a host looks like one it is not: letters that look alike (Unicode TR 39), slips of the pen, names with something added.

use std::sync::LazyLock;

use unicode_security::confusable_detection::skeleton;

use super::brands::{BRANDS, Brand};
use crate::message::links::registrable;

/// Shortest name that slips of the pen are looked for in.
const MIN_NEAR: usize = 7;
/// Shortest name that is looked for with something added.
const MIN_COMBINED: usize = 5;

/// What makes a host look like another, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// The same to the eye.
    Confusable,
    /// Begins with the whole other domain: `example.com.other.test`.
    Below,
    /// The same name under a top-level domain that nobody honest would choose for it.
    OtherEnd,
    /// A letter more, less, other or swapped.
    Near,
    /// `example-login.test`
    Combined,
    /// A label in front of another domain.
    Label,
}

/// Words that fraud adds to a name.
const ADDED: [&str; 34] = [
    "login",
    "signin",
    "secure",
    "security",
    "verify",
    "verification",
    "account",
    "accounts",
    "support",
    "service",
    "services",
    "update",
    "billing",
    "payment",
    "pay",
    "card",
    "bank",
    "online",
    "help",
    "helpdesk",
    "center",
    "alert",
    "alerts",
    "info",
    "customer",
    "id",
    "auth",
    "confirm",
    "mail",
    "member",
    "members",
    "jp",
    "co",
    "web",
];

struct Wanted {
    brand: &'static Brand,
    folded: String,
}

static WANTED: LazyLock<Vec<Wanted>> = LazyLock::new(|| {
    let labelled = BRANDS.iter().filter(|brand| !brand.label.is_empty());
    labelled.map(|brand| Wanted { brand, folded: folded(brand.label) }).collect()
});

/// As the eye takes it: skeleton, lower case, digits as the letters they imitate.
#[must_use]
pub fn folded(name: &str) -> String {
    skeleton(name)
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            '0' => 'o',
            '1' | 'i' | '|' => 'l',
            '3' => 'e',
            '5' => 's',
            other => other,
        })
        .collect()
}

/// The domain belongs to a brand.
#[must_use]
pub fn owner(host: &str) -> Option<&'static Brand> {
    BRANDS.iter().find(|brand| owns(brand, host))
}

/// Whether the host is the brand's or below it.
#[must_use]
pub fn owns(brand: &Brand, host: &str) -> bool {
    brand.domains.iter().any(|domain| is_below(host, domain))
}

#[must_use]
pub fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The brand that a host looks like without being its own.
#[must_use]
pub fn brand(host: &str) -> Option<(Likeness, &'static Brand)> {
    if owner(host).is_some() {
        return None;
    }
    let name = Name::of(host)?;
    let found = WANTED.iter().filter_map(|wanted| {
        let likeness = name
            .like(wanted.brand.label, &wanted.folded)
            .or_else(|| name.below(wanted.brand.domains, wanted.brand.label))?;
        Some((likeness, wanted.brand))
    });
    found.min_by_key(|(likeness, _)| *likeness)
}

/// Whether a host looks like a domain it is not.
#[must_use]
pub fn domain(host: &str, other: &str) -> Option<Likeness> {
    if is_below(host, other) {
        return None;
    }
    let name = Name::of(host)?;
    let own = registrable(other)?;
    if own == name.domain {
        return None;
    }
    let label = own.split('.').next()?;
    // The same name under another top-level domain is often the same owner's.
    let like = name.like(label, &folded(&unicode(label))).filter(|likeness| *likeness != Likeness::OtherEnd);
    like.or_else(|| name.below(&[own], label).filter(|likeness| *likeness == Likeness::Below))
}

fn unicode(label: &str) -> String {
    if label.starts_with("xn--") { idna::domain_to_unicode(label).0 } else { label.to_owned() }
}

/// A host, taken apart.
struct Name<'h> {
    host: &'h str,
    domain: &'h str,
    /// The label that somebody registered, in Unicode.
    label: String,
    folded: String,
    end: &'h str,
}

impl<'h> Name<'h> {
    fn of(host: &'h str) -> Option<Self> {
        let domain = registrable(host)?;
        let (label, end) = domain.split_once('.')?;
        let label = unicode(label);
        let folded = folded(&label);
        Some(Self { host, domain, label, folded, end })
    }

    fn like(&self, label: &str, folded: &str) -> Option<Likeness> {
        if self.label == label {
            // Companies have their names in many countries; the cheap ends are for others.
            let cheap = self.end.len() > 3
                && !self.end.contains('.')
                && !matches!(self.end, "info" | "asia" | "mobi" | "jobs" | "app");
            let cheap = cheap
                || matches!(
                    self.end,
                    "xyz" | "top" | "icu" | "vip" | "cfd" | "sbs" | "buzz" | "cyou" | "tk" | "ml" | "ga" | "cf" | "gq"
                );
            return (cheap && label.len() >= MIN_COMBINED).then_some(Likeness::OtherEnd);
        }
        if label.len() < MIN_COMBINED {
            return None;
        }
        if self.folded == folded {
            return Some(Likeness::Confusable);
        }
        if label.len() >= MIN_NEAR
            && self.label.len().abs_diff(label.len()) <= 1
            && is_alike_around(self.label.as_bytes(), label.as_bytes())
            && strsim::osa_distance(&self.label, label) == 1
            // A plural or another ending is another word.
            && self.label.get(..label.len()) != Some(label)
            && !label.starts_with(&self.label)
        {
            return Some(Likeness::Near);
        }
        combined(&self.label, label).then_some(Likeness::Combined)
    }

    /// The other name in front of this domain.
    fn below(&self, domains: &[&str], label: &str) -> Option<Likeness> {
        let front = self.host.strip_suffix(self.domain)?;
        if front.is_empty() {
            return None;
        }
        let mut starts =
            std::iter::once(front).chain(front.match_indices('.').filter_map(|(at, _)| front.get(at + 1..)));
        let begins = |rest: &str| {
            let behind = domains.iter().filter_map(|domain| rest.strip_prefix(domain));
            behind.into_iter().any(|behind| behind.starts_with(['.', '-']))
        };
        if starts.any(begins) {
            return Some(Likeness::Below);
        }
        let alone = label.len() >= MIN_COMBINED && front.split('.').any(|part| part == label || combined(part, label));
        alone.then_some(Likeness::Label)
    }
}

/// Whether all but a few octets in one place are the same, as they are one slip of the pen apart; asked before it is
/// counted, because that takes long.
fn is_alike_around(name: &[u8], label: &[u8]) -> bool {
    let same = |(one, other): &(&u8, &u8)| one == other;
    let front = name.iter().zip(label).take_while(same).count();
    let back = name.iter().rev().zip(label.iter().rev()).take_while(same).count();
    // Two characters change their places, or one is another; in UTF-8 each has four octets at most.
    let around = if name.is_ascii() { 2 } else { 8 };
    front + back + around >= name.len().max(label.len())
}

/// `example-login`, `login-example`, `examplelogin`
fn combined(name: &str, label: &str) -> bool {
    if name.len() <= label.len() {
        return false;
    }
    let words = || name.split('-');
    if words().any(|word| word == label)
        && words().any(|word| ADDED.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return true;
    }
    let rest = name.strip_prefix(label).or_else(|| name.strip_suffix(label));
    rest.is_some_and(|rest| rest.len() >= 4 && ADDED.contains(&rest.trim_matches('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_look_like_a_brand() {
        for (host, likeness) in [
            ("paypa1.com", Likeness::Confusable),
            ("rnicrosoft.com", Likeness::Confusable),
            ("xn--pypal-4ve.com", Likeness::Confusable),
            ("arnazon.co.jp", Likeness::Confusable),
            ("www.amazon.co.jp.example.net", Likeness::Below),
            ("paypal.com-login.example.net", Likeness::Below),
            ("amazon.top", Likeness::OtherEnd),
            ("micorsoft.com", Likeness::Near),
            ("facebok.com", Likeness::Near),
            ("amazon-security-check.net", Likeness::Combined),
            ("paypalsupport.com", Likeness::Combined),
            ("paypal.example.net", Likeness::Label),
        ] {
            assert_eq!(brand(host).map(|(likeness, _)| likeness), Some(likeness), "{host}");
        }
        for host in [
            "www.amazon.co.jp",
            "amazon.cn",
            "smile.amazon.com",
            "paypay.ne.jp",
            "example.net",
            "applet.com",
            "googlers.example",
            "amazonas.com",
            "192.0.2.1",
            "localhost",
            "docs.google.com",
            "microsofts.com",
        ] {
            assert_eq!(brand(host).map(|(likeness, _)| likeness), None, "{host}");
        }
    }

    #[test]
    fn hosts_that_look_like_an_own_domain() {
        assert_eq!(domain("exarnple-works.test.example", "example-works.jp"), None);
        assert_eq!(domain("acme-w0rks.com", "acme-works.co.jp"), Some(Likeness::Confusable));
        assert_eq!(domain("acme-wroks.co.jp", "acme-works.co.jp"), Some(Likeness::Near));
        assert_eq!(domain("acme-works.co.jp.evil.example.com", "acme-works.co.jp"), Some(Likeness::Below));
        for honest in ["acme-works.co.jp", "mail.acme-works.co.jp", "acme-works.com", "other.com"] {
            assert_eq!(domain(honest, "acme-works.co.jp"), None, "{honest}");
        }
    }
}
