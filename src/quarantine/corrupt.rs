//! `corrupt/`: what can't be read is kept there, with a text that says where it was and why; never deleted by us.
//!
//! **Failure**: if keeping fails the original stays where it is, and the failure is told.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::shared::sync_dir;

/// Moves something here. Blocks.
pub(super) fn take(dir: &Path, path: &Path, why: &str) -> io::Result<PathBuf> {
    let name = path.file_name().map_or_else(|| "unnamed".into(), |name| name.to_string_lossy().into_owned());
    // Of which tenant: the names of files don't say.
    let parent = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let name = parent.map_or_else(|| name.clone(), |parent| format!("{parent}.{name}"));
    let mut target = dir.join(&name);
    let mut number = 1;
    while target.symlink_metadata().is_ok() {
        number += 1;
        target = dir.join(format!("{name}.{number}"));
    }
    let mut said = target.clone().into_os_string();
    said.push(".txt");
    let mut text = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(said)?;
    writeln!(text, "was {}: {why}", path.display())?;
    text.sync_all()?;
    fs::rename(path, &target)?;
    sync_dir(dir)?;
    if let Some(parent) = path.parent() {
        sync_dir(parent)?;
    }
    Ok(target)
}
