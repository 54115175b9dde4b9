//! Words that may be the password of a file: those of the mail, and those that everybody uses.
//!
//! **Invariants**: at most [`MAX_WORDS`] of the mail, each once; the likeliest first, because slow formats get only a few
//! tries. Nothing is gathered before the first file asks: most mail has none with a password.

use std::cell::OnceCell;
use std::collections::HashSet;

use crate::message::specimen::{Specimen, TextSource};

/// Words in all.
const MAX_WORDS: usize = 120;
/// Characters of a word.
const MAX_LENGTH: usize = 64;
/// Octets of each text that are read.
const MAX_TEXT: usize = 64 << 10;

/// What stands beside a password, in lower case.
const HINTS: &[&str] = &[
    "password",
    "passwort",
    "passcode",
    "passwd",
    "pass:",
    "pass is",
    "pw:",
    "pwd",
    "pin:",
    "pin code",
    "unlock",
    "mot de passe",
    "contraseña",
    "парол",
    "пароль",
    "パスワード",
    "ﾊﾟｽﾜｰﾄﾞ",
    "ぱすわーど",
    "解凍",
    "開封",
    "暗証",
    "密码",
    "密碼",
    "암호",
    "비밀번호",
];
/// In use everywhere. The first one opens Excel's files without asking.
const USUAL: &[&str] = &[
    "VelvetSweatshop",
    "infected",
    "password",
    "1234",
    "123456",
    "12345",
    "virus",
    "malware",
    "0000",
    "1111",
    "123",
    "111",
    "777",
    "2020",
    "2021",
    "2022",
    "2023",
    "2024",
    "2025",
    "2026",
    "abc123",
    "qwerty",
    "admin",
    "test",
    "secret",
    "pass",
    "12345678",
    "4321",
    "9999",
    "invoice",
    "document",
    "open",
];

/// What may open the files of one message.
#[derive(Debug, Default)]
pub struct Passwords<'p> {
    /// The operator's, tried last.
    own: &'p [Box<str>],
    all: OnceCell<Box<[Box<str>]>>,
}

impl<'p> Passwords<'p> {
    /// The words of the mail, then these.
    #[must_use]
    pub fn of_mail_and(own: &'p [Box<str>]) -> Self {
        Self { own, all: OnceCell::new() }
    }

    /// These, whatever the mail says.
    #[must_use]
    pub fn only(words: &[Box<str>]) -> Self {
        Self { own: &[], all: OnceCell::from(Box::from(words)) }
    }

    /// The likeliest first. Texts of files don't count, so it does not matter when the first file asks.
    pub(super) fn of(&self, specimen: &Specimen) -> &[Box<str>] {
        self.all.get_or_init(|| words(specimen).into_iter().chain(self.own.iter().cloned()).collect())
    }
}

/// The words to try on encrypted files of this message, the likeliest first.
fn words(specimen: &Specimen) -> Vec<Box<str>> {
    let mut words = Words::default();
    let subject = specimen.subject();
    let of_mail = specimen.texts.iter().filter(|text| text.source != Some(TextSource::File));
    let texts: Vec<&str> = std::iter::once(subject).chain(of_mail.map(|text| start_of(&text.visible))).collect();
    for text in &texts {
        let mut near = 0;
        for line in text.lines() {
            let lower = line.to_lowercase();
            if let Some(at) = HINTS.iter().filter_map(|hint| lower.find(hint).map(|at| at + hint.len())).min() {
                // What follows the hint first, then the rest of the line.
                words.add_all(lower_tail(line, &lower, at));
                words.add_all(line);
                near = 2;
            } else if near > 0 && !line.trim().is_empty() {
                words.add_all(line);
                near -= 1;
            }
        }
    }
    for usual in USUAL.iter().take(3) {
        words.add(usual);
    }
    let names: Vec<String> =
        specimen.parts.iter().flat_map(|part| part.names.iter()).map(|name| name.to_string()).collect();
    for name in &names {
        let stem = name.rsplit_once('.').map_or(&**name, |(stem, _)| stem);
        words.add(stem);
        words.add_all(stem);
    }
    for usual in USUAL {
        words.add(usual);
    }
    // Words with digits are likelier than plain ones.
    for with_digits in [true, false] {
        for text in &texts {
            for word in split(text)
                .filter(|word| word.len() >= 4 && word.bytes().any(|octet| octet.is_ascii_digit()) == with_digits)
            {
                words.add(word);
            }
        }
    }
    words.found
}

fn start_of(text: &str) -> &str {
    let mut end = MAX_TEXT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The tail of `line` that its lower-case form has from `at` on; the whole line where the two differ in length.
fn lower_tail<'l>(line: &'l str, lower: &str, at: usize) -> &'l str {
    if line.len() == lower.len() { line.get(at..).unwrap_or(line) } else { line }
}

#[derive(Default)]
struct Words {
    found: Vec<Box<str>>,
    known: HashSet<Box<str>>,
}

impl Words {
    fn add(&mut self, word: &str) {
        let word = word.trim();
        if word.is_empty() || word.chars().count() > MAX_LENGTH || self.found.len() >= MAX_WORDS {
            return;
        }
        if self.known.insert(word.into()) {
            self.found.push(word.into());
        }
    }

    fn add_all(&mut self, text: &str) {
        for word in split(text) {
            self.add(word);
            // The stop of the sentence is no part of it, but may be.
            self.add(word.trim_end_matches(['.', ',', '!', '?', ';']));
        }
    }
}

/// By blanks, brackets, quotes and Japanese punctuation; Japanese letters end a word of ASCII.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '"' | '\''
                    | '“'
                    | '”'
                    | '‘'
                    | '’'
                    | '「'
                    | '」'
                    | '『'
                    | '』'
                    | '【'
                    | '】'
                    | '（'
                    | '）'
                    | '('
                    | ')'
                    | '<'
                    | '>'
                    | '['
                    | ']'
                    | '、'
                    | '。'
                    | '：'
                    | ':'
                    | '='
                    | '＝'
                    | '，'
            )
    });
    parts
        .flat_map(|part| {
            part.split(|c: char| !c.is_ascii() && !c.is_alphabetic() || ('\u{3040}'..='\u{9fff}').contains(&c))
                .chain(std::iter::once(part))
        })
        .filter(|word| !word.is_empty() && word.len() <= 4 * MAX_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::specimen::Text;

    #[test]
    fn the_word_beside_the_hint_comes_first() {
        let mut specimen = Specimen::default();
        for visible in [
            "Dear all,\nplease see the file.\nPassword: Xy7-9z.\nRegards",
            "添付ファイルのパスワードは「seikyu2024」です。",
        ] {
            specimen.texts.push(Text { visible: visible.into(), ..Text::default() });
        }
        let words = words(&specimen);
        let place = |word: &str| words.iter().position(|one| &**one == word);
        assert!(place("Xy7-9z") < Some(4), "{words:?}");
        assert!(place("seikyu2024").is_some_and(|place| place < 16), "{words:?}");
        assert!(place("infected").is_some());
        assert!(words.len() <= MAX_WORDS);
    }
}
