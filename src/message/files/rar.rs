//! rar, all generations.
//!
//! **Failure**: members of other volumes, with unknown filters or too big dictionaries are noted.
//! **Invariants**: the crate gets a limit for headers, members, the sum and its memory, and writes into a bounded buffer.

use std::cell::RefCell;
use std::io::{self, Cursor, Write};
use std::rc::Rc;

use bytes::Bytes;
use rars::{
    Archive, ArchiveMember, ArchiveReadOptions, ArchiveReader, Error, ErrorKind, ExtractionDecision,
    ExtractionErrorAction,
};

use super::names;
use super::walk::{MAX_DICTIONARY, Met, Unpacked, Walk};
use crate::message::specimen::{Lock, Trait};
use crate::model::finding::Reason;

const MAX_HEADERS: u64 = 20_000;
const MAX_HEADER_OCTETS: u64 = 8 << 20;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    match parse(octets, options(walk, None)) {
        Ok(archive) => match archive
            .member_refs()
            .map(|member| member.to_owned())
            .find(|member| member.meta.is_encrypted && !member.meta.is_directory)
        {
            Some(locked) => with_passwords(walk, at, &archive, &locked),
            None => members(walk, at, &archive, None, Lock::None),
        },
        Err(error) if is_locked(&error) => {
            let passwords = walk.passwords();
            for word in passwords {
                if !walk.may_try_costly() {
                    break;
                }
                if let Ok(archive) = parse(octets, options(walk, Some(word.as_bytes()))) {
                    walk.lock(at, Lock::Opened);
                    return members(walk, at, &archive, Some(word.as_bytes()), Lock::Opened);
                }
            }
            walk.lock(at, Lock::Closed);
        }
        Err(error) => walk.note(reason(&error), at),
    }
}

fn parse(octets: &Bytes, options: ArchiveReadOptions<'_>) -> rars::Result<Archive> {
    ArchiveReader::read_reader_with_options(Cursor::new(octets.clone()), options)
}

fn options<'p>(walk: &Walk<'_>, password: Option<&'p [u8]>) -> ArchiveReadOptions<'p> {
    let room = walk.room();
    ArchiveReadOptions::with_optional_password(password)
        .with_max_header_count(MAX_HEADERS)
        .with_max_header_bytes(MAX_HEADER_OCTETS)
        .with_max_member_output_bytes(room)
        .with_max_total_output_bytes(room)
        .with_rar50_dictionary_size_limit(2 * MAX_DICTIONARY)
        .with_max_reader_workspace_bytes(3 * MAX_DICTIONARY)
}

/// Tries the words on the first encrypted member alone.
fn with_passwords(walk: &mut Walk<'_>, at: usize, archive: &Archive, locked: &ArchiveMember) {
    let index = archive.member_refs().position(|member| member.name_bytes() == &*locked.meta.name).unwrap_or(0);
    let passwords = walk.passwords();
    for word in passwords {
        if !walk.may_try_costly() {
            break;
        }
        if let Ok(Some(_)) = archive.read_member_at_with_options(index, options(walk, Some(word.as_bytes()))) {
            walk.lock(at, Lock::Opened);
            return members(walk, at, archive, Some(word.as_bytes()), Lock::Opened);
        }
    }
    walk.lock(at, Lock::Closed);
    members(walk, at, archive, None, Lock::Closed);
}

fn members(walk: &mut Walk<'_>, at: usize, archive: &Archive, password: Option<&[u8]>, lock: Lock) {
    let sink = Sink::default();
    // The member that is being written into the sink.
    let open: RefCell<Option<Met>> = RefCell::new(None);
    let options = options(walk, password);
    let walk = RefCell::new(walk);
    let finish = |is_broken: bool| {
        if let Some(met) = open.borrow_mut().take() {
            let octets = std::mem::take(&mut *sink.0.borrow_mut());
            let mut walk = walk.borrow_mut();
            if walk.account(at, octets.len() as u64) {
                walk.inside_unpacked(at, Unpacked { octets: octets.into(), is_cut: false, is_broken }, met);
            }
        }
    };
    let result = archive.extract_with_control_and_errors(
        options,
        |member| {
            finish(false);
            let mut walk = walk.borrow_mut();
            if walk.is_spent(at) {
                return Ok(ExtractionDecision::Stop);
            }
            Ok(decide(&mut walk, at, member, lock).map_or(ExtractionDecision::Skip, |met| {
                *open.borrow_mut() = Some(met);
                ExtractionDecision::Extract(Box::new(Sink(Rc::clone(&sink.0))))
            }))
        },
        |member, error| {
            walk.borrow_mut().note_in(reason(error), at, &names::decoded(&member.meta.name));
            finish(true);
            Ok(ExtractionErrorAction::Continue)
        },
    );
    finish(result.is_err());
    if let Err(error) = result {
        walk.borrow_mut().note(reason(&error), at);
    }
}

/// What is to be unpacked; members that can't be are listed by their name.
fn decide(walk: &mut Walk<'_>, at: usize, member: &ArchiveMember, lock: Lock) -> Option<Met> {
    let meta = &member.meta;
    if meta.is_directory {
        return None;
    }
    let mut met = Met { names: vec![names::decoded(&meta.name)], ..Met::default() };
    let name = met.names.first().cloned().unwrap_or_default();
    if meta.is_encrypted {
        met.lock = lock;
    }
    let why = if meta.is_redirection {
        met.traits.push(Trait::EscapingName);
        None
    } else if meta.is_encrypted && lock != Lock::Opened {
        None
    } else if meta.is_split_before || meta.is_split_after {
        Some(Reason::Unsupported)
    } else if meta.unpacked_size != u64::MAX && meta.unpacked_size > walk.limits.file_octets {
        Some(Reason::FileSize)
    } else if meta.unpacked_size != u64::MAX
        && meta.unpacked_size > (1 << 20)
        && meta.unpacked_size / meta.packed_size.max(1) > walk.limits.ratio
    {
        Some(Reason::Ratio)
    } else {
        return Some(met);
    };
    if let Some(reason) = why {
        walk.note_in(reason, at, &name);
    }
    met.is_cut = true;
    walk.inside(at, met);
    None
}

fn is_locked(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PasswordRequired | ErrorKind::BadPassword)
}

fn reason(error: &Error) -> Reason {
    match error.kind() {
        ErrorKind::PasswordRequired | ErrorKind::BadPassword => Reason::Encrypted,
        ErrorKind::UnsupportedFormat | ErrorKind::UnsupportedFeature => Reason::Unsupported,
        ErrorKind::ResourceLimit => Reason::Bytes,
        ErrorKind::Cancelled => Reason::Time,
        _ => Reason::Malformed,
    }
}

/// Collects a member; the crate keeps it within the limits.
#[derive(Debug, Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
