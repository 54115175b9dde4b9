//! Golden SMTP talks as text, for the pure session and for a real socket alike.
//!
//! ```text
//! # a comment; the first lines may set options
//! !: starttls errors=3
//! S: 220 mx.gateway.example ESMTP          what the server says, line by line; a final * stands for any rest
//! C: EHLO client.example                   sent with CRLF; \r \n \t \0 \\ \xHH are octets
//! C| half a line                           sent as it is, without CRLF
//! ?: rcpt reject 550 5.1.1 no such user    the embedder's answer to the next such question
//! B: line of the message                   the body of the message asked about, line by line
//! (tls)                                    the TLS handshake happens here
//! (closed)                                 the server closes
//! ```
//! Client lines up to the next server line are one write. A question without `?:` is accepted. Talks with `?:` need an
//! embedder that follows the script; [`Transcript::is_scripted`] tells.

#![allow(dead_code)] // each user takes what it needs

/// One talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    pub name: String,
    /// `key` or `key=value`.
    pub options: Vec<(String, Option<String>)>,
    pub exchanges: Vec<Exchange>,
}

/// One write and what comes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Where it begins, for messages.
    pub line: usize,
    pub client: Vec<u8>,
    pub answers: Vec<Answer>,
    pub bodies: Vec<u8>,
    /// Reply lines without CRLF.
    pub server: Vec<String>,
    pub then: Then,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Then {
    #[default]
    Read,
    Tls,
    Closed,
}

/// `stage verb [code enhanced text]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub stage: String,
    pub verb: String,
    pub reply: Option<(u16, String)>,
}

impl Transcript {
    /// Reads a talk; the message of the error names the line.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut transcript = Self { name: name.into(), options: Vec::new(), exchanges: Vec::new() };
        let mut now = Exchange { line: 1, ..Exchange::default() };
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let fail = |what: &str| format!("{name}:{number}: {what}: {line}");
            let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let answered = !now.server.is_empty() || now.then != Then::Read;
            if matches!(mark, "C:" | "C|") && answered {
                let next = Exchange { line: number, ..Exchange::default() };
                transcript.exchanges.push(std::mem::replace(&mut now, next));
            }
            match mark {
                "" | "# " | "#" => {}
                "!:" => transcript.options.extend(rest.split_whitespace().map(option)),
                "C:" => {
                    now.client.extend(unescape(rest).ok_or_else(|| fail("bad escape"))?);
                    now.client.extend(b"\r\n");
                }
                "C|" => now.client.extend(unescape(rest).ok_or_else(|| fail("bad escape"))?),
                "S:" => now.server.push(rest.to_owned()),
                "B:" => {
                    now.bodies.extend(unescape(rest).ok_or_else(|| fail("bad escape"))?);
                    now.bodies.extend(b"\r\n");
                }
                "?:" => now.answers.push(answer(rest).ok_or_else(|| fail("not an answer"))?),
                _ if line == "(tls)" => now.then = Then::Tls,
                _ if line == "(closed)" => now.then = Then::Closed,
                _ => return Err(fail("what is this")),
            }
        }
        transcript.exchanges.push(now);
        Ok(transcript)
    }

    /// Every `*.txt` of `tests/transcripts/`, sorted by name.
    pub fn load_all() -> Vec<Self> {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
        let mut files: Vec<_> = std::fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .map(|entry| entry.expect("directory entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
            .collect();
        files.sort();
        assert!(!files.is_empty(), "no transcripts in {}", directory.display());
        let read = |path: std::path::PathBuf| {
            let text = std::fs::read_to_string(&path).expect("readable transcript");
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            Self::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"))
        };
        files.into_iter().map(read).collect()
    }

    pub fn option(&self, key: &str) -> Option<Option<&str>> {
        self.options.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_deref())
    }

    pub fn has(&self, key: &str) -> bool {
        self.option(key).is_some()
    }

    /// Needs an embedder that gives the scripted answers.
    pub fn is_scripted(&self) -> bool {
        self.exchanges.iter().any(|exchange| !exchange.answers.is_empty())
    }
}

impl Exchange {
    /// Compares what the server said with what it should have said.
    pub fn check(&self, said: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(said);
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        let whole = said.is_empty() || said.ends_with(b"\r\n");
        if whole && lines.len() == self.server.len() && lines.iter().zip(&self.server).all(|(a, b)| matches_line(a, b))
        {
            return Ok(());
        }
        Err(format!("wanted\n  {}\ngot\n  {}", self.server.join("\n  "), lines.join("\n  ")))
    }
}

/// Whether this line is the one wanted; a final `*` stands for any rest.
pub fn matches_line(said: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(head) => said.starts_with(head),
        None => said == wanted,
    }
}

fn option(word: &str) -> (String, Option<String>) {
    match word.split_once('=') {
        Some((key, value)) => (key.into(), Some(value.into())),
        None => (word.into(), None),
    }
}

fn answer(text: &str) -> Option<Answer> {
    let mut words = text.splitn(4, ' ');
    let (stage, verb) = (words.next()?.to_owned(), words.next()?.to_owned());
    let reply = match (words.next(), words.next()) {
        (Some(code), Some(text)) => Some((code.parse().ok()?, text.to_owned())),
        (None, None) => None,
        _ => return None,
    };
    (reply.is_some() == (verb != "accept")).then_some(Answer { stage, verb, reply })
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            octets.push(byte);
            continue;
        }
        octets.push(match bytes.next()? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(octets)
}
