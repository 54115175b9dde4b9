//! The secret by which rewritten senders (SRS) are known again: made at the first start, kept in `srs.key` of the data directory.
//!
//! The file has one secret a line, hex of 32 octets; the first signs, all are believed. To change it, put a new line before the
//! old one, and take the old one out three weeks later.
//!
//! **Failure**: a file that can't be read or made stops the start: with another secret nothing that bounces would come back.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::node::StartError;
use crate::policy::srs::Rewriter;

const NAME: &str = "srs.key";
/// Octets of a secret.
const LENGTH: usize = 32;
/// Lines that are read.
const MOST: usize = 16;

pub(super) fn open(data_dir: &Path) -> Result<Rewriter, StartError> {
    let path = data_dir.join(NAME);
    let wrong = |what: String| StartError::Other(format!("{}: {what}", path.display()));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => make(&path).map_err(wrong)?,
        Err(error) => return Err(wrong(error.to_string())),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MOST);
    let secrets: Option<Vec<Vec<u8>>> = lines.map(secret).collect();
    match secrets {
        Some(secrets) if !secrets.is_empty() => Ok(Rewriter::new(&secrets)),
        _ => Err(wrong("each line must be 64 hex digits".into())),
    }
}

fn make(path: &Path) -> Result<String, String> {
    use std::fmt::Write as _;
    let mut octets = [0_u8; LENGTH];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| "no random octets".to_owned())?;
    let mut text = octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    });
    text.push('\n');
    // Beside it first: half a secret must never stand there.
    let beside = path.with_extension("new");
    let written = || -> std::io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().map_err(|error| error.to_string())?;
    Ok(text)
}

fn secret(line: &str) -> Option<Vec<u8>> {
    let digits = line.as_bytes();
    let octet = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (digits.len() == 2 * LENGTH).then(|| digits.chunks(2).map(octet).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_stays() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap();
        let first = fs::read_to_string(dir.path().join(NAME)).unwrap();
        open(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(NAME)).unwrap(), first);
        assert_eq!(fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(dir.path().join(NAME), "short\n").unwrap();
        assert!(open(dir.path()).is_err());
        fs::write(dir.path().join(NAME), "").unwrap();
        assert!(open(dir.path()).is_err());
    }
}
