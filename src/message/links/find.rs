//! Finds what mail programs make links of in a plain text: addresses with a scheme, `www.…`, and domain names under a known
//! top-level domain.
//!
//! Japanese text may follow an address without a blank; characters in full width count as the ASCII ones.
//!
//! **Invariants**: the position only moves forward: linear, whatever the text.

use crate::message::html::MAX_ADDRESS;

/// Longest host with its dots.
const MAX_HOST: usize = 253;
/// Lines of a wrapped address in angle brackets (RFC 3986 appendix C).
const MAX_LINES: usize = 8;
/// Most hosts that [`hosts_in`] names.
const MAX_HOSTS: usize = 16;

/// Top-level domains that are extensions of file names or ends of words more often than domains, when nothing else speaks
/// for an address.
const DOUBTFUL: [&str; 36] = [
    "zip", "mov", "py", "pl", "rs", "sh", "md", "ps", "so", "cc", "ai", "am", "pm", "app", "as", "at", "be", "do",
    "in", "is", "it", "me", "my", "no", "to", "us", "id", "so", "java", "bat", "name", "int", "call", "fit", "ing",
    "foo",
];

/// Calls `found` with each address as it is written, until it says no.
pub fn each(text: &str, mut found: impl FnMut(&str) -> bool) {
    if !walk(text, &mut found) {
        return;
    }
    if has_wide_address(text) {
        walk(&narrow(text), &mut found);
    }
}

/// The hosts a short text names: `www.example.com`, `https://example.com/x`, `Log in at example.com`. Lower case, as written.
#[must_use]
pub fn hosts_in(text: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    each(text, |written| {
        let rest = written.split_once("://").map_or(written, |(_, rest)| rest);
        let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let host = host.trim_end_matches('.').to_lowercase();
        if host.contains('.') && !hosts.contains(&host) {
            hosts.push(host);
        }
        hosts.len() < MAX_HOSTS
    });
    hosts
}

/// Whether a word is a domain name under a known top-level domain.
#[must_use]
pub fn is_host(word: &str) -> bool {
    let fits = word.len() <= MAX_HOST
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && word
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-'));
    fits && word.contains('.') && has_known_end(word)
}

fn has_known_end(host: &str) -> bool {
    let lower = host.to_ascii_lowercase();
    psl::domain(lower.as_bytes()).is_some_and(|domain| domain.suffix().is_known())
        || psl::suffix(lower.as_bytes())
            .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() < lower.len())
}

fn walk(text: &str, found: &mut impl FnMut(&str) -> bool) -> bool {
    let bytes = text.as_bytes();
    let mut done = 0;
    let mut at = 0;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'.', b':', rest)) {
        let mark = at + next;
        at = mark + 1;
        let behind = bytes.get(at..).unwrap_or_default();
        let span = if bytes.get(mark) == Some(&b':') {
            if behind.starts_with(b"//") { with_scheme(text, done, mark) } else { None }
        } else if behind.first().is_some_and(u8::is_ascii_alphanumeric) {
            match without_scheme(text, done, mark) {
                Ok(span) => Some(span),
                Err(end) => {
                    // The word is none; it is not looked at again.
                    at = end.max(at);
                    None
                }
            }
        } else {
            None
        };
        let Some((from, to)) = span else { continue };
        done = to;
        at = to.max(at);
        let goes_on = match joined(text, from, to) {
            Some((whole, end)) => {
                done = end;
                at = end.max(at);
                found(&whole)
            }
            None => text.get(from..to).is_none_or(&mut *found),
        };
        if !goes_on {
            return false;
        }
    }
    true
}

/// `https://…`; `mark` is the colon.
fn with_scheme(text: &str, done: usize, mark: usize) -> Option<(usize, usize)> {
    let before = text.as_bytes().get(done..mark)?;
    let letters = before.iter().rev().take(6).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = before.get(before.len() - letters..)?;
    // `seehttp://` is one, too, as mail programs see it.
    let scheme = [&b"https"[..], b"http", b"ftp"].into_iter().find(|scheme| {
        word.len() >= scheme.len()
            && word.get(word.len() - scheme.len()..).is_some_and(|end| end.eq_ignore_ascii_case(scheme))
    })?;
    let from = mark - scheme.len();
    let host = mark + 3;
    let to = end_of_path(text, end_of_host(text, host));
    let to = trimmed(text, host, to);
    (to > host).then_some((from, to))
}

/// `www.example.com/x`, `example.com`; `mark` is the dot. Otherwise the end of the word.
fn without_scheme(text: &str, done: usize, mark: usize) -> Result<(usize, usize), usize> {
    let bytes = text.as_bytes();
    let plain = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'.' | b'_');
    let left = bytes.get(done..mark).unwrap_or_default().iter().rev().take(64).take_while(plain).count();
    let right = bytes.get(mark..).unwrap_or_default().iter().take(MAX_HOST).take_while(plain).count();
    let (from, end) = (mark - left, mark + right);
    let before = from.checked_sub(1).filter(|at| *at >= done).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
    if left == 0 || matches!(before, b'@' | b'/' | b'\\' | b'=' | b'&' | b'%' | b'~' | b'+' | b'$' | b'#') {
        return Err(end);
    }
    let word = text.get(from..end).unwrap_or_default().trim_end_matches(['.', '-', '_']);
    let end = from + word.len();
    let next = bytes.get(end).copied().unwrap_or(b' ');
    if next == b'@' || !is_host(word) || word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(end.max(mark + 1));
    }
    let www = word.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"www."));
    let top = word.rsplit('.').next().unwrap_or_default();
    let one_case =
        !word.bytes().any(|byte| byte.is_ascii_uppercase()) || !word.bytes().any(|byte| byte.is_ascii_lowercase());
    let doubtful = !one_case || DOUBTFUL.iter().any(|known| top.eq_ignore_ascii_case(known));
    if !www && next != b'/' && doubtful {
        return Err(end);
    }
    let to = if matches!(next, b'/' | b':' | b'?') { trimmed(text, end, end_of_path(text, end)) } else { end };
    Ok((from, to.max(end)))
}

/// Behind the host that begins here. Letters of other scripts belong to it only if a known top-level domain follows.
fn end_of_host(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let mut wide = false;
    let mut length = 0;
    for (at, c) in rest.char_indices() {
        let plain = c.is_ascii_alphanumeric()
            || matches!(c, '-' | '.' | '_' | '@' | ':' | '[' | ']' | '%' | '~' | '!' | '$' | '&' | '+' | '=');
        let letter = !c.is_ascii() && (c.is_alphanumeric() || c == '。') && at < MAX_HOST;
        if !plain && !letter {
            break;
        }
        if at > MAX_ADDRESS {
            break;
        }
        wide |= letter;
        length = at + c.len_utf8();
    }
    if !wide {
        return from + length;
    }
    let host = rest.get(..length).unwrap_or_default();
    let mut at = 0;
    for (number, label) in host.split('.').enumerate() {
        let ascii = label.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
        if number > 0 && ascii > 0 && ascii < label.len() {
            let end = at + ascii;
            if host.get(..end).is_some_and(|host| is_known_top(host.rsplit('.').next().unwrap_or_default())) {
                return from + end;
            }
        }
        at += label.len() + 1;
    }
    from + length
}

fn is_known_top(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    psl::suffix(lower.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// Behind the path, query and fragment that may begin here.
fn end_of_path(text: &str, from: usize) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let ends = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'<' | b'>' | b'"' | b'`' | b']');
    from + rest.iter().take(MAX_ADDRESS).position(ends).unwrap_or(rest.len().min(MAX_ADDRESS))
}

/// Without the punctuation of the sentence around it.
fn trimmed(text: &str, from: usize, to: usize) -> usize {
    let mut address = text.get(from..to).unwrap_or_default();
    let mut unclosed = address
        .bytes()
        .filter(|byte| *byte == b')')
        .count()
        .saturating_sub(address.bytes().filter(|byte| *byte == b'(').count());
    loop {
        match address.as_bytes().last() {
            Some(b'.' | b',' | b';' | b':' | b'!' | b'?' | b'\'' | b'*' | b'|' | b'}' | b'\\') => {}
            Some(b')') if unclosed > 0 => unclosed -= 1,
            _ => return from + address.len(),
        }
        address = address.get(..address.len() - 1).unwrap_or_default();
    }
}

/// An address in angle brackets that goes on in the next lines: the whole, and where it ends.
fn joined(text: &str, from: usize, to: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let open = from.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'<')
        || from
            .checked_sub(5)
            .and_then(|at| bytes.get(at..from))
            .is_some_and(|before| before.eq_ignore_ascii_case(b"<url:"));
    if !open || !matches!(bytes.get(to), Some(b'\n' | b'\r')) {
        return None;
    }
    let mut whole = text.get(from..to)?.to_owned();
    let mut at = to;
    for _ in 0..MAX_LINES {
        at += bytes.get(at..)?.iter().take(16).take_while(|byte| byte.is_ascii_whitespace()).count();
        let line = bytes.get(at..)?;
        let length = line
            .iter()
            .take(MAX_ADDRESS)
            .take_while(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'))
            .count();
        whole.push_str(text.get(at..at + length)?);
        at += length;
        match bytes.get(at) {
            Some(b'>') => return (whole.len() <= MAX_ADDRESS).then_some((whole, at)),
            Some(b'\r' | b'\n') if whole.len() <= MAX_ADDRESS => {}
            _ => return None,
        }
    }
    None
}

/// A full stop or a colon between letters of full width.
fn has_wide_address(text: &str) -> bool {
    let wide = |bytes: Option<&[u8]>| matches!(bytes, Some([0xef, 0xbc, 0x90..=0xba] | [0xef, 0xbd, 0x81..=0x9a]));
    if text.contains("：／／") {
        return true;
    }
    let bytes = text.as_bytes();
    memchr::memmem::find_iter(bytes, "．".as_bytes()).any(|at| wide(bytes.get(at + 3..at + 6)))
}

/// Full width to ASCII.
fn narrow(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            other => other,
        })
        .collect()
}
