//! A rule of SpamAssassin as its file writes it.
//!
//! **Invariants**: names are those of the files; texts are still octets in Latin-1 (see [`super::perl`]).

use std::collections::BTreeMap;

/// Of an address in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Piece {
    #[default]
    Whole,
    /// The first address.
    Address,
    /// The first display name.
    Name,
    /// The host of the first address.
    Host,
    /// Its registrable domain.
    Domain,
}

/// What a header rule looks at: `From:addr`, `Received:raw`, `ALL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderKey {
    /// As written; compared without regard to case, but for the names of no field.
    pub name: Box<str>,
    pub raw: bool,
    pub piece: Piece,
    pub first: bool,
    pub last: bool,
}

impl HeaderKey {
    #[must_use]
    pub fn read(written: &str) -> Self {
        let mut parts = written.split(':');
        let name = parts.next().unwrap_or_default();
        let pseudo = ["ALL", "ToCc", "MESSAGEID", "EnvelopeFrom"].contains(&name) || name.starts_with("ALL-");
        let name = if pseudo { name.into() } else { name.to_ascii_lowercase().into() };
        let mut key = Self { name, raw: false, piece: Piece::Whole, first: false, last: false };
        for modifier in parts {
            match modifier {
                "raw" => key.raw = true,
                "addr" => key.piece = Piece::Address,
                "name" => key.piece = Piece::Name,
                "host" => key.piece = Piece::Host,
                "domain" => key.piece = Piece::Domain,
                "first" => key.first = true,
                "last" => key.last = true,
                _ => {}
            }
        }
        key
    }
}

/// What a rule tests.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    Header {
        key: HeaderKey,
        negated: bool,
        pattern: Box<str>,
        if_unset: Option<Box<str>>,
    },
    HasHeader(HeaderKey),
    MimeHeader {
        key: HeaderKey,
        negated: bool,
        pattern: Box<str>,
        if_unset: Option<Box<str>>,
    },
    Body(Box<str>),
    RawBody(Box<str>),
    Uri(Box<str>),
    Full(Box<str>),
    /// `key =~ /pattern/` conditions, all of which one link must meet.
    UriDetail(Vec<(Box<str>, bool, Box<str>)>),
    Meta(Box<str>),
    /// A function by its name, with its arguments.
    Eval {
        function: Box<str>,
        arguments: Vec<Box<str>>,
    },
}

/// One rule, the latest of its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub test: Test,
    pub file: usize,
    pub line: u32,
}

/// `tflags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Counted as often as it hits, up to this often.
    pub most: Option<u32>,
    pub no_subject: bool,
    pub net: bool,
    pub nice: bool,
    /// Needs learning or the user's settings.
    pub unusable: bool,
}

/// Patterns of `*` and `?` over addresses, with the domains a server must belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAddress {
    pub pattern: Box<str>,
    /// For `…_from_rcvd`: the domain of the server.
    pub server: Option<Box<str>>,
}

/// Settings that rules use.
#[derive(Debug, Default)]
pub struct Settings {
    pub freemail: Vec<Box<str>>,
    pub freemail_allowed: Vec<Box<str>>,
    /// `welcomelist_from_rcvd` and the like by what they are for: `welcomelist_from`, `def_welcomelist_from_rcvd`.
    pub lists: BTreeMap<Box<str>, Vec<ListedAddress>>,
    /// `enlist_addrlist`.
    pub address_lists: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// `enlist_uri_host`.
    pub host_lists: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// Top-level domains; empty: any.
    pub top_levels: Vec<Box<str>>,
    pub redirectors: Vec<Box<str>>,
    /// Fields that name the address a mail was first sent from.
    pub originating: Vec<Box<str>>,
    pub servers: Vec<Box<str>>,
}

/// Does `text` match a pattern of `*` and `?`? Without regard to case, in linear time for one star, quadratic at worst.
#[must_use]
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star, mut mark) = (0, 0, None, 0);
    while let Some(octet) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some(p);
                mark = t;
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(octet) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some(at) => {
                    p = at + 1;
                    mark += 1;
                    t = mark;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|octet| *octet == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, text, hit) in [
            ("*@example.com", "A@EXAMPLE.com", true),
            ("*@*.gov", "a@b.gov", true),
            ("*@*.gov", "a@b.gov.x", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("**", "", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), hit, "{pattern} {text}");
        }
    }

    #[test]
    fn keys_are_read_with_their_modifiers() {
        let key = HeaderKey::read("From:addr:raw");
        assert_eq!((&*key.name, key.raw, key.piece), ("from", true, Piece::Address));
        assert_eq!(&*HeaderKey::read("ALL:raw").name, "ALL");
    }
}
