//! Command lines: where one ends, and which verb it is (RFC 5321 section 4.1). Arguments are read by `parameters`,
//! `auth` and `xclient`.
//!
//! **Invariants**: a command ends in CRLF and holds no other CR, LF or NUL. A bare LF ends a line too, but only so that
//! the line is refused at once: what it says is never run.

use memchr::{memchr, memchr2};

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed {
    /// Not a whole line yet.
    Partial,
    /// `input[..length]` without its CRLF; `consumed` with it.
    Line { length: usize, consumed: usize },
    /// A line with a bare CR or LF or a NUL; skip this much.
    Unsound { consumed: usize },
    /// Longer than the limit, whole or not.
    TooLong,
}

/// Finds the first line. The answer depends on the octets alone, never on how they were cut into reads.
#[must_use]
pub fn frame(input: &[u8], limit: usize) -> Framed {
    let Some(lf) = memchr(b'\n', input) else {
        return if input.len() >= limit.saturating_add(2) { Framed::TooLong } else { Framed::Partial };
    };
    let before = input.get(..lf).unwrap_or_default();
    let (line, crlf) = match before.split_last() {
        Some((b'\r', line)) => (line, true),
        _ => (before, false),
    };
    if line.len() > limit {
        Framed::TooLong
    } else if !crlf || memchr2(b'\r', 0, line).is_some() {
        Framed::Unsound { consumed: lf + 1 }
    } else {
        Framed::Line { length: line.len(), consumed: lf + 1 }
    }
}

/// One command, its argument as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    Auth(&'a str),
    Bdat(&'a str),
    Data(&'a str),
    Ehlo(&'a str),
    Expn,
    /// A browser, a proxy, a scanner: not a mail client.
    Foreign,
    Helo(&'a str),
    Help,
    Mail(&'a str),
    Noop,
    Quit(&'a str),
    Rcpt(&'a str),
    Rset(&'a str),
    StartTls(&'a str),
    Unknown,
    Vrfy,
    Xclient(&'a str),
}

impl<'a> Command<'a> {
    /// Splits verb and argument. Trailing white space is no part of either.
    #[must_use]
    pub fn parse(line: &'a str) -> Self {
        let line = line.trim_end_matches([' ', '\t']);
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim_start_matches(' ');
        let mut upper = [0u8; 8];
        let Some(room) = upper.get_mut(..verb.len()) else { return Self::Unknown };
        room.copy_from_slice(verb.as_bytes());
        room.make_ascii_uppercase();
        match &*room {
            b"AUTH" => Self::Auth(argument),
            b"BDAT" => Self::Bdat(argument),
            b"DATA" => Self::Data(argument),
            b"EHLO" => Self::Ehlo(argument),
            b"EXPN" | b"ETRN" | b"TURN" | b"ATRN" | b"SEND" | b"SOML" | b"SAML" => Self::Expn,
            b"CONNECT" | b"DELETE" | b"GET" | b"HEAD" | b"OPTIONS" | b"PATCH" | b"POST" | b"PUT" | b"TRACE" => {
                Self::Foreign
            }
            b"HELO" => Self::Helo(argument),
            b"HELP" => Self::Help,
            b"MAIL" => Self::Mail(argument),
            b"NOOP" => Self::Noop,
            b"QUIT" => Self::Quit(argument),
            b"RCPT" => Self::Rcpt(argument),
            b"RSET" => Self::Rset(argument),
            b"STARTTLS" => Self::StartTls(argument),
            b"VRFY" => Self::Vrfy,
            b"XCLIENT" => Self::Xclient(argument),
            _ => Self::Unknown,
        }
    }
}

/// The argument of BDAT (RFC 3030 section 2): octets, and whether it is the last chunk.
#[must_use]
pub fn chunk(argument: &str) -> Option<(u64, bool)> {
    let (size, last) = match argument.split_once(' ') {
        None => (argument, false),
        Some((size, last)) if last.trim_start().eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return None,
    };
    Some((digits(size)?, last))
}

/// A number of 1 to 20 digits, nothing else (`parse` would take `+5`).
#[must_use]
pub fn digits(text: &str) -> Option<u64> {
    ((1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Whether a HELO argument may be shown in a header and a log as it is. Real clients send odd names; none needs a
/// character that means something in a header.
#[must_use]
pub fn is_helo_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'<' | b'>' | b'"' | b'\\' | b';' | b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_makes_a_line() {
        assert_eq!(frame(b"NOOP", 10), Framed::Partial);
        assert_eq!(frame(b"NOOP\r", 10), Framed::Partial);
        assert_eq!(frame(b"NOOP\r\nQ", 10), Framed::Line { length: 4, consumed: 6 });
        assert_eq!(frame(b"NOOP\nQUIT\r\n", 10), Framed::Unsound { consumed: 5 });
        assert_eq!(frame(b"NO\rOP\r\n", 10), Framed::Unsound { consumed: 7 });
        assert_eq!(frame(b"NO\0OP\r\n", 10), Framed::Unsound { consumed: 7 });
    }

    #[test]
    fn the_limit_is_the_same_however_the_line_arrives() {
        assert_eq!(frame(b"12345\r\n", 5), Framed::Line { length: 5, consumed: 7 });
        assert_eq!(frame(b"123456\r\n", 5), Framed::TooLong);
        for cut in 0..7 {
            assert_eq!(frame(&b"12345\r\n"[..cut], 5), Framed::Partial, "{cut}");
        }
        assert_eq!(frame(b"1234567", 5), Framed::TooLong);
        assert_eq!(frame(b"1234567\n", 5), Framed::TooLong);
        assert_eq!(frame(b"123456\n", 5), Framed::TooLong);
    }

    #[test]
    fn verbs_are_known_in_any_case() {
        assert_eq!(Command::parse("mAiL FROM:<>"), Command::Mail("FROM:<>"));
        assert_eq!(Command::parse("DATA "), Command::Data(""));
        assert_eq!(Command::parse("GET / HTTP/1.1"), Command::Foreign);
        assert_eq!(Command::parse("STARTTLSX"), Command::Unknown);
        assert_eq!(Command::parse(""), Command::Unknown);
    }

    #[test]
    fn a_chunk_size_is_digits() {
        assert_eq!(chunk("0 LAST"), Some((0, true)));
        assert_eq!(chunk("12 last"), Some((12, true)));
        for bad in ["", "+1", "-1", "1 L", "1LAST", "99999999999999999999", "0x1", "1 LAST LAST"] {
            assert_eq!(chunk(bad), None, "{bad:?}");
        }
    }
}
