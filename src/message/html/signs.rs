//! Small judgements on attributes, scripts and characters.

use std::borrow::Cow;

use super::MAX_ADDRESS;
use super::entities::{Place, decode};
use super::style::{Paint, paint};

/// `bgcolor=ffffff` has no number sign.
pub fn bare_colour(value: &str) -> Paint {
    let value = value.trim_ascii();
    match paint(value) {
        Paint::Unknown if value.len() == 6 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            paint(&format!("#{value}"))
        }
        known => known,
    }
}

/// References decoded; without the blanks, line ends and tabs that browsers take out, too; bounded.
pub fn address(value: &str) -> Box<str> {
    // Blanks that are written as references come in any number, too: all of it is decoded before anything is cut.
    let decoded = decode(value, Place::Attribute);
    let trimmed = decoded.trim_matches(|c: char| c <= ' ');
    if trimmed.contains(['\n', '\r', '\t']) {
        let clean = trimmed.chars().filter(|c| !matches!(c, '\n' | '\r' | '\t')).collect::<String>();
        shortened(&clean).into()
    } else {
        shortened(trimmed).into()
    }
}

/// At most [`MAX_ADDRESS`] octets, its host among them: what stands before the host (user and password) is left out where it is
/// long.
pub fn shortened(address: &str) -> Cow<'_, str> {
    if address.len() <= MAX_ADDRESS {
        return Cow::Borrowed(address);
    }
    let cut = |text: &str| text.get(..text.floor_char_boundary(MAX_ADDRESS)).unwrap_or_default().to_owned();
    let Some((scheme, rest)) = address.split_once(':').filter(|(scheme, _)| scheme.len() <= 24) else {
        return Cow::Owned(cut(address));
    };
    let behind = rest.trim_start_matches(['/', '\\']);
    let authority = behind.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    match authority.rfind('@').filter(|_| behind.len() < rest.len()) {
        Some(at) => {
            let host = behind.get(at + 1..).unwrap_or_default();
            Cow::Owned(cut(&format!(
                "{scheme}://{}",
                host.get(..host.floor_char_boundary(MAX_ADDRESS)).unwrap_or_default()
            )))
        }
        None => Cow::Owned(cut(address)),
    }
}

/// An address whose content is in the mail itself.
pub fn is_made_here(address: &str) -> bool {
    ["data:", "blob:", "javascript:", "vbscript:"].iter().any(|scheme| {
        address.as_bytes().get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    })
}

/// Whether a style makes an image as small as a pixel.
pub fn is_pixel(style: &str) -> bool {
    style.split(';').filter_map(|declaration| declaration.split_once(':')).any(|(name, value)| {
        let (name, value) = (name.trim_ascii(), value.trim_ascii());
        let side = name.eq_ignore_ascii_case("width") || name.eq_ignore_ascii_case("height");
        let gone = name.eq_ignore_ascii_case("display") && value.eq_ignore_ascii_case("none");
        gone || (side && (matches!(value, "0" | "0px" | "1px") || value.starts_with("0 ") || value.starts_with("1px ")))
    })
}

/// Whether a script makes a file, or writes a page that was packed.
pub fn smuggles(script: &str) -> bool {
    let holds =
        |words: &[&str]| words.iter().any(|word| memchr::memmem::find(script.as_bytes(), word.as_bytes()).is_some());
    let unpacks = holds(&["atob", "fromCharCode", "charCodeAt", "unescape", "decodeURIComponent", "Uint8Array"]);
    let gives = holds(&["createObjectURL", "msSaveOrOpenBlob", "msSaveBlob", "new Blob", "new File("]);
    let writes = holds(&["document.write", "innerHTML", "outerHTML", "eval(", "location.href", "location.replace"]);
    gives || (unpacks && writes)
}

/// Letters with something between them that has no width.
pub fn invisible_in_words(text: &str) -> u16 {
    // All of them begin with these octets.
    if memchr::memchr3(0xe2, 0xef, 0xcd, text.as_bytes()).is_none() {
        return 0;
    }
    let mut count = 0u16;
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{34f}');
        if invisible && before.is_ascii_alphabetic() && chars.peek().is_some_and(char::is_ascii_alphabetic) {
            count = count.saturating_add(1);
        }
        before = c;
    }
    count
}
