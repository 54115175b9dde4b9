//! Canonical forms and body hashes (RFC 6376 section 3.4), by the library, with a guard against its known fault.
//!
//! **Invariants**: for relaxed bodies the library sees a body without the lines of white space at its end: relaxed
//! ignores them, the library (0.13) does not. A property test holds both against a short reference.

use mail_auth::common::crypto::{HashAlgorithm, HashContext, HashImpl, Sha1, Sha256};
use mail_auth::common::headers::{Writable as _, Writer};
use mail_auth::dkim::Canonicalization;

use crate::sender::authentication::block::{Block, RawField};

/// How a body was hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyHash {
    pub hash: Box<[u8]>,
    /// Octets of the canonical body that were not hashed, because `l=` ends before them.
    pub left_out: u64,
    /// `l=` is greater than the canonical body.
    pub too_short: bool,
}

#[must_use]
pub fn body_hash(body: &[u8], form: Canonicalization, algorithm: HashAlgorithm, length: Option<u64>) -> BodyHash {
    let body = guarded(body, form);
    let Some(length) = length else {
        let hash = algorithm.hash(form.canonical_body(body, 0)).as_ref().into();
        return BodyHash { hash, left_out: 0, too_short: false };
    };
    match algorithm {
        HashAlgorithm::Sha1 => limited::<Sha1>(body, form, length),
        HashAlgorithm::Sha256 => limited::<Sha256>(body, form, length),
    }
}

/// The library cuts before it canonicalizes; the RFC counts canonical octets (section 3.4.5).
fn limited<H: HashImpl>(body: &[u8], form: Canonicalization, length: u64) -> BodyHash {
    let mut cut = Cut { hasher: H::hasher(), left: length, whole: 0 };
    form.canonical_body(body, 0).write(&mut cut);
    let hash = cut.hasher.complete().as_ref().into();
    BodyHash { hash, left_out: cut.whole.saturating_sub(length), too_short: length > cut.whole }
}

/// Hashes so many octets and counts all.
struct Cut<C> {
    hasher: C,
    left: u64,
    whole: u64,
}

impl<C: HashContext> Writer for Cut<C> {
    fn write(&mut self, octets: &[u8]) {
        let take = octets.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.hasher.write(octets.get(..take).unwrap_or_default());
        self.left -= take as u64;
        self.whole += octets.len() as u64;
    }
}

/// The body as the library may see it.
fn guarded(body: &[u8], form: Canonicalization) -> &[u8] {
    if form == Canonicalization::Simple {
        return body;
    }
    let mut end = body.len();
    loop {
        let Some(line) = body.get(..end) else { return body };
        // The last line: behind the last CRLF that is not the one at the very end.
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        let start = memchr::memmem::rfind(content, b"\r\n").map_or(0, |at| at + 2);
        let last = content.get(start..).unwrap_or_default();
        if line.is_empty() || !last.iter().all(|b| matches!(b, b' ' | b'\t')) {
            return line;
        }
        end = start;
    }
}

/// The fields that `h=` names, from the bottom up for names that come several times (section 5.4.2).
#[must_use]
pub fn signed_fields<'a>(block: &Block<'a>, names: &[String]) -> Vec<RawField<'a>> {
    let mut taken: Vec<usize> = Vec::with_capacity(names.len());
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let next = block.fields.iter().enumerate().rev().find(|(at, field)| field.is(name) && !taken.contains(at));
        if let Some((at, field)) = next {
            taken.push(at);
            fields.push(*field);
        }
    }
    fields
}

/// Fields in canonical form, one behind the other; the last is the signature's own, without its `b=` and line end.
#[must_use]
pub fn canonical_fields<'a>(
    form: Canonicalization,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    own: (&'a [u8], &'a [u8]),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(2_048);
    form.canonicalize_headers(fields.chain(std::iter::once(own)), &mut out);
    out
}

/// A signature field's value with the content of its `b=` taken out and no CRLF at its end (section 3.7).
#[must_use]
pub fn without_signature(value: &[u8]) -> Vec<u8> {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let mut out = Vec::with_capacity(value.len());
    for (n, spec) in value.split(|byte| *byte == b';').enumerate() {
        if n > 0 {
            out.push(b';');
        }
        let equals = memchr::memchr(b'=', spec).filter(|at| spec.get(..*at).unwrap_or_default().trim_ascii() == b"b");
        out.extend_from_slice(equals.map_or(spec, |at| spec.get(..=at).unwrap_or_default()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6376 sections 3.4.3 and 3.4.4, word for word.
    fn reference(body: &[u8], form: Canonicalization) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for line in String::from_utf8_lossy(body).split("\r\n") {
            let mut out = Vec::new();
            for byte in line.bytes() {
                if form == Canonicalization::Relaxed && matches!(byte, b' ' | b'\t') {
                    if out.last() != Some(&b' ') {
                        out.push(b' ');
                    }
                } else {
                    out.push(byte);
                }
            }
            if form == Canonicalization::Relaxed && out.last() == Some(&b' ') {
                out.pop();
            }
            lines.push(out);
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        if lines.is_empty() {
            return if form == Canonicalization::Simple { b"\r\n".to_vec() } else { Vec::new() };
        }
        let mut out = lines.join(&b"\r\n"[..]);
        out.extend_from_slice(b"\r\n");
        out
    }

    /// The relaxed form of one field (section 3.4.2).
    fn reference_field(name: &str, value: &str) -> Vec<u8> {
        let words: Vec<&str> = value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
        format!("{}:{}\r\n", name.trim_end().to_lowercase(), words.join(" ")).into_bytes()
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(&b"\r\n"[..]),
            Just(&b" "[..]),
            Just(&b"\t"[..]),
            Just(&b"a"[..]),
            Just(&b"bc"[..]),
            Just(&b"  \r\n"[..]),
            Just(&b"\r\n\r\n"[..]),
            Just(&b"long enough a line"[..])
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn body_hashes_agree_with_the_reference(body in pieces(), length in prop::option::of(0u64..60)) {
            for form in [Canonicalization::Relaxed, Canonicalization::Simple] {
                let canonical = reference(&body, form);
                let got = body_hash(&body, form, HashAlgorithm::Sha256, length);
                let end = length.map_or(canonical.len(), |l| usize::try_from(l).unwrap().min(canonical.len()));
                let wanted = HashAlgorithm::Sha256.hash(&canonical[..end]);
                prop_assert_eq!(&*got.hash, wanted.as_ref(), "{:?} of {:?}", form, String::from_utf8_lossy(&body));
                prop_assert_eq!(got.left_out as usize, canonical.len() - end);
            }
        }

        #[test]
        fn relaxed_fields_agree_with_the_reference(value in "[a-c \t]{0,12}(\r\n[ \t][a-c \t]{1,8}){0,3}", space in "[ ]{0,2}") {
            let value = format!("{value}\r\n");
            let name = format!("Sub-Ject{space}");
            let form = Canonicalization::Relaxed;
            let own = (&b"X"[..], &b" y"[..]);
            let got = canonical_fields(form, std::iter::once((name.as_bytes(), value.as_bytes())), own);
            let mut wanted = reference_field(&name, &value);
            wanted.extend_from_slice(b"x:y");
            prop_assert_eq!(String::from_utf8(got).unwrap(), String::from_utf8(wanted).unwrap());
        }
    }

    #[test]
    fn only_the_content_of_b_goes() {
        let value = b" v=1; b = abc\r\n def ; bh=xyz; h=a:b; nb=b\r\n";
        assert_eq!(without_signature(value), b" v=1; b =; bh=xyz; h=a:b; nb=b");
        assert_eq!(without_signature(b" a=1; b=abc\r\n"), b" a=1; b=");
    }
}
