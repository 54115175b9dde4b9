//! Replies of a remote server, from octets (RFC 5321 section 4.2).
//!
//! **Invariants**: bounded: a line, a reply and so the buffer in front of the reader. The reader holds nothing itself, so what
//! it says depends on the octets alone. Control characters don't come out (see [`Reply::from_remote`]).
//! **Failure**: [`ReplyError`]: the remote is at fault and the connection is of no more use.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use crate::model::Reply;

/// Longest line with its end; RFC 5321 section 4.5.3.1.5 says 512, some say more.
pub const MAX_LINE: usize = 4096;
/// Longest reply; the longest honest one is an EHLO list.
pub const MAX_REPLY: usize = 32 << 10;

/// What is wrong with a remote's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("the lines of one reply have different codes")]
    CodesDiffer,
    #[error("a reply line is longer than {MAX_LINE} octets")]
    LineTooLong,
    #[error("not an SMTP reply")]
    NotAReply,
    #[error("a reply is longer than {MAX_REPLY} octets")]
    ReplyTooLong,
}

/// Reads one reply after the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplyReader(());

impl ReplyReader {
    /// Takes the next whole reply off `input`; `None` if there is none yet. Lines may end in a bare LF: old servers do that,
    /// and nothing hangs on it.
    ///
    /// # Errors
    /// [`ReplyError`]; `input` is left as it is.
    pub fn next(self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        let Some(Extent { code, consumed, single }) = extent(input)? else { return Ok(None) };
        let octets = input.get(..consumed).unwrap_or_default();
        let reply = if single {
            Reply::from_remote(code, [&*text(octets)])
        } else {
            let lines: Vec<_> = octets.split_inclusive(|&b| b == b'\n').map(text).collect();
            Reply::from_remote(code, lines.iter().map(|line| &**line))
        };
        input.advance(consumed);
        Ok(Some(reply))
    }
}

struct Extent {
    code: u16,
    consumed: usize,
    single: bool,
}

/// How far the first reply reaches, if it is whole.
fn extent(input: &[u8]) -> Result<Option<Extent>, ReplyError> {
    let mut consumed = 0;
    let mut first = None;
    loop {
        let rest = input.get(consumed..).unwrap_or_default();
        let Some(lf) = memchr(b'\n', rest) else {
            return if rest.len() >= MAX_LINE {
                Err(ReplyError::LineTooLong)
            } else if !is_beginning(rest) {
                Err(ReplyError::NotAReply)
            } else if consumed + rest.len() > MAX_REPLY {
                Err(ReplyError::ReplyTooLong)
            } else {
                Ok(None)
            };
        };
        if lf >= MAX_LINE {
            return Err(ReplyError::LineTooLong);
        }
        let (code, more) = head(rest.get(..lf).unwrap_or_default()).ok_or(ReplyError::NotAReply)?;
        let single = first.is_none();
        if *first.get_or_insert(code) != code {
            return Err(ReplyError::CodesDiffer);
        }
        consumed += lf + 1;
        if consumed > MAX_REPLY {
            return Err(ReplyError::ReplyTooLong);
        }
        if !more {
            return Ok(Some(Extent { code, consumed, single }));
        }
    }
}

/// Code, and whether more lines follow.
fn head(line: &[u8]) -> Option<(u16, bool)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (&[a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'], rest) = line.split_first_chunk::<3>()? else {
        return None;
    };
    let code = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    match rest.first() {
        None | Some(b' ') => Some((code, false)),
        Some(b'-') => Some((code, true)),
        Some(_) => None,
    }
}

/// Whether what has come so far may become a reply line.
fn is_beginning(part: &[u8]) -> bool {
    part.iter().zip([b"2345".as_slice(), b"0123456789", b"0123456789", b" -\r"]).all(|(b, allowed)| allowed.contains(b))
}

/// What follows the code and its separator.
fn text(line: &[u8]) -> std::borrow::Cow<'_, str> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line.get(4..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(octets: &[u8]) -> Result<Vec<String>, ReplyError> {
        let mut input = BytesMut::from(octets);
        let mut replies = Vec::new();
        while let Some(reply) = ReplyReader::default().next(&mut input)? {
            replies.push(reply.to_string());
        }
        Ok(replies)
    }

    #[test]
    fn one_line_several_lines_several_replies() {
        let got = all(b"250 2.0.0 ok\r\n250-a\r\n250-\r\n250 b\r\n354\r\n25").unwrap();
        assert_eq!(got, ["250 2.0.0 ok", "250 a /  / b", "354 "]);
    }

    #[test]
    fn octet_by_octet_it_says_the_same() {
        let wire = b"220-one\n220 two\r\n550-5.1.1 no\r\n550 5.1.1 such\r\n";
        let mut input = BytesMut::new();
        let mut replies = Vec::new();
        for &byte in wire {
            input.extend_from_slice(&[byte]);
            while let Some(reply) = ReplyReader::default().next(&mut input).unwrap() {
                replies.push(reply.to_string());
            }
        }
        assert_eq!(replies, all(wire).unwrap());
        assert_eq!(replies, ["220 one / two", "550 5.1.1 no / such"]);
    }

    #[test]
    fn what_is_no_reply_is_an_error_at_once() {
        assert_eq!(all(b"HTTP/1.1 400"), Err(ReplyError::NotAReply));
        assert_eq!(all(b"25"), Ok(vec![]));
        assert_eq!(all(b"25x"), Err(ReplyError::NotAReply));
        assert_eq!(all(b"250x ok\r\n"), Err(ReplyError::NotAReply));
        assert_eq!(all(b"150 ok\r\n"), Err(ReplyError::NotAReply));
        assert_eq!(all(b"\r\n"), Err(ReplyError::NotAReply));
        assert_eq!(all(b"250-a\r\n251 b\r\n"), Err(ReplyError::CodesDiffer));
    }

    #[test]
    fn the_endless_are_cut_off() {
        let line = [b"250 ".as_slice(), &[b'a'; MAX_LINE]].concat();
        assert_eq!(all(&line), Err(ReplyError::LineTooLong));
        assert_eq!(all(&b"250-again\r\n".repeat(4000)), Err(ReplyError::ReplyTooLong));
    }
}
