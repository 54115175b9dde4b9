//! One held message on disk: a file that proves itself.
//!
//! ```text
//! SKHELD1\n | u32 length of the record | u32 its CRC-32C | u64 length of the message | u32 its CRC-32C | u32 CRC-32C of these
//! the record (JSON) | the message
//! ```
//! Integers are little-endian. Beside it may stand `ID.gone`: which recipients have been dealt with.
//!
//! **Failure**: [`ReadError::Damaged`] for whatever isn't exactly this; nothing is allocated from a claim above [`MAX_RECORD`].
//! **Invariants**: under its final name a file is whole, because it is synced before it is linked there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use bytes::Bytes;

use super::held::Held;

const MAGIC: &[u8; 8] = b"SKHELD1\n";
const GONE_MAGIC: &[u8; 8] = b"SKGONE1\n";
const HEAD: usize = 32;
/// Most octets of a record: tens of thousands of recipients.
pub(super) const MAX_RECORD: u32 = 16 << 20;
/// Messages up to this are handed out in memory.
const IN_MEMORY: u64 = 1 << 20;

/// The octets to be held: head and then the rest, canonical CRLF.
#[derive(Debug)]
pub enum Body {
    Memory {
        head: Bytes,
        rest: Bytes,
    },
    /// `file` is read from its beginning and must have exactly `length` octets.
    File {
        head: Bytes,
        file: File,
        length: u64,
    },
}

impl Body {
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory { head, rest } => (head.len() + rest.len()) as u64,
            Self::File { head, length, .. } => head.len() as u64 + length,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The octets of a held message, checked against their checksum.
#[derive(Debug)]
pub enum HeldBody {
    Memory(Bytes),
    /// `file` stands at the first octet; `length` octets follow, to the end of the file.
    File {
        file: File,
        length: u64,
    },
}

/// Why a file could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It isn't what was written.
    Damaged(String),
    /// The disk says no; the file may be well.
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::LOOP) => damaged("a link"),
            // Shorter than its head says.
            _ if error.kind() == io::ErrorKind::UnexpectedEof => damaged("cut short"),
            _ => Self::Io(error),
        }
    }
}

fn damaged(why: &str) -> ReadError {
    ReadError::Damaged(why.into())
}

struct Head {
    record: u32,
    record_crc: u32,
    body: u64,
    body_crc: u32,
}

impl Head {
    fn encode(&self) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        let fields = [
            &MAGIC[..],
            &self.record.to_le_bytes(),
            &self.record_crc.to_le_bytes(),
            &self.body.to_le_bytes(),
            &self.body_crc.to_le_bytes(),
        ];
        let fields = fields.concat();
        let crc = crc32c::crc32c(&fields).to_le_bytes();
        for (to, from) in out.iter_mut().zip(fields.iter().chain(&crc)) {
            *to = *from;
        }
        out
    }

    fn decode(bytes: &[u8; HEAD]) -> Result<Self, ReadError> {
        let (fields, crc) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged("no head"))?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return Err(damaged("the head's checksum is wrong"));
        }
        let rest = fields.strip_prefix(MAGIC).ok_or_else(|| damaged("not a held message"))?;
        let read = || {
            let (record, rest) = rest.split_first_chunk::<4>()?;
            let (record_crc, rest) = rest.split_first_chunk::<4>()?;
            let (body, rest) = rest.split_first_chunk::<8>()?;
            let (body_crc, _) = rest.split_first_chunk::<4>()?;
            Some(Self {
                record: u32::from_le_bytes(*record),
                record_crc: u32::from_le_bytes(*record_crc),
                body: u64::from_le_bytes(*body),
                body_crc: u32::from_le_bytes(*body_crc),
            })
        };
        read().ok_or_else(|| damaged("no head"))
    }

    fn body_at(&self) -> u64 {
        HEAD as u64 + u64::from(self.record)
    }
}

/// Writes a new file and makes its octets durable (not yet its name). Blocks.
pub(super) fn write(path: &Path, held: &Held, body: Body) -> io::Result<()> {
    let record = serde_json::to_vec(held).map_err(io::Error::other)?;
    let length = u32::try_from(record.len()).ok().filter(|length| *length <= MAX_RECORD);
    let length = length.ok_or_else(|| io::Error::other("the record of a held message is too large"))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut head = Head { record: length, record_crc: crc32c::crc32c(&record), body: body.len(), body_crc: 0 };
    let placeholder = [0; HEAD];
    file.write_all(&placeholder)?;
    file.write_all(&record)?;
    head.body_crc = match body {
        Body::Memory { head, rest } => {
            file.write_all(&head)?;
            file.write_all(&rest)?;
            crc32c::crc32c_append(crc32c::crc32c(&head), &rest)
        }
        Body::File { head, file: mut from, length } => {
            file.write_all(&head)?;
            from.seek(SeekFrom::Start(0))?;
            let (copied, crc) = copy(&mut from, length, crc32c::crc32c(&head), &mut file)?;
            if copied != length {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is shorter than was said"));
            }
            crc
        }
    };
    // Last, so that a file cut short by a crash never has a head.
    file.write_all_at(&head.encode(), 0)?;
    file.sync_data()
}

fn copy(from: &mut File, most: u64, mut crc: u32, to: &mut impl io::Write) -> io::Result<(u64, u32)> {
    let mut from = from.take(most);
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        let read = from.read(&mut buffer)?;
        let part = buffer.get(..read).unwrap_or_default();
        if part.is_empty() {
            return Ok((copied, crc));
        }
        crc = crc32c::crc32c_append(crc, part);
        to.write_all(part)?;
        copied += read as u64;
    }
}

/// A held message that was opened and whose record is right.
pub(super) struct Opened {
    pub(super) held: Held,
    file: File,
    head: Head,
}

/// Reads the record; the message's own octets are only counted. Blocks.
pub(super) fn open(path: &Path) -> Result<Opened, ReadError> {
    let mut file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(damaged("not a file"));
    }
    let mut head = [0; HEAD];
    file.read_exact(&mut head)?;
    let head = Head::decode(&head)?;
    if head.record > MAX_RECORD || found.len() != head.body_at().saturating_add(head.body) {
        return Err(damaged("not as long as its head says"));
    }
    let mut record = vec![0; head.record as usize];
    file.read_exact(&mut record)?;
    if crc32c::crc32c(&record) != head.record_crc {
        return Err(damaged("the record's checksum is wrong"));
    }
    let held: Held = serde_json::from_slice(&record).map_err(|error| ReadError::Damaged(error.to_string()))?;
    if held.size != head.body {
        return Err(damaged("the record is of another message"));
    }
    Ok(Opened { held, file, head })
}

/// Of POSIX; a held message is never a link.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

impl Opened {
    /// Checks the message's octets and hands them out. Blocks.
    pub(super) fn body(&mut self) -> Result<HeldBody, ReadError> {
        let length = self.head.body;
        self.file.seek(SeekFrom::Start(self.head.body_at()))?;
        if length <= IN_MEMORY {
            let mut bytes = Vec::new();
            (&mut self.file).take(length).read_to_end(&mut bytes)?;
            if bytes.len() as u64 != length || crc32c::crc32c(&bytes) != self.head.body_crc {
                return Err(damaged("the message's checksum is wrong"));
            }
            return Ok(HeldBody::Memory(bytes.into()));
        }
        let (seen, crc) = copy(&mut self.file, length, 0, &mut io::sink())?;
        if seen != length || crc != self.head.body_crc {
            return Err(damaged("the message's checksum is wrong"));
        }
        self.file.seek(SeekFrom::Start(self.head.body_at()))?;
        Ok(HeldBody::File { file: self.file.try_clone()?, length })
    }
}

/// Replaces what is recorded of the recipients that are gone; durable once the directory is synced. Blocks.
pub(super) fn write_gone(path: &Path, draft: &Path, gone: &[u32]) -> io::Result<()> {
    let mut bytes = GONE_MAGIC.to_vec();
    for place in gone {
        bytes.extend_from_slice(&place.to_le_bytes());
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    fs::rename(draft, path)
}

/// Places of the recipients that are gone; none if there is no such file. Blocks.
pub(super) fn read_gone(path: &Path) -> Result<Vec<u32>, ReadError> {
    let mut bytes = Vec::new();
    match OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ReadError::Io(error)),
        Ok(file) => file.take(u64::from(MAX_RECORD)).read_to_end(&mut bytes)?,
    };
    let (fields, crc) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged("cut short"))?;
    if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
        return Err(damaged("the checksum of the recipients that are gone is wrong"));
    }
    let places = fields.strip_prefix(GONE_MAGIC).ok_or_else(|| damaged("not a list of recipients that are gone"))?;
    let (places, []) = places.as_chunks::<4>() else { return Err(damaged("cut short")) };
    Ok(places.iter().map(|place| u32::from_le_bytes(*place)).collect())
}
