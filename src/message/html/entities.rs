//! Character references in HTML (WHATWG HTML section 13.2.5.72 and following).
//!
//! **Failure**: what is no reference stays as it is written.

use std::borrow::Cow;

use html5ever::data;

/// Longest name of a reference without its semicolon.
const MAX_NAME: usize = 31;
/// Longest name that counts without a semicolon.
const MAX_OLD_NAME: usize = 6;

/// Where the reference stands: in an attribute `&copy=1` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Text,
    Attribute,
}

/// Replaces the references.
#[must_use]
pub fn decode(written: &str, place: Place) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', written.as_bytes()) else { return Cow::Borrowed(written) };
    let mut out = String::with_capacity(written.len());
    out.push_str(written.get(..first).unwrap_or_default());
    let mut rest = written.get(first..).unwrap_or_default();
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        let (before, reference) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let used = one(reference, place, &mut out);
        if used == 0 {
            out.push('&');
        }
        rest = reference.get(used.max(1)..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Writes the characters of the reference at the start and returns its length; 0 if it is none.
fn one(reference: &str, place: Place, out: &mut String) -> usize {
    let bytes = reference.as_bytes();
    if bytes.get(1) == Some(&b'#') {
        return number(bytes, out);
    }
    let length = bytes.iter().skip(1).take(MAX_NAME + 1).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if length == 0 {
        return 0;
    }
    if bytes.get(1 + length) == Some(&b';')
        && let Some(characters) = reference.get(1..length + 2).and_then(|name| data::NAMED_ENTITIES.get(name))
        && push(*characters, out)
    {
        return length + 2;
    }
    for short in (2..=length.min(MAX_OLD_NAME)).rev() {
        let next = bytes.get(1 + short).copied().unwrap_or_default();
        if place == Place::Attribute && (next == b'=' || next.is_ascii_alphanumeric()) {
            continue;
        }
        if let Some(characters) = reference.get(1..=short).and_then(|name| data::NAMED_ENTITIES.get(name))
            && push(*characters, out)
        {
            return 1 + short;
        }
    }
    0
}

/// Prefixes of names are in the table, too, with nothing behind them.
fn push((first, second): (u32, u32), out: &mut String) -> bool {
    let Some(character) = char::from_u32(first).filter(|_| first != 0) else { return false };
    out.push(character);
    out.extend(char::from_u32(second).filter(|_| second != 0));
    true
}

fn number(bytes: &[u8], out: &mut String) -> usize {
    let (radix, from) = if matches!(bytes.get(2), Some(b'x' | b'X')) { (16, 3) } else { (10, 2) };
    let mut value: u32 = 0;
    let mut at = from;
    while let Some(digit) = bytes.get(at).and_then(|byte| char::from(*byte).to_digit(radix)) {
        value = value.saturating_mul(radix).saturating_add(digit);
        at += 1;
    }
    if at == from {
        return 0;
    }
    let windows =
        value.checked_sub(0x80).and_then(|index| data::C1_REPLACEMENTS.get(index as usize).copied().flatten());
    let character = windows.or_else(|| char::from_u32(value)).filter(|_| value != 0);
    out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    at + usize::from(bytes.get(at) == Some(&b';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_characters() {
        for (written, text, attribute) in [
            ("a &amp; b", "a & b", "a & b"),
            ("&lt;&#x3042;&#12354&#X41;", "<ああA", "<ああA"),
            ("&copy=1&copy2", "©=1©2", "&copy=1&copy2"),
            ("&nosuch; & &; &#; &#x;", "&nosuch; & &; &#; &#x;", "&nosuch; & &; &#; &#x;"),
            ("&#0;&#99999999999;&#128;", "\u{fffd}\u{fffd}€", "\u{fffd}\u{fffd}€"),
            ("&notit;&amp", "¬it;&", "&notit;&"),
            ("日&nbsp;本&zwnj;", "日\u{a0}本\u{200c}", "日\u{a0}本\u{200c}"),
        ] {
            assert_eq!(decode(written, Place::Text), text);
            assert_eq!(decode(written, Place::Attribute), attribute);
        }
    }
}
