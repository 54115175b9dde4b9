//! The target that a redirecting address names in itself: search engines, link rewriting of mail gateways, trackers.
//!
//! Any parameter that is an address counts: an open redirect is a redirect. Services that keep the target to themselves
//! can't be followed without the network.

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

use super::normal::decode_percent;
use crate::message::html::MAX_ADDRESS;
use crate::message::specimen::Link;

/// Parameters of one address that are looked at.
const MAX_PARAMETERS: usize = 40;

const LOOSE: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LOOSE);

/// The target, as far as the address itself says it.
#[must_use]
pub fn inner(link: &Link) -> Option<String> {
    let rest = link.url.split_once("://")?.1;
    let from = rest.find(['/', '?', '#'])?;
    let (_, rest) = rest.split_at_checked(from)?;
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    by_host(&link.host, path, query)
        .or_else(|| in_query(query))
        .or_else(|| in_path(path))
        .or_else(|| whole(fragment))
        .filter(|target| target.len() <= MAX_ADDRESS)
}

/// Services with a notation of their own.
fn by_host(host: &str, path: &str, query: &str) -> Option<String> {
    let domain = super::registrable(host).unwrap_or_default();
    if matches!(domain, "urldefense.com" | "proofpoint.com") {
        if let Some(rest) = path.strip_prefix("/v3/__") {
            return address(rest.split_once("__;").map_or(rest, |(target, _)| target));
        }
        if path.starts_with("/v2/") {
            let target = parameter(query, "u")?.replace('-', "%").replace('_', "/");
            return address(&decode_percent(&target));
        }
    }
    if host.ends_with(".translate.goog") {
        let name = host.strip_suffix(".translate.goog")?.replace("--", "\0").replace('-', ".").replace('\0', "-");
        return Some(format!("https://{name}{path}"));
    }
    let amp = host.starts_with("www.google.") || domain == "ampproject.org";
    if amp {
        let rest =
            path.strip_prefix("/amp/").or_else(|| path.strip_prefix("/c/")).or_else(|| path.strip_prefix("/v/"))?;
        let rest = rest.strip_prefix("s/").unwrap_or(rest);
        return rest.contains('.').then(|| format!("https://{rest}"));
    }
    None
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .take(MAX_PARAMETERS)
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn in_query(query: &str) -> Option<String> {
    if query.is_empty() {
        return None;
    }
    // `?https://example.com/a&b`
    let target = whole(query).filter(|_| query.split('=').next().is_none_or(|key| key.len() >= 8));
    target.or_else(|| {
        query
            .split('&')
            .take(MAX_PARAMETERS)
            .find_map(|pair| whole(pair.split_once('=').map_or(pair, |(_, value)| value)))
    })
}

/// A text that is an address, percent-encoded up to twice or in base64.
fn whole(text: &str) -> Option<String> {
    if text.len() < 8 {
        return None;
    }
    if let Some(target) = address(text) {
        return Some(target);
    }
    let start = text.get(..10).unwrap_or(text);
    if start.contains('%') {
        let once = decode_percent(text);
        return address(&once).or_else(|| if once.contains('%') { address(&decode_percent(&once)) } else { None });
    }
    // `http` in base64; one service puts `a1` before it.
    let encoded = text.strip_prefix("a1").unwrap_or(text);
    if encoded.starts_with("aHR0c") {
        let end = encoded.find(['&', '%', '.']).unwrap_or(encoded.len());
        let plain = encoded.get(..end)?.replace('+', "-").replace('/', "_");
        let octets = BASE64.decode(plain.trim_end_matches('=')).ok()?;
        return address(&String::from_utf8_lossy(&octets));
    }
    None
}

/// `/https://example.com/`, `/https%3A%2F%2Fexample.com`
fn in_path(path: &str) -> Option<String> {
    let from = memchr::memmem::find_iter(path.as_bytes(), b"http").take(4).find_map(|at| {
        let behind = path.get(at + 4..)?;
        let behind = behind.strip_prefix('s').unwrap_or(behind);
        let is_scheme = behind.starts_with(":/") || behind.starts_with("%3A%2F") || behind.starts_with("%253A");
        (at > 0 && is_scheme).then_some(at)
    })?;
    let target = path.get(from..)?;
    if let Some(rest) = target.strip_prefix("https:/").filter(|rest| !rest.starts_with('/')) {
        return Some(format!("https://{rest}"));
    }
    if let Some(rest) = target.strip_prefix("http:/").filter(|rest| !rest.starts_with('/')) {
        return Some(format!("http://{rest}"));
    }
    whole(target)
}

/// Something that begins like an address on the web.
fn address(text: &str) -> Option<String> {
    let text = text.trim_ascii();
    let starts = |scheme: &str| {
        text.as_bytes().get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let named = (starts("http://") || starts("https://")) && text.len() > 10;
    let bare = starts("//") && text.get(2..).is_some_and(|rest| rest.split('/').next().is_some_and(super::is_host));
    let www = starts("www.") && text.split('/').next().is_some_and(super::is_host);
    (named || bare || www).then(|| text.to_owned())
}
