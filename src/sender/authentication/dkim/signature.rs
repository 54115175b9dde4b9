//! One DKIM-Signature, ARC-Message-Signature or ARC-Seal field, read (RFC 6376 section 3.5, RFC 8617 section 4.1).
//!
//! **Failure**: what is missing or odd is said in a few words; nothing is guessed, except the defaults of the RFCs.

use mail_auth::common::crypto::{Algorithm, HashAlgorithm};
use mail_auth::dkim::Canonicalization;

use super::tags::{Tags, without_space};

/// Names in `h=`; more make a signature that costs us more than it tells.
pub const NAMES: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub algorithm: Algorithm,
    pub domain: Box<str>,
    pub selector: Box<str>,
    pub signature: Vec<u8>,
    pub body_hash: Vec<u8>,
    /// `h=`, lower case.
    pub names: Vec<String>,
    pub header_form: Canonicalization,
    pub body_form: Canonicalization,
    /// `l=`
    pub length: Option<u64>,
    /// Domain of `i=`; that of `d=` if it is not given.
    pub identity_domain: Box<str>,
    /// `x=`, seconds.
    pub expires: Option<u64>,
}

impl Signature {
    /// A DKIM-Signature.
    ///
    /// # Errors
    /// What is wrong.
    pub fn dkim(tags: &Tags<'_>) -> Result<Self, &'static str> {
        if tags.get("v") != Some("1") {
            return Err("v= is not 1");
        }
        let mut signature = Self::common(tags)?;
        let methods = tags.items("q").map(|mut all| all.any(|method| without_space(method) == "dns/txt"));
        // Drafts wrote q=dns.
        if methods == Some(false) && tags.get("q") != Some("dns") {
            return Err("q= knows no dns/txt");
        }
        if let Some(identity) = tags.get("i") {
            let identity = unquoted_printable(&without_space(identity)).ok_or("i= is no quoted-printable")?;
            let (_, domain) = identity.rsplit_once('@').ok_or("i= has no @")?;
            if !is_below(domain, &signature.domain) {
                return Err("i= is not within d=");
            }
            signature.identity_domain = domain.to_ascii_lowercase().into();
        }
        signature.length = match tags.number("l") {
            Some(None) => return Err("l= is no number"),
            Some(length) => length,
            None => None,
        };
        Ok(signature)
    }

    /// What DKIM-Signature and ARC-Message-Signature have in common.
    ///
    /// # Errors
    /// What is wrong.
    pub fn common(tags: &Tags<'_>) -> Result<Self, &'static str> {
        let (header_form, body_form) = forms(tags.get("c"))?;
        let names: Vec<String> =
            tags.items("h").ok_or("no h=")?.map(|name| without_space(name).to_ascii_lowercase()).collect();
        if names.len() > NAMES {
            return Err("h= has too many names");
        }
        let (signed, expires) = (time(tags, "t")?, time(tags, "x")?);
        if let (Some(signed), Some(expires)) = (signed, expires)
            && expires <= signed
        {
            return Err("x= is not after t=");
        }
        let domain = domain(tags)?;
        Ok(Self {
            algorithm: algorithm(tags)?,
            selector: selector(tags)?,
            signature: tags.base64("b").ok_or("b= is missing or no base64")?,
            body_hash: tags.base64("bh").ok_or("bh= is missing or no base64")?,
            names,
            header_form,
            body_form,
            length: None,
            identity_domain: domain.clone(),
            domain,
            expires,
        })
    }

    #[must_use]
    pub fn hash(&self) -> HashAlgorithm {
        HashAlgorithm::from(self.algorithm)
    }
}

/// `a=`; names are lower case (RFC 6376 section 3.5, RFC 8463).
pub(crate) fn algorithm(tags: &Tags<'_>) -> Result<Algorithm, &'static str> {
    match tags.get("a") {
        Some("rsa-sha256") => Ok(Algorithm::RsaSha256),
        Some("rsa-sha1") => Ok(Algorithm::RsaSha1),
        Some("ed25519-sha256") => Ok(Algorithm::Ed25519Sha256),
        Some(_) => Err("a= is unknown"),
        None => Err("no a="),
    }
}

pub(crate) fn domain(tags: &Tags<'_>) -> Result<Box<str>, &'static str> {
    let domain = tags.get("d").ok_or("no d=")?;
    let domain = crate::model::Domain::parse(domain).map_err(|_| "d= is no domain")?;
    if domain.as_str().contains('.') && domain.as_ip().is_none() {
        Ok(domain.as_str().into())
    } else {
        Err("d= is no domain")
    }
}

pub(crate) fn selector(tags: &Tags<'_>) -> Result<Box<str>, &'static str> {
    let selector = tags.get("s").ok_or("no s=")?;
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if selector.len() <= 190 && selector.split('.').all(label) { Ok(selector.into()) } else { Err("s= is no selector") }
}

pub(crate) fn time(tags: &Tags<'_>, name: &str) -> Result<Option<u64>, &'static str> {
    match tags.number(name) {
        Some(None) => Err("a time is no number"),
        Some(time) => Ok(time),
        None => Ok(None),
    }
}

fn forms(text: Option<&str>) -> Result<(Canonicalization, Canonicalization), &'static str> {
    let form = |name: &str| match name.trim_ascii() {
        "simple" => Ok(Canonicalization::Simple),
        "relaxed" => Ok(Canonicalization::Relaxed),
        _ => Err("c= is unknown"),
    };
    match text.map(|text| text.split_once('/').unwrap_or((text, "simple"))) {
        None => Ok((Canonicalization::Simple, Canonicalization::Simple)),
        Some((header, body)) => Ok((form(header)?, form(body)?)),
    }
}

/// DKIM's quoted-printable (RFC 6376 section 2.11), space already gone.
fn unquoted_printable(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(rest.next())? * 16 + digit(rest.next())?;
            octets.push(u8::try_from(value).ok()?);
        } else {
            octets.push(byte);
        }
    }
    String::from_utf8(octets).ok()
}

/// `name` is `domain` or below it, whatever the case.
pub(crate) fn is_below(name: &str, domain: &str) -> bool {
    let Some(split) = name.len().checked_sub(domain.len()) else { return false };
    match (name.get(..split), name.get(split..)) {
        (Some(before), Some(end)) => end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.')),
        _ => false,
    }
}
