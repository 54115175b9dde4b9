//! What the committer is asked for: frames to write, each with what it does once it is durable, and messages to carry forward.
//!
//! **Failure**: a request is answered once, with its error or without; dropped unanswered, its asker sees that the spool is closed.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::body::Kept;
use super::error::SpoolError;
use super::frame::{HEADER, TRAILER};
use super::index::{Entry, Place};
use super::prepare::Prepared;
use super::record::Progress;
use crate::model::{Direction, MessageId};

/// A message to take into the index.
#[derive(Debug)]
pub(super) struct NewEntry {
    pub(super) entry: Box<Entry>,
    /// Of its inline bytes in the payload.
    pub(super) offset: u32,
    pub(super) origin: Source,
    pub(super) recipients: u64,
}

/// On whose account a message comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Client(Direction),
    Notice,
}

/// What a request does once it is durable.
#[derive(Debug)]
pub(super) enum Effect {
    Queue(NewEntry),
    Progress(MessageId, Progress),
    Hold { id: MessageId, branch: u32, reason: Option<Box<str>> },
    Relocated { id: MessageId, place: Place, offset: u32 },
}

/// How a request fares when space is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// New mail: refused.
    Mail,
    /// Outcomes and orders: wait, and may use the reserve.
    Journal,
}

/// One atomic frame.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) class: Class,
    pub(super) chunks: Vec<Bytes>,
    pub(super) length: u32,
    pub(super) crc: u32,
    pub(super) effects: Vec<Effect>,
    /// Large bodies that the frame names.
    pub(super) kept: Vec<Kept>,
    pub(super) done: oneshot::Sender<Result<(), SpoolError>>,
    /// Nobody's client waits for it: it may wait for company.
    pub(super) patient: bool,
}

impl Request {
    pub(super) fn new(class: Class, prepared: Prepared) -> (Self, Answer) {
        let Prepared { chunks, effects, kept } = prepared;
        let (done, answer) = oneshot::channel();
        let mut request = Self { class, chunks, length: 0, crc: 0, effects, kept, done, patient: false };
        request.seal();
        (request, answer)
    }

    fn seal(&mut self) {
        self.length = self.chunks.iter().map(|chunk| u32::try_from(chunk.len()).unwrap_or(u32::MAX)).sum();
        self.crc = self.chunks.iter().fold(0, |crc, chunk| crc32c::crc32c_append(crc, chunk));
    }

    /// For outcomes: they start no group as long as mail is coming in that does.
    pub(super) fn patient(mut self) -> Self {
        self.patient = true;
        self
    }

    pub(super) fn frame_length(&self) -> u64 {
        u64::from(self.length) + (HEADER + TRAILER) as u64
    }

    pub(super) fn fail(self, error: &SpoolError) {
        if matches!(error, SpoolError::Wedged(_)) {
            // The disk may or may not have the record: the bodies stay, and the next start decides.
            self.kept.into_iter().for_each(Kept::named);
        }
        let _ = self.done.send(Err(error.clone()));
    }
}

pub(super) type Answer = oneshot::Receiver<Result<(), SpoolError>>;

/// A message to carry forward; its state is read when it is written.
#[derive(Debug)]
pub(super) struct Move {
    pub(super) id: MessageId,
    pub(super) from: u32,
    pub(super) inline: Bytes,
    pub(super) done: std::sync::mpsc::Sender<bool>,
}
