//! Mail addresses as RFC 5321 section 4.1.2 and RFC 6531 write them: one type, parsed once, used for
//! authorisation and for routing alike.
//!
//! **Invariants**: a [`Domain`] is the lower-case A-label form (or a bracketed address literal) and at most 255
//! octets; an [`Address`] prints exactly what a next hop may be sent, and holds no control character.
//! **Failure**: [`AddressError`] says which part is wrong; a doubtful address is refused, never repaired.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

/// Longest local part (RFC 5321 section 4.5.3.1.1), in octets.
pub const MAX_LOCAL: usize = 64;
/// Longest domain (RFC 5321 section 4.5.3.1.2), in octets.
pub const MAX_DOMAIN: usize = 255;

/// Why a string is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the address has no @ between local part and domain")]
    NoDomain,
    #[error("the local part is empty, too long or has a character that needs quoting")]
    LocalPart,
    #[error("the domain is empty, too long or has a label that no host name may have")]
    Domain,
    #[error("the address literal is no IP address")]
    Literal,
    #[error("source routes are not accepted")]
    SourceRoute,
    #[error("the address has a control character")]
    Control,
}

/// A domain in its comparable form: lower-case A-labels without a final dot, or `[address literal]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Domain(Box<str>);

impl Domain {
    /// Reads a domain or address literal; U-labels become A-labels (RFC 5891).
    ///
    /// # Errors
    /// [`AddressError::Domain`] or [`AddressError::Literal`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(AddressError::Literal)?;
            return parse_literal(inner).map(Self::literal);
        }
        if text.is_empty() || text.len() > MAX_DOMAIN {
            return Err(AddressError::Domain);
        }
        let plain = is_host_name(text);
        if plain && !text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Ok(Self(text.into()));
        }
        let lower = if plain {
            text.to_ascii_lowercase()
        } else if text.is_ascii() {
            return Err(AddressError::Domain);
        } else {
            idna::domain_to_ascii_strict(text).map_err(|_| AddressError::Domain)?
        };
        if is_host_name(&lower) { Ok(Self(lower.into())) } else { Err(AddressError::Domain) }
    }

    fn literal(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(v4) => format!("[{v4}]").into(),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]").into(),
        })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The IP address of an address literal.
    #[must_use]
    pub fn as_ip(&self) -> Option<IpAddr> {
        let inner = self.0.strip_prefix('[')?.strip_suffix(']')?;
        parse_literal(inner).ok()
    }
}

/// RFC 5321 section 4.1.3. IPv4-mapped IPv6 addresses become IPv4, so that no ACL sees two spellings.
fn parse_literal(inner: &str) -> Result<IpAddr, AddressError> {
    let v6 = inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).and_then(|_| inner.get(5..));
    if let Some(text) = v6 {
        let ip: Ipv6Addr = text.parse().map_err(|_| AddressError::Literal)?;
        return Ok(IpAddr::V6(ip).to_canonical());
    }
    inner.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| AddressError::Literal)
}

/// Letters, digits, hyphen and (seen in the wild, harmless) underscore; labels of 1 to 63 octets; no final dot.
fn is_host_name(text: &str) -> bool {
    text.len() <= MAX_DOMAIN
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

impl std::borrow::Borrow<str> for Domain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Domain {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A mailbox address. The local part keeps its case and is quoted only where it must be.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    local: Box<str>,
    domain: Domain,
}

impl Address {
    /// Reads `local@domain` without angle brackets. Quoted local parts are undone where no quoting is needed, UTF-8
    /// local parts become NFC (RFC 6532 section 3.1).
    ///
    /// # Errors
    /// [`AddressError`]; a leading `@` is a source route and refused.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if has_control(text) {
            return Err(AddressError::Control);
        }
        if text.starts_with('@') {
            return Err(AddressError::SourceRoute);
        }
        let (local, domain) = if text.starts_with('"') {
            let (local, rest) = parse_quoted(text)?;
            (local, rest.strip_prefix('@').ok_or(AddressError::NoDomain)?)
        } else {
            let at = text.find('@').ok_or(AddressError::NoDomain)?;
            let (local, rest) = (text.get(..at), text.get(at + 1..));
            (local.unwrap_or_default().to_owned(), rest.unwrap_or_default())
        };
        let local: String = if local.is_ascii() { local } else { local.nfc().collect() };
        let quoted = text.starts_with('"');
        if local.len() > MAX_LOCAL || (!quoted && !is_dot_string(&local)) {
            return Err(AddressError::LocalPart);
        }
        Ok(Self { local: local.into(), domain: Domain::parse(domain)? })
    }

    /// The local part without quoting.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The form to compare and to look up by: lower case.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = String::with_capacity(self.local.len() + 1 + self.domain.0.len());
        if self.local.is_ascii() {
            key.push_str(&self.local);
            key.make_ascii_lowercase();
        } else {
            key.push_str(&self.local.to_lowercase());
        }
        key.push('@');
        key.push_str(&self.domain.0);
        key
    }

    /// Whether the local part asks a mail server to route further (`%`, `!`, `@` inside, or a slash): never honoured from
    /// outside (the relay tricks of old).
    #[must_use]
    pub fn asks_for_routing(&self) -> bool {
        self.local.contains(['%', '!', '@', ':']) || self.local.starts_with(['/', '|'])
    }

    /// Whether the address can be sent to a server without SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii()
    }
}

/// Every message brings several addresses: the common ASCII case looks at octets alone.
fn has_control(text: &str) -> bool {
    if text.is_ascii() { text.bytes().any(|b| b.is_ascii_control()) } else { text.chars().any(char::is_control) }
}

/// Splits a quoted string (RFC 5321 section 4.1.2) from what follows it; returns its content.
fn parse_quoted(text: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((local, text.get(at + 1..).unwrap_or_default())),
            '\\' => local.push(chars.next().ok_or(AddressError::LocalPart)?.1),
            _ => local.push(c),
        }
    }
    Err(AddressError::LocalPart)
}

/// Dot-string of RFC 5321 section 4.1.2, with UTF-8 as RFC 6531 section 3.3 allows.
fn is_dot_string(local: &str) -> bool {
    let is_atext = |b: u8| ATEXT.get(usize::from(b)).copied().unwrap_or(false);
    local.split('.').all(|atom| {
        !atom.is_empty()
            && (atom.bytes().all(is_atext)
                || atom.chars().all(|c| u8::try_from(c).is_ok_and(is_atext) || is_utf8_atext(c)))
    })
}

/// Which octets are atext (RFC 5322 section 3.2.3).
#[allow(clippy::indexing_slicing, reason = "evaluated when compiled")]
const ATEXT: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"!#$%&'*+-/=?^_`{|}~";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    let mut octet = 0_u8;
    while octet < 0x80 {
        table[octet as usize] |= octet.is_ascii_alphanumeric();
        octet += 1;
    }
    table
};

fn is_utf8_atext(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace()
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Address {
    /// As it is displayed, without the formatter: records hold several of every message.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        if is_dot_string(&self.local) {
            out.write_str(&self.local)?;
        } else {
            out.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    out.write_str("\\")?;
                }
                out.write_char(c)?;
            }
            out.write_str("\"")?;
        }
        out.write_str("@")?;
        out.write_str(&self.domain.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

/// The reverse-path of MAIL FROM: a mailbox, or `<>` for notifications that must never be answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ReversePath {
    Null,
    Mailbox(Address),
}

impl ReversePath {
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Mailbox(address) => Some(address),
        }
    }
}

impl TryFrom<String> for ReversePath {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        if text.is_empty() { Ok(Self::Null) } else { Address::parse(&text).map(Self::Mailbox) }
    }
}

impl Serialize for ReversePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Without angle brackets; the null path is the empty string.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Mailbox(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_what_it_was_read_from() {
        for text in
            ["a@b.example", "a.b+c@xn--wgv71a.example", "\"a b\"@b.example", "\"a\\\"b\"@b.example", "a@[192.0.2.1]"]
        {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn needless_quotes_go_and_case_of_the_domain_too() {
        assert_eq!(Address::parse("\"Ab\"@B.Example").unwrap().to_string(), "Ab@b.example");
        assert_eq!(Address::parse("あ@日本.example").unwrap().domain().as_str(), "xn--wgv71a.example");
    }

    #[test]
    fn an_ipv4_mapped_literal_is_its_ipv4_address() {
        let mapped = Address::parse("a@[IPv6:::ffff:127.0.0.1]").unwrap();
        assert_eq!(mapped.domain().as_str(), "[127.0.0.1]");
    }

    #[test]
    fn doubtful_addresses_are_refused() {
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@-b.example",
            "a@b..example",
            "a@b.example.",
            ".a@b",
            "a.@b",
            "a..b@c",
            "@x:a@b",
            "a@[1.2.3]",
            "a@[fe80::1%lo]",
            "a\r\nb@c",
            "\"a\0b\"@c",
            "\"a@b",
            "a@b c",
            "a@b>",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?} was taken for an address");
        }
    }
}
