//! Takes transfer encodings off (RFC 2045 section 6), in every way that mail programs do it.
//!
//! **Failure**: octets that don't belong there are passed over; what programs do else is among [`Decoded::others`].
//! **Invariants**: linear; output never longer than input, but for yEnc which is never longer either.

use bytes::Bytes;

use crate::message::specimen::Ambiguity;

/// A Content-Transfer-Encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// 7bit, 8bit, binary.
    Identity,
    Base64,
    QuotedPrintable,
    Uuencode,
    Unknown,
}

impl Transfer {
    /// As the field writes it.
    #[must_use]
    pub fn named(value: &str) -> Self {
        let word: String = value.chars().filter(|c| !c.is_whitespace() && !"\"'".contains(*c)).collect();
        match word.trim_end_matches([';', '.', ',']) {
            "" | "7bit" | "8bit" | "binary" | "7-bit" | "8-bit" => Self::Identity,
            "base64" | "base-64" | "b" => Self::Base64,
            "quoted-printable" | "quotedprintable" | "q" => Self::QuotedPrintable,
            "uuencode" | "x-uuencode" | "uue" | "x-uue" => Self::Uuencode,
            _ => Self::Unknown,
        }
    }
}

/// What came out.
#[derive(Debug, Default)]
pub struct Decoded {
    pub octets: Bytes,
    /// What other programs see.
    pub others: Vec<Bytes>,
    pub odd: Option<Ambiguity>,
}

/// Takes `transfer` off.
#[must_use]
pub fn decode(encoded: &Bytes, transfer: Transfer) -> Decoded {
    match transfer {
        Transfer::Identity => Decoded { octets: encoded.clone(), ..Decoded::default() },
        Transfer::Base64 => base64(encoded),
        Transfer::QuotedPrintable => Decoded { octets: quoted_printable(encoded).into(), ..Decoded::default() },
        Transfer::Uuencode => {
            let octets = super::embedded::uudecode(encoded).map_or_else(|| encoded.clone(), Bytes::from);
            Decoded { octets, ..Decoded::default() }
        }
        Transfer::Unknown => unknown(encoded),
    }
}

const BLANK: u8 = 64;
const PAD: u8 = 65;
const JUNK: u8 = 66;

#[allow(clippy::indexing_slicing, reason = "evaluated when compiled")]
const ALPHABET: [u8; 256] = {
    let mut table = [JUNK; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    #[allow(clippy::cast_possible_truncation, reason = "64 letters")]
    while at < letters.len() {
        table[letters[at] as usize] = at as u8;
        at += 1;
    }
    table[b'=' as usize] = PAD;
    table[b'\r' as usize] = BLANK;
    table[b'\n' as usize] = BLANK;
    table[b' ' as usize] = BLANK;
    table[b'\t' as usize] = BLANK;
    table
};

/// RFC 2045 section 6.8. Most programs pass over what is no letter, and go on behind padding; some stop at either.
#[must_use]
pub fn base64(encoded: &Bytes) -> Decoded {
    let mut run = Run { out: Vec::with_capacity(encoded.len() / 4 * 3 + 3), ..Run::default() };
    for byte in encoded {
        run.push(ALPHABET.get(usize::from(*byte)).copied().unwrap_or(JUNK));
    }
    run.flush();
    let octets = Bytes::from(run.out);
    let mut others = Vec::new();
    let early = |at: usize| octets.slice(..at.min(octets.len()));
    for at in [run.ended.filter(|_| run.goes_on), run.junk].into_iter().flatten() {
        let other = early(at);
        if other.len() < octets.len() && !others.contains(&other) {
            others.push(other);
        }
    }
    if run.torn {
        // Padding passed over like any other octet.
        let joined: Bytes = encoded.iter().copied().filter(|byte| *byte != b'=').collect::<Vec<_>>().into();
        let other = base64(&joined).octets;
        if other != octets {
            others.push(other);
        }
    }
    let odd = (!others.is_empty()).then_some(Ambiguity::BrokenEncoding);
    Decoded { octets, others, odd }
}

#[derive(Default)]
struct Run {
    out: Vec<u8>,
    bits: u32,
    letters: u8,
    /// How much had come out at the first padding.
    ended: Option<usize>,
    /// Letters came behind padding.
    goes_on: bool,
    /// Padding stood where it doesn't fill up four letters.
    torn: bool,
    /// How much had come out at the first octet that is no letter.
    junk: Option<usize>,
    pads: u8,
}

impl Run {
    #[allow(clippy::cast_possible_truncation, reason = "octets are cut out of the bits")]
    fn push(&mut self, value: u8) {
        if value < 64 {
            self.goes_on |= self.ended.is_some();
            self.pads = 0;
            self.bits = (self.bits << 6) | u32::from(value);
            self.letters += 1;
            if self.letters == 4 {
                self.out.extend([(self.bits >> 16) as u8, (self.bits >> 8) as u8, self.bits as u8]);
                (self.bits, self.letters) = (0, 0);
            }
        } else if value == PAD {
            self.pads = self.pads.saturating_add(1);
            self.torn |= self.letters == 1 || (self.letters == 0 && self.pads > 2);
            self.flush();
            self.ended.get_or_insert(self.out.len());
        } else if value == JUNK {
            self.junk.get_or_insert(self.out.len());
        }
    }

    /// What is left of an unfinished group.
    #[allow(clippy::cast_possible_truncation, reason = "octets are cut out of the bits")]
    fn flush(&mut self) {
        match self.letters {
            2 => self.out.push((self.bits >> 4) as u8),
            3 => self.out.extend([(self.bits >> 10) as u8, (self.bits >> 2) as u8]),
            _ => {}
        }
        (self.bits, self.letters) = (0, 0);
    }
}

/// RFC 2045 section 6.7. An equals sign that begins nothing stays, as everywhere.
#[must_use]
pub fn quoted_printable(encoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some((line, next)) = super::block::line(encoded, at) {
        let ending = encoded.get(at + line.len()..next).unwrap_or_default();
        let text = line.trim_ascii_end();
        at = next;
        let (text, soft) = text.strip_suffix(b"=").map_or((text, false), |text| (text, true));
        escaped(text, &mut out);
        if !soft {
            out.extend(ending);
        }
    }
    out
}

fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut at = 0;
    while let Some(equals) = memchr::memchr(b'=', text.get(at..).unwrap_or_default()) {
        let equals = at + equals;
        out.extend(text.get(at..equals).unwrap_or_default());
        at = match (digit(equals + 1), digit(equals + 2)) {
            (Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                equals + 3
            }
            _ => {
                out.push(b'=');
                equals + 1
            }
        };
    }
    out.extend(text.get(at..).unwrap_or_default());
}

/// Nobody knows it: most show the octets as they are. Only if they could be an encoding is there a doubt.
fn unknown(encoded: &Bytes) -> Decoded {
    let mut decoded = Decoded { octets: encoded.clone(), ..Decoded::default() };
    if looks_like_base64(encoded) {
        let inner = base64(encoded);
        decoded.others.push(inner.octets);
    } else if memchr::memmem::find(encoded, b"=\r\n").is_some() || has_escapes(encoded) {
        decoded.others.push(quoted_printable(encoded).into());
    }
    if !decoded.others.is_empty() {
        decoded.odd = Some(Ambiguity::UnknownEncoding);
    }
    decoded
}

fn has_escapes(encoded: &[u8]) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b));
    memchr::memchr_iter(b'=', encoded).take(1_000).any(|at| digit(encoded.get(at + 1)) && digit(encoded.get(at + 2)))
}

/// A block of base64 and little else: letters of the alphabet in lines without blanks.
#[must_use]
pub fn looks_like_base64(octets: &[u8]) -> bool {
    let sample = octets.get(..octets.len().min(4_096)).unwrap_or_default().trim_ascii();
    sample.len() >= 20
        && sample.iter().all(|byte| ALPHABET.get(usize::from(*byte)).is_some_and(|value| *value < JUNK))
        && !sample.iter().any(|byte| matches!(byte, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &'static str) -> Decoded {
        base64(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn base64_of_the_standard() {
        for (text, plain) in
            [("aGVsbG8=", "hello"), ("aGVs\r\nbG8h", "hello!"), ("aA==\r\n", "h"), ("aA", "h"), ("", "")]
        {
            let decoded = decoded(text);
            assert_eq!((&*decoded.octets, decoded.odd), (plain.as_bytes(), None), "{text}");
        }
    }

    #[test]
    fn base64_with_junk_has_several_readings() {
        let junk = decoded("aGVs!bG8h");
        assert_eq!((&*junk.octets, &*junk.others[0]), (&b"hello!"[..], &b"hel"[..]));
        let behind = decoded("aGVsbG8=aGVs");
        assert_eq!((&*behind.octets, &*behind.others[0]), (&b"hellohel"[..], &b"hello"[..]));
        assert_eq!(behind.odd, Some(Ambiguity::BrokenEncoding));
        assert_eq!(decoded("aGVsb=G8h").others.len(), 2);
    }

    #[test]
    fn quoted_printable_is_tolerant() {
        for (text, plain) in [
            ("a=3Db", "a=b"),
            ("a=\r\nb", "ab"),
            ("a= \t\r\nb", "ab"),
            ("a=3db=zz=", "a=b=zz"),
            ("a \r\nb\r\n", "a\r\nb\r\n"),
            ("=E3=81=82", "あ"),
        ] {
            assert_eq!(String::from_utf8_lossy(&quoted_printable(text.as_bytes())), plain, "{text}");
        }
    }

    #[test]
    fn an_unknown_encoding_is_a_doubt_only_if_it_could_be_one() {
        let as_text = |text: &'static str| decode(&Bytes::from_static(text.as_bytes()), Transfer::named("x-what"));
        assert_eq!(as_text("just a text, nothing more").odd, None);
        let hidden = as_text("WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FS");
        assert_eq!(hidden.odd, Some(Ambiguity::UnknownEncoding));
        assert!(hidden.others[0].starts_with(b"X5O"));
    }
}
