//! DKIM (RFC 6376, with RFC 8301 and RFC 8463): the signatures of one message, verified.
//!
//! The library does canonical forms, hashes and mathematics; reading, choosing, keys and judgement are here, because it
//! knows no clock but the system's, asks the DNS by itself and has no limit on signatures (decision record 0006).
//!
//! **Failure**: no answer for a key is temperror; a key or signature that can't be judged is neutral.
//! **Invariants**: at most [`SIGNATURES`] are verified, those of the From domain first; every one is judged alone; From
//! must be signed; what a signature leaves out of the body (`l=`) makes it `policy`, never a pass; rsa-sha1 is never one
//! either (RFC 8301).

pub mod canonical;
pub mod key;
pub mod signature;
pub mod tags;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use mail_auth::common::crypto::{Algorithm, HashAlgorithm};
use mail_auth::dkim::Canonicalization;

use super::block::{Block, RawField};
use super::organization;
use crate::dns::Resolver;
use crate::model::authentication::{Dkim, DkimResult};
use canonical::{BodyHash, body_hash, canonical_fields, signed_fields, without_signature};
use key::{Key, KeyError, KeyKind};
use signature::Signature;
use tags::Tags;

/// Signatures verified.
pub const SIGNATURES: usize = 5;

/// Body hashes of one message, each form and length once.
#[derive(Debug)]
pub struct Bodies<'a> {
    body: &'a [u8],
    done: Mutex<Vec<(Wanted, BodyHash)>>,
}

type Wanted = (Canonicalization, HashAlgorithm, Option<u64>);

impl<'a> Bodies<'a> {
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, done: Mutex::default() }
    }

    #[must_use]
    pub fn hash(&self, signature: &Signature) -> BodyHash {
        let wanted = (signature.body_form, signature.hash(), signature.length);
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, hash)) = done.iter().find(|(known, _)| *known == wanted) {
            return hash.clone();
        }
        let hash = body_hash(self.body, wanted.0, wanted.1, wanted.2);
        done.push((wanted, hash.clone()));
        hash
    }
}

/// One signature on its way.
enum Step<'a> {
    Judged(Dkim),
    NeedsKey { field: RawField<'a>, signature: Box<Signature>, left_out: u64 },
}

/// Verifies the signatures of `block`, in the order of the header. `now`: seconds since 1970.
pub async fn verify(
    block: &Block<'_>,
    bodies: &Bodies<'_>,
    from: Option<&str>,
    resolver: &dyn Resolver,
    now: u64,
) -> Vec<Dkim> {
    let steps: Vec<Step<'_>> = chosen(block, from).iter().map(|field| first_half(field, bodies, now)).collect();
    let mut keys = Vec::new();
    for step in &steps {
        if let Step::NeedsKey { signature, .. } = step {
            keys.push(Box::pin(key::fetch(resolver, &signature.selector, &signature.domain)) as Fetching<'_>);
        }
    }
    let mut keys = all(keys).await.into_iter();
    let mut judged = Vec::with_capacity(steps.len());
    for step in steps {
        judged.push(match step {
            Step::Judged(dkim) => dkim,
            Step::NeedsKey { field, signature, left_out } => {
                let key = keys.next().unwrap_or(Err(KeyError::Misfit("not asked for")));
                let (result, why) = second_half(block, &field, &signature, left_out, key);
                dkim(&signature.domain, &signature.selector, result, why)
            }
        });
    }
    judged
}

pub(super) type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Key, KeyError>> + Send + 'a>>;

/// Drives a few futures together; the results in their order.
pub(super) async fn all<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, done) in futures.iter_mut().zip(done.iter_mut()) {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *done = Some(value),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// The signatures to verify: those that can align with From before others, else in the order of the header.
fn chosen<'a>(block: &Block<'a>, from: Option<&str>) -> Vec<RawField<'a>> {
    let fields: Vec<RawField<'a>> = block.named("DKIM-Signature").copied().collect();
    if fields.len() <= SIGNATURES {
        return fields;
    }
    let organization = from.map(organization::by_suffix_list);
    let aligns = |field: &RawField<'_>| {
        let text = String::from_utf8_lossy(field.value);
        let domain = Tags::parse(&text).ok().and_then(|tags| signature::domain(&tags).ok());
        match (&organization, domain) {
            (Some(organization), Some(domain)) => organization::by_suffix_list(&domain) == *organization,
            _ => false,
        }
    };
    // A hundred of them are looked at, so that a flood of signatures costs little.
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (at, field) in fields.iter().enumerate().take(100) {
        if aligns(field) { first.push(at) } else { second.push(at) }
    }
    let mut chosen: Vec<usize> = first.into_iter().chain(second).take(SIGNATURES).collect();
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|at| fields.get(at).copied()).collect()
}

fn dkim(domain: &str, selector: &str, result: DkimResult, why: Option<Box<str>>) -> Dkim {
    Dkim { domain: domain.into(), selector: selector.into(), result, why }
}

/// Everything that needs no key: a body that has changed costs no question.
fn first_half<'a>(field: &RawField<'a>, bodies: &Bodies<'_>, now: u64) -> Step<'a> {
    let Ok(text) = std::str::from_utf8(field.value) else {
        return Step::Judged(dkim("", "", DkimResult::Neutral, Some("not text".into())));
    };
    let tags = match Tags::parse(text) {
        Ok(tags) => tags,
        Err(why) => return Step::Judged(dkim("", "", DkimResult::Neutral, Some(why.into()))),
    };
    let signature = match Signature::dkim(&tags) {
        Ok(signature) => signature,
        Err(why) => {
            let (domain, selector) = (signature::domain(&tags), signature::selector(&tags));
            let (domain, selector) = (domain.unwrap_or_default(), selector.unwrap_or_default());
            return Step::Judged(dkim(&domain, &selector, DkimResult::Neutral, Some(why.into())));
        }
    };
    let judged =
        |result, why: &str| Step::Judged(dkim(&signature.domain, &signature.selector, result, Some(why.into())));
    if !signature.names.iter().any(|name| name == "from") {
        return judged(DkimResult::PermError, "From is not signed");
    }
    if signature.expires.is_some_and(|expires| expires < now) {
        return judged(DkimResult::Fail, "expired");
    }
    let hash = bodies.hash(&signature);
    if hash.too_short {
        return judged(DkimResult::PermError, "l= is more than the body");
    }
    if *hash.hash != *signature.body_hash {
        return judged(DkimResult::Fail, "the body has changed");
    }
    Step::NeedsKey { field: *field, left_out: hash.left_out, signature: Box::new(signature) }
}

fn second_half(
    block: &Block<'_>,
    field: &RawField<'_>,
    signature: &Signature,
    left_out: u64,
    key: Result<Key, KeyError>,
) -> (DkimResult, Option<Box<str>>) {
    let key = match key {
        Ok(key) => key,
        Err(error) => return (of_key_error(&error), Some(error.to_string().into())),
    };
    if let Err(why) = fits(signature.algorithm, &key) {
        return (DkimResult::PermError, Some(why.into()));
    }
    if key.strict_identity && !signature.identity_domain.eq_ignore_ascii_case(&signature.domain) {
        return (DkimResult::PermError, Some("the key wants i= to be of d= itself".into()));
    }
    let own = without_signature(field.value);
    let fields = signed_fields(block, &signature.names);
    let fields = fields.iter().map(|field| (field.name, field.value));
    let signed = canonical_fields(signature.header_form, fields, (field.name, &own));
    if key.verifying.verify_bytes(&signed, &signature.signature, signature.algorithm).is_err() {
        return (DkimResult::Fail, Some("the signature does not fit the header".into()));
    }
    judge(signature, left_out, &key)
}

/// The mathematics are right: whether that is enough.
fn judge(signature: &Signature, left_out: u64, key: &Key) -> (DkimResult, Option<Box<str>>) {
    if signature.algorithm == Algorithm::RsaSha1 {
        return (DkimResult::Policy, Some("rsa-sha1 proves nothing any more".into()));
    }
    if left_out > 0 {
        return (DkimResult::Policy, Some(format!("l= leaves {left_out} octets of the body unsigned").into()));
    }
    let why = key.testing.then(|| "the domain is testing (t=y)".into());
    (DkimResult::Pass, why)
}

pub(super) fn of_key_error(error: &KeyError) -> DkimResult {
    match error {
        KeyError::Temporary(_) => DkimResult::TempError,
        KeyError::Size(_) => DkimResult::Neutral,
        KeyError::Missing(_) | KeyError::Revoked | KeyError::Wrong(_) | KeyError::Misfit(_) => DkimResult::PermError,
    }
}

/// The algorithm is one of the key's.
pub(super) fn fits(algorithm: Algorithm, key: &Key) -> Result<(), &'static str> {
    let (kind, allowed) = match algorithm {
        Algorithm::RsaSha1 => (KeyKind::Rsa, key.sha1),
        Algorithm::RsaSha256 => (KeyKind::Rsa, key.sha256),
        Algorithm::Ed25519Sha256 => (KeyKind::Ed25519, key.sha256),
    };
    if kind != key.kind {
        return Err("the key is of another kind than the signature");
    }
    if allowed { Ok(()) } else { Err("the key does not allow this hash") }
}
