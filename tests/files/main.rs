//! Files made here: the test virus in every container we can write, archives that programs read in two ways, and bombs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bombs;
mod bounds;
mod containers;
mod differentials;
mod documents;
mod make;
mod pdfs;

use std::time::{Duration, Instant};

use bytes::Bytes;
use sekisho::message::files;
use sekisho::message::specimen::{FileSeen, FileVisitor, Limits, Specimen};
use sekisho::model::finding::Reason;

/// The test virus of EICAR, which every scanner knows; in two pieces, so that this file is none.
pub fn virus() -> Vec<u8> {
    [&b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$"[..], b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

/// What one file came to.
#[derive(Debug)]
pub struct Scan {
    pub specimen: Specimen,
    /// How often the virus was shown, as a file of its own or at the beginning of one.
    pub found: usize,
    pub took: Duration,
}

struct Look {
    virus: Vec<u8>,
    found: usize,
}

impl FileVisitor for Look {
    fn file(&mut self, _: &FileSeen, octets: &[u8]) {
        self.found += usize::from(octets.starts_with(&self.virus));
    }
}

/// Two seconds are given, as a worker gives them.
pub fn scan(name: &str, octets: impl Into<Bytes>, passwords: &[&str]) -> Scan {
    let began = Instant::now();
    let time_up = move || began.elapsed() > Duration::from_secs(2);
    let mut look = Look { virus: virus(), found: 0 };
    let passwords: Vec<Box<str>> = passwords.iter().map(|&word| word.into()).collect();
    let specimen = files::walk_octets(name, octets.into(), &Limits::default(), &passwords, &time_up, &mut look);
    Scan { specimen, found: look.found, took: began.elapsed() }
}

impl Scan {
    pub fn reasons(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.specimen.unchecked.iter().map(|one| one.reason).collect();
        reasons.sort();
        reasons.dedup();
        reasons
    }

    pub fn top(&self) -> &FileSeen {
        &self.specimen.files[0]
    }
}
