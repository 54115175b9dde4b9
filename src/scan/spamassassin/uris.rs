//! The list of addresses that `uri` rules look at: those in text and markup, and the other ways to write the same.
//!
//! **Invariants**: at most [`MAX_URIS`], each at most [`MAX_LENGTH`] octets; no address twice.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::signatures::spamassassin::pattern::Pattern;
use crate::signatures::spamassassin::rule::Settings;

pub const MAX_URIS: usize = 3_000;
pub const MAX_LENGTH: usize = 4_096;

/// An address and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    pub text: String,
    /// In text rather than in markup.
    pub from_text: bool,
}

#[derive(Debug)]
pub struct Uris<'r> {
    settings: &'r Settings,
    redirectors: &'r [Pattern],
    pub list: Vec<Uri>,
    seen: HashSet<String>,
}

/// Something that looks like an address in a text: with its scheme, without, or of a mailbox.
#[allow(clippy::unwrap_used, reason = "a constant, which the tests compile")]
static IN_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i-u)(?P<scheme>(?:https?|ftp)://[^\s<>"|{}^`)\]]+)|(?P<mail>(?:mailto:)?[a-z0-9.!#$%&'*+/=?_-]{1,64}@[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9][a-z0-9-]{0,62}){1,8})(?P<query>\?[^\s<>"]+)?|(?P<bare>[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9][a-z0-9-]{0,62}){1,8})(?P<path>(?::[0-9]{1,5})?/[^\s<>"|{}^`)\]]+)?"#,
    )
    .unwrap()
});

impl<'r> Uris<'r> {
    #[must_use]
    pub fn new(settings: &'r Settings, redirectors: &'r [Pattern]) -> Self {
        Self { settings, redirectors, list: Vec::new(), seen: HashSet::new() }
    }

    /// Whether a host ends in a top-level domain there is.
    #[must_use]
    pub fn is_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let Some((front, top)) = host.rsplit_once('.') else { return false };
        if top.bytes().all(|octet| octet.is_ascii_digit()) {
            return host.parse::<std::net::Ipv4Addr>().is_ok();
        }
        let top = top.to_ascii_lowercase();
        !front.is_empty()
            && (self.settings.top_levels.is_empty()
                || self.settings.top_levels.binary_search_by(|known| (**known).cmp(top.as_str())).is_ok())
    }

    /// All addresses of a paragraph.
    pub fn text(&mut self, paragraph: &str) {
        let octets = paragraph.as_bytes();
        for found in IN_TEXT.captures_iter(octets) {
            if self.list.len() >= MAX_URIS {
                return;
            }
            let text =
                |name: &str| found.name(name).map(|group| String::from_utf8_lossy(group.as_bytes()).into_owned());
            if let Some(uri) = text("scheme") {
                let uri = trimmed(&uri);
                if host_of(uri).is_some_and(|host| self.is_host(&host) || host.starts_with("0x")) {
                    self.add(uri, true);
                }
            } else if let Some(address) = text("mail") {
                let bare = address
                    .get(..7)
                    .filter(|start| start.eq_ignore_ascii_case("mailto:"))
                    .map_or(address.as_str(), |_| address.get(7..).unwrap_or_default());
                let host = bare.rsplit_once('@').map_or("", |(_, host)| host);
                if self.is_host(host) && !host.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') {
                    let bare = bare.trim_start_matches(['.', '\'', '=', '/', '*', '-']);
                    match text("query") {
                        Some(query) => self.add(&format!("mailto:{bare}{query}"), true),
                        None => self.add(&format!("mailto:{bare}"), true),
                    }
                }
            } else if let Some(host) = text("bare") {
                let Some(place) = found.get(0) else { continue };
                self.bare(octets, place.start(), place.end(), &host, text("path"));
            }
        }
    }

    /// A host without a scheme counts where its surroundings don't speak against it.
    fn bare(&mut self, octets: &[u8], start: usize, end: usize, host: &str, path: Option<String>) {
        let before = start.checked_sub(1).and_then(|at| octets.get(at)).copied();
        let after = octets.get(end).copied();
        let lower = host.to_ascii_lowercase();
        if !self.is_host(host) || lower.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') {
            return;
        }
        if before.is_some_and(|octet| octet.is_ascii_alphanumeric() || b"-_.%".contains(&octet) || octet >= 0x80) {
            return;
        }
        let named = lower.starts_with("www.") || lower.starts_with("ftp.");
        let ends = match (after, octets.get(end + 1)) {
            (None | Some(b' ' | b'\n' | b'\t' | b'"' | b'<' | b'>' | b'[' | b']'), _) => true,
            (Some(b'.'), next) => next.is_none_or(u8::is_ascii_whitespace),
            (Some(b':'), next) => path.is_none() && next.is_some_and(u8::is_ascii_digit),
            _ => false,
        };
        if path.is_none() && !ends && !named {
            return;
        }
        let scheme = if lower.starts_with("ftp.") { "ftp" } else { "http" };
        let path = path.unwrap_or_default();
        self.add(trimmed(&format!("{scheme}://{host}{path}")), true);
    }

    /// An address of the markup, as written.
    pub fn markup(&mut self, address: &str, base: Option<&str>) {
        self.push(address, false);
        let lower = address.to_ascii_lowercase();
        let scheme = lower
            .split_once(':')
            .map(|(scheme, _)| scheme)
            .filter(|scheme| !scheme.is_empty() && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric()));
        match scheme {
            Some("http" | "https" | "ftp" | "mailto") => self.add(address, false),
            Some(_) => {}
            None => {
                if let Some(base) = base {
                    let base = base.trim_end_matches('/');
                    self.add(&format!("{base}/{}", address.trim_start_matches('/')), false);
                }
                if !address.starts_with('#') {
                    self.add(&format!("http://{address}"), false);
                }
            }
        }
    }

    fn push(&mut self, text: &str, from_text: bool) {
        if self.list.len() < MAX_URIS && text.len() <= MAX_LENGTH && self.seen.insert(text.to_owned()) {
            self.list.push(Uri { text: text.to_owned(), from_text });
        }
    }

    /// With its other writings.
    pub fn add(&mut self, uri: &str, from_text: bool) {
        if uri.len() > MAX_LENGTH
            || self.seen.contains(uri)
                && self.list.iter().any(|known| known.text == uri && known.from_text == from_text && from_text)
        {
            return;
        }
        self.push(uri, from_text);
        let mut current = uri.to_owned();
        for _ in 0..4 {
            let plain = unescaped(&current);
            if plain != current {
                self.push(&plain, from_text);
            }
            if let Some((mailbox, _)) = plain.split_once('?').filter(|(start, _)| start.starts_with("mailto:")) {
                self.push(mailbox, from_text);
            }
            self.hosts(&plain, from_text);
            let Some(inner) = self.inner(&plain) else { break };
            self.push(&inner, from_text);
            current = inner;
        }
    }

    /// Without its port, with the path a host alone lacks, with the host in ASCII.
    fn hosts(&mut self, uri: &str, from_text: bool) {
        let Some((scheme, rest)) = uri.split_once("://") else { return };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if path.starts_with('?') {
            self.push(&format!("{scheme}://{authority}/{path}"), from_text);
        }
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if let Some((host, "80" | "443")) = host.rsplit_once(':') {
            self.push(&format!("{scheme}://{host}{path}"), from_text);
        }
        if !host.is_ascii() {
            let dotted = host.replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
            if let Ok(ascii) = idna::domain_to_ascii(&dotted) {
                self.push(&format!("{scheme}://{ascii}{path}"), from_text);
            }
        }
    }

    /// The address within an address: behind `//http://`, or where a redirector says it is.
    fn inner(&self, uri: &str) -> Option<String> {
        let lower = uri.to_ascii_lowercase();
        let nested = lower.get(1..).and_then(|rest| rest.rfind("http://").max(rest.rfind("https://"))).map(|at| at + 1);
        if let Some(nested) = nested.and_then(|at| uri.get(at..)) {
            return Some(nested.to_owned());
        }
        for pattern in self.redirectors {
            if let Some(target) = pattern.first_group(uri.as_bytes()) {
                let target = String::from_utf8_lossy(&target).into_owned();
                if !target.is_empty() && target.len() < uri.len() {
                    return Some(if target.contains("://") { target } else { format!("http://{target}") });
                }
            }
        }
        None
    }
}

/// Without the punctuation of the sentence around it.
fn trimmed(uri: &str) -> &str {
    uri.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '-', '*', '~', '('])
}

/// Percent-encodings of plain characters undone.
fn unescaped(uri: &str) -> String {
    let mut out = Vec::with_capacity(uri.len());
    let mut octets = uri.bytes().enumerate();
    while let Some((at, octet)) = octets.next() {
        let code =
            (octet == b'%').then(|| uri.get(at + 1..at + 3)).flatten().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code @ 0x21..=0x7E) => {
                out.push(code);
                octets.nth(1);
            }
            _ => out.push(octet),
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| uri.to_owned())
}

/// In lower case, without user and port.
#[must_use]
pub fn host_of(uri: &str) -> Option<String> {
    let rest = match uri.split_once("://") {
        Some((_, rest)) => rest,
        None => uri.strip_prefix("mailto:").and_then(|rest| rest.rsplit_once('@')).map(|(_, host)| host)?,
    };
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?.trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        let settings = Settings { top_levels: vec!["com".into(), "jp".into()], ..Settings::default() };
        let mut uris = Uris::new(&settings, &[]);
        uris.text(text);
        uris.list.into_iter().map(|uri| uri.text).collect()
    }

    #[test]
    fn addresses_in_text_are_found() {
        assert_eq!(
            list("see http://a.com/x, or www.b.com. and c.com (d.com) e.co.jp"),
            ["http://a.com/x", "http://www.b.com", "http://c.com", "http://e.co.jp"]
        );
        assert_eq!(list("<me@a.com> http://a.notld/ file.txt 1.2.3.4"), ["mailto:me@a.com"]);
        assert_eq!(
            list("http://a.com:80/%41?u=http://b.com/"),
            [
                "http://a.com:80/%41?u=http://b.com/",
                "http://a.com:80/A?u=http://b.com/",
                "http://a.com/A?u=http://b.com/",
                "http://b.com/"
            ]
        );
    }
}
