//! What an ICAP server says (RFC 3507), from octets: heads, chunked bodies, and what vendors write into which field.
//!
//! **Failure**: [`TalkError`] for whatever isn't ICAP, and for every status that isn't one of the answers to RESPMOD.
//! **Invariants**: bounded: a head, its fields, a chunk's first line. A field that names a threat counts whatever the status.

use super::error::{TalkError, short};

/// Longest head, ICAP's or the HTTP one inside.
pub const MAX_HEAD: usize = 64 << 10;
const MAX_FIELDS: usize = 200;

/// A status line and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub phrase: Box<str>,
    fields: Vec<(Box<str>, Box<str>)>,
}

/// Reads a head at the beginning of `input`, and how long it is; `None` if it isn't whole yet.
///
/// # Errors
/// [`TalkError::Malformed`] if it is none, or too long.
pub fn read_head(input: &[u8], protocol: &str) -> Result<Option<(Head, usize)>, TalkError> {
    let Some(end) = memchr::memmem::find(input.get(..MAX_HEAD.min(input.len())).unwrap_or_default(), b"\r\n\r\n")
    else {
        return if input.len() >= MAX_HEAD {
            Err(TalkError::Malformed("a head without an end".into()))
        } else {
            Ok(None)
        };
    };
    let text = String::from_utf8_lossy(input.get(..end).unwrap_or_default());
    let malformed = || TalkError::malformed(text.as_bytes());
    let mut lines = text.split("\r\n");
    let mut status = lines.next().unwrap_or_default().splitn(3, ' ');
    let version = status.next().and_then(|word| word.strip_prefix(protocol)).ok_or_else(malformed)?;
    if !version.starts_with("/1.") {
        return Err(malformed());
    }
    let code = status.next().filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
    let code = code.filter(|code| (100..600).contains(code)).ok_or_else(malformed)?;
    let mut head = Head { status: code, phrase: short(status.next().unwrap_or_default()).into(), fields: Vec::new() };
    for line in lines {
        if let Some(more) = line.strip_prefix([' ', '\t']) {
            let (_, value) = head.fields.last_mut().ok_or_else(malformed)?;
            *value = format!("{value} {}", more.trim()).into();
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        if head.fields.len() == MAX_FIELDS {
            return Err(TalkError::Malformed("too many fields".into()));
        }
        head.fields.push((name.trim().into(), value.trim().into()));
    }
    Ok(Some((head, end + 4)))
}

impl Head {
    /// The first of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

/// What a service can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// It may say "unmodified" without sending everything back.
    pub allows_204: bool,
    /// Octets it wants to see first.
    pub preview: Option<usize>,
    /// Of this state of the service: changes with its signatures.
    pub tag: Box<str>,
}

/// Longest preview we send, whatever is asked for.
const MAX_PREVIEW: usize = 1 << 20;

/// Reads the answer to OPTIONS.
///
/// # Errors
/// [`TalkError::Said`] if the service isn't there or doesn't do RESPMOD.
pub fn options(head: &Head) -> Result<Options, TalkError> {
    if head.status != 200 {
        return Err(TalkError::Said(format!("{} {} to OPTIONS", head.status, head.phrase)));
    }
    let lists = |field: &str, word: &str| {
        head.field(field).is_some_and(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(word)))
    };
    if !lists("Methods", "RESPMOD") {
        return Err(TalkError::Said("the service does no RESPMOD".into()));
    }
    Ok(Options {
        allows_204: lists("Allow", "204"),
        preview: head.field("Preview").and_then(|size| size.parse().ok()).map(|size: usize| size.min(MAX_PREVIEW)),
        tag: short(head.field("ISTag").unwrap_or_default().trim_matches('"')).into(),
    })
}

/// What a service says about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Unmodified: 204, or sent back octet for octet.
    Clean,
    Infected(Box<str>),
    /// Against a rule of the service, without a virus.
    Violation(Box<str>),
    /// The service could not look into it.
    Unscannable(Box<str>),
    /// Something else was sent in its place.
    Blocked(Box<str>),
}

/// What the fields of a head say. `None`: nothing of the kind.
#[must_use]
pub fn verdict(head: &Head) -> Option<Reply> {
    if let Some(found) = head.field("X-Infection-Found") {
        return Some(infection(found));
    }
    for name in ["X-Virus-Name", "X-Virus-ID", "X-FSecure-Infection-Name", "X-FSecure-Virus-Name"] {
        if let Some(virus) = head.field(name).filter(|value| !is_nothing(value)) {
            return Some(Reply::Infected(short(virus).into()));
        }
    }
    if let Some(result) = head.field("X-FSecure-Scan-Result").filter(|value| !is_nothing(value)) {
        return Some(Reply::Infected(short(result).into()));
    }
    if let Some(found) = head.field("X-Violations-Found").filter(|value| !is_nothing(value)) {
        return Some(Reply::Infected(short(found).into()));
    }
    if let Some(reason) = head.field("X-Block-Reason").filter(|value| !is_nothing(value)) {
        return Some(Reply::Blocked(short(reason).into()));
    }
    let blocked = head.field("X-Blocked").filter(|value| !is_nothing(value));
    blocked.map(|value| Reply::Blocked(short(value).into()))
}

/// How vendors write that there is nothing.
fn is_nothing(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    ["", "-", "0", "none", "no", "false", "clean", "no threats", "no virus"].contains(&value.as_str())
}

/// `Type=0; Resolution=2; Threat=Eicar-Test-Signature;` 0 is a virus, 1 a rule, 2 a container that could not be scanned.
fn infection(value: &str) -> Reply {
    let of = |name: &str| {
        value.split(';').filter_map(|item| item.split_once('=')).find(|(is, _)| is.trim().eq_ignore_ascii_case(name))
    };
    let threat = of("Threat").map_or_else(|| short(value), |(_, threat)| short(threat)).into();
    match of("Type").map(|(_, kind)| kind.trim()) {
        Some("1") => Reply::Violation(threat),
        Some("2") => Reply::Unscannable(threat),
        // An unknown type is no reason to let it pass.
        _ => Reply::Infected(threat),
    }
}

/// The parts behind the head of an answer: length of the HTTP head, and whether a body follows.
///
/// # Errors
/// [`TalkError::Malformed`] if `Encapsulated` is missing or its offsets don't rise (RFC 3507 section 4.4.1).
pub fn encapsulated(head: &Head) -> Result<(Option<usize>, bool), TalkError> {
    let malformed = || TalkError::Malformed("an odd Encapsulated field".into());
    let value = head.field("Encapsulated").ok_or_else(malformed)?;
    let mut places = Vec::new();
    for item in value.split(',') {
        let (name, offset) = item.trim().split_once('=').ok_or_else(malformed)?;
        let offset: usize = offset.trim().parse().map_err(|_| malformed())?;
        if places.last().map_or(offset != 0, |(_, last)| offset < *last) || offset > MAX_HEAD || places.len() == 2 {
            return Err(malformed());
        }
        places.push((name.trim().to_ascii_lowercase(), offset));
    }
    match places.as_slice() {
        [(only, _)] if only == "null-body" => Ok((None, false)),
        [(only, _)] if only == "res-body" => Ok((None, true)),
        [(first, _), (second, at)] if first == "res-hdr" && second == "res-body" => Ok((Some(*at), true)),
        [(first, _), (second, at)] if first == "res-hdr" && second == "null-body" => Ok((Some(*at), false)),
        _ => Err(malformed()),
    }
}

/// Takes the chunks of a body apart as they come (RFC 9112 section 7.1).
#[derive(Debug, Default)]
pub struct Chunks {
    state: ChunkState,
    line: Vec<u8>,
}

#[derive(Debug, Default)]
enum ChunkState {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Ended,
}

impl Chunks {
    /// Hands out what the input holds of the body; true once it has ended.
    ///
    /// # Errors
    /// [`TalkError::Malformed`].
    pub fn push(&mut self, mut input: &[u8], mut out: impl FnMut(&[u8])) -> Result<bool, TalkError> {
        while !input.is_empty() {
            if let ChunkState::Data(left) = &mut self.state {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                let (data, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
                out(data);
                *left -= data.len() as u64;
                input = rest;
                if *left == 0 {
                    self.state = ChunkState::DataEnd;
                }
                continue;
            }
            if matches!(self.state, ChunkState::Ended) {
                return Ok(true);
            }
            let Some((byte, rest)) = input.split_first() else { break };
            input = rest;
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > 1_024 {
                    return Err(TalkError::Malformed("a chunk without a size".into()));
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            self.line(line.strip_suffix(b"\r").unwrap_or(&line))?;
        }
        Ok(matches!(self.state, ChunkState::Ended))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), TalkError> {
        self.state = match self.state {
            ChunkState::Size => match size(line) {
                Some(0) => ChunkState::Trailer,
                Some(size) => ChunkState::Data(size),
                None => return Err(TalkError::malformed(line)),
            },
            ChunkState::DataEnd if line.is_empty() => ChunkState::Size,
            ChunkState::Trailer if line.is_empty() => ChunkState::Ended,
            ChunkState::Trailer => ChunkState::Trailer,
            _ => return Err(TalkError::malformed(line)),
        };
        Ok(())
    }
}

fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?;
    let digits = std::str::from_utf8(digits).ok()?.trim();
    let is_hex = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex { u64::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        read_head(format!("{text}\r\n\r\nrest").as_bytes(), "ICAP").unwrap().unwrap().0
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"ICAP/1.0 200 OK\r\nISTag: \"a\"\r\nX-Long: b\r\n\tc\r\n\r\nHTTP";
        for cut in 0..text.len() - 4 {
            assert_eq!(read_head(&text[..cut], "ICAP").unwrap(), None, "{cut}");
        }
        let (head, length) = read_head(text, "ICAP").unwrap().unwrap();
        assert_eq!((head.status, length, head.field("x-long")), (200, text.len() - 4, Some("b c")));
        for bad in ["HTTP/1.1 200 OK", "ICAP/2.0 200 OK", "ICAP/1.0 99 x", "ICAP/1.0", "ICAP/1.0 200 OK\r\nx", " "] {
            assert!(read_head(format!("{bad}\r\n\r\n").as_bytes(), "ICAP").is_err(), "{bad:?}");
        }
        assert!(read_head(&vec![b'x'; MAX_HEAD], "ICAP").is_err(), "no end in sight");
    }

    #[test]
    fn vendors_fields_are_understood() {
        let of = |field: &str| verdict(&head(&format!("ICAP/1.0 200 OK\r\n{field}")));
        for (field, expected) in [
            ("X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;", Some(Reply::Infected("Eicar".into()))),
            ("X-Infection-Found: Type=1; Resolution=1; Threat=rule;", Some(Reply::Violation("rule".into()))),
            ("X-Infection-Found: Type=2; Resolution=0; Threat=bomb;", Some(Reply::Unscannable("bomb".into()))),
            ("X-Infection-Found: Type=9; Threat=new", Some(Reply::Infected("new".into()))),
            ("X-Infection-Found: what", Some(Reply::Infected("what".into()))),
            ("X-Virus-Name: Eicar", Some(Reply::Infected("Eicar".into()))),
            ("X-Virus-ID: no threats", None),
            ("X-Virus-ID: EICAR Test String.", Some(Reply::Infected("EICAR Test String.".into()))),
            ("X-FSecure-Scan-Result: clean", None),
            ("X-FSecure-Scan-Result: infected", Some(Reply::Infected("infected".into()))),
            ("X-Block-Reason: forbidden", Some(Reply::Blocked("forbidden".into()))),
            ("X-Blocked: 0", None),
            ("X-Blocked: 1", Some(Reply::Blocked("1".into()))),
            ("Server: x", None),
        ] {
            assert_eq!(of(field), expected, "{field}");
        }
    }

    #[test]
    fn options_are_read() {
        let good = head("ICAP/1.0 200 OK\r\nMethods: RESPMOD, REQMOD\r\nAllow: 204\r\nPreview: 1024\r\nISTag: \"t1\"");
        assert_eq!(options(&good).unwrap(), Options { allows_204: true, preview: Some(1024), tag: "t1".into() });
        let bare = options(&head("ICAP/1.0 200 OK\r\nMethods: RESPMOD")).unwrap();
        assert_eq!((bare.allows_204, bare.preview), (false, None));
        assert!(options(&head("ICAP/1.0 200 OK\r\nMethods: REQMOD")).is_err());
        assert!(options(&head("ICAP/1.0 404 No such service\r\nMethods: RESPMOD")).is_err());
    }

    #[test]
    fn offsets_must_rise() {
        let of = |value: &str| encapsulated(&head(&format!("ICAP/1.0 200 OK\r\nEncapsulated: {value}"))).ok();
        assert_eq!(of("res-hdr=0, res-body=120"), Some((Some(120), true)));
        assert_eq!(of("res-hdr=0, null-body=120"), Some((Some(120), false)));
        assert_eq!(of("null-body=0"), Some((None, false)));
        for bad in
            ["res-hdr=5, res-body=120", "res-hdr=0, res-body=-1", "res-body=120, res-hdr=0", "res-hdr=0", "x", ""]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(of("res-hdr=0, res-body=99999999"), None);
    }

    #[test]
    fn chunks_come_out_however_they_are_cut() {
        let whole = b"5;x=y\r\nhello\r\n1\r\n!\r\n0; ieof\r\nTrailer: x\r\n\r\n";
        for cut in 1..whole.len() {
            let (mut chunks, mut out, mut ended) = (Chunks::default(), Vec::new(), false);
            for piece in whole.chunks(cut) {
                ended = chunks.push(piece, |data| out.extend_from_slice(data)).unwrap();
            }
            assert!(ended && out == b"hello!", "{cut}");
        }
        for bad in [&b"x\r\n"[..], b"-1\r\n", b"ffffffffffffffff\r\n", b"1\r\nab\r\n", b"\r\n"] {
            assert!(Chunks::default().push(bad, |_| ()).is_err(), "{}", bad.escape_ascii());
        }
    }
}
