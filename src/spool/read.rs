//! Reading bodies back from the disk, checked.
//!
//! **Failure**: bytes that aren't what was written are copied to `corrupt/`, counted and told, and the message goes on
//! hold: never delivered in part, never dropped.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use super::body::{LoadedBody, verify};
use super::committer::{Class, Effect, Request};
use super::corrupt;
use super::error::SpoolError;
use super::index::Place;
use super::prepare::{Prepared, blocking};
use super::record;
use super::segment::Name;
use super::shared::Shared;
use crate::model::MessageId;

/// The body of a queued message.
pub(super) async fn load(shared: &Arc<Shared>, id: MessageId) -> Result<LoadedBody, SpoolError> {
    let worker = Arc::clone(shared);
    let result = blocking(move || load_now(&worker, id)).await;
    if let Err(SpoolError::Damaged(id, reason)) = &result {
        put_aside(shared, *id, reason).await;
    }
    result
}

fn load_now(shared: &Shared, id: MessageId) -> Result<LoadedBody, SpoolError> {
    let mut last = SpoolError::Gone(id);
    // The message may move to another segment between the look-up and the opening of the file.
    for _ in 0..3 {
        let place = shared.index().get(id).map(|entry| entry.place).ok_or(SpoolError::Gone(id))?;
        match inline(shared, &place) {
            Ok(bytes) => return with_file(shared, id, &place, bytes),
            Err(error) => last = error.into(),
        }
    }
    shared.deps.metrics.spool.troubles.inc(crate::telemetry::metrics::SpoolTrouble::Read);
    Err(last)
}

/// The inline bytes as they are on disk.
pub(super) fn inline(shared: &Shared, place: &Place) -> std::io::Result<Bytes> {
    let mut bytes = vec![0u8; place.inline as usize];
    let file = open_segment(shared, place.segment)?;
    file.read_exact_at(&mut bytes, u64::from(place.offset))?;
    Ok(bytes.into())
}

fn open_segment(shared: &Shared, number: u32) -> std::io::Result<File> {
    let epoch = shared.index().segments.get(&number).map(|segment| segment.epoch);
    let epoch = epoch.ok_or(std::io::ErrorKind::NotFound)?;
    File::open(shared.dirs.segments.join(Name { number, epoch }.file_name()))
}

fn with_file(shared: &Shared, id: MessageId, place: &Place, bytes: Bytes) -> Result<LoadedBody, SpoolError> {
    let Some(length) = place.file_length else {
        if crc32c::crc32c(&bytes) != place.crc {
            let what = format!("segment {:08x} at {}", place.segment, place.offset);
            corrupt::keep_bytes(shared, &format!("{id}.body"), &bytes, &format!("{what}: the checksum is wrong"));
            return Err(SpoolError::Damaged(id, "the checksum is wrong".into()));
        }
        return Ok(LoadedBody::Memory { head: Bytes::new(), rest: bytes });
    };
    let path = shared.dirs.large_file(id);
    let damaged = |why: &str| {
        corrupt::keep_copy(shared, &path, why);
        SpoolError::Damaged(id, why.into())
    };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(damaged("its file is missing")),
        Err(error) => return Err(error.into()),
    };
    if !verify(&mut file, length.get(), place.crc)? {
        return Err(damaged("its file is not what was written"));
    }
    Ok(LoadedBody::File { head: bytes, file, length: length.get() })
}

/// Every branch of a damaged message goes on hold, for people to look at.
async fn put_aside(shared: &Arc<Shared>, id: MessageId, reason: &str) {
    let count = shared.index().get(id).map_or(0, |entry| entry.branches.as_slice().len());
    let reason: Box<str> = format!("damaged on disk: {reason}").into();
    let mut chunks = Vec::new();
    let mut effects = Vec::new();
    for branch in 0..u32::try_from(count).unwrap_or(u32::MAX) {
        chunks.push(record::hold(id, branch, Some(&reason)).into());
        effects.push(Effect::Hold { id, branch, reason: Some(reason.clone()) });
    }
    if chunks.is_empty() || shared.check().is_err() {
        return;
    }
    let (request, answer) = Request::new(Class::Journal, Prepared::of(chunks, effects));
    shared.queue.push(request);
    let _ = answer.await;
}
