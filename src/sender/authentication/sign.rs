//! Signing: a DKIM-Signature (RFC 6376) for mail that leaves, an ARC set (RFC 8617) for mail that we change.
//!
//! **Failure**: [`SignError`]; a message without From is not signed; a chain that has failed before is not sealed again
//! (section 5.1.2), nor one with 50 sets.
//! **Invariants**: relaxed/relaxed; no `l=`; From, To, Cc, Subject, Date, Reply-To and the MIME fields are signed once
//! more than they are there, so that none can be added; tags stand in the order of their names for ARC.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::HashAlgorithm;
use mail_auth::dkim::Canonicalization;

use super::arc::{self, Chain, ChainValue, SETS, Set};
use super::block::Block;
use super::dkim::canonical::{body_hash, canonical_fields, signed_fields};
use super::keys::{KeyFileError, Sign};
use crate::model::authentication::ArcResult;

/// Fields signed if they are there.
const SIGNED: [&str; 18] = [
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "sender",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "auto-submitted",
    "resent-from",
];
/// Of these one more than there are: an added one breaks the signature.
const SEALED_SHUT: [&str; 8] = ["from", "to", "cc", "subject", "date", "reply-to", "mime-version", "content-type"];
/// Names in one `h=`.
const NAMES: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("a message without a From field is not signed")]
    NoFrom,
    #[error("the chain has failed or has no more room: it is not sealed again")]
    NoMoreSets,
    #[error("the key could not sign: {0}")]
    Key(#[from] KeyFileError),
}

/// Who signs.
#[derive(Debug)]
pub struct Signer<'a> {
    pub key: &'a dyn Sign,
    pub domain: &'a str,
    pub selector: &'a str,
    /// Seconds since 1970.
    pub now: u64,
    pub layout: Layout,
}

/// How `b=` stands in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// In lines of 72 characters.
    #[default]
    Folded,
    /// In one piece, as the ARC suite writes it: white space inside `b=` counts for the seals above.
    OnePiece,
}

/// The DKIM-Signature field to put before `message`, with its CRLF. `lifetime`: seconds until `x=`.
///
/// # Errors
/// [`SignError`].
pub fn dkim(message: &[u8], signer: &Signer<'_>, lifetime: Option<u64>) -> Result<Vec<u8>, SignError> {
    let block = Block::read(message);
    let names = names(&block)?;
    let hash = body_hash(block.body, Canonicalization::Relaxed, HashAlgorithm::Sha256, None);
    let mut tags = vec![
        ("v", "1".to_owned()),
        ("a", signer.key.algorithm().to_owned()),
        ("c", "relaxed/relaxed".to_owned()),
        ("d", signer.domain.to_owned()),
        ("s", signer.selector.to_owned()),
        ("t", signer.now.to_string()),
    ];
    if let Some(lifetime) = lifetime {
        tags.push(("x", signer.now.saturating_add(lifetime).to_string()));
    }
    tags.extend([("h", names.join(":")), ("bh", STANDARD.encode(&hash.hash)), ("b", String::new())]);
    let own = value(&tags, None);
    let data = data(&block, &names, ("DKIM-Signature", &own));
    Ok(finish("DKIM-Signature", &tags, &signer.key.sign(&data)?, signer.layout))
}

/// The three fields to put before `message`, newest first. `results` is what the Authentication-Results field of this
/// gateway says, from the authserv-id on; `chain` is what [`arc::verify`] found; `names` are signed (`None`: as DKIM does).
///
/// # Errors
/// [`SignError`].
pub fn seal(
    message: &[u8],
    chain: ArcResult,
    results: &str,
    names: Option<&[String]>,
    signer: &Signer<'_>,
) -> Result<Vec<u8>, SignError> {
    let block = Block::read(message);
    let (sets, instance) = match arc::chain(&block) {
        Chain::None => (Vec::new(), 1),
        Chain::Broken(_, highest) => (Vec::new(), highest + 1),
        Chain::Sets(sets) if sets.last().is_some_and(|set| set.chain() == ChainValue::Fail) => {
            return Err(SignError::NoMoreSets);
        }
        Chain::Sets(sets) => {
            let next = sets.len() + 1;
            (sets, next)
        }
    };
    let value_of_chain = match chain {
        ArcResult::Pass => "pass",
        ArcResult::None if instance == 1 => "none",
        // What could not be verified must not be vouched for: not sealed at all.
        ArcResult::TempError => return Err(SignError::NoMoreSets),
        ArcResult::None | ArcResult::Fail => "fail",
    };
    if instance > SETS {
        return Err(SignError::NoMoreSets);
    }
    let names = match names {
        Some(names) => names.to_vec(),
        None => self::names(&block)?,
    };
    let authentication = format!(" i={instance}; {}\r\n", results.trim_ascii());
    let (instance, now) = (instance.to_string(), signer.now.to_string());
    let hash = body_hash(block.body, Canonicalization::Relaxed, HashAlgorithm::Sha256, None);
    let signature_tags = [
        ("a", signer.key.algorithm().to_owned()),
        ("b", String::new()),
        ("bh", STANDARD.encode(&hash.hash)),
        ("c", "relaxed/relaxed".to_owned()),
        ("d", signer.domain.to_owned()),
        ("h", names.join(":")),
        ("i", instance.clone()),
        ("s", signer.selector.to_owned()),
        ("t", now.clone()),
    ];
    let own = value(&signature_tags, None);
    let signed = data(&block, &names, ("ARC-Message-Signature", &own));
    let message_signature = finish("ARC-Message-Signature", &signature_tags, &signer.key.sign(&signed)?, signer.layout);
    let seal_tags = [
        ("a", signer.key.algorithm().to_owned()),
        ("b", String::new()),
        ("cv", value_of_chain.to_owned()),
        ("d", signer.domain.to_owned()),
        ("i", instance),
        ("s", signer.selector.to_owned()),
        ("t", now),
    ];
    // A failed chain is sealed alone: nothing below can be vouched for (section 5.1.2).
    let below = if value_of_chain == "pass" { sets.as_slice() } else { &[] };
    let own_set = (authentication.as_bytes(), message_signature.as_slice());
    let sealed = sealed_data(below, own_set, &value(&seal_tags, None));
    let mut out = finish("ARC-Seal", &seal_tags, &signer.key.sign(&sealed)?, signer.layout);
    out.extend_from_slice(&message_signature);
    out.extend_from_slice(b"ARC-Authentication-Results:");
    out.extend_from_slice(authentication.as_bytes());
    Ok(out)
}

/// What is there of [`SIGNED`], and one more of [`SEALED_SHUT`].
fn names(block: &Block<'_>) -> Result<Vec<String>, SignError> {
    let mut names = Vec::new();
    for name in SIGNED {
        let there = block.named(name).count();
        if name == "from" && there == 0 {
            return Err(SignError::NoFrom);
        }
        let more = usize::from(SEALED_SHUT.contains(&name));
        for _ in 0..(there + more).min(NAMES.saturating_sub(names.len())) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn data(block: &Block<'_>, names: &[String], own: (&str, &str)) -> Vec<u8> {
    let fields = signed_fields(block, names);
    let fields = fields.iter().map(|field| (field.name, field.value));
    canonical_fields(Canonicalization::Relaxed, fields, (own.0.as_bytes(), own.1.as_bytes()))
}

fn sealed_data(below: &[Set<'_>], own: (&[u8], &[u8]), seal: &str) -> Vec<u8> {
    let fields = below.iter().flat_map(|set| [set.results, set.message, set.seal]);
    let fields = fields.map(|field| (field.name, field.value));
    let message = own.1.strip_prefix(b"ARC-Message-Signature:").unwrap_or(own.1);
    let own = [(&b"ARC-Authentication-Results"[..], own.0), (&b"ARC-Message-Signature"[..], message)];
    canonical_fields(Canonicalization::Relaxed, fields.chain(own), (b"ARC-Seal", seal.as_bytes()))
}

/// ` a=…;⏎ b=…`: one tag a line, so that relaxed sees one space between them. `b=` is empty unless given.
fn value(tags: &[(&str, String)], signature: Option<&str>) -> String {
    let mut text = String::with_capacity(1_024);
    for (n, (name, content)) in tags.iter().enumerate() {
        text.push_str(if n == 0 { " " } else { ";\r\n\t" });
        let _ = write!(text, "{name}={content}");
        if *name == "b"
            && let Some(signature) = signature
        {
            text.push_str(signature);
        }
    }
    text
}

fn finish(name: &str, tags: &[(&str, String)], signature: &[u8], layout: Layout) -> Vec<u8> {
    let whole = STANDARD.encode(signature);
    let mut written = String::with_capacity(whole.len() + 32);
    for (n, c) in whole.chars().enumerate() {
        if n > 0 && n % 72 == 0 && layout == Layout::Folded {
            written.push_str("\r\n\t ");
        }
        written.push(c);
    }
    format!("{name}:{}\r\n", value(tags, Some(&written))).into_bytes()
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
