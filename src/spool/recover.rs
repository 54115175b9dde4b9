//! From the log to the index: reads every segment in order, applies what is sound, keeps what isn't.
//!
//! **Failure**: only a directory that can't be listed, read or written stops a start. Damage never does: a damaged range is
//! copied to `corrupt/` with a text, a foreign file is moved there, and the frames around it are applied.
//! **Invariants**: frames are applied in the order of their sequence, because segments are read in the order of their
//! numbers; a frame counts as a whole or not at all; old segments are never appended to.

use std::collections::HashSet;
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use super::corrupt;
use super::error::OpenError;
use super::frame::{FrameKind, Stretch, Walk};
use super::index::{Entry, Index, Place};
use super::message::UNCHECKED;
use super::meta::Meta;
use super::record::{self, MessageRecord, Record, Stored};
use super::segment::{Name, SEGMENT_HEADER, sync_dir};
use super::shared::Dirs;
use crate::model::MessageId;

/// What a start found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    pub messages: u64,
    /// Recipients to be delivered.
    pub queued: u64,
    /// Recipients on hold.
    pub held: u64,
    /// Of those, recipients of outbound mail without a mark of its check.
    pub unchecked: u64,
    pub segments: u64,
    pub frames: u64,
    pub bytes: u64,
    /// Damaged ranges and files moved or copied to `corrupt/` by this start, one line each.
    pub damaged: Vec<String>,
    /// Damage that an earlier start kept already.
    pub known_damage: u64,
    /// Frames that the numbering says were there and are not (a segment cut at a frame's edge, or taken away).
    pub missing_frames: u64,
    /// Drafts and large bodies that were never committed.
    pub uncommitted: u64,
}

/// The state at the end of the log.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) report: RecoveryReport,
    pub(super) next_sequence: u64,
    pub(super) next_number: u32,
}

struct Recovery<'a> {
    dirs: &'a Dirs,
    index: Index,
    report: RecoveryReport,
    last_sequence: Option<u64>,
    /// Large bodies of messages that are done.
    finished: HashSet<MessageId>,
    /// Outbound mail without a mark.
    unmarked: HashSet<MessageId>,
}

/// Reads the whole spool. Blocks.
pub(super) fn recover(dirs: &Dirs) -> Result<Recovered, OpenError> {
    let mut this = Recovery {
        dirs,
        index: Index::default(),
        report: RecoveryReport::default(),
        last_sequence: None,
        finished: HashSet::new(),
        unmarked: HashSet::new(),
    };
    let mut next_number = 1;
    for name in this.segments()? {
        next_number = name.number.saturating_add(1);
        this.segment(name)?;
    }
    this.drafts()?;
    this.large()?;
    this.dead()?;
    this.hold_unmarked();
    for entry in this.index.entries() {
        this.report.messages += 1;
        for branch in entry.branches.as_slice() {
            let count = branch.pending.as_slice().len() as u64;
            *if branch.held().is_some() { &mut this.report.held } else { &mut this.report.queued } += count;
        }
    }
    let next_sequence = this.last_sequence.map_or(1, |last| last + 1);
    Ok(Recovered { index: this.index, report: this.report, next_sequence, next_number })
}

impl Recovery<'_> {
    /// Our segments in order; what is no segment goes to `corrupt/`.
    fn segments(&mut self) -> Result<Vec<Name>, OpenError> {
        let dir = &self.dirs.segments;
        let mut names: Vec<Name> = Vec::new();
        for found in fs::read_dir(dir).map_err(OpenError::at(dir))? {
            let path = found.map_err(OpenError::at(dir))?.path();
            match path.file_name().and_then(|name| name.to_str()) {
                // Empty by definition.
                Some("spare" | "reserve" | "filling" | "next") => {
                    fs::remove_file(&path).map_err(OpenError::at(&path))?
                }
                Some(name) if Name::parse(name).is_some() => names.extend(Name::parse(name)),
                _ => self.put_aside(&path, "no segment has such a name")?,
            }
        }
        names.sort();
        Ok(names)
    }

    fn put_aside(&mut self, path: &Path, why: &str) -> Result<(), OpenError> {
        corrupt::take(&self.dirs.corrupt, path, why).map_err(OpenError::at(path))?;
        self.report.damaged.push(format!("{}: {why}", path.display()));
        Ok(())
    }

    fn keep(&mut self, name: &str, bytes: &[u8], why: &str) -> Result<(), OpenError> {
        let new = corrupt::write(&self.dirs.corrupt, name, bytes, why)
            .map_err(OpenError::at(self.dirs.corrupt.join(name)))?;
        if new {
            self.report.damaged.push(format!("{name}: {why}"));
        } else {
            self.report.known_damage += 1;
        }
        Ok(())
    }

    fn segment(&mut self, name: Name) -> Result<(), OpenError> {
        /// No segment of ours is larger.
        const LARGEST: u64 = 4 << 30;
        let path = self.dirs.segments.join(name.file_name());
        let length = path.metadata().map_err(OpenError::at(&path))?.len();
        if length > LARGEST {
            return self.put_aside(&path, "larger than any segment");
        }
        let bytes = fs::read(&path).map_err(OpenError::at(&path))?;
        if bytes.iter().all(|byte| *byte == 0) {
            // Put to use and not written before the end came.
            return fs::remove_file(&path).map_err(OpenError::at(&path));
        }
        let header = Name::of_header(&bytes);
        if header.is_some_and(|header| header != name) {
            return self.put_aside(&path, "its header has another name: a copy, or renamed");
        }
        let sound = header.is_some();
        if !sound && !Walk::new(&bytes, 0, name.epoch).any(|stretch| matches!(stretch, Stretch::Frame { .. })) {
            return self.put_aside(&path, "neither its header nor any frame belongs to its name");
        }
        if !sound {
            let header = bytes.get(..SEGMENT_HEADER).unwrap_or(&bytes);
            self.keep(&format!("{}-header", name.file_name()), header, "the segment's header is damaged")?;
        }
        let mut end = SEGMENT_HEADER;
        for stretch in Walk::new(&bytes, SEGMENT_HEADER, name.epoch) {
            match stretch {
                Stretch::Frame { at, header, payload } => {
                    self.sequence(header.sequence);
                    end = at + header.frame_length();
                    if header.kind == FrameKind::Void {
                        continue;
                    }
                    self.report.frames += 1;
                    if let Err(why) = self.frame(name, at, payload) {
                        let whole = bytes.get(at..end).unwrap_or_default();
                        self.keep(&format!("{}-{at:08x}", name.file_name()), whole, &why)?;
                    }
                }
                Stretch::Damage { at, length, why } => {
                    end = at + length;
                    let range = bytes.get(at..end).unwrap_or_default();
                    let why = format!("{} bytes at {at} of segment {}: {why}", range.len(), name.file_name());
                    self.keep(&format!("{}-{at:08x}", name.file_name()), range, &why)?;
                }
            }
        }
        if bytes.len() > end {
            // Unwritten space of a segment that nobody will append to.
            let file = fs::OpenOptions::new().write(true).open(&path).map_err(OpenError::at(&path))?;
            file.set_len(end as u64).map_err(OpenError::at(&path))?;
        }
        let segment = self.index.segments.entry(name.number).or_default();
        segment.epoch = name.epoch;
        segment.size = end as u64;
        self.report.segments += 1;
        self.report.bytes += end as u64;
        Ok(())
    }

    fn sequence(&mut self, sequence: u64) {
        if let Some(last) = self.last_sequence {
            self.report.missing_frames += sequence.saturating_sub(last + 1);
        }
        self.last_sequence = Some(sequence.max(self.last_sequence.unwrap_or(0)));
    }

    /// Applies a frame, or none of it.
    fn frame(&mut self, name: Name, at: usize, payload: &[u8]) -> Result<(), String> {
        let why = |what: &dyn std::fmt::Display| format!("frame at {at} of segment {}: {what}", name.file_name());
        let records = record::decode(payload).map_err(|error| why(&error))?;
        let mut entries = Vec::new();
        for item in &records {
            if let Record::Message(message) | Record::Moved(message, _) = item {
                let (entry, is_unmarked) = entry(message, name, at, payload).map_err(|error| why(&error))?;
                if is_unmarked {
                    self.unmarked.insert(message.id);
                }
                entries.push(Some(entry));
            } else {
                entries.push(None);
            }
        }
        for (item, entry) in records.into_iter().zip(entries) {
            self.apply(item, entry);
        }
        Ok(())
    }

    fn apply(&mut self, record: Record<'_>, entry: Option<Box<Entry>>) {
        let change = match (record, entry) {
            (Record::Message(message), Some(entry)) => {
                self.finished.remove(&message.id);
                self.insert(entry);
                return;
            }
            (Record::Moved(message, branches), Some(entry)) => {
                self.finished.remove(&message.id);
                self.insert(entry);
                self.index.restore(message.id, &branches)
            }
            (Record::Progress(id, progress), _) => self.index.progress(id, &progress),
            (Record::Hold(id, branch, reason), _) => {
                let due = self.index.get(id).map_or(0, |entry| entry.queued_at);
                self.index.hold(id, branch, reason, due)
            }
            _ => return,
        };
        if let Some((id, true)) = change.done {
            self.finished.insert(id);
        }
    }

    fn insert(&mut self, entry: Box<Entry>) {
        if self.index.contains(entry.id) {
            self.index.relocate(entry.id, entry.place);
        } else {
            self.index.insert(entry);
        }
    }

    /// Written before there were marks, or by nobody who had the right to.
    fn hold_unmarked(&mut self) {
        for id in std::mem::take(&mut self.unmarked) {
            let Some(entry) = self.index.get(id) else { continue };
            let branches = entry.branches.as_slice().len();
            self.report.unchecked += entry.pending();
            for number in 0..u32::try_from(branches).unwrap_or(u32::MAX) {
                self.index.hold(id, number, Some(UNCHECKED), 0);
            }
        }
    }

    /// Old segments that nobody needs: their space may be needed at once.
    fn dead(&mut self) -> Result<(), OpenError> {
        let dir = &self.dirs.segments;
        while let Some((&number, segment)) = self.index.segments.first_key_value()
            && segment.live_messages == 0
        {
            let path = dir.join(Name { number, epoch: segment.epoch }.file_name());
            fs::remove_file(&path).and_then(|()| sync_dir(dir)).map_err(OpenError::at(&path))?;
            self.index.segments.remove(&number);
        }
        Ok(())
    }

    /// What never became a message.
    fn drafts(&mut self) -> Result<(), OpenError> {
        let dir = &self.dirs.drafts;
        for found in fs::read_dir(dir).map_err(OpenError::at(dir))? {
            let path = found.map_err(OpenError::at(dir))?.path();
            fs::remove_file(&path).map_err(OpenError::at(&path))?;
            self.report.uncommitted += 1;
        }
        Ok(())
    }

    /// Large bodies that no message names: leftovers, unless a damaged frame may have named them.
    fn large(&mut self) -> Result<(), OpenError> {
        let dir = self.dirs.large.clone();
        let doubtful =
            !self.report.damaged.is_empty() || self.report.known_damage > 0 || self.report.missing_frames > 0;
        for found in fs::read_dir(&dir).map_err(OpenError::at(&dir))? {
            let path = found.map_err(OpenError::at(&dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".body"));
            let id = name.and_then(|name| name.parse::<MessageId>().ok());
            match id {
                Some(id) if self.index.get(id).is_some_and(|entry| entry.place.file_length.is_some()) => {}
                Some(id) if self.finished.contains(&id) || !doubtful => {
                    fs::remove_file(&path).map_err(OpenError::at(&path))?;
                    self.report.uncommitted += u64::from(!self.finished.contains(&id));
                }
                Some(_) => self.put_aside(&path, "no sound record names this body")?,
                None => self.put_aside(&path, "no body has such a name")?,
            }
        }
        Ok(())
    }
}

fn entry(
    message: &MessageRecord<'_>,
    name: Name,
    at: usize,
    payload: &[u8],
) -> Result<(Box<Entry>, bool), record_error::Bad> {
    let meta = Meta::decode(message.meta)?;
    let (inline, file_length) = match message.stored {
        Stored::Inline(bytes) => (bytes, None),
        Stored::File { head, length } => (head, NonZeroU64::new(length)),
    };
    // Both slices are of the same frame, so the difference is the offset in it.
    let offset = (inline.as_ptr() as usize).saturating_sub(payload.as_ptr() as usize);
    let place = Place {
        segment: name.number,
        offset: u32::try_from(at + super::frame::HEADER + offset).map_err(|_| record_error::TOO_FAR)?,
        inline: u32::try_from(inline.len()).map_err(|_| record_error::TOO_FAR)?,
        crc: message.crc,
        file_length,
    };
    let entry = Entry::new(message.id, place, &meta, message.meta, message.queued_at);
    Ok((Box::new(entry), meta.way().is_none()))
}

mod record_error {
    pub(super) use crate::spool::wire::Malformed as Bad;
    pub(super) const TOO_FAR: Bad = Bad("further into its segment than any record");
}
