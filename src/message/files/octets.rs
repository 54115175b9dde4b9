//! Numbers and slices out of hostile octets.
//!
//! **Failure**: what lies outside is `None`; nothing here panics.

/// `len` octets from `at` on.
pub fn slice(data: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    data.get(at..at.checked_add(len)?)
}

/// At most `len` octets from `at` on: what there is of them.
pub fn up_to(data: &[u8], at: usize, len: usize) -> &[u8] {
    let end = at.saturating_add(len).min(data.len());
    data.get(at..end).unwrap_or_default()
}

pub fn byte(data: &[u8], at: usize) -> Option<u8> {
    data.get(at).copied()
}

macro_rules! number {
    ($name:ident, $kind:ty, $from:ident) => {
        pub fn $name(data: &[u8], at: usize) -> Option<$kind> {
            let octets = slice(data, at, size_of::<$kind>())?;
            Some(<$kind>::$from(octets.try_into().ok()?))
        }
    };
}

number!(le16, u16, from_le_bytes);
number!(le32, u32, from_le_bytes);
number!(le64, u64, from_le_bytes);
number!(be16, u16, from_be_bytes);
number!(be32, u32, from_be_bytes);

/// A 32-bit number that counts or points, as a `usize`.
pub fn at32(data: &[u8], at: usize) -> Option<usize> {
    usize::try_from(le32(data, at)?).ok()
}

/// UTF-16 in little-endian order, as far as it goes.
pub fn utf16le(data: &[u8]) -> String {
    let units = data
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair.first().copied().unwrap_or(0), pair.last().copied().unwrap_or(0)]));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// UTF-16 in big-endian order, as far as it goes.
pub fn utf16be(data: &[u8]) -> String {
    let units = data
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair.first().copied().unwrap_or(0), pair.last().copied().unwrap_or(0)]));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Up to the first NUL.
pub fn until_nul(data: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, data).unwrap_or(data.len());
    data.get(..end).unwrap_or_default()
}

/// Whether `needle` (in lower case) is in `data`, ASCII letters alike.
pub fn contains_ignoring_case(data: &[u8], needle: &[u8]) -> bool {
    find_ignoring_case(data, needle, 0).is_some()
}

/// Where `needle` (in lower case) is from `from` on. Linear: the rarer of the two forms of its first octet leads.
pub fn find_ignoring_case(data: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    loop {
        let rest = data.get(at..)?;
        let hit = memchr::memchr2(first, first.to_ascii_uppercase(), rest)?;
        at = at.checked_add(hit)?;
        if slice(data, at, needle.len())?.eq_ignore_ascii_case(needle) {
            return Some(at);
        }
        at = at.checked_add(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_is_none() {
        assert_eq!(le32(&[1, 0, 0], 0), None);
        assert_eq!(le32(&[1, 0, 0, 0], usize::MAX), None);
        assert_eq!(up_to(b"abc", 2, usize::MAX), b"c");
        assert_eq!(up_to(b"abc", 9, 1), b"");
    }

    #[test]
    fn letters_are_found_in_either_case() {
        assert_eq!(find_ignoring_case(b"xx<ScRiPt", b"<script", 0), Some(2));
        assert!(!contains_ignoring_case(b"<scrip", b"<script"));
        assert_eq!(utf16le(b"a\0b\0c"), "ab");
    }
}
