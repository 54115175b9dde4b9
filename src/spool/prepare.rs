//! From messages to the chunks of one frame: encoding, spilling of large bodies, entries for the index.
//!
//! Done by the task that commits, so that the committer thread only writes.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::body::{Body, Draft, Kept};
use super::error::SpoolError;
use super::index::{Cached, Entry, Place};
use super::message::{NewMessage, compare};
use super::meta::Kind;
use super::record::{MessageFields, message_head};
use super::request::{Class, Effect, NewEntry, Source};
use super::segment::sync_dir;
use super::shared::Shared;

/// Chunks and effects of one frame.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) chunks: Vec<Bytes>,
    pub(super) effects: Vec<Effect>,
    pub(super) kept: Vec<Kept>,
}

impl Prepared {
    pub(super) fn of(chunks: Vec<Bytes>, effects: Vec<Effect>) -> Self {
        Self { chunks, effects, kept: Vec::new() }
    }
}

/// `before` is how many octets of the payload come first. Notices stay in the log whatever their size, because an outcome
/// must be recorded with them even when there is no space for another file.
pub(super) async fn prepare(
    shared: &Arc<Shared>,
    messages: Vec<NewMessage>,
    class: Class,
    before: usize,
) -> Result<Prepared, SpoolError> {
    let mut prepared = Prepared { chunks: Vec::with_capacity(messages.len() * 3 + 1), ..Prepared::default() };
    let mut offset = before;
    // One frame must fit a segment: many lanes of a middling message go to files like a large one.
    let together: u64 = messages.iter().map(|message| message.body.len()).sum();
    let crowded = together > shared.config.segment_size / 2;
    for message in messages {
        let NewMessage { id, mut meta, body, checked, kept_back } = message;
        meta.size = body.len();
        let body = match body {
            Body::Memory { head, rest }
                if class == Class::Mail && (crowded || rest.len() as u64 > shared.config.large_message) =>
            {
                let draft = spill(shared, rest).await?;
                Body::File { head, draft }
            }
            other => other,
        };
        let (head, rest, kept) = match body {
            Body::Memory { head, rest } => (head, rest, None),
            Body::File { head, draft } => {
                let large = shared.dirs.large.clone();
                (head, Bytes::new(), Some(blocking(move || draft.keep(&large, id)).await?))
            }
        };
        if let Some(checked) = &checked {
            let rest = match &kept {
                Some(kept) => (kept.length, kept.crc),
                None => (rest.len() as u64, crc32c::crc32c(&rest)),
            };
            compare(id, checked, &head, rest)?;
        }
        let crc = match &kept {
            Some(kept) => kept.crc,
            None => crc32c::crc32c_append(crc32c::crc32c(&head), &rest),
        };
        let mut encoded = Vec::with_capacity(256);
        meta.encode(&mut encoded);
        let queued_at = shared.now();
        let file_length = kept.as_ref().map(|kept| kept.length);
        let inline = head.len() + rest.len();
        let fields = MessageFields { id, queued_at, meta: &encoded, crc, file_length, inline };
        let record = message_head(&fields, None);
        offset += record.len();
        let place = Place {
            segment: 0,
            offset: 0,
            inline: u32::try_from(inline).unwrap_or(u32::MAX),
            crc,
            // An empty file has no body to speak of; one octet never matches it.
            file_length: file_length.and_then(NonZeroU64::new),
        };
        let mut entry = Box::new(Entry::new(id, place, &meta, &encoded, queued_at));
        if kept_back {
            entry.keep_back();
        }
        let recipients = entry.pending();
        let origin = match meta.kind {
            Kind::Mail => Source::Client(meta.direction),
            Kind::Notice => Source::Notice,
        };
        if kept.is_none() {
            entry.cached = Some(Box::new(Cached { meta: Arc::new(meta), head: head.clone(), rest: rest.clone() }));
        }
        prepared.effects.push(Effect::Queue(NewEntry {
            entry,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            origin,
            recipients,
        }));
        offset += inline;
        prepared.chunks.push(record.into());
        prepared.chunks.extend([head, rest].into_iter().filter(|bytes| !bytes.is_empty()));
        prepared.kept.extend(kept);
    }
    if !prepared.kept.is_empty() {
        let large = shared.dirs.large.clone();
        blocking(move || Ok(sync_dir(&large)?)).await?;
    }
    Ok(prepared)
}

async fn spill(shared: &Arc<Shared>, rest: Bytes) -> Result<Draft, SpoolError> {
    let shared = Arc::clone(shared);
    blocking(move || {
        let mut draft = new_draft(&shared)?;
        draft.append(&rest)?;
        Ok(draft)
    })
    .await
}

pub(super) fn new_draft(shared: &Shared) -> Result<Draft, SpoolError> {
    let number = shared.drafts.fetch_add(1, Ordering::Relaxed);
    Draft::create(shared.dirs.drafts.join(format!("{number:08x}")))
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, SpoolError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(SpoolError::Closed))
}
