//! Charsets that shift by escapes: ISO-2022-JP (RFC 1468) with JIS X 0201 kana, JIS X 0212 and the rows that NEC, IBM and
//! Microsoft added; ISO-2022-KR (RFC 1557); HZ (RFC 1843).
//!
//! **Failure**: an escape that nobody knows is dropped; octets with the eighth bit are read as whatever Japanese charset fits.
//! **Invariants**: linear.

use encoding_rs::{EUC_JP, EUC_KR, GBK, SHIFT_JIS};

use super::guess;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    Kana,
    /// JIS X 0208 with the additions of CP932.
    Kanji,
    /// JIS X 0212.
    Further,
}

/// The escapes, without the ESC itself; longer ones first.
const ESCAPES: [(&[u8], Set); 12] = [
    (b"$(D", Set::Further),
    (b"$(B", Set::Kanji),
    (b"$(@", Set::Kanji),
    // JIS X 0213, whose first plane is JIS X 0208 and more.
    (b"$(O", Set::Kanji),
    (b"$(Q", Set::Kanji),
    (b"&@", Set::Ascii),
    (b"$B", Set::Kanji),
    (b"$@", Set::Kanji),
    (b"(B", Set::Ascii),
    (b"(J", Set::Ascii),
    (b"(H", Set::Ascii),
    (b"(I", Set::Kana),
];

/// Whether there is an escape to Japanese.
#[must_use]
pub fn has_escapes(octets: &[u8]) -> bool {
    memchr::memchr_iter(0x1b, octets).any(|at| {
        let rest = octets.get(at + 1..).unwrap_or_default();
        ESCAPES.iter().any(|(escape, set)| *set != Set::Ascii && rest.starts_with(escape))
    })
}

/// What was read.
#[derive(Debug)]
pub struct Japanese {
    pub text: String,
    /// Between escapes to kanji stands what is no kanji: blanks, single octets, pairs that nobody defined.
    pub is_odd: bool,
}

/// ISO-2022-JP, as mail really writes it.
#[must_use]
pub fn japanese(octets: &[u8]) -> Japanese {
    let mut reader = Reader {
        out: String::with_capacity(octets.len()),
        pending: Vec::new(),
        set: Set::Ascii,
        has_escapes: has_escapes(octets),
        strays: 0,
    };
    let mut at = 0;
    while let Some(byte) = octets.get(at) {
        at += reader.step(*byte, octets.get(at + 1..).unwrap_or_default());
    }
    reader.flush();
    Japanese { text: reader.out, is_odd: reader.strays > 0 }
}

struct Reader {
    out: String,
    /// Kanji as Shift_JIS, decoded in one go.
    pending: Vec<u8>,
    set: Set,
    /// There is kanji in seven bits: what has the eighth one is kana.
    has_escapes: bool,
    /// Octets in kanji that are none.
    strays: usize,
}

impl Reader {
    /// Reads what begins with `byte`; how many octets that were.
    fn step(&mut self, byte: u8, rest: &[u8]) -> usize {
        match (byte, self.set) {
            (0x1b, _) => {
                let known = ESCAPES.iter().find(|(escape, _)| rest.starts_with(escape));
                self.shift(known.map_or(self.set, |(_, set)| *set));
                1 + known.map_or(0, |(escape, _)| escape.len())
            }
            (0x0e, _) => self.shift(Set::Kana),
            (0x0f, _) => self.shift(Set::Ascii),
            // A line begins in ASCII (RFC 1468); who forgot to shift back meant to.
            (b'\n', _) => {
                self.shift(Set::Ascii);
                self.out.push('\n');
                1
            }
            (0x80.., _) => self.eight_bit(byte, rest),
            (0x21..=0x7e, Set::Kanji | Set::Further) => match rest.first() {
                Some(second @ 0x21..=0x7e) => self.pair(byte, *second),
                _ => self.stray(byte),
            },
            (b' ' | b'\t', Set::Kanji | Set::Further) => self.stray(byte),
            (0x21..=0x5f, Set::Kana) => {
                self.character(char::from_u32(0xff40 + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            _ => self.character(char::from(byte)),
        }
    }

    fn stray(&mut self, byte: u8) -> usize {
        self.strays += 1;
        self.character(char::from(byte))
    }

    fn shift(&mut self, set: Set) -> usize {
        self.flush();
        self.set = set;
        1
    }

    fn character(&mut self, c: char) -> usize {
        self.flush();
        self.out.push(c);
        1
    }

    fn pair(&mut self, first: u8, second: u8) -> usize {
        if self.set == Set::Further {
            self.pending.extend([0x8f, first | 0x80, second | 0x80]);
        } else {
            let lead = (first - 0x21) / 2 + 0x81;
            let lead = if lead > 0x9f { lead + 0x40 } else { lead };
            let trail = match (first % 2, second) {
                (1, 0x60..) => second + 0x20,
                (1, _) => second + 0x1f,
                _ => second + 0x7e,
            };
            self.pending.extend([lead, trail]);
        }
        2
    }

    /// No octet of ISO-2022-JP has the eighth bit: something else up to the next escape or line.
    fn eight_bit(&mut self, byte: u8, rest: &[u8]) -> usize {
        self.flush();
        let end = rest.iter().position(|byte| matches!(byte, 0x1b | b'\n')).unwrap_or(rest.len());
        let mut run = vec![byte];
        run.extend(rest.get(..end).unwrap_or_default());
        let is_kana = |run: &[u8]| run.iter().all(|byte| *byte < 0x80 || (0xa1..=0xdf).contains(byte));
        match std::str::from_utf8(&run) {
            _ if self.has_escapes && is_kana(&run) => {
                self.out.push_str(&SHIFT_JIS.decode_without_bom_handling(&run).0);
            }
            Ok(text) => self.out.push_str(text),
            Err(_) => self.out.push_str(&guess::japanese(&run, SHIFT_JIS)),
        }
        run.len()
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let encoding = if self.set == Set::Further { EUC_JP } else { SHIFT_JIS };
            self.out.push_str(&encoding.decode_without_bom_handling(&self.pending).0);
            self.pending.clear();
        }
    }
}

/// ISO-2022-KR: SO to Korean, SI back.
#[must_use]
pub fn korean(octets: &[u8]) -> String {
    let mut wide = false;
    let mut plain = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            0x1b => rest = behind.strip_prefix(b"$)C").unwrap_or(behind),
            0x0e => wide = true,
            0x0f => wide = false,
            0x21..=0x7e if wide => plain.push(byte | 0x80),
            byte => plain.push(*byte),
        }
    }
    EUC_KR.decode_without_bom_handling(&plain).0.into_owned()
}

/// HZ: `~{` to Chinese, `~}` back.
#[must_use]
pub fn hz(octets: &[u8]) -> String {
    let mut wide = false;
    let mut plain = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind.first()) {
            (b'~', Some(b'{')) => wide = true,
            (b'~', Some(b'}')) => wide = false,
            (b'~', Some(b'~')) => plain.push(b'~'),
            (b'~', Some(b'\n')) => {}
            (byte, _) => {
                plain.push(if wide && (0x21..=0x7e).contains(byte) { byte | 0x80 } else { *byte });
                continue;
            }
        }
        rest = behind.get(1..).unwrap_or_default();
    }
    GBK.decode_without_bom_handling(&plain).0.into_owned()
}
