//! Authentication-Results (RFC 8601): our field made, fields that claim to be ours found.
//!
//! **Failure**: a field of that name that can't be read speaks for nobody, so it is found as well.
//! **Invariants**: nothing that a stranger wrote stands unquoted in our field, which is printable ASCII in folded lines;
//! ranges are those of whole fields, last line end included, in rising order.

use std::fmt::Write as _;
use std::ops::Range;

use super::block::Block;
use crate::model::authentication::{Authentication, DkimResult, DmarcPolicy, SpfIdentity};

const NAME: &str = "Authentication-Results";
/// Octets of one quoted value.
const LONGEST_VALUE: usize = 320;
/// Depth of nested comments.
const COMMENTS: usize = 20;

/// Identities of SMTP that go into the field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Smtp<'a> {
    pub helo: &'a str,
    /// `local@domain`; empty for the null sender.
    pub mail_from: &'a str,
}

/// Our field, with its CRLF, to be put before the message. `more`: further results (`iprev=…`), already in form.
#[must_use]
pub fn make(authserv_id: &str, found: &Authentication, smtp: Smtp<'_>, more: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for spf in &found.spf {
        let (property, value) = match spf.identity {
            SpfIdentity::Helo => ("smtp.helo", smtp.helo),
            SpfIdentity::MailFrom => ("smtp.mailfrom", smtp.mail_from),
        };
        let value = if value.is_empty() { &*spf.domain } else { value };
        let why = spf.why.as_deref().filter(|_| spf.result != crate::model::authentication::SpfResult::Pass);
        lines.push(format!("spf={}{} {property}={}", word(&spf.result), reason(why), quoted(value)));
    }
    for dkim in &found.dkim {
        let why = dkim.why.as_deref().filter(|_| dkim.result != DkimResult::Pass);
        let mut line = format!("dkim={}{}", word(&dkim.result), reason(why));
        for (property, value) in [("header.d", &dkim.domain), ("header.s", &dkim.selector)] {
            if !value.is_empty() {
                let _ = write!(line, " {property}={}", quoted(value));
            }
        }
        lines.push(line);
    }
    if found.dkim.is_empty() {
        lines.push("dkim=none".into());
    }
    lines.push(dmarc(found));
    let arc = &found.arc;
    let mut line = format!("arc={}{}", word(&arc.result), reason(arc.why.as_deref()));
    if let Some(sealer) = arc.sealers.first() {
        let _ = write!(line, " header.d={}", quoted(sealer));
    }
    lines.push(line);
    lines.extend(more.iter().map(|line| plain(line)));
    let mut field = format!("{NAME}: {}", quoted(authserv_id));
    for line in lines {
        field.push_str(";\r\n\t");
        fold(&line, &mut field);
    }
    field.push_str("\r\n");
    field
}

fn dmarc(found: &Authentication) -> String {
    let dmarc = &found.dmarc;
    let policy = match dmarc.policy {
        DmarcPolicy::None => "none",
        DmarcPolicy::Quarantine => "quarantine",
        DmarcPolicy::Reject => "reject",
    };
    let comment = if dmarc.record_at.is_some() { format!(" (p={policy})") } else { String::new() };
    let from = found.from.as_ref().map(|from| format!(" header.from={}", quoted(from.as_str()))).unwrap_or_default();
    format!("dmarc={}{comment}{}{from}", word(&dmarc.result), reason(dmarc.why.as_deref()))
}

/// The word of a result, as the RFCs and our JSON write it.
fn word(result: &impl std::fmt::Debug) -> String {
    format!("{result:?}").to_ascii_lowercase()
}

fn reason(why: Option<&str>) -> String {
    why.map(|why| format!(" reason={}", quote(why, 120))).unwrap_or_default()
}

/// A value as it may stand in the field: a token, `local@domain`, or a quoted string.
fn quoted(value: &str) -> String {
    let token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b);
    let plain = |text: &str| !text.is_empty() && text.bytes().all(token);
    let address = value.split_once('@').is_some_and(|(local, domain)| plain(local) && plain(domain));
    if value.len() <= LONGEST_VALUE && (plain(value) || address) {
        value.to_owned()
    } else {
        quote(value, LONGEST_VALUE)
    }
}

fn quote(value: &str, longest: usize) -> String {
    let mut out = String::from("\"");
    for c in plain(value).chars().take(longest) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Printable ASCII; everything else becomes a question mark.
fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// Breaks between words where a line would pass 78 columns; never inside a quoted string.
fn fold(line: &str, out: &mut String) {
    let (mut column, mut in_quotes, mut word) = (8, false, String::new());
    let place = |word: &mut String, out: &mut String, column: &mut usize| {
        if *column > 8 && *column + word.len() + 1 > 78 {
            out.push_str("\r\n\t ");
            *column = 9;
        } else if *column > 8 {
            out.push(' ');
            *column += 1;
        }
        *column += word.len();
        out.push_str(word);
        word.clear();
    };
    let mut escaped = false;
    for c in line.chars() {
        match c {
            ' ' if !in_quotes => place(&mut word, out, &mut column),
            _ => {
                if c == '"' && !escaped {
                    in_quotes = !in_quotes;
                }
                escaped = c == '\\' && !escaped;
                word.push(c);
            }
        }
    }
    place(&mut word, out, &mut column);
}

/// The fields of `header` that claim to be ours, can't be read, or are of another version than 1 (RFC 8601 section 5).
#[must_use]
pub fn forged(header: &[u8], authserv_id: &str) -> Vec<Range<usize>> {
    let block = Block::read_up_to(header, usize::MAX);
    block
        .named(NAME)
        .filter(|field| match Claim::read(field.value) {
            Some(claim) => claim.version != 1 || same_id(&claim.id, authserv_id) || claim.id.contains("=?"),
            None => true,
        })
        .map(super::block::RawField::range)
        .collect()
}

/// The results that fields of this gateway hold, as one: what an ARC set carries (RFC 8617 section 4.1.1), from the
/// authserv-id on. `None`: there is no such field.
#[must_use]
pub fn merged(header: &[u8], authserv_id: &str) -> Option<String> {
    let block = Block::read(header);
    let mut results: Vec<String> = Vec::new();
    let mut found = false;
    for field in block.named(NAME) {
        let Some(claim) = Claim::read(field.value).filter(|claim| same_id(&claim.id, authserv_id)) else { continue };
        found = true;
        results.extend(parts(&claim.rest).into_iter().filter(|result| !result.is_empty() && result != "none"));
    }
    if results.is_empty() && found {
        results.push("none".into());
    }
    found.then(|| format!("{authserv_id}; {}", results.join(";\r\n\t")))
}

/// Splits at semicolons outside of comments and quotes.
fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut depth, mut quotes, mut escaped) = (0usize, false, false);
    for c in text.chars() {
        let plain = !escaped && !quotes;
        match c {
            ';' if plain && depth == 0 => {
                parts.push(part.trim_ascii().to_owned());
                part.clear();
                continue;
            }
            '(' if plain => depth += 1,
            ')' if plain => depth = depth.saturating_sub(1),
            '"' if !escaped && depth == 0 => quotes = !quotes,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        part.push(c);
    }
    parts.push(part.trim_ascii().to_owned());
    parts
}

fn same_id(a: &str, b: &str) -> bool {
    a.trim_end_matches('.').eq_ignore_ascii_case(b.trim_end_matches('.'))
}

/// Who a field says it is from.
struct Claim {
    id: String,
    version: u32,
    rest: String,
}

impl Claim {
    /// `[CFWS] authserv-id [CFWS version] (";" …)`.
    fn read(value: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(value);
        let rest = past_comments(&text)?;
        let (id, rest) = token_or_quoted(rest)?;
        let rest = past_comments(rest)?;
        let (version, rest) = if rest.starts_with(|c: char| c.is_ascii_digit()) {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, rest) = rest.split_at_checked(end)?;
            (digits.parse().ok()?, past_comments(rest)?)
        } else {
            (1, rest)
        };
        // "id" alone says nothing, but it says it in that name.
        let rest = match rest.strip_prefix(';') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return None,
        };
        Some(Self { id, version, rest: rest.to_owned() })
    }
}

/// Behind white space and comments; `None` if a comment does not end.
fn past_comments(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches([' ', '\t', '\r', '\n']);
    while rest.starts_with('(') {
        let (mut depth, mut escaped, mut end) = (0usize, false, None);
        for (at, c) in rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth > COMMENTS {
                return None;
            }
            if depth == 0 {
                end = Some(at + 1);
                break;
            }
        }
        rest = rest.get(end?..)?.trim_start_matches([' ', '\t', '\r', '\n']);
    }
    Some(rest)
}

fn token_or_quoted(text: &str) -> Option<(String, &str)> {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', '\r', '\n', ';', '(', '"']).unwrap_or(text.len());
        let (id, rest) = text.split_at_checked(end)?;
        return (!id.is_empty()).then(|| (id.to_owned(), rest));
    };
    let (mut id, mut escaped) = (String::new(), false);
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => {
                id.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((id.trim_ascii().to_owned(), inside.get(at + 1..)?)),
            // Folding inside the quotes is white space.
            '\r' | '\n' => {}
            _ => id.push(c),
        }
    }
    None
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;
