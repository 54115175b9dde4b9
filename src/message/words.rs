//! Encoded words of header fields (RFC 2047), as mail writes them: cut in the middle of a character or of a shift, glued
//! together, inside quotes, with blanks in them.
//!
//! **Failure**: what is no encoded word stays as it is.
//! **Invariants**: linear; output not longer than three times the input.

use bytes::Bytes;

use super::charset;
use super::mime::transfer;

/// A field's value: unfolded, encoded words decoded, raw octets read in the likeliest charset (`hint`: that of the message).
#[must_use]
pub fn decode(raw: &[u8], hint: Option<&str>) -> String {
    // Most are one line of plain letters.
    let is_more = |octet: u8| !octet.is_ascii() | matches!(octet, b'=' | b'\r' | b'\n' | 0x1b);
    if !raw.iter().fold(false, |more, octet| more | is_more(*octet))
        && let Ok(text) = std::str::from_utf8(raw)
    {
        return text.to_owned();
    }
    let mut line = Vec::with_capacity(raw.len());
    line.extend(raw.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    let mut out = String::with_capacity(line.len());
    let mut joined: Option<Joined> = None;
    let mut rest = line.as_slice();
    while let Some(start) = memchr::memmem::find(rest, b"=?") {
        let Some((word, behind)) = word(rest.get(start..).unwrap_or_default()) else {
            put(&mut out, &mut joined, rest.get(..start + 2).unwrap_or_default(), hint);
            rest = rest.get(start + 2..).unwrap_or_default();
            continue;
        };
        put(&mut out, &mut joined, rest.get(..start).unwrap_or_default(), hint);
        rest = behind;
        match &mut joined {
            Some(before) if before.takes(&word) => before.add(&word),
            _ => {
                flush(&mut out, &mut joined);
                joined = Some(Joined::new(&word));
            }
        }
    }
    put(&mut out, &mut joined, rest, hint);
    flush(&mut out, &mut joined);
    out
}

/// Text between words. Blanks between two words are no text (RFC 2047 section 6.2).
fn put(out: &mut String, joined: &mut Option<Joined>, text: &[u8], hint: Option<&str>) {
    if joined.is_some() && text.iter().all(u8::is_ascii_whitespace) {
        return;
    }
    flush(out, joined);
    out.push_str(&charset::decode_header(text, hint));
}

fn flush(out: &mut String, joined: &mut Option<Joined>) {
    if let Some(joined) = joined.take() {
        joined.into_text(out);
    }
}

/// One encoded word.
struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
}

/// `=?charset*language?B?text?=` at the start of `octets`, and what stands behind it.
fn word(octets: &[u8]) -> Option<(Word<'_>, &[u8])> {
    let inner = octets.strip_prefix(b"=?")?;
    let end = memchr::memchr(b'?', inner.get(..inner.len().min(80))?)?;
    let charset = inner.get(..end)?;
    let charset = charset.split(|byte| *byte == b'*').next()?;
    let base64 = match inner.get(end + 1)? {
        b'B' | b'b' => true,
        b'Q' | b'q' => false,
        _ => return None,
    };
    let text = inner.get(end + 2..)?.strip_prefix(b"?")?;
    let close = close(text, base64)?;
    let plain = charset.iter().all(|byte| byte.is_ascii_graphic());
    (plain && !charset.is_empty())
        .then_some((Word { charset, base64, text: text.get(..close)? }, text.get(close + 2..)?))
}

/// Longest encoded word; the standard says 75 octets, mail programs write whole subjects as one.
const LONGEST: usize = 8_192;

/// Where `?=` is. A question mark may stand inside text that should have been encoded; another word may not.
fn close(text: &[u8], base64: bool) -> Option<usize> {
    let text = text.get(..text.len().min(LONGEST))?;
    for at in memchr::memchr_iter(b'?', text) {
        if text.get(at + 1) == Some(&b'=') {
            return Some(at);
        }
        if base64 || text.get(at.wrapping_sub(1)) == Some(&b'=') {
            return None;
        }
    }
    None
}

/// Words that belong together: a character may begin in one and end in the next.
struct Joined {
    charset: Vec<u8>,
    octets: Vec<u8>,
    /// Base64 without its end, which the next word may bring.
    open: Vec<u8>,
}

impl Joined {
    fn new(word: &Word<'_>) -> Self {
        let mut joined = Self { charset: word.charset.to_ascii_lowercase(), octets: Vec::new(), open: Vec::new() };
        joined.add(word);
        joined
    }

    fn takes(&self, word: &Word<'_>) -> bool {
        self.charset.eq_ignore_ascii_case(word.charset)
    }

    fn add(&mut self, word: &Word<'_>) {
        if !word.base64 {
            self.settle();
            let spaced: Vec<u8> = word.text.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect();
            // A blank at the end of a word is meant.
            let kept = spaced.trim_ascii_end().len();
            self.octets.extend(transfer::quoted_printable(spaced.get(..kept).unwrap_or_default()));
            self.octets.extend(spaced.get(kept..).unwrap_or_default());
            return;
        }
        self.open.extend(word.text.iter().filter(|byte| !byte.is_ascii_whitespace()));
        if self.open.len().is_multiple_of(4) || self.open.ends_with(b"=") {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if !self.open.is_empty() {
            let open = Bytes::from(std::mem::take(&mut self.open));
            self.octets.extend(transfer::base64(&open).octets);
        }
    }

    fn into_text(mut self, out: &mut String) {
        self.settle();
        let charset = String::from_utf8_lossy(&self.charset);
        out.push_str(&charset::decode(&self.octets, Some(&charset)));
    }
}

/// Encoded words in UTF-16 that don't say which octet comes first, each way round.
#[must_use]
pub fn decode_utf16(raw: &[u8]) -> Vec<String> {
    let Some(start) = memchr::memmem::find(raw, b"=?") else { return Vec::new() };
    match word(raw.get(start..).unwrap_or_default()) {
        Some((word, _)) if word.charset.to_ascii_lowercase().starts_with(b"utf-16") => {
            let mut joined = Joined::new(&word);
            joined.settle();
            charset::both_ends(&joined.octets)
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(raw: &str) -> String {
        decode(raw.as_bytes(), None)
    }

    #[test]
    fn words_of_the_standard() {
        assert_eq!(d("=?ISO-8859-1?Q?a?="), "a");
        assert_eq!(d("=?ISO-8859-1?Q?a?= b"), "a b");
        assert_eq!(d("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?="), "ab");
        assert_eq!(d("=?ISO-8859-1?Q?a?=\r\n =?utf-8?B?Yg==?= c"), "ab c");
        assert_eq!(d("=?ISO-8859-1?Q?a_b?= (x) =?utf-8*en?q?=C3=A9?="), "a b (x) é");
        assert_eq!(d("Re: =?utf-8?Q?=E3=81=82?=, x"), "Re: あ, x");
    }

    #[test]
    fn characters_and_shifts_cut_in_two() {
        // あ is e3 81 82.
        assert_eq!(d("=?utf-8?Q?=E3=81?= =?utf-8?Q?=82?="), "あ");
        assert_eq!(d("=?utf-8?B?44E=?= =?utf-8?B?gg==?="), "あ");
        assert_eq!(d("=?utf-8?B?44?= =?UTF-8?B?GC?="), "あ");
        // Shifted in the first word, shifted back in the second.
        assert_eq!(d("=?iso-2022-jp?Q?=1B$B$\"?= =?iso-2022-jp?Q?$$=1B(B?="), "あい");
    }

    #[test]
    fn tolerated() {
        assert_eq!(d("\"=?utf-8?Q?a?=\" <x@y>"), "\"a\" <x@y>");
        assert_eq!(d("x=?utf-8?Q?a?=y"), "xay");
        assert_eq!(d("=?utf-8?Q?a b?="), "a b");
        assert_eq!(d("=?utf-8?Q?what?_yes?="), "what? yes");
        assert_eq!(d("=?utf-8?X?a?= =?"), "=?utf-8?X?a?= =?");
        assert_eq!(d("=?utf-8?Q??= x"), " x");
        assert_eq!(decode(b"\x1b$B$\"\x1b(B", None), "あ");
        assert_eq!(decode(b"\x82\xa0\x82\xa2\x82\xa4", Some("shift_jis")), "あいう");
        assert_eq!(d("a\r\n b\r\n\tc"), "a b\tc");
    }

    #[test]
    fn many_openings_cost_little() {
        assert_eq!(d(&"=?".repeat(200_000)).len(), 400_000);
        assert_eq!(d(&"=?a?B?".repeat(100_000)).len(), 600_000);
    }
}
