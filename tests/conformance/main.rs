//! The suites that others wrote, run against the code that runs in production.
//!
//! They lie in `target/corpora` (unpacked from `../shared/corpora/corpora.tar.xz`) or where `SEKISHO_CORPORA` points; where
//! they are not, every test says that it skipped them. A case that does not pass is named in the runner with its reason; a
//! case that is named and passes is an error too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod arc;
mod clamav;
mod deception;
mod dkim;
mod dmarc;
mod files;
mod mime;
mod spf;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder of the corpora, if they are here.
fn corpora(part: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/target/corpora");
    let root = std::env::var_os("SEKISHO_CORPORA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let folder = root.join(part);
    if !folder.exists() {
        println!("SKIPPED: no corpora at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// What one suite came to.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: BTreeMap<String, String>,
}

impl Tally {
    fn note(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(why) => {
                self.failed.insert(name.to_owned(), why);
            }
        }
    }

    /// Prints the figures and holds them against the named exceptions.
    fn settle(self, suite: &str, expected: usize, exceptions: &[(&str, &str)]) {
        let total = self.passed + self.failed.len();
        println!("{suite}: {} of {total} pass", self.passed);
        for (name, why) in &self.failed {
            let reason = exceptions.iter().find(|(known, _)| known == name).map_or("NOT NAMED", |(_, reason)| reason);
            println!("  {name}: {why} ({reason})");
        }
        let unnamed: Vec<_> =
            self.failed.keys().filter(|name| !exceptions.iter().any(|(known, _)| known == name)).collect();
        let stale: Vec<_> = exceptions.iter().filter(|(name, _)| !self.failed.contains_key(*name)).collect();
        assert!(unnamed.is_empty(), "{suite}: fail and are not named: {unnamed:?}");
        assert!(stale.is_empty(), "{suite}: are named and pass: {stale:?}");
        assert_eq!(total, expected, "{suite}: the number of cases");
        assert!(self.passed * 100 >= total * 99, "{suite}: {} of {total} is below 99 %", self.passed);
    }
}
