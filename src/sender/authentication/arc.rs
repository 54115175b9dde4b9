//! ARC (RFC 8617): the chain of seals, validated (section 5.2).
//!
//! **Failure**: anything wrong anywhere in the chain is `fail`; a key that could not be had is `temperror`, never a pass.
//! **Invariants**: at most [`SETS`] sets; every tag list is read strictly; a chain that ends in `cv=fail` stays failed.

use mail_auth::common::crypto::Algorithm;
use mail_auth::dkim::Canonicalization;

use super::block::{Block, RawField};
use super::dkim::canonical::{canonical_fields, signed_fields, without_signature};
use super::dkim::key::{self, Key, KeyError};
use super::dkim::signature::{self, Signature};
use super::dkim::tags::Tags;
use super::dkim::{Bodies, Fetching, all, fits};
use crate::dns::Resolver;
use crate::model::authentication::{Arc, ArcResult};

/// Sets in a chain (section 4.2.1 allows 50).
pub const SETS: usize = 50;
/// Sets whose seals are verified; a longer chain than this no list of forwarders has.
pub const KEYS: usize = 20;

const NAMES: [&str; 3] = ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"];

/// What a seal claims of the chain below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainValue {
    None,
    Pass,
    Fail,
}

#[derive(Debug, Clone)]
struct Seal {
    algorithm: Algorithm,
    domain: Box<str>,
    selector: Box<str>,
    signature: Vec<u8>,
    chain: ChainValue,
}

/// One set, in the order it is hashed: results, message signature, seal.
#[derive(Debug, Clone)]
pub struct Set<'a> {
    pub results: RawField<'a>,
    pub message: RawField<'a>,
    pub seal: RawField<'a>,
    signature: Signature,
    parsed: Seal,
}

impl Set<'_> {
    #[must_use]
    pub fn chain(&self) -> ChainValue {
        self.parsed.chain
    }
}

/// The chain as it is written.
#[derive(Debug, Clone)]
pub enum Chain<'a> {
    None,
    /// Not a chain: why, and the highest instance seen.
    Broken(&'static str, usize),
    Sets(Vec<Set<'a>>),
}

/// Reads the sets of `block`, first to last.
#[must_use]
pub fn chain<'a>(block: &Block<'a>) -> Chain<'a> {
    let fields: Vec<(usize, RawField<'a>)> = block
        .fields
        .iter()
        .filter_map(|field| NAMES.iter().position(|name| field.is(name)).map(|kind| (kind, *field)))
        .collect();
    if fields.is_empty() {
        return Chain::None;
    }
    let highest = fields.iter().filter_map(|(kind, field)| instance(*kind, field).ok()).max().unwrap_or(0);
    match sets(&fields) {
        Ok(sets) => Chain::Sets(sets),
        Err(why) => Chain::Broken(why, highest),
    }
}

fn sets<'a>(fields: &[(usize, RawField<'a>)]) -> Result<Vec<Set<'a>>, &'static str> {
    if fields.len() > 3 * SETS {
        return Err("too many sets");
    }
    let mut found: Vec<[Option<RawField<'a>>; 3]> = vec![[None; 3]; fields.len().div_ceil(3)];
    for (kind, field) in fields {
        let instance = instance(*kind, field)?;
        let slot = found.get_mut(instance - 1).and_then(|set| set.get_mut(*kind)).ok_or("an instance is missing")?;
        if slot.replace(*field).is_some() {
            return Err("an instance comes twice");
        }
    }
    let mut sets = Vec::with_capacity(found.len());
    for (at, set) in found.into_iter().enumerate() {
        let [Some(results), Some(message), Some(seal)] = set else { return Err("a set is not complete") };
        let signature = with_tags(&message, message_signature)?;
        let parsed = with_tags(&seal, read_seal)?;
        match (at, parsed.chain) {
            (0, ChainValue::None) | (1.., ChainValue::Pass) | (_, ChainValue::Fail) => {}
            _ => return Err("cv= does not fit the place in the chain"),
        }
        sets.push(Set { results, message, seal, signature, parsed });
    }
    Ok(sets)
}

/// The instance a field says it belongs to: 1 to 50.
fn instance(kind: usize, field: &RawField<'_>) -> Result<usize, &'static str> {
    let number = |text: &str| match text.trim_ascii().parse::<usize>() {
        Ok(n @ 1..=SETS) if text.trim_ascii().bytes().all(|b| b.is_ascii_digit()) => Ok(n),
        _ => Err("i= is wrong"),
    };
    if kind > 0 {
        return with_tags(field, |tags| number(tags.get("i").ok_or("no i=")?));
    }
    // "i=1; authserv-id; …": the tag comes first, then a semicolon (section 4.1.1).
    let text = std::str::from_utf8(field.value).map_err(|_| "not text")?;
    let (first, _) = text.split_once(';').ok_or("results without i=")?;
    let (name, value) = first.split_once('=').ok_or("results without i=")?;
    if name.trim_ascii() == "i" { number(value) } else { Err("results without i=") }
}

fn with_tags<T>(
    field: &RawField<'_>,
    read: impl FnOnce(&Tags<'_>) -> Result<T, &'static str>,
) -> Result<T, &'static str> {
    let text = std::str::from_utf8(field.value).map_err(|_| "not text")?;
    read(&Tags::parse(text)?)
}

fn message_signature(tags: &Tags<'_>) -> Result<Signature, &'static str> {
    let signature = Signature::common(tags)?;
    if signature.names.iter().any(|name| name == "arc-seal") {
        return Err("a message signature covers a seal");
    }
    if tags.get("l").is_some() {
        return Err("a message signature has l=");
    }
    Ok(signature)
}

fn read_seal(tags: &Tags<'_>) -> Result<Seal, &'static str> {
    if tags.get("h").is_some() {
        return Err("a seal has h=");
    }
    signature::time(tags, "t")?;
    Ok(Seal {
        algorithm: signature::algorithm(tags)?,
        domain: signature::domain(tags)?,
        selector: signature::selector(tags)?,
        signature: tags.base64("b").ok_or("b= is missing or no base64")?,
        chain: match tags.get("cv") {
            Some("none") => ChainValue::None,
            Some("pass") => ChainValue::Pass,
            Some("fail") => ChainValue::Fail,
            _ => return Err("cv= is missing or unknown"),
        },
    })
}

/// Validates the chain. `now`: seconds since 1970.
pub async fn verify(block: &Block<'_>, bodies: &Bodies<'_>, resolver: &dyn Resolver, now: u64) -> Arc {
    let sets = match chain(block) {
        Chain::None => return Arc::default(),
        Chain::Broken(why, _) => return failed(why, Vec::new()),
        Chain::Sets(sets) => sets,
    };
    let sealers: Vec<Box<str>> = sets.iter().rev().map(|set| set.parsed.domain.clone()).collect();
    if let Err(why) = before_keys(&sets, bodies, now) {
        return failed(why, sealers);
    }
    let Some(newest) = sets.last() else { return Arc::default() };
    match fits_keys(block, &sets, newest, resolver).await {
        Ok(()) => Arc { result: ArcResult::Pass, sealers, why: None },
        Err(error) => of_error(&error, sealers),
    }
}

/// The newest message signature and every seal; each key is asked for once, all of them together.
async fn fits_keys(
    block: &Block<'_>,
    sets: &[Set<'_>],
    newest: &Set<'_>,
    resolver: &dyn Resolver,
) -> Result<(), KeyError> {
    let mut names: Vec<(&str, &str)> = vec![(&newest.signature.selector, &newest.signature.domain)];
    names.extend(sets.iter().map(|set| (&*set.parsed.selector, &*set.parsed.domain)));
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    let fetching =
        once.iter().map(|(selector, domain)| Box::pin(key::fetch(resolver, selector, domain)) as Fetching<'_>);
    let keys = all(fetching.collect()).await;
    let key_of = |name: &(&str, &str)| {
        let found = once.iter().position(|known| known == name).and_then(|at| keys.get(at));
        found.map_or(Err(KeyError::Misfit("not asked for")), |key| key.as_ref().map_err(Clone::clone))
    };
    let mut names = names.iter();
    let key = names.next().ok_or(KeyError::Misfit("not asked for")).and_then(key_of)?;
    message_fits(block, newest, key)?;
    for (at, name) in names.enumerate() {
        seal_fits(sets.get(..=at).unwrap_or_default(), key_of(name)?)?;
    }
    Ok(())
}

fn before_keys(sets: &[Set<'_>], bodies: &Bodies<'_>, now: u64) -> Result<(), &'static str> {
    let Some(newest) = sets.last() else { return Err("no sets") };
    if sets.iter().any(|set| set.parsed.chain == ChainValue::Fail) {
        return Err("a seal says that the chain had failed");
    }
    if sets.len() > KEYS {
        return Err("the chain is too long to be verified");
    }
    let weak = |algorithm: Algorithm| algorithm == Algorithm::RsaSha1;
    if weak(newest.signature.algorithm) || sets.iter().any(|set| weak(set.parsed.algorithm)) {
        return Err("rsa-sha1 has no place in ARC");
    }
    if newest.signature.expires.is_some_and(|expires| expires < now) {
        return Err("the newest message signature has expired");
    }
    if *bodies.hash(&newest.signature).hash != *newest.signature.body_hash {
        return Err("the body has changed since the newest seal");
    }
    Ok(())
}

fn message_fits(block: &Block<'_>, set: &Set<'_>, key: &Key) -> Result<(), KeyError> {
    fits(set.signature.algorithm, key).map_err(KeyError::Misfit)?;
    let own = without_signature(set.message.value);
    let fields = signed_fields(block, &set.signature.names);
    let fields = fields.iter().map(|field| (field.name, field.value));
    let signed = canonical_fields(set.signature.header_form, fields, (set.message.name, &own));
    key.verifying
        .verify_bytes(&signed, &set.signature.signature, set.signature.algorithm)
        .map_err(|_| KeyError::Misfit("the newest message signature does not fit the header"))
}

/// The last of `sets` seals them all (section 5.1.1).
fn seal_fits(sets: &[Set<'_>], key: &Key) -> Result<(), KeyError> {
    let Some(newest) = sets.last() else { return Err(KeyError::Misfit("no sets")) };
    fits(newest.parsed.algorithm, key).map_err(KeyError::Misfit)?;
    let own = without_signature(newest.seal.value);
    let signed = sealed_fields(sets, (newest.seal.name, &own));
    key.verifying
        .verify_bytes(&signed, &newest.parsed.signature, newest.parsed.algorithm)
        .map_err(|_| KeyError::Misfit("a seal does not fit the chain"))
}

/// What a seal signs: every set in order, the newest seal's own content last.
fn sealed_fields<'a>(sets: &[Set<'a>], own: (&'a [u8], &'a [u8])) -> Vec<u8> {
    let last = sets.len().saturating_sub(1);
    let fields = sets.iter().enumerate().flat_map(|(at, set)| {
        let seal = (at < last).then_some(set.seal);
        [Some(set.results), Some(set.message), seal].into_iter().flatten()
    });
    canonical_fields(Canonicalization::Relaxed, fields.map(|field| (field.name, field.value)), own)
}

fn failed(why: &str, sealers: Vec<Box<str>>) -> Arc {
    Arc { result: ArcResult::Fail, sealers, why: Some(why.into()) }
}

fn of_error(error: &KeyError, sealers: Vec<Box<str>>) -> Arc {
    let result = match error {
        KeyError::Temporary(_) => ArcResult::TempError,
        _ => ArcResult::Fail,
    };
    Arc { result, sealers, why: Some(error.to_string().into()) }
}
