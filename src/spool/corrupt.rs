//! `corrupt/`: what can't be read is kept there, with a text that says where it was and why; never deleted by us.
//!
//! **Failure**: if keeping fails the original stays where it is, and the failure is told.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::segment::sync_dir;
use super::shared::Shared;
use crate::telemetry::EventName;

/// For our eyes only: it is somebody's mail.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Where and why, for people.
fn explain(dir: &Path, name: &str, why: &str) -> io::Result<()> {
    let mut file = create(&dir.join(format!("{name}.txt")))?;
    writeln!(file, "{why}")?;
    file.sync_all()
}

/// Writes bytes under a name, unless they are there already. True if they weren't.
pub(super) fn write(dir: &Path, name: &str, bytes: &[u8], why: &str) -> io::Result<bool> {
    let path = dir.join(name);
    if path.metadata().is_ok_and(|found| found.len() == bytes.len() as u64) {
        return Ok(false);
    }
    let mut file = create(&path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    explain(dir, name, why)?;
    sync_dir(dir)?;
    Ok(true)
}

/// Moves a whole file here.
pub(super) fn take(dir: &Path, path: &Path, why: &str) -> io::Result<PathBuf> {
    let name = path.file_name().map_or_else(|| "unnamed".into(), |name| name.to_string_lossy().into_owned());
    let mut target = dir.join(&name);
    let mut number = 1;
    while target.exists() {
        number += 1;
        target = dir.join(format!("{name}.{number}"));
    }
    let told = target.file_name().map_or_else(|| name.clone(), |name| name.to_string_lossy().into_owned());
    explain(dir, &told, &format!("was {}: {why}", path.display()))?;
    fs::rename(path, &target)?;
    sync_dir(dir)?;
    if let Some(parent) = path.parent() {
        sync_dir(parent)?;
    }
    Ok(target)
}

/// Keeps bytes of a running spool and tells.
pub(super) fn keep_bytes(shared: &Shared, name: &str, bytes: &[u8], why: &str) {
    tell(shared, name, why, write(&shared.dirs.corrupt, name, bytes, why));
}

/// Keeps a copy of a file of a running spool and tells. A missing one leaves the text only.
pub(super) fn keep_copy(shared: &Shared, path: &Path, why: &str) {
    let name = path.file_name().map_or_else(|| "unnamed".into(), |name| name.to_string_lossy().into_owned());
    let target = shared.dirs.corrupt.join(&name);
    let kept = if target.exists() {
        Ok(false)
    } else if path.exists() {
        // A link costs no space, and the damaged file isn't written to any more.
        fs::hard_link(path, &target)
            .and_then(|()| explain(&shared.dirs.corrupt, &name, why))
            .and_then(|()| sync_dir(&shared.dirs.corrupt))
            .map(|()| true)
    } else {
        let text = shared.dirs.corrupt.join(format!("{name}.txt"));
        if text.exists() { Ok(false) } else { explain(&shared.dirs.corrupt, &name, why).map(|()| true) }
    };
    tell(shared, &name, why, kept);
}

fn tell(shared: &Shared, name: &str, why: &str, kept: io::Result<bool>) {
    let text = match kept {
        Ok(false) => return,
        Ok(true) => format!("corrupt/{name}: {why}"),
        Err(error) => format!("{name}: {why}; it could not be kept in corrupt/: {error}"),
    };
    shared.deps.metrics.spool.corrupt.inc();
    tracing::error!("{text}");
    shared.tell(EventName::Corrupt, None, &text);
}
