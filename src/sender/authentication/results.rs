//! Authentication-Results (RFC 8601): our field made, fields that claim to be ours found.
//!
//! **Failure**: a field of that name that can't be read speaks for nobody, so it is found as well.
//! **Invariants**: nothing that a stranger wrote stands unquoted in our field, which is printable ASCII in folded lines;
//! ranges are those of whole fields, last line end included, in rising order.

use std::fmt::Write as _;
use std::ops::Range;

use super::block::Block;
use crate::model::authentication::{Authentication, DkimResult, DmarcResult, SpfIdentity, SpfResult};

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
    let mut field = Field::of(authserv_id);
    for spf in &found.spf {
        let (property, value) = match spf.identity {
            SpfIdentity::Helo => (" smtp.helo=", smtp.helo),
            SpfIdentity::MailFrom => (" smtp.mailfrom=", smtp.mail_from),
        };
        let value = if value.is_empty() { &*spf.domain } else { value };
        field.result("spf=", spf.result.word(), spf.why.as_deref().filter(|_| spf.result != SpfResult::Pass));
        field.value(property, value);
        field.end();
    }
    for dkim in &found.dkim {
        field.result("dkim=", dkim.result.word(), dkim.why.as_deref().filter(|_| dkim.result != DkimResult::Pass));
        for (property, value) in [(" header.d=", &dkim.domain), (" header.s=", &dkim.selector)] {
            if !value.is_empty() {
                field.value(property, value);
            }
        }
        field.end();
    }
    if found.dkim.is_empty() {
        field.result("dkim=", "none", None);
        field.end();
    }
    let dmarc = &found.dmarc;
    // Without SPF nobody asked, but for a signature that passes it: "none" would say that there is no record.
    if !found.spf.is_empty() || dmarc.result != DmarcResult::None {
        field.line.push_str("dmarc=");
        field.line.push_str(dmarc.result.word());
        if dmarc.record_at.is_some() {
            let _ = write!(field.line, " (p={})", dmarc.policy.word());
        }
        field.reason(dmarc.why.as_deref());
        if let Some(from) = &found.from {
            field.value(" header.from=", from.as_str());
        }
        field.end();
    }
    field.result("arc=", found.arc.result.word(), found.arc.why.as_deref());
    if let Some(sealer) = found.arc.sealers.first() {
        field.value(" header.d=", sealer);
    }
    field.end();
    for more in more {
        field.line.push_str(&plain(more));
        field.end();
    }
    field.whole.push_str("\r\n");
    field.whole
}

/// The field while it is made, and the result that is being written.
struct Field {
    whole: String,
    line: String,
}

impl Field {
    fn of(authserv_id: &str) -> Self {
        let mut whole = String::with_capacity(512);
        whole.push_str(NAME);
        whole.push_str(": ");
        quoted(authserv_id, &mut whole);
        Self { whole, line: String::with_capacity(128) }
    }

    fn result(&mut self, method: &str, word: &str, why: Option<&str>) {
        self.line.push_str(method);
        self.line.push_str(word);
        self.reason(why);
    }

    fn reason(&mut self, why: Option<&str>) {
        if let Some(why) = why {
            self.line.push_str(" reason=");
            quote(why, 120, &mut self.line);
        }
    }

    fn value(&mut self, property: &str, value: &str) {
        self.line.push_str(property);
        quoted(value, &mut self.line);
    }

    fn end(&mut self) {
        self.whole.push_str(";\r\n\t");
        fold(&self.line, &mut self.whole);
        self.line.clear();
    }
}

/// A value as it may stand in the field: a token, `local@domain`, or a quoted string.
fn quoted(value: &str, out: &mut String) {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(is_token);
    let address = || value.split_once('@').is_some_and(|(local, domain)| plain(local) && plain(domain));
    if value.len() <= LONGEST_VALUE && (plain(value) || address()) {
        out.push_str(value);
    } else {
        quote(value, LONGEST_VALUE, out);
    }
}

fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(
            octet,
            b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'\\' | b'"' | b'/' | b'[' | b']' | b'?' | b'='
        )
}

fn quote(value: &str, longest: usize, out: &mut String) {
    out.push('"');
    for c in value.chars().map(printable).take(longest) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Printable ASCII; everything else becomes a question mark.
fn plain(text: &str) -> String {
    text.chars().map(printable).collect()
}

fn printable(c: char) -> char {
    if matches!(c, ' '..='~') { c } else { '?' }
}

/// Breaks between words where a line would pass 78 columns; never inside a quoted string.
fn fold(line: &str, out: &mut String) {
    if line.len() <= 70 {
        out.push_str(line);
        return;
    }
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
    let commented = block.commented.iter().filter(|(name, _)| name.eq_ignore_ascii_case(NAME.as_bytes()));
    let mut forged: Vec<Range<usize>> = commented.map(|(_, range)| range.clone()).collect();
    let named = block
        .named(NAME)
        .filter(|field| match Claim::read(field.value) {
            Some(claim) => claim.version != 1 || same_id(&claim.id, authserv_id) || claim.id.contains("=?"),
            None => true,
        })
        .map(super::block::RawField::range);
    forged.extend(named);
    forged.sort_unstable_by_key(|range| range.start);
    forged
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
