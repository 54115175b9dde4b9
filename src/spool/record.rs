//! What a frame says: messages taken, progress made, operators' decisions. Pure encoding; `index` applies it.
//!
//! A record is `kind 1 | length varint | content`. Kinds from 128 up may be skipped by a release that doesn't know them;
//! an unknown kind below makes the whole frame unreadable, because it can't be applied by halves.
//! **Failure**: [`Malformed`]; decoding never panics and never allocates more than its input is long.

use super::wire::{Malformed, Put, Reader};
use crate::model::MessageId;

/// Where a message's bytes are and what they must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored<'a> {
    /// In the record itself.
    Inline(&'a [u8]),
    /// Headers of ours in the record, the rest in `large/<id>`.
    File { head: &'a [u8], length: u64 },
}

/// One message as taken into custody (or carried forward out of an old segment).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRecord<'a> {
    pub id: MessageId,
    pub queued_at: u64,
    pub meta: &'a [u8],
    pub stored: Stored<'a>,
    /// Of the inline bytes, or of the file's.
    pub crc: u32,
}

/// How one recipient ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecipientState {
    /// The next hop has it.
    Delivered,
    /// Refused for good.
    Failed,
    /// Tried for too long.
    Expired,
    /// Dropped on somebody's order.
    Discarded,
}

impl RecipientState {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Delivered => 1,
            Self::Failed => 2,
            Self::Expired => 3,
            Self::Discarded => 4,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Delivered),
            2 => Some(Self::Failed),
            3 => Some(Self::Expired),
            4 => Some(Self::Discarded),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Discarded => "discarded",
        }
    }
}

/// What became of one branch: recipients that ended, and when to go on with the others. Absolute, so that applying it
/// twice is applying it once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub branch: u32,
    pub ended: Vec<(u32, RecipientState)>,
    pub attempts: u32,
    pub due: u64,
    pub last_attempt: u64,
    pub delay_notice_sent: bool,
    pub held: Option<Box<str>>,
    pub last_error: Option<Box<str>>,
}

/// One record, borrowed from its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    Message(MessageRecord<'a>),
    /// A message carried forward; the state of its branches is as listed, whatever was known before.
    Moved(MessageRecord<'a>, Vec<Progress>),
    Progress(MessageId, Progress),
    /// An operator's (or our own) order about one branch; no reason: let it go.
    Hold(MessageId, u32, Option<&'a str>),
    /// Of a later release, and harmless to skip.
    Unknown(u8),
}

const MESSAGE: u8 = 1;
const MOVED: u8 = 2;
const PROGRESS: u8 = 3;
const HOLD: u8 = 4;
const FIRST_OPTIONAL: u8 = 128;

const IN_FILE: u8 = 1;

/// The start of a message record: everything up to its inline bytes, whose `inline` octets must follow.
#[must_use]
pub(super) fn message_head(record: &MessageFields<'_>, moved: Option<&[Progress]>) -> Vec<u8> {
    let mut content = Vec::with_capacity(record.meta.len() + 64);
    content.extend_from_slice(&record.id.as_u128().to_le_bytes());
    content.extend_from_slice(&record.queued_at.to_le_bytes());
    content.extend_from_slice(&record.crc.to_le_bytes());
    content.push(if record.file_length.is_some() { IN_FILE } else { 0 });
    if let Some(length) = record.file_length {
        content.put_varint(length);
    }
    content.put_block(record.meta);
    if let Some(branches) = moved {
        content.put_varint(branches.len() as u64);
        for progress in branches {
            put_progress(&mut content, progress);
        }
    }
    let mut out = Vec::with_capacity(content.len() + 8);
    out.push(if moved.is_some() { MOVED } else { MESSAGE });
    out.put_varint((content.len() + record.inline) as u64);
    out.extend_from_slice(&content);
    out
}

/// What [`message_head`] writes.
#[derive(Debug)]
pub(super) struct MessageFields<'a> {
    pub(super) id: MessageId,
    pub(super) queued_at: u64,
    pub(super) meta: &'a [u8],
    pub(super) crc: u32,
    pub(super) file_length: Option<u64>,
    pub(super) inline: usize,
}

/// A whole progress record.
#[must_use]
pub fn progress(id: MessageId, progress: &Progress) -> Vec<u8> {
    let mut content = Vec::with_capacity(64);
    content.extend_from_slice(&id.as_u128().to_le_bytes());
    put_progress(&mut content, progress);
    let mut out = Vec::with_capacity(content.len() + 3);
    out.push(PROGRESS);
    out.put_block(&content);
    out
}

/// A whole hold or release record.
#[must_use]
pub fn hold(id: MessageId, branch: u32, reason: Option<&str>) -> Vec<u8> {
    let mut content = Vec::with_capacity(64);
    content.extend_from_slice(&id.as_u128().to_le_bytes());
    content.put_varint(u64::from(branch));
    content.push(u8::from(reason.is_some()));
    content.put_text(reason.unwrap_or_default());
    let mut out = Vec::with_capacity(content.len() + 3);
    out.push(HOLD);
    out.put_block(&content);
    out
}

fn put_progress(out: &mut Vec<u8>, progress: &Progress) {
    out.put_varint(u64::from(progress.branch));
    out.push(
        u8::from(progress.delay_notice_sent)
            | u8::from(progress.held.is_some()) << 1
            | u8::from(progress.last_error.is_some()) << 2,
    );
    out.put_varint(u64::from(progress.attempts));
    out.put_varint(progress.due);
    out.put_varint(progress.last_attempt);
    out.put_varint(progress.ended.len() as u64);
    for (index, state) in &progress.ended {
        out.put_varint(u64::from(*index));
        out.push(state.code());
    }
    for text in [&progress.held, &progress.last_error].into_iter().flatten() {
        out.put_text(text);
    }
}

fn take_progress(reader: &mut Reader<'_>) -> Result<Progress, Malformed> {
    let branch = reader.small()?;
    let flags = reader.u8()?;
    let attempts = reader.small()?;
    let due = reader.varint()?;
    let last_attempt = reader.varint()?;
    let count = reader.count()?;
    let mut ended = Vec::new();
    for _ in 0..count {
        let index = reader.small()?;
        ended.push((index, RecipientState::from_code(reader.u8()?).ok_or(Malformed("recipient state"))?));
    }
    let held = if flags & 2 != 0 { Some(reader.text()?.into()) } else { None };
    let last_error = if flags & 4 != 0 { Some(reader.text()?.into()) } else { None };
    Ok(Progress { branch, ended, attempts, due, last_attempt, delay_notice_sent: flags & 1 != 0, held, last_error })
}

fn take_message<'a>(content: &'a [u8], moved: bool) -> Result<(MessageRecord<'a>, Vec<Progress>), Malformed> {
    let mut reader = Reader::new(content);
    let id = MessageId::from_u128(reader.u128()?);
    let queued_at = reader.u64()?;
    let crc = reader.u32()?;
    let length = match reader.u8()? {
        0 => None,
        IN_FILE => Some(reader.varint()?),
        _ => return Err(Malformed("where the body is")),
    };
    let meta = reader.block()?;
    let mut branches = Vec::new();
    if moved {
        for _ in 0..reader.count()? {
            branches.push(take_progress(&mut reader)?);
        }
    }
    let inline = reader.take(reader.left())?;
    let stored = match length {
        None => Stored::Inline(inline),
        Some(length) => Stored::File { head: inline, length },
    };
    Ok((MessageRecord { id, queued_at, meta, stored, crc }, branches))
}

/// All records of a frame's payload.
///
/// # Errors
/// [`Malformed`]: then none of them may be applied.
pub fn decode(payload: &[u8]) -> Result<Vec<Record<'_>>, Malformed> {
    let mut reader = Reader::new(payload);
    let mut records = Vec::with_capacity(1);
    while !reader.is_empty() {
        let kind = reader.u8()?;
        let content = reader.block()?;
        records.push(match kind {
            MESSAGE => Record::Message(take_message(content, false)?.0),
            MOVED => {
                let (message, branches) = take_message(content, true)?;
                Record::Moved(message, branches)
            }
            PROGRESS => {
                let mut reader = Reader::new(content);
                let id = MessageId::from_u128(reader.u128()?);
                Record::Progress(id, take_progress(&mut reader)?)
            }
            HOLD => {
                let mut reader = Reader::new(content);
                let id = MessageId::from_u128(reader.u128()?);
                let branch = reader.small()?;
                let held = reader.u8()? != 0;
                let reason = reader.text()?;
                Record::Hold(id, branch, held.then_some(reason))
            }
            FIRST_OPTIONAL.. => Record::Unknown(kind),
            _ => return Err(Malformed("unknown kind of record")),
        });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_progress() -> Progress {
        Progress {
            branch: 1,
            ended: vec![(3, RecipientState::Delivered), (400, RecipientState::Failed)],
            attempts: 7,
            due: 1_795_176_451_250,
            last_attempt: 1_795_176_400_000,
            delay_notice_sent: true,
            held: Some("waits for the sandbox".into()),
            last_error: Some("451 4.7.1 greylisted".into()),
        }
    }

    #[test]
    fn records_read_back() {
        let id = MessageId::new(1, 2);
        let fields = MessageFields { id, queued_at: 5, meta: b"meta", crc: 9, file_length: None, inline: 4 };
        let moved = [some_progress(), Progress::default()];
        let file = MessageFields { id, queued_at: 5, meta: b"meta", crc: 9, file_length: Some(1 << 40), inline: 4 };
        let payload = [
            message_head(&fields, None),
            b"body".to_vec(),
            message_head(&file, Some(&moved)),
            b"head".to_vec(),
            progress(id, &some_progress()),
            hold(id, 2, Some("why")),
            hold(id, 2, None),
            vec![200, 1, 0],
        ]
        .concat();
        let message = MessageRecord { id, queued_at: 5, meta: b"meta", stored: Stored::Inline(b"body"), crc: 9 };
        let large = MessageRecord { stored: Stored::File { head: b"head", length: 1 << 40 }, ..message };
        assert_eq!(
            decode(&payload).unwrap(),
            [
                Record::Message(message),
                Record::Moved(large, moved.to_vec()),
                Record::Progress(id, some_progress()),
                Record::Hold(id, 2, Some("why")),
                Record::Hold(id, 2, None),
                Record::Unknown(200),
            ]
        );
        for end in 1..payload.len() {
            let _ = decode(&payload[..end]);
        }
        assert!(decode(&[9, 0]).is_err(), "an unknown kind that may not be skipped");
    }
}
