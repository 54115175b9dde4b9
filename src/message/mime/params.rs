//! Values with parameters (RFC 2045 section 5.1, RFC 2183): `attachment; filename="a.zip"`, in every way they are read.
//!
//! **Failure**: nothing fails; what stands where nothing should is kept as one more reading.
//! **Invariants**: at most [`MAX_PARAMS`] parameters and [`MAX_READINGS`] readings each; linear.

/// Parameters of one field that are looked at.
const MAX_PARAMS: usize = 200;
/// Readings of one value.
const MAX_READINGS: usize = 6;

/// One parameter as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// In lower case, without `*` and number.
    pub base: String,
    /// RFC 2231 section 3.
    pub section: Option<u32>,
    /// RFC 2231 section 4: percent-encoded, with a charset.
    pub extended: bool,
    /// The strict reading first.
    pub readings: Vec<Vec<u8>>,
}

impl Param {
    /// The reading of a strict program.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        self.readings.first().map_or(&[], Vec::as_slice)
    }
}

/// A field's value and what follows it.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// In lower case, without blanks and comments.
    pub value: String,
    pub params: Vec<Param>,
    /// There is a comment, or what looks like one, outside quotes.
    pub has_comment: bool,
    /// There are more parameters than are looked at.
    pub is_cut: bool,
}

impl Params {
    pub fn named<'s>(&'s self, base: &'s str) -> impl Iterator<Item = &'s Param> {
        self.params.iter().filter(move |param| param.base == base)
    }
}

/// Reads a field's value. With `comments`, what stands in parentheses is no part of it (RFC 5322 section 3.2.2).
#[must_use]
pub fn read(raw: &[u8], comments: bool) -> Params {
    let line: Vec<u8> = raw.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut params = Params::default();
    let mut cutter = Cutter { line: &line, at: 0, comments, quotes: true, has_comment: false };
    let mut first = true;
    while let Some(segment) = cutter.segment() {
        let equals = memchr::memchr(b'=', &segment.bare);
        if first {
            first = false;
            params.value = word(&segment.bare);
            if equals.is_none() {
                continue;
            }
        }
        if params.params.len() >= MAX_PARAMS {
            params.is_cut = true;
            break;
        }
        params.params.extend(equals.and_then(|_| param(&segment)));
    }
    params.has_comment = cutter.has_comment;
    params
}

/// A token in lower case, up to the first blank.
fn word(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).to_ascii_lowercase();
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '"');
    text.split_whitespace().collect::<Vec<_>>().concat()
}

/// What stands between two semicolons.
struct Segment {
    /// As written.
    raw: Vec<u8>,
    /// Without comments.
    bare: Vec<u8>,
}

struct Cutter<'a> {
    line: &'a [u8],
    at: usize,
    /// False once one was found that nothing closes.
    comments: bool,
    /// False once a quote was found that nothing closes.
    quotes: bool,
    has_comment: bool,
}

impl Cutter<'_> {
    fn segment(&mut self) -> Option<Segment> {
        if self.at > self.line.len() {
            return None;
        }
        let start = self.at;
        let mut bare = Vec::new();
        let mut at = start;
        while let Some(byte) = self.line.get(at) {
            match byte {
                b';' => break,
                b'\\' => {
                    bare.extend(self.line.get(at..(at + 2).min(self.line.len())).unwrap_or_default());
                    at += 1;
                }
                b'"' if self.quotes => {
                    if let Some(end) = close(self.line, at, b'"', b'"') {
                        bare.extend(self.line.get(at..=end).unwrap_or_default());
                        at = end;
                    } else {
                        self.quotes = false;
                        bare.push(b'"');
                    }
                }
                b'(' => {
                    self.has_comment = true;
                    let end = if self.comments { close(self.line, at, b'(', b')') } else { None };
                    self.comments = end.is_some();
                    match end {
                        Some(end) => at = end,
                        None => bare.push(b'('),
                    }
                }
                byte => bare.push(*byte),
            }
            at += 1;
        }
        self.at = at + 1;
        Some(Segment { raw: self.line.get(start..at.min(self.line.len())).unwrap_or_default().to_vec(), bare })
    }
}

/// Where what opens at `at` closes.
fn close(line: &[u8], at: usize, open: u8, end: u8) -> Option<usize> {
    let mut depth = 1_usize;
    let mut skip = false;
    for (index, byte) in line.iter().enumerate().skip(at + 1) {
        if skip {
            skip = false;
        } else if *byte == b'\\' {
            skip = true;
        } else if *byte == end {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        } else if *byte == open {
            depth += 1;
        }
    }
    None
}

fn param(segment: &Segment) -> Option<Param> {
    let equals = memchr::memchr(b'=', &segment.bare)?;
    let key = word(segment.bare.get(..equals)?);
    let bare = segment.bare.get(equals + 1..)?.trim_ascii();
    let raw = segment.raw.get(memchr::memchr(b'=', &segment.raw)? + 1..)?.trim_ascii();
    let (key, extended) = key.strip_suffix('*').map_or((key.as_str(), false), |key| (key, true));
    let (base, section) = match key.rsplit_once('*').map(|(base, number)| (base, number.parse())) {
        Some((base, Ok(number))) => (base, Some(number)),
        _ => (key, None),
    };
    let mut param = Param { base: base.to_owned(), section, extended, readings: Vec::new() };
    for reading in [strict(bare), whole(bare), without(bare, b'"'), single(bare), strict(raw), whole(raw)] {
        if !param.readings.contains(&reading) && param.readings.len() < MAX_READINGS {
            param.readings.push(reading);
        }
    }
    Some(param)
}

/// A quoted string up to its end, or a word up to the first blank (RFC 2045 section 5.1).
fn strict(value: &[u8]) -> Vec<u8> {
    if value.first() != Some(&b'"') {
        let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'"'));
        return unescaped(value.get(..end.unwrap_or(value.len())).unwrap_or_default());
    }
    let end = close(value, 0, b'"', b'"').unwrap_or(value.len());
    unescaped(value.get(1..end).unwrap_or_default())
}

/// All of it, without quotes around it.
fn whole(value: &[u8]) -> Vec<u8> {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    value.strip_suffix(b"\"").unwrap_or(value).to_vec()
}

fn without(value: &[u8], drop: u8) -> Vec<u8> {
    value.iter().copied().filter(|byte| *byte != drop).collect()
}

/// Apostrophes for quotes.
fn single(value: &[u8]) -> Vec<u8> {
    let inner = value.strip_prefix(b"'").and_then(|value| value.strip_suffix(b"'"));
    inner.map_or_else(|| strict(value), <[u8]>::to_vec)
}

fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        out.push(if *byte == b'\\' { *bytes.next().unwrap_or(byte) } else { *byte });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(raw: &str, base: &str) -> String {
        let params = read(raw.as_bytes(), true);
        let found = params.named(base).next().map(|param| String::from_utf8_lossy(param.first()).into_owned());
        found.unwrap_or_default()
    }

    #[test]
    fn plain_parameters() {
        assert_eq!(first("text/plain; charset=utf-8; format=flowed", "format"), "flowed");
        assert_eq!(first("a/b; name=\"x;\\\"y\"", "name"), "x;\"y");
        assert_eq!(first("a/b;\r\n boundary = \"q\"", "boundary"), "q");
        assert_eq!(first("a/b (c;name=z); name=k(e)y", "name"), "ky");
        assert_eq!(read(b" Text/HTML (x) ; a=b", true).value, "text/html");
        assert_eq!(read(b"name=foo.zip", true).params.len(), 1);
    }

    #[test]
    fn sections_and_extensions() {
        let params = read(b"attachment; filename*1*=b; filename*0*=''a; filename*=x", true);
        let found: Vec<_> = params.params.iter().map(|p| (p.base.as_str(), p.section, p.extended)).collect();
        assert_eq!(found, [("filename", Some(1), true), ("filename", Some(0), true), ("filename", None, true)]);
    }

    #[test]
    fn what_is_not_closed_costs_nothing() {
        let open = "(\"".repeat(100_000);
        assert!(read(format!("a; b=c; {open}").as_bytes(), true).params.len() <= 2);
        assert_eq!(first("a; name=\"file.zip; x=y", "name"), "file.zip");
    }
}
