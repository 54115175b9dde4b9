//! At the start: reads every file's record and makes the index of them.
//!
//! **Failure**: what is no held message, or another's, goes to `corrupt/` and is counted; what the disk refuses to read stays
//! where it is and is told. Neither keeps the node from starting.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::corrupt;
use super::file::{self, ReadError};
use super::held::Held;
use super::index::Index;
use super::shared::{Dirs, sync_dir};
use crate::model::{MessageId, TenantId};

/// Reading is waiting for the disk.
const THREADS: usize = 4;

/// What a start found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    pub messages: u64,
    /// Recipients for whom they are held.
    pub recipients: u64,
    pub bytes: u64,
    /// What was moved to `corrupt/`, and why.
    pub damaged: Vec<String>,
    /// What the disk refused to read; it is still there.
    pub unread: Vec<String>,
}

/// Blocks for as long as reading takes.
pub(super) fn recover(dirs: &Dirs) -> io::Result<(Index, RecoveryReport)> {
    // Never acknowledged: their clients were told to come again.
    for draft in fs::read_dir(&dirs.drafts)? {
        let _ = fs::remove_file(draft?.path());
    }
    sync_dir(&dirs.drafts)?;
    let mut report = RecoveryReport::default();
    let mut files = Vec::new();
    for tenant in fs::read_dir(&dirs.mail)? {
        let tenant = tenant?;
        let id = tenant.file_name().to_str().and_then(|name| TenantId::parse(name).ok());
        match id.filter(|_| tenant.file_type().is_ok_and(|kind| kind.is_dir())) {
            Some(id) => list(&id, &tenant.path(), &mut files)?,
            None => set_aside(dirs, &tenant.path(), "no tenant's directory", &mut report),
        }
    }
    // By id, so that the index is built in its order.
    files.sort_unstable_by(|a, b| a.path.file_name().cmp(&b.path.file_name()));
    let mut index = Index::default();
    for (file, read) in files.iter().zip(read_all(dirs, &files)) {
        match read {
            Some(Ok(held)) => index.insert(&held),
            None => {}
            Some(Err(ReadError::Damaged(why))) => set_aside(dirs, &file.path, &why, &mut report),
            Some(Err(ReadError::Io(error))) => report.unread.push(format!("{}: {error}", file.path.display())),
        }
    }
    report.messages = index.len() as u64;
    (report.recipients, report.bytes) = (index.recipients, index.bytes);
    Ok((index, report))
}

struct Found {
    tenant: TenantId,
    path: PathBuf,
}

fn list(tenant: &TenantId, dir: &Path, files: &mut Vec<Found>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        files.push(Found { tenant: tenant.clone(), path: entry?.path() });
    }
    Ok(())
}

/// In the order of the files. `None`: nothing to hold.
fn read_all(dirs: &Dirs, files: &[Found]) -> Vec<Option<Result<Held, ReadError>>> {
    let next = AtomicUsize::new(0);
    let read = Mutex::new(Vec::with_capacity(files.len()));
    let work = || {
        let mut mine = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(found) = files.get(at) else { break };
            mine.push((at, read_one(dirs, found)));
        }
        read.lock().unwrap_or_else(PoisonError::into_inner).extend(mine);
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    let mut read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
    read.sort_unstable_by_key(|(at, _)| *at);
    read.into_iter().map(|(_, read)| read).collect()
}

fn read_one(dirs: &Dirs, found: &Found) -> Option<Result<Held, ReadError>> {
    let damaged = |why: &str| Some(Err(ReadError::Damaged(why.into())));
    let id = found.path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse::<MessageId>().ok());
    let Some(id) = id else { return damaged("no file of ours") };
    match found.path.extension().and_then(OsStr::to_str) {
        Some("held") => {}
        // Beside its message, or left behind by one that was removed.
        Some("gone") => {
            if !dirs.message(&found.tenant, id).exists() {
                let _ = fs::remove_file(&found.path);
            }
            return None;
        }
        _ => return damaged("no file of ours"),
    }
    if found.path != dirs.message(&found.tenant, id) {
        return damaged("the name is written in another way than ours");
    }
    let held = match file::open(&found.path) {
        Ok(opened) => opened.held,
        Err(error) => return Some(Err(error)),
    };
    if held.id != id || held.tenant != found.tenant {
        return damaged("another message's or another tenant's");
    }
    finish(dirs, held)
}

/// Without those who are gone. All gone: the crash came before the file could be taken away.
fn finish(dirs: &Dirs, mut held: Held) -> Option<Result<Held, ReadError>> {
    // One that can't be read is told when the message is looked at; until then it is held for everybody.
    let gone = file::read_gone(&dirs.gone(&held.tenant, held.id)).unwrap_or_default();
    held.part(&gone);
    if !held.envelope.recipients.is_empty() {
        return Some(Ok(held));
    }
    let _ = fs::remove_file(dirs.message(&held.tenant, held.id));
    let _ = fs::remove_file(dirs.gone(&held.tenant, held.id));
    None
}

fn set_aside(dirs: &Dirs, path: &Path, why: &str, report: &mut RecoveryReport) {
    match corrupt::take(&dirs.corrupt, path, why) {
        Ok(kept) => report.damaged.push(format!("{}: {why}; kept as {}", path.display(), kept.display())),
        Err(error) => report.unread.push(format!("{}: {why}; it stays there: {error}", path.display())),
    }
}
