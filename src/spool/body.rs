//! A message's bytes on their way in and out: in memory, in a draft while they arrive, in the log or in a file of their own.
//!
//! **Failure**: a draft that isn't committed is deleted when dropped, and at the next start at the latest. What is read back
//! is checked against its checksum before one byte of it is given out.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;

use super::error::SpoolError;
use crate::model::MessageId;

/// The message as it will be delivered is head and then the rest; canonical CRLF. `head` is what we put in front.
#[derive(Debug)]
pub enum Body {
    Memory { head: Bytes, rest: Bytes },
    File { head: Bytes, draft: Draft },
}

impl Body {
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory { head, rest } => (head.len() + rest.len()) as u64,
            Self::File { head, draft } => head.len() as u64 + draft.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A large body while it arrives. Appending goes to the page cache, so it is quick; call it where it stands.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    /// The bytes, with everybody who shares them.
    file: Arc<Written>,
    length: u64,
    crc: u32,
    links: AtomicU32,
}

#[derive(Debug)]
struct Written {
    file: File,
    is_durable: AtomicBool,
}

impl Draft {
    pub(super) fn create(path: PathBuf) -> Result<Self, SpoolError> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let file = Arc::new(Written { file, is_durable: false.into() });
        Ok(Self { path, file, length: 0, crc: 0, links: 0.into() })
    }

    /// The same bytes once more, for another message: a link, not a copy, and no further descriptor. Nothing more can be
    /// appended as long as there are two. Touches the directory, so it may block a moment.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Io`].
    pub fn share(&self) -> Result<Self, SpoolError> {
        let mut path = self.path.clone().into_os_string();
        path.push(format!("-{}", self.links.fetch_add(1, Ordering::Relaxed)));
        let path = PathBuf::from(path);
        fs::hard_link(&self.path, &path)?;
        Ok(Self { path, file: Arc::clone(&self.file), length: self.length, crc: self.crc, links: 0.into() })
    }

    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Io`]; the draft is of no use then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        if Arc::strong_count(&self.file) > 1 {
            return Err(std::io::Error::other("a shared draft takes no more").into());
        }
        self.file.is_durable.store(false, Ordering::Release);
        (&self.file.file).write_all(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A second handle on the bytes, at their beginning.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn reader(&self) -> Result<File, SpoolError> {
        Ok(File::open(&self.path)?)
    }

    /// Makes the bytes durable and gives them the message's name, which is durable once the directory is synced. Blocks.
    pub(super) fn keep(self, large: &Path, id: MessageId) -> Result<Kept, SpoolError> {
        if !self.file.is_durable.load(Ordering::Acquire) {
            self.file.file.sync_data()?;
            self.file.is_durable.store(true, Ordering::Release);
        }
        let path = large.join(format!("{id}.body"));
        fs::rename(&self.path, &path)?;
        Ok(Kept { path: Some(path), length: self.length, crc: self.crc })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Kept drafts have another name by now.
        let _ = fs::remove_file(&self.path);
    }
}

/// A durable large body that no record names yet; deleted on drop unless one does.
#[derive(Debug)]
pub(super) struct Kept {
    path: Option<PathBuf>,
    pub(super) length: u64,
    pub(super) crc: u32,
}

impl Kept {
    /// A record that names it is on its way to the disk.
    pub(super) fn named(mut self) {
        self.path = None;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// A checked body.
#[derive(Debug)]
pub enum LoadedBody {
    Memory {
        head: Bytes,
        rest: Bytes,
    },
    /// `file` stands at the beginning and has `length` octets.
    File {
        head: Bytes,
        file: File,
        length: u64,
    },
}

impl LoadedBody {
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

    /// At most `limit` first octets, for notices and tests. Blocks for a file.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn beginning(&mut self, limit: u64) -> Result<Vec<u8>, SpoolError> {
        let mut out = Vec::new();
        match self {
            Self::Memory { head, rest } => {
                out.extend_from_slice(head);
                out.extend_from_slice(rest);
            }
            Self::File { head, file, .. } => {
                out.extend_from_slice(head);
                file.seek(SeekFrom::Start(0))?;
                std::io::Read::by_ref(file).take(limit).read_to_end(&mut out)?;
                file.seek(SeekFrom::Start(0))?;
            }
        }
        out.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(out)
    }
}

/// Reads a file to its end and compares. Leaves it at its beginning.
pub(super) fn verify(file: &mut File, length: u64, crc: u32) -> Result<bool, std::io::Error> {
    let mut buffer = vec![0u8; 256 << 10];
    let (mut seen, mut sum) = (0u64, 0u32);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        sum = crc32c::crc32c_append(sum, buffer.get(..read).unwrap_or_default());
        seen += read as u64;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(seen == length && sum == crc)
}
