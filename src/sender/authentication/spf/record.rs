//! The SPF record (RFC 7208 sections 4.6, 5, 6 and 7.1), read whole before anything of it is evaluated.
//!
//! **Failure**: [`Syntax`] says which term is wrong; one wrong term makes the whole record a permerror (section 4.6).
//! **Invariants**: a record longer than [`LONGEST`] octets is refused; everything kept is printable ASCII.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::macros::{DomainSpec, MacroString};
use crate::model::authentication::SpfResult;

/// Octets of one record; the longest that fits a DNS message.
pub const LONGEST: usize = 65_535;

/// What is wrong with the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Syntax(pub String);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    pub directives: Vec<Directive>,
    pub redirect: Option<DomainSpec>,
    pub exp: Option<DomainSpec>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    pub result: SpfResult,
    pub mechanism: Mechanism,
    /// As it stands in the record, for the Explanation.
    pub text: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    All,
    Include(DomainSpec),
    A(Option<DomainSpec>, Lengths),
    Mx(Option<DomainSpec>, Lengths),
    Ptr(Option<DomainSpec>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(DomainSpec),
}

/// Prefix lengths of `a` and `mx` (section 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    pub v4: u8,
    pub v6: u8,
}

/// Whether a TXT record is an SPF record: the version, then a space or the end (section 4.5).
#[must_use]
pub fn is_spf(text: &[u8]) -> bool {
    let Some((version, rest)) = text.split_at_checked(6) else { return false };
    version.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' '))
}

impl Record {
    /// # Errors
    /// [`Syntax`].
    pub fn parse(text: &[u8]) -> Result<Self, Syntax> {
        if text.len() > LONGEST || !is_spf(text) {
            return Err(Syntax("not an SPF record".into()));
        }
        if let Some(odd) = text.iter().find(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(Syntax(format!("octet {odd:#04x} has no place in a record")));
        }
        let text = std::str::from_utf8(text).map_err(|_| Syntax("not ASCII".into()))?;
        let mut record = Self::default();
        for term in text.get(6..).unwrap_or_default().split(' ').filter(|term| !term.is_empty()) {
            record.term(term).ok_or_else(|| Syntax(format!("{term:.80} is no valid term")))?;
        }
        Ok(record)
    }

    /// `None`: wrong.
    fn term(&mut self, term: &str) -> Option<()> {
        // A modifier is a name followed by "="; a mechanism's name ends before ":", "/" or the end.
        let name_end = term.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
        if let Some(at) = name_end.filter(|at| term.as_bytes().get(*at) == Some(&b'=')) {
            return self.modifier(term.get(..at)?, term.get(at + 1..)?);
        }
        let (result, rest) = match term.as_bytes().first()? {
            b'+' => (SpfResult::Pass, term.get(1..)?),
            b'-' => (SpfResult::Fail, term.get(1..)?),
            b'~' => (SpfResult::SoftFail, term.get(1..)?),
            b'?' => (SpfResult::Neutral, term.get(1..)?),
            _ => (SpfResult::Pass, term),
        };
        let mechanism = mechanism(rest)?;
        self.directives.push(Directive { result, mechanism, text: term.into() });
        Some(())
    }

    fn modifier(&mut self, name: &str, value: &str) -> Option<()> {
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let place = if name.eq_ignore_ascii_case("redirect") {
            &mut self.redirect
        } else if name.eq_ignore_ascii_case("exp") {
            &mut self.exp
        } else {
            // Unknown modifiers are passed over, but only if they are well formed (section 6).
            return MacroString::parse(value, true).map(|_| ());
        };
        // Twice is a syntax error (section 6).
        let first = place.is_none();
        *place = Some(DomainSpec::parse(value)?);
        first.then_some(())
    }
}

fn mechanism(text: &str) -> Option<Mechanism> {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let argument = rest.strip_prefix(':');
    Some(match name.to_ascii_lowercase().as_str() {
        "all" if rest.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(DomainSpec::parse(argument?)?),
        "exists" => Mechanism::Exists(DomainSpec::parse(argument?)?),
        "ptr" if rest.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(DomainSpec::parse(argument?)?)),
        "a" => host(rest).map(|(spec, lengths)| Mechanism::A(spec, lengths))?,
        "mx" => host(rest).map(|(spec, lengths)| Mechanism::Mx(spec, lengths))?,
        "ip4" => {
            let (address, length) = network(argument?, 32)?;
            Mechanism::Ip4(address.parse().ok()?, length)
        }
        "ip6" => {
            let (address, length) = network(argument?, 128)?;
            Mechanism::Ip6(address.parse().ok()?, length)
        }
        _ => return None,
    })
}

/// `[":" domain-spec] [dual-cidr-length]`.
fn host(text: &str) -> Option<(Option<DomainSpec>, Lengths)> {
    let (text, lengths) = dual_cidr(text)?;
    let spec = match text.strip_prefix(':') {
        Some(spec) => Some(DomainSpec::parse(spec)?),
        None if text.is_empty() => None,
        None => return None,
    };
    Some((spec, lengths))
}

/// Takes `/n`, `//n` or `/n//n` from the end. A slash elsewhere belongs to the domain-spec.
fn dual_cidr(text: &str) -> Option<(&str, Lengths)> {
    let mut lengths = Lengths { v4: 32, v6: 128 };
    let mut rest = text;
    if let Some((before, digits)) = trailing_number(rest)
        && let Some(before) = before.strip_suffix("//")
    {
        lengths.v6 = length(digits, 128)?;
        rest = before;
    }
    if let Some((before, digits)) = trailing_number(rest)
        && let Some(before) = before.strip_suffix('/')
    {
        lengths.v4 = length(digits, 32)?;
        rest = before;
    }
    Some((rest, lengths))
}

fn trailing_number(text: &str) -> Option<(&str, &str)> {
    let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = text.get(before.len()..)?;
    (!digits.is_empty()).then_some((before, digits))
}

/// `"0" / %x31-39 0*1DIGIT`, up to `most`.
fn length(digits: &str, most: u8) -> Option<u8> {
    if digits.len() > 3 || (digits.len() > 1 && digits.starts_with('0')) || !digits.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    digits.parse().ok().filter(|length| *length <= most)
}

fn network(text: &str, most: u8) -> Option<(&str, u8)> {
    match text.split_once('/') {
        Some((address, digits)) => Some((address, length(digits, most)?)),
        None => Some((text, most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_as_section_12_writes_them() {
        for good in [
            "v=spf1",
            "V=SPF1 -ALL",
            "v=spf1   a  mx/24//64 -all ",
            "v=spf1 a:foo:bar/baz.example.com",
            "v=spf1 ip6:::1.1.1.1/0 IP4:1.2.3.4/0",
            "v=spf1 exists:%{l1r+-}.%{d2}.example moo.cow-far_out=man:dog/cat",
            "v=spf1 a:_spf.%{d}",
            "v=spf1 redirect=example.com. exp=%{d}",
        ] {
            assert!(Record::parse(good.as_bytes()).is_ok(), "{good}: {:?}", Record::parse(good.as_bytes()));
        }
    }

    #[test]
    fn one_wrong_term_spoils_the_record() {
        for wrong in [
            "v=spf1 all:x",
            "v=spf1 all/8",
            "v=spf1 include",
            "v=spf1 include:",
            "v=spf1 a:",
            "v=spf1 a:/24",
            "v=spf1 a:museum",
            "v=spf1 a:abc.123",
            "v=spf1 a:example.com/33",
            "v=spf1 a:example.com//129",
            "v=spf1 a:example.com/08",
            "v=spf1 a:example.com:8080",
            "v=spf1 ip4:1.2.3",
            "v=spf1 ip4:1.2.3.4/33",
            "v=spf1 ip4:1.2.3.4//32",
            "v=spf1 ip6:1.2.3.4",
            "v=spf1 exists:a.example/24",
            "v=spf1 redirect=",
            "v=spf1 redirect=a.example redirect=a.example",
            "v=spf1 exp=a.example exp=a.example",
            "v=spf1 foo",
            "v=spf1 +",
            "v=spf1 =x",
            "v=spf1 a:%{c}.example",
            "v=spf1 a:%(d).example",
            "v=spf1 a:%{d0}.example",
            "v=spf1 a:%",
            "v=spf1 unknown=%{",
            "v=spf1 a\tmx",
            "v=spf1 a:example.com\0",
            "v=spf1 mx:\u{e9}.example",
        ] {
            assert!(
                Record::parse(wrong.as_bytes()).is_err(),
                "{wrong} was taken: {:?}",
                Record::parse(wrong.as_bytes())
            );
        }
        assert!(!is_spf(b"v=spf10") && !is_spf(b"v=spf") && is_spf(b"V=spF1 "));
    }
}
