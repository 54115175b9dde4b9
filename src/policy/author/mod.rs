//! Who an outbound message says wrote it: every address of From, Sender, Resent-From and Resent-Sender.
//!
//! **Failure**: [`AuthorError`]; what could be read in two ways is refused, never guessed: another reader might see somebody else's
//! address there. **Invariants**: linear in the header; an address that any common way of reading finds in these fields is of a
//! domain that `owns` knows, or the message is refused. What only shows in a name (quoted, commented, encoded) is left to the
//! detectors of impersonation, unless a reader that decodes or splits first would take it for an address.

mod field;

use memchr::memchr;
use unicode_normalization::UnicodeNormalization as _;

use super::replies;
use crate::message::words;
use crate::model::{Domain, Reply};

/// Octets of one of these fields.
const LONGEST: usize = 16_384;
/// Addresses in all of them together.
const MOST: usize = 200;

/// Why the message may not leave as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorError {
    #[error("an author's domain is not the tenant's")]
    Foreign,
    #[error("there is no From with an address")]
    Missing,
    #[error("From or Sender stands there twice")]
    Several,
    #[error("an author can't be read without doubt")]
    Doubtful,
    #[error("a line of the header is no field")]
    OddLine,
}

impl AuthorError {
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Foreign => replies::AUTHOR_NOT_YOURS,
            Self::Missing => replies::AUTHOR_MISSING,
            Self::Several => replies::AUTHOR_TWICE,
            Self::Doubtful => replies::AUTHOR_DOUBTFUL,
            Self::OddLine => replies::HEADER_ODD,
        }
    }

    /// For the mail log: a word that stays.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Foreign => "author-foreign",
            Self::Missing => "author-missing",
            Self::Several => "author-twice",
            Self::Doubtful => "author-doubtful",
            Self::OddLine => "header-odd",
        }
    }
}

/// The authors of a message, all of them the tenant's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authors {
    /// Of the first address of From: the domain that signs.
    pub from: Domain,
}

/// Reads the header of `message` (CRLF lines). `owns`: whether a domain is the tenant's.
///
/// # Errors
/// [`AuthorError`], the first that is found.
pub fn read(message: &[u8], owns: &dyn Fn(&Domain) -> bool) -> Result<Authors, AuthorError> {
    let mut from = None;
    let mut senders = 0_u32;
    let mut addresses = 0;
    let mut rest = message;
    while let Some((name, value, behind)) = next_field(rest)? {
        rest = behind;
        let Some(which) = Which::of(name) else { continue };
        match which {
            Which::From if from.is_some() => return Err(AuthorError::Several),
            Which::Sender if senders > 0 => return Err(AuthorError::Several),
            Which::Sender => senders += 1,
            Which::From | Which::Resent => {}
        }
        let found = authors_of(value, owns)?;
        addresses += found.len();
        if addresses > MOST {
            return Err(AuthorError::Doubtful);
        }
        let Some(first) = found.into_iter().next() else {
            return Err(if which == Which::From { AuthorError::Missing } else { AuthorError::Doubtful });
        };
        if which == Which::From {
            from = Some(first);
        }
    }
    from.map(|from| Authors { from }).ok_or(AuthorError::Missing)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    From,
    Sender,
    /// May stand there again for every time a message was sent on.
    Resent,
}

impl Which {
    fn of(name: &[u8]) -> Option<Self> {
        [
            (&b"from"[..], Self::From),
            (b"sender", Self::Sender),
            (b"resent-from", Self::Resent),
            (b"resent-sender", Self::Resent),
        ]
        .into_iter()
        .find_map(|(own, which)| name.eq_ignore_ascii_case(own).then_some(which))
    }
}

/// Name, value and what stands behind the field; `None` at the end of the header.
#[expect(clippy::type_complexity, reason = "three pieces of one text, taken apart at once")]
fn next_field(rest: &[u8]) -> Result<Option<(&[u8], &[u8], &[u8])>, AuthorError> {
    if rest.is_empty() || rest.starts_with(b"\r\n") || rest.starts_with(b"\n") {
        return Ok(None);
    }
    let mut end = line_end(rest);
    while matches!(rest.get(end), Some(b' ' | b'\t')) {
        end += line_end(rest.get(end..).unwrap_or_default());
    }
    let (field, behind) = rest.split_at_checked(end).ok_or(AuthorError::OddLine)?;
    let colon = memchr(b':', field).ok_or(AuthorError::OddLine)?;
    let (name, value) = field.split_at_checked(colon).ok_or(AuthorError::OddLine)?;
    // "From : x" is an old form that readers know; anything else in a name is seen differently by each.
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) || has_lone_break(field) {
        return Err(AuthorError::OddLine);
    }
    Ok(Some((name, value.get(1..).unwrap_or_default(), behind)))
}

/// CR without LF, LF without CR, or NUL: some readers break the line there, or end the field.
fn has_lone_break(field: &[u8]) -> bool {
    let mut before = 0;
    for byte in field {
        if *byte == 0 || (*byte == b'\n') != (before == b'\r') {
            return true;
        }
        before = *byte;
    }
    before == b'\r'
}

fn line_end(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

/// The domains of one field, each the tenant's.
fn authors_of(value: &[u8], owns: &dyn Fn(&Domain) -> bool) -> Result<Vec<Domain>, AuthorError> {
    if value.len() > LONGEST {
        return Err(AuthorError::Doubtful);
    }
    let text = std::str::from_utf8(value).map_err(|_| AuthorError::Doubtful)?;
    let unfolded: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    // ISO-2022-JP as it stands has brackets and commas among its octets.
    if unfolded.chars().any(|c| c.is_control() && c != '\t') {
        return Err(AuthorError::Doubtful);
    }
    let entries = field::entries(&unfolded).ok_or(AuthorError::Doubtful)?;
    let mut domains = Vec::new();
    for entry in &entries {
        // Whoever decodes first sees one word, others what it was broken by.
        if has_broken_word(&entry.hidden) {
            return Err(AuthorError::Doubtful);
        }
        let parts = if entry.address.is_some() { Parts::InBrackets } else { Parts::All };
        if !is_only_a_name(&entry.hidden, parts, owns) {
            return Err(AuthorError::Foreign);
        }
        // `a@b <c@d>`: no such name may be written, and some take the first for the author.
        for named in spread(&entry.phrase) {
            let domain = named.ok_or(AuthorError::Doubtful)?;
            if !owns(&domain) {
                return Err(AuthorError::Foreign);
            }
        }
        let Some(address) = &entry.address else { continue };
        let domain = field::domain_of(address).ok_or(AuthorError::Doubtful)?;
        if !owns(&domain) {
            return Err(AuthorError::Foreign);
        }
        domains.push(domain);
    }
    Ok(domains)
}

/// Whether an encoded word begins that doesn't end (`=?charset?encoding?text?=`).
fn has_broken_word(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, word)) = rest.split_once("=?") {
        let text = word.split_once('?').and_then(|(_, behind)| behind.split_once('?'));
        let Some((_, behind)) = text.and_then(|(_, text)| text.split_once("?=")) else { return true };
        rest = behind;
    }
    false
}

/// Where an address of somebody else in a name is one to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    /// An address stands beside the name: only in brackets, or beside what parts addresses.
    InBrackets,
    /// Nothing else stands there: everywhere.
    All,
}

/// Whether the text of names and comments stays one for readers that decode or split first.
fn is_only_a_name(hidden: &str, parts: Parts, owns: &dyn Fn(&Domain) -> bool) -> bool {
    let decoded = words::decode(hidden.as_bytes(), None);
    if decoded.contains(['\r', '\n', '\0']) {
        return false;
    }
    let folded: String = decoded.nfkc().collect();
    let texts = if parts == Parts::All { [hidden, folded.as_str()] } else { [hidden, decoded.as_str()] };
    texts.into_iter().all(|text| {
        (parts == Parts::InBrackets && !text.contains(['<', '>', ',', ';']))
            || spread(text).all(|domain| domain.is_none_or(|domain| !domain.as_str().contains('.') || owns(&domain)))
    })
}

/// What stands behind each `@` of a text, as a domain; `None`: it is none.
fn spread(text: &str) -> impl Iterator<Item = Option<Domain>> {
    text.match_indices('@').map(|(at, _)| {
        let behind = text.get(at + 1..).unwrap_or_default().trim_start();
        let ends = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
        let name = behind.split(ends).next().unwrap_or_default();
        Domain::parse(name.trim_end_matches('.')).ok()
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
