//! Functions about the text.

use std::collections::HashSet;

use super::real;
use crate::message::specimen::PartKind;
use crate::scan::spamassassin::html;
use crate::scan::spamassassin::mail::Mail;
use crate::signatures::spamassassin::eval::Call;

pub fn length(mail: &Mail<'_>) -> f64 {
    real(mail.specimen.raw.len().saturating_sub(mail.specimen.body))
}

/// Share of lines that are blank, in percent, if there are enough lines.
pub fn blank_lines(mail: &Mail<'_>, call: &Call) -> bool {
    let (mut blank, mut all) = (0_usize, 0_usize);
    for line in mail.raw_body.iter().flat_map(|chunk| chunk.split_inclusive(|octet| *octet == b'\n')) {
        all += 1;
        blank += usize::from(line.iter().all(u8::is_ascii_whitespace));
    }
    if all == 0 || real(all) < call.number(2).unwrap_or(0.0) {
        return false;
    }
    let share = 100.0 * real(blank) / real(all);
    let (min, max) = (call.number(0).unwrap_or(0.0), call.number(1).unwrap_or(100.0));
    (share <= max && (min <= 0.0 || share > min)) || (min >= 100.0 && share >= 100.0)
}

pub fn eight_bits(mail: &Mail<'_>) -> bool {
    mail.body.iter().any(|line| line.split(|octet| *octet < 0x80).any(|run| run.len() >= 8))
}

/// Share of capitals among the letters, in percent, of a text of some length.
pub fn uppercase(mail: &Mail<'_>, call: &Call) -> bool {
    let (mut upper, mut lower) = (0_usize, 0_usize);
    for octet in mail.body.iter().flatten() {
        upper += usize::from(octet.is_ascii_uppercase());
        lower += usize::from(octet.is_ascii_lowercase());
    }
    if upper + lower < 200 {
        return false;
    }
    let share = 100.0 * real(upper) / real(upper + lower);
    share > call.number(0).unwrap_or(0.0) && share <= call.number(1).unwrap_or(100.0)
}

/// Words that letters about shares are made of, by kind: how many kinds.
pub fn stock_info(mail: &Mail<'_>, call: &Call) -> bool {
    let text: Vec<u8> = mail.body.concat().to_ascii_lowercase();
    let has = |word: &str| memchr::memmem::find(&text, word.as_bytes()).is_some();
    let fields = ["symbol:", "price:", "target:", "company name", "ticker:", "current price", "52 week", "short term"];
    let found = fields.iter().filter(|field| has(field)).count();
    real(found) >= call.number(0).unwrap_or(2.0) && has("symbol")
}

/// Long text almost without blanks, in percent.
pub fn vertical_words(mail: &Mail<'_>, call: &Call) -> bool {
    let (mut blanks, mut all) = (0_usize, 0_usize);
    for octet in mail.body.iter().skip(1).flatten() {
        blanks += usize::from(octet.is_ascii_whitespace());
        all += 1;
    }
    if all < 2_000 {
        return false;
    }
    let share = if all == 0 { 0.0 } else { 100.0 * real(blanks) / real(all) };
    all > 0 && share >= call.number(0).unwrap_or(0.0) && share < call.number(1).unwrap_or(100.0)
}

/// Of plain texts, or of the signatures behind `-- `.
pub fn plain_length(mail: &Mail<'_>, call: &Call, signature: bool) -> bool {
    let plain = mail.specimen.parts.iter().find(|part| part.kind == PartKind::Text);
    let Some(text) = plain.and_then(|part| part.text.as_deref()) else { return false };
    let text = text.replace("\r\n", "\n");
    let Some((before, after)) =
        text.split_once("\n-- \n").or_else(|| text.strip_prefix("-- \n").map(|after| ("", after)))
    else {
        return false;
    };
    let chosen = if signature { after } else { before };
    let length = real(chosen.trim().len());
    length >= call.number(0).unwrap_or(0.0) && length <= call.number(1).unwrap_or(f64::INFINITY)
}

/// How much of the words of a plain alternative the HTML lacks, in percent; and words of HTML for each plain one.
pub fn alternative_difference(mail: &Mail<'_>) -> (f64, f64) {
    let (mut worst, mut most) = (0.0_f64, 0.0_f64);
    let parts = &mail.specimen.parts;
    for (index, _) in parts.iter().enumerate().filter(|(_, part)| &*part.content_type == "multipart/alternative") {
        let (mut plain, mut markup) = (HashSet::new(), HashSet::new());
        for part in parts.iter().filter(|part| part.parent == Some(index)) {
            let Some(text) = part.text.as_deref() else { continue };
            match part.kind {
                PartKind::Html => words(&html::read(text).text, &mut markup),
                PartKind::Text => words(text, &mut plain),
                _ => {}
            }
        }
        if plain.is_empty() || markup.is_empty() {
            continue;
        }
        let lacking = markup.difference(&plain).count();
        worst = worst.max(100.0 * real(lacking) / real(markup.len()));
        most = most.max(real(markup.len()) / real(plain.len()));
    }
    (worst, most)
}

fn words(text: &str, all: &mut HashSet<String>) {
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 1).take(20_000) {
        all.insert(word.to_owned());
    }
}
