//! Writes fields and texts: folding, encoded words (RFC 2047), quoted-printable and base64 (RFC 2045).
//!
//! **Invariants**: what is written is ASCII in lines of at most 998 octets, mostly 78; no control character gets in from outside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where lines are folded.
const WIDTH: usize = 78;
/// Octets of one encoded word before they are encoded: 75 with all around it, less the name of the field.
const WORD: usize = 39;
/// Of a word that can't be folded.
const LONGEST_WORD: usize = 900;

/// `Name: value`, folded at blanks.
pub fn push_field(out: &mut String, name: &str, value: &str) {
    let clean = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    out.extend(name.chars().filter(|c| c.is_ascii_graphic() && *c != ':'));
    out.push(':');
    let mut width = name.len() + 1;
    for (index, word) in value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).enumerate() {
        if width + word.len() + 1 > WIDTH && index > 0 {
            out.push_str("\r\n\t");
            width = 1;
        } else {
            out.push(' ');
            width += 1;
        }
        // All of it is ASCII by then.
        let before = out.len();
        if word.len() <= LONGEST_WORD && word.bytes().all(|octet| octet.is_ascii_graphic()) {
            out.push_str(word);
        } else {
            out.extend(word.chars().take(LONGEST_WORD).map(clean));
        }
        width += out.len() - before;
    }
    out.push_str("\r\n");
}

/// A subject: as it is if that is possible, otherwise in UTF-8 encoded words, folded.
#[must_use]
pub fn subject(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2_000).collect();
    let plain = text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) && !text.contains("=?");
    if plain && text.split(' ').all(|word| word.len() < LONGEST_WORD) {
        let mut line = String::new();
        push_field(&mut line, "Subject", &text);
        // Blanks run together only where the line is too long for one.
        let fits = text.len() + 9 <= WIDTH;
        return if fits { text } else { line.trim_start_matches("Subject: ").trim_end().to_owned() };
    }
    let mut words = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = (0..=WORD.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = behind;
    }
    words.join("\r\n ")
}

/// A text as the body of a part, and the name of its encoding.
#[must_use]
pub fn text(text: &str) -> (&'static str, Vec<u8>) {
    let text = canonical(text);
    let wide = text.bytes().filter(|byte| !byte.is_ascii()).count();
    if wide * 6 > text.len() {
        ("base64", base64(text.as_bytes()))
    } else {
        ("quoted-printable", quoted_printable(&text))
    }
}

/// Lines end in CRLF.
fn canonical(text: &str) -> String {
    text.replace("\r\n", "\n").replace(['\r', '\n'], "\r\n")
}

fn base64(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() / 57 * 78 + 80);
    for (index, line) in octets.chunks(57).enumerate() {
        if index > 0 {
            out.extend(b"\r\n");
        }
        out.extend(STANDARD.encode(line).into_bytes());
    }
    out
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    for (index, line) in text.split("\r\n").enumerate() {
        if index > 0 {
            out.extend(b"\r\n");
        }
        let mut width = 0;
        for (at, byte) in line.bytes().enumerate() {
            let last = at + 1 == line.len();
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !last);
            let needs = if plain { 1 } else { 3 };
            if width + needs > 75 {
                out.extend(b"=\r\n");
                width = 0;
            }
            if plain {
                out.push(byte);
            } else {
                out.extend(format!("={byte:02X}").into_bytes());
            }
            width += needs;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{mime::transfer, words};

    #[test]
    fn subjects_read_back() {
        let long = "長い件名".repeat(40);
        for text in ["plain", "[SPAM] 迷惑メール", &long, "a =?utf-8?Q?b?=", &"word ".repeat(60)] {
            let written = subject(text);
            assert!(written.is_ascii() && written.split("\r\n").all(|line| line.len() <= 78), "{written}");
            assert_eq!(
                words::decode(written.as_bytes(), None).trim().replace("  ", " ").replace('\t', " "),
                text.trim()
            );
        }
        assert!(!subject("a\r\nBcc: x").contains('\r'));
    }

    #[test]
    fn texts_read_back() {
        for plain in
            ["a = b \nc\t\n\nd", "迷惑メール\n\n確認", &"x".repeat(300), "", "é and much more of plain ASCII text\n"]
        {
            let (name, body) = text(plain);
            let transfer = transfer::Transfer::named(name);
            let back = transfer::decode(&body.clone().into(), transfer);
            assert_eq!(String::from_utf8_lossy(&back.octets).replace("\r\n", "\n"), plain);
            assert!(body.split(|byte| *byte == b'\n').all(|line| line.len() <= 77));
        }
    }

    #[test]
    fn fields_are_folded() {
        let mut out = String::new();
        push_field(&mut out, "X-Sekisho-Verdict", &"word, ".repeat(40));
        assert!(out.lines().all(|line| line.len() <= 78) && out.lines().skip(1).all(|line| line.starts_with('\t')));
        out.clear();
        push_field(&mut out, "X-A", "b\r\nBcc: c é");
        assert_eq!(out, "X-A: b Bcc: c ?\r\n");
    }
}
