//! xtext of RFC 3461 section 4, and the 7-bit form of UTF-8 addresses of RFC 6533 section 3.
//!
//! **Invariants**: what is decoded holds no control character, what is encoded is one printable ASCII word.
//! **Failure**: `None`; a value that doesn't decode is refused, never guessed at.

use bytes::BufMut;

/// Undoes `+HH`. Characters outside ASCII may stand as they are (under SMTPUTF8).
#[must_use]
pub fn decode(text: &str) -> Option<Box<str>> {
    if !text.contains('+') {
        return is_clean(text).then(|| text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'=' {
            return None;
        }
        if first != b'+' {
            bytes.push(first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        bytes.push(hex(*high)? << 4 | hex(*low)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control)).map(Into::into)
}

/// Undoes `\x{HEX}` of RFC 6533.
#[must_use]
pub fn decode_utf8_address(text: &str) -> Option<Box<str>> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        decoded.push_str(rest.get(..at)?);
        let (digits, tail) = rest.get(at + 3..)?.split_once('}')?;
        let fits = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        decoded.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?).filter(|_| fits)?);
        rest = tail;
    }
    decoded.push_str(rest);
    (!decoded.chars().any(char::is_control)).then(|| decoded.into())
}

/// Writes xtext. Octets outside printable ASCII become `+HH`.
pub fn encode(text: &str, out: &mut impl BufMut) {
    for byte in text.bytes() {
        if matches!(byte, b'!'..=b'~') && byte != b'+' && byte != b'=' {
            out.put_u8(byte);
        } else {
            out.put_slice(&[b'+', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Writes the 7-bit form of a UTF-8 address, which every server can be sent.
pub fn encode_utf8_address(text: &str, out: &mut impl BufMut) {
    for c in text.chars() {
        if c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\') {
            out.put_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            out.put_slice(format!("\\x{{{:02X}}}", u32::from(c)).as_bytes());
        }
    }
}

fn is_clean(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || c == '=')
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_again() {
        for text in ["", "plain", "a+b=c d", "日本", "~!\"\\"] {
            let mut wire = Vec::new();
            encode(text, &mut wire);
            let wire = String::from_utf8(wire).unwrap();
            assert!(wire.bytes().all(|b| b.is_ascii_graphic()), "{wire:?}");
            assert_eq!(decode(&wire).as_deref(), Some(text));
            let mut wire = Vec::new();
            encode_utf8_address(text, &mut wire);
            let wire = String::from_utf8(wire).unwrap();
            assert!(wire.bytes().all(|b| b.is_ascii_graphic()), "{wire:?}");
            assert_eq!(decode_utf8_address(&wire).as_deref(), Some(text));
        }
    }

    #[test]
    fn no_control_character_comes_out() {
        for bad in ["a+0D+0Ab", "a+00", "+", "+1", "+zz", "a\tb", "+C3", "a=b"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
        for bad in ["\\x{0A}", "\\x{D800}", "\\x{110000}", "\\x{", "\\x{}", "\\x{0000041}"] {
            assert_eq!(decode_utf8_address(bad), None, "{bad:?}");
        }
    }
}
