//! Reading bodies back from the disk, checked.
//!
//! **Failure**: bytes that aren't what was written are copied to `corrupt/`, counted and told, and the message goes on
//! hold: never delivered in part, never dropped.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::body::{LoadedBody, verify};
use super::corrupt;
use super::error::SpoolError;
use super::index::Place;
use super::prepare::{Prepared, blocking};
use super::record;
use super::request::{Class, Effect, Request};
use super::segment::Name;
use super::shared::{Shared, lock};
use crate::model::MessageId;

/// Segments that were read from last, so that a body costs no path look-up.
#[derive(Debug, Default)]
pub(super) struct OpenSegments(Mutex<VecDeque<(u32, Arc<File>)>>);

impl OpenSegments {
    /// Open files kept at most.
    const MOST: usize = 32;

    fn find(&self, number: u32) -> Option<Arc<File>> {
        let open = lock(&self.0);
        open.iter().find(|(one, _)| *one == number).map(|(_, file)| Arc::clone(file))
    }

    fn add(&self, number: u32, file: &Arc<File>) {
        let mut open = lock(&self.0);
        if open.len() >= Self::MOST {
            open.pop_front();
        }
        open.push_back((number, Arc::clone(file)));
    }

    /// The segment is gone: its space must not stay taken.
    pub(super) fn forget(&self, number: u32) {
        lock(&self.0).retain(|(one, _)| *one != number);
    }
}

/// The body of a queued message.
pub(super) async fn load(shared: &Arc<Shared>, id: MessageId) -> Result<LoadedBody, SpoolError> {
    if let Some(body) = at_once(shared, id) {
        return Ok(body);
    }
    let worker = Arc::clone(shared);
    let result = blocking(move || load_now(&worker, id)).await;
    if let Err(SpoolError::Damaged(id, reason)) = &result {
        put_aside(shared, *id, reason).await;
    }
    result
}

/// The body, if it can be had without waiting for the disk: in the page cache and sound.
fn at_once(shared: &Shared, id: MessageId) -> Option<LoadedBody> {
    /// More is copied elsewhere than on the runtime's own threads.
    const MOST: u32 = 128 << 10;
    let place = shared.index().get(id).map(|entry| entry.place)?;
    if place.file_length.is_some() || place.inline > MOST {
        return None;
    }
    let file = open_segment(shared, place.segment).ok()?;
    let mut bytes = vec![0u8; place.inline as usize];
    let mut target = [std::io::IoSliceMut::new(&mut bytes)];
    let read = rustix::io::preadv2(&*file, &mut target, place.offset.into(), rustix::io::ReadWriteFlags::NOWAIT);
    if read != Ok(bytes.len()) || crc32c::crc32c(&bytes) != place.crc {
        return None;
    }
    Some(LoadedBody::Memory { head: Bytes::new(), rest: bytes.into() })
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

fn open_segment(shared: &Shared, number: u32) -> std::io::Result<Arc<File>> {
    if let Some(file) = shared.open_segments.find(number) {
        return Ok(file);
    }
    let epoch = shared.index().segments.get(&number).map(|segment| segment.epoch);
    let epoch = epoch.ok_or(std::io::ErrorKind::NotFound)?;
    let file = Arc::new(File::open(shared.dirs.segments.join(Name { number, epoch }.file_name()))?);
    shared.open_segments.add(number, &file);
    Ok(file)
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
