//! Octets to Unicode, whatever charset the mail claims: Japanese mail in particular says one and uses another.
//!
//! **Failure**: nothing fails; what has no character becomes U+FFFD.
//! **Invariants**: linear; at most three characters' octets out for each octet in.

mod guess;
mod iso2022;

use std::borrow::Cow;

use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use mail_parser::decoders::charsets::map::charset_decoder;

/// What a label stands for.
enum Claim {
    /// None, ASCII, or a word that nobody knows.
    Nothing,
    Known(&'static Encoding),
    /// Seven-bit Japanese (RFC 1468) and what Microsoft made of it.
    Iso2022Jp,
    Iso2022Kr,
    HzGb,
    /// Without saying which octet comes first.
    Utf16,
    /// Of those that browsers dropped: UTF-7 and the like.
    Old(fn(&[u8]) -> String),
}

fn claim(label: Option<&str>) -> Claim {
    let Some(label) = label else { return Claim::Nothing };
    let label = label.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
    match label.as_str() {
        "" | "us-ascii" | "ascii" | "ansi_x3.4-1968" | "7bit" | "8bit" | "unknown-8bit" | "x-unknown" | "default" => {
            Claim::Nothing
        }
        "utf-16" | "utf16" | "unicode" | "ucs-2" | "iso-10646-ucs-2" => Claim::Utf16,
        "iso-2022-kr" | "csiso2022kr" => Claim::Iso2022Kr,
        "hz-gb-2312" | "hz" => Claim::HzGb,
        "cp932" | "ms932" | "windows-932" | "cp943" | "cp943c" | "shiftjis" | "x-shiftjis" | "ms_kanji"
        | "sjis-win" => Claim::Known(SHIFT_JIS),
        "eucjp" | "eucjp-ms" | "eucjp-win" | "cp51932" | "ujis" | "x-euc" => Claim::Known(EUC_JP),
        "utf8" | "utf_8" | "utf8mb4" | "cp65001" => Claim::Known(UTF_8),
        label if is_iso2022jp(label) => Claim::Iso2022Jp,
        label => match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(known) => Claim::Known(known),
            None if label.len() <= 40 => charset_decoder(label.as_bytes()).map_or(Claim::Nothing, Claim::Old),
            None => Claim::Nothing,
        },
    }
}

fn is_iso2022jp(label: &str) -> bool {
    ["iso-2022-jp", "iso2022-jp", "iso2022jp", "csiso2022jp", "cp5022", "jis", "x-jis"]
        .iter()
        .any(|start| label.strip_prefix(start).is_some_and(|rest| !rest.contains("cn")))
}

/// What mail programs make of the octets of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// What most of them show.
    pub text: String,
    /// What the others show, where label, mark and escapes disagree.
    pub other: Option<String>,
    /// They disagree in a way that no honest program brings about.
    pub is_odd: bool,
}

impl Reading {
    fn sure(text: String) -> Self {
        Self { text, other: None, is_odd: false }
    }
}

/// The text of a part, in the likeliest reading.
#[must_use]
pub fn decode(octets: &[u8], label: Option<&str>) -> String {
    read(octets, label).text
}

/// The text of a part.
#[must_use]
pub fn read(octets: &[u8], label: Option<&str>) -> Reading {
    let claim = claim(label);
    let Some((encoding, mark)) = Encoding::for_bom(octets) else { return unmarked(octets, &claim) };
    let rest = octets.get(mark..).unwrap_or_default();
    let text = encoding.decode_without_bom_handling(rest).0.into_owned();
    let agrees = match claim {
        Claim::Known(known) => known == encoding,
        Claim::Utf16 => encoding != UTF_8,
        // A text in UTF-16 has its zeros; without them it is another text behind a false mark.
        Claim::Nothing => encoding == UTF_8 || memchr::memchr_iter(0, rest).count() * 8 > rest.len(),
        Claim::Iso2022Jp | Claim::Iso2022Kr | Claim::HzGb | Claim::Old(_) => false,
    };
    if agrees && !(encoding == UTF_8 && iso2022::has_escapes(rest)) {
        return Reading::sure(text);
    }
    // Programs differ on which of the two counts, the mark or the label.
    let other = unmarked(rest, &claim).text;
    if other == text || (encoding == UTF_8 && is_same_but_for_wide(&text, &other)) {
        return Reading::sure(text);
    }
    Reading { text, other: Some(other), is_odd: true }
}

/// Whether both differ in what isn't ASCII alone: the label of a text in UTF-8 is wrong, and all can see it.
fn is_same_but_for_wide(one: &str, other: &str) -> bool {
    fn ascii(text: &str) -> impl Iterator<Item = char> {
        text.chars().filter(char::is_ascii)
    }
    ascii(one).eq(ascii(other))
}

/// Without a mark of its own.
fn unmarked(octets: &[u8], claim: &Claim) -> Reading {
    match claim {
        Claim::Utf16 => Reading::sure(utf16(octets)),
        Claim::Known(encoding) if *encoding == UTF_16LE || *encoding == UTF_16BE => {
            Reading::sure(encoding.decode_without_bom_handling(octets).0.into_owned())
        }
        Claim::Old(decoder) if octets.is_ascii() => Reading::sure(decoder(octets)),
        Claim::Iso2022Kr => Reading::sure(iso2022::korean(octets)),
        Claim::HzGb if octets.is_ascii() => Reading::sure(iso2022::hz(octets)),
        Claim::Iso2022Jp => {
            let read = iso2022::japanese(octets);
            // Strict programs stay in kanji where ours goes back to letters.
            let strict =
                read.is_odd.then(|| encoding_rs::ISO_2022_JP.decode_without_bom_handling(octets).0.into_owned());
            Reading { text: read.text, other: strict, is_odd: read.is_odd }
        }
        // Without its escapes a text of kanji is a row of letters: nobody writes these by chance. Who goes by the label
        // shows the letters.
        _ if iso2022::has_escapes(octets) => {
            let read = iso2022::japanese(octets);
            let is_japanese = |known: &&'static Encoding| [SHIFT_JIS, EUC_JP].contains(known);
            let labelled = matches!(claim, Claim::Known(known) if !is_japanese(known));
            let other = (labelled || read.is_odd).then(|| plain(octets, claim));
            Reading { text: read.text, other, is_odd: read.is_odd }
        }
        _ => Reading::sure(plain(octets, claim)),
    }
}

/// By the label as far as the octets bear it out; escapes are no more than characters.
fn plain(octets: &[u8], claim: &Claim) -> String {
    match (std::str::from_utf8(octets), claim) {
        (Ok(text), _) => text.to_owned(),
        (Err(_), Claim::Known(encoding)) => known(octets, encoding),
        (Err(_), Claim::Old(decoder)) => decoder(octets),
        (Err(_), _) => guess::decode(octets),
    }
}

/// A charset that is known, if the octets bear it out.
fn known(octets: &[u8], encoding: &'static Encoding) -> String {
    if encoding == UTF_8 {
        let text = String::from_utf8_lossy(octets);
        let (mut bad, mut good) = (0_usize, 0_usize);
        for c in text.chars().filter(|c| !c.is_ascii()) {
            if c == char::REPLACEMENT_CHARACTER { bad += 1 } else { good += 1 }
        }
        // Cut in the middle of a character, or with a stray octet.
        return if bad * 4 <= good { text.into_owned() } else { guess::decode(octets) };
    }
    if encoding == SHIFT_JIS || encoding == EUC_JP {
        return guess::japanese(octets, encoding);
    }
    let (text, broken) = encoding.decode_without_bom_handling(octets);
    if broken && !encoding.is_single_byte() && is_mostly_broken(&text) {
        return guess::decode(octets);
    }
    text.into_owned()
}

fn is_mostly_broken(text: &str) -> bool {
    let wide = text.chars().filter(|c| !c.is_ascii()).count();
    text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count() * 4 > wide
}

/// By where the zeros are.
fn utf16(octets: &[u8]) -> String {
    let zeros = |odd: usize| octets.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let encoding = if zeros(0) >= zeros(1) { UTF_16BE } else { UTF_16LE };
    encoding.decode_without_bom_handling(octets).0.into_owned()
}

/// A header field's raw octets; `hint` is the charset that the rest of the message uses.
#[must_use]
pub fn decode_header<'o>(octets: &'o [u8], hint: Option<&str>) -> Cow<'o, str> {
    match std::str::from_utf8(octets) {
        Ok(text) if memchr::memchr(0x1b, octets).is_none() => Cow::Borrowed(text),
        _ => {
            // A charset of one octet fits everything: it says nothing.
            let hint = hint.filter(|label| {
                !matches!(claim(Some(label)), Claim::Known(known) if known.is_single_byte() || known == WINDOWS_1252)
            });
            Cow::Owned(decode(octets, hint))
        }
    }
}

/// A file's name, in each way it may be read: the likeliest first.
#[must_use]
pub fn decode_name(octets: &[u8], label: Option<&str>) -> Vec<String> {
    match claim(label) {
        Claim::Utf16 => both_ends(octets),
        Claim::Known(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => both_ends(octets),
        _ => vec![decode(octets, label)],
    }
}

/// UTF-16 as it is likely, and the other way round.
#[must_use]
pub fn both_ends(octets: &[u8]) -> Vec<String> {
    let other = |encoding: &'static Encoding| encoding.decode_without_bom_handling(octets).0.into_owned();
    vec![utf16(octets), other(UTF_16BE), other(UTF_16LE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASE: &str = "迷惑メールの確認をお願いします";

    fn jis(text: &str) -> Vec<u8> {
        encoding_rs::ISO_2022_JP.encode(text).0.into_owned()
    }

    fn sjis(text: &str) -> Vec<u8> {
        SHIFT_JIS.encode(text).0.into_owned()
    }

    fn euc(text: &str) -> Vec<u8> {
        EUC_JP.encode(text).0.into_owned()
    }

    #[test]
    fn japanese_is_read_whatever_the_label_says() {
        let labels = [
            None,
            Some("us-ascii"),
            Some("iso-2022-jp"),
            Some("shift_jis"),
            Some("euc-jp"),
            Some("utf-8"),
            Some("x-y"),
        ];
        for label in labels {
            for octets in [jis(PHRASE), sjis(PHRASE), euc(PHRASE), PHRASE.as_bytes().to_vec()] {
                assert_eq!(decode(&octets, label), PHRASE, "{label:?} {octets:02x?}");
            }
        }
    }

    #[test]
    fn what_microsoft_added_to_iso_2022_jp() {
        // NEC row 13 (㈱, ℡, ①), NEC's selection of IBM's extensions (髙, 﨑), kana by escape and by the eighth bit.
        let row13 = b"\x1b$B-j-d-!\x1b(B";
        assert_eq!(decode(row13, Some("iso-2022-jp-ms")), "㈱℡①");
        let ibm: Vec<u8> = sjis("髙﨑");
        assert_eq!(decode(&ibm, Some("iso-2022-jp")), "髙﨑");
        assert_eq!(decode(b"\x1b(I6E\x1b(B", Some("iso-2022-jp")), "ｶﾅ");
        assert_eq!(decode(b"\x0e6E\x0f!", Some("iso-2022-jp")), "ｶﾅ!");
        assert_eq!(decode(b"abc \xb6\xc5 \x1b$B$\"\x1b(B", Some("cp50221")), "abc ｶﾅ あ");
    }

    #[test]
    fn other_charsets() {
        assert_eq!(decode(b"caf\xe9", Some("iso-8859-1")), "café");
        assert_eq!(decode("café €".as_bytes(), Some("iso-8859-1")), "café €");
        assert_eq!(decode(b"+AGEAYg-", Some("utf-7")), "ab");
        assert_eq!(decode(b"\0a\0b", Some("utf-16")), "ab");
        assert_eq!(decode(b"a\0b\0", Some("utf-16")), "ab");
        assert_eq!(decode(b"\xff\xfea\0", None), "a");
        assert_eq!(decode(b"\x1b$)C\x0e0!\x0f!", Some("iso-2022-kr")), "가!");
        assert_eq!(decode(b"~{<:Ky2;~}.", Some("hz-gb-2312")), "己所不.");
        assert_eq!(decode(b"plain", Some("no-such-charset")), "plain");
    }

    #[test]
    fn an_escape_hides_no_text_that_others_show() {
        let page = b"<!--\x1b$B-->Verify your account <a href=\"https://evil.example/\">here</a>";
        for label in [None, Some("utf-8"), Some("iso-8859-1"), Some("us-ascii")] {
            let read = read(page, label);
            assert!(read.is_odd, "{label:?}");
            assert!(read.other.is_some_and(|text| text.contains("Verify your account <a href")), "{label:?}");
        }
        // Nothing but kanji between the escapes: honest, and read once where no label says otherwise.
        for label in [None, Some("iso-2022-jp"), Some("us-ascii"), Some("shift_jis")] {
            assert_eq!(read(&jis(PHRASE), label), Reading::sure(PHRASE.into()), "{label:?}");
        }
        let mislabelled = read(&jis(PHRASE), Some("utf-8"));
        assert_eq!((mislabelled.text.as_str(), mislabelled.is_odd), (PHRASE, false));
        assert!(mislabelled.other.is_some());
    }

    #[test]
    fn a_kanji_shift_that_is_left_open_has_two_readings() {
        let read = read(b"\x1b$B$\"\n0a0b verify\x1b(B", Some("iso-2022-jp"));
        assert!(!read.is_odd, "a line begins in ASCII: {read:?}");
        let read = super::read(b"\x1b$B$\" verify your\x1b(B", Some("iso-2022-jp"));
        assert!(read.is_odd && read.other.is_some(), "{read:?}");
    }

    #[test]
    fn a_mark_and_a_label_that_disagree_are_both_read() {
        let page = b"\xff\xfe<html>Verify your account</html>";
        for label in [None, Some("iso-8859-1"), Some("utf-8")] {
            let read = read(page, label);
            assert!(read.is_odd, "{label:?}");
            assert!(read.other.is_some_and(|text| text.contains("Verify your account")), "{label:?}");
        }
        let honest: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("日本 text\r\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(read(&honest, None), Reading::sure("日本 text\r\n".into()));
        assert_eq!(read(&honest, Some("utf-16")), Reading::sure("日本 text\r\n".into()));
        let marked = "\u{feff}café".as_bytes();
        assert_eq!(read(marked, Some("iso-8859-1")), Reading::sure("café".into()));
    }

    #[test]
    fn a_cut_character_does_not_change_the_charset() {
        let text = "確認をお願いします".as_bytes();
        assert!(decode(&text[..text.len() - 1], Some("utf-8")).starts_with("確認をお願いしま"));
    }
}
