//! The one form of an address (WHATWG URL; RFC 3986 section 6.2.2; RFC 5891 for hosts).

use idna::AsciiDenyList;
use url::{Host, Url};

use crate::message::html::{MAX_ADDRESS, shortened};

/// Longest host that is a domain name (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 253;
/// Octets kept of an address whose content is in the mail itself.
const MAX_MADE_HERE: usize = 128;

/// An address in its one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normal {
    pub url: Box<str>,
    /// In ASCII; an IP address as it is reached, without brackets; empty for `data:` and the like.
    pub host: Box<str>,
}

/// The registrable domain of a host, by the Public Suffix List; `None` for an IP address, a public suffix or a single label.
#[must_use]
pub fn registrable(host: &str) -> Option<&str> {
    let is_address = host.contains(':') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_address || host.len() > MAX_HOST { None } else { psl::domain_str(host) }
}

/// Reads an absolute address as browsers do: backslashes are slashes, user information is no host, numbers in any notation
/// are an IPv4 address.
#[must_use]
pub fn normalize(written: &str) -> Option<Normal> {
    let written = written.trim_matches(|c: char| c <= ' ');
    let written = &*shortened(written);
    // `/\` and `\/` are `//` to browsers.
    if let Some(rest) = ["//", "/\\", "\\/"].iter().find_map(|start| written.strip_prefix(start)) {
        return web(&format!("http://{rest}"));
    }
    if written.starts_with("\\\\") {
        return web(&format!("file:{written}"));
    }
    let Some((scheme, rest)) = written.split_once(':') else { return without_scheme(written) };
    if scheme.len() > 24 || !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" | "ftp" | "file" => web(written),
        "mailto" => mail(rest),
        "javascript" | "vbscript" | "data" | "blob" => Some(made_here(written)),
        // Start programs: Office documents from elsewhere, searches on file servers.
        known if known.starts_with("ms-") || known.starts_with("search") => Some(made_here(written)),
        _ => without_scheme(written),
    }
}

/// An address that only means something on its page. `https:a/b` is one where the page's is `https:`, too (WHATWG URL section
/// 4.4).
#[must_use]
pub fn join(base: &str, written: &str) -> Option<String> {
    let (scheme, rest) = written.split_once(':').unwrap_or(("", written));
    let is_absolute = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if written.starts_with('#') || (is_absolute && (!is_web || rest.starts_with(['/', '\\']))) {
        return None;
    }
    Url::parse(base).ok()?.join(written).ok().map(String::from)
}

/// `www.example.com/x`: mail programs add the scheme.
fn without_scheme(written: &str) -> Option<Normal> {
    let www = written.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"www."));
    if www { web(&format!("http://{written}")) } else { None }
}

fn web(written: &str) -> Option<Normal> {
    let Ok(url) = Url::parse(written) else { return leniently(written) };
    let host = match url.host()? {
        Host::Domain(domain) => domain.trim_end_matches('.').into(),
        Host::Ipv4(address) => address.to_string().into_boxed_str(),
        Host::Ipv6(address) => address.to_canonical().to_string().into_boxed_str(),
    };
    let mut text = plain_percent(url.as_str());
    text.truncate(text.floor_char_boundary(2 * MAX_ADDRESS));
    Some(Normal { url: text.into(), host })
}

/// What browsers refuse (a bad port, a forbidden character) still names a host.
fn leniently(written: &str) -> Option<Normal> {
    let rest = written.split_once(':')?.1.trim_start_matches(['/', '\\']);
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?.trim_end_matches('.');
    let host = host.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
    let ascii = idna::domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::EMPTY)
        .map_or_else(|_| host.to_ascii_lowercase(), std::borrow::Cow::into_owned);
    let fits = !ascii.is_empty()
        && ascii.len() <= MAX_HOST
        && ascii.contains('.')
        && ascii.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| Normal { url: written.to_ascii_lowercase().into(), host: ascii.into() })
}

/// `mailto:a@b?subject=…`: the address alone.
fn mail(rest: &str) -> Option<Normal> {
    let address = rest.split(['?', '&', ',']).next()?.trim_ascii();
    let address = plain_percent(address).replace("%40", "@");
    let (local, domain) = address.rsplit_once('@')?;
    let host = idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::URL).ok()?;
    let fits = !local.is_empty() && host.len() <= MAX_HOST && host.contains('.');
    fits.then(|| Normal { url: format!("mailto:{local}@{host}").into(), host: host.into() })
}

fn made_here(written: &str) -> Normal {
    let start = written.get(..written.floor_char_boundary(MAX_MADE_HERE)).unwrap_or_default();
    Normal { url: start.to_ascii_lowercase().into(), host: "".into() }
}

/// Undoes `%41` for characters that need no encoding (RFC 3986 section 2.3), and writes the others in capitals.
#[must_use]
pub fn plain_percent(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        rest = behind;
        match pair(behind.as_bytes()) {
            Some(octet) => {
                let plain = octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~');
                if plain {
                    out.push(char::from(octet));
                } else {
                    out.push('%');
                    out.push_str(&behind.get(..2).unwrap_or_default().to_ascii_uppercase());
                }
                rest = behind.get(2..).unwrap_or_default();
            }
            None => out.push('%'),
        }
    }
    out.push_str(rest);
    out
}

/// Undoes all percent-encoding; what is no UTF-8 is replaced.
#[must_use]
pub fn decode_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1..).and_then(pair)) {
            (b'%', Some(octet)) => {
                out.push(octet);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn pair(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}
