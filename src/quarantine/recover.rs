//! At the start: reads every file's record and makes the index of them.
//!
//! **Failure**: what is no held message, or another's, goes to `corrupt/` and is counted; what the disk refuses to read stays
//! where it is and is told. Neither keeps the node from starting.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::corrupt;
use super::file::{self, ReadError};
use super::held::Held;
use super::index::Index;
use super::shared::{Dirs, sync_dir};
use crate::model::{MessageId, TenantId};

/// Reading is waiting for the disk.
const THREADS: usize = 4;
/// Fewer files than these are read by one.
const FEW: usize = 32;

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
    let found = Mutex::new((Index::default(), RecoveryReport::default()));
    for tenant in fs::read_dir(&dirs.mail)? {
        let tenant = tenant?;
        let id = tenant.file_name().to_str().and_then(|name| TenantId::parse(name).ok());
        match id.filter(|_| tenant.file_type().is_ok_and(|kind| kind.is_dir())) {
            Some(id) => read_tenant(dirs, &id, &tenant.path(), &found),
            None => set_aside(dirs, &tenant.path(), "no tenant's directory", &mut locked(&found).1),
        }
    }
    let (index, mut report) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.damaged.sort_unstable();
    report.unread.sort_unstable();
    report.messages = index.len() as u64;
    (report.recipients, report.bytes) = (index.recipients, index.bytes);
    Ok((index, report))
}

type Found = Mutex<(Index, RecoveryReport)>;

fn locked(found: &Found) -> MutexGuard<'_, (Index, RecoveryReport)> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of each file no more is kept than its name while it waits, and its entry when it was read. A directory that can't be listed is
/// told: its mail is found at a later start.
fn read_tenant(dirs: &Dirs, tenant: &TenantId, dir: &Path, found: &Found) {
    let mut names = Vec::new();
    let unread = |error: io::Error| locked(found).1.unread.push(format!("{}: {error}", dir.display()));
    match fs::read_dir(dir) {
        Ok(entries) => {
            for entry in entries {
                match entry {
                    Ok(entry) => names.push(entry.file_name()),
                    Err(error) => unread(error),
                }
            }
        }
        Err(error) => unread(error),
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let path = dir.join(name);
            match read_one(dirs, tenant, &path) {
                Some(Ok(held)) => locked(found).0.insert(&held),
                None => {}
                Some(Err(ReadError::Damaged(why))) => set_aside(dirs, &path, &why, &mut locked(found).1),
                Some(Err(ReadError::Io(error))) => {
                    locked(found).1.unread.push(format!("{}: {error}", path.display()));
                }
            }
        }
    };
    if names.len() < FEW {
        return work();
    }
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
}

/// `None`: nothing to hold.
fn read_one(dirs: &Dirs, tenant: &TenantId, path: &Path) -> Option<Result<Held, ReadError>> {
    let damaged = |why: &str| Some(Err(ReadError::Damaged(why.into())));
    let id = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse::<MessageId>().ok());
    let Some(id) = id else { return damaged("no file of ours") };
    match path.extension().and_then(OsStr::to_str) {
        Some("held") => {}
        // Beside its message, or left behind by one that was removed.
        Some("gone") => {
            if !dirs.message(tenant, id).exists() {
                let _ = fs::remove_file(path);
            }
            return None;
        }
        _ => return damaged("no file of ours"),
    }
    if path != dirs.message(tenant, id) {
        return damaged("the name is written in another way than ours");
    }
    let held = match file::open(path) {
        Ok(opened) => opened.held,
        Err(error) => return Some(Err(error)),
    };
    if held.id != id || held.tenant != *tenant {
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
