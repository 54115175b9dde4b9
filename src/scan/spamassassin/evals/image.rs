//! Functions about pictures.

use super::real;
use crate::scan::spamassassin::mail::Mail;
use crate::signatures::spamassassin::eval::{Call, Function};

/// One picture.
#[derive(Debug)]
struct Image {
    kind: &'static str,
    width: u64,
    height: u64,
    name: String,
}

/// All pictures of a message.
#[derive(Debug, Default)]
pub struct Images {
    list: Vec<Image>,
}

fn big(octets: &[u8], at: usize, length: usize) -> Option<u64> {
    octets.get(at..at + length).map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn little(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..at + 2).map(|bytes| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Kind, width and height.
fn measure(octets: &[u8]) -> Option<(&'static str, u64, u64)> {
    if octets.starts_with(b"GIF8") {
        return Some(("gif", little(octets, 6)?, little(octets, 8)?));
    }
    if octets.starts_with(b"\x89PNG") {
        return Some(("png", big(octets, 16, 4)?, big(octets, 20, 4)?));
    }
    if !octets.starts_with(&[0xFF, 0xD8]) {
        return None;
    }
    let mut at = 2;
    for _ in 0..200 {
        let (mark, kind) = (*octets.get(at)?, *octets.get(at + 1)?);
        if mark != 0xFF {
            return None;
        }
        if matches!(kind, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) {
            return Some(("jpeg", big(octets, at + 7, 2)?, big(octets, at + 5, 2)?));
        }
        at += 2 + usize::try_from(big(octets, at + 2, 2)?).ok()?;
    }
    None
}

impl Images {
    pub fn of(mail: &Mail<'_>) -> Self {
        let parts = mail.specimen.parts.iter().filter(|part| part.content_type.starts_with("image/"));
        let list = parts
            .filter_map(|part| {
                let (kind, width, height) = measure(&part.octets)?;
                let name = part.names.first().map(|name| name.to_string()).unwrap_or_default();
                Some(Image { kind, width, height, name })
            })
            .collect();
        Self { list }
    }

    #[allow(clippy::cast_precision_loss, reason = "areas are far below 2^52")]
    pub fn holds(&self, mail: &Mail<'_>, call: &Call) -> bool {
        let kind = call.text(0);
        let of_kind = || self.list.iter().filter(|image| kind == "all" || image.kind == kind);
        let area: u64 = of_kind().map(|image| image.width * image.height).sum();
        let between = |value: f64, min: usize, max: usize| {
            value >= call.number(min).unwrap_or(0.0) && value <= call.number(max).unwrap_or(f64::INFINITY)
        };
        match call.function {
            Function::ImageCount => between(real(of_kind().count()), 1, 2),
            Function::PixelCoverage => area > 0 && between(area as f64, 1, 2),
            Function::ImageSizeExact => of_kind()
                .any(|image| Some(image.height as f64) == call.number(1) && Some(image.width as f64) == call.number(2)),
            Function::ImageSizeRange => {
                of_kind().any(|image| between(image.height as f64, 1, 3) && between(image.width as f64, 2, 4))
            }
            Function::ImageToText => {
                let text: usize = mail.body.iter().map(Vec::len).sum();
                area > 0 && super::within(real(text) / area as f64, call.number(1), call.number(2))
            }
            _ => {
                let Some(pattern) = &call.pattern else { return false };
                self.list.iter().any(|image| pattern.surely_matches(image.name.as_bytes()))
            }
        }
    }
}
