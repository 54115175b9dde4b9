//! The packs that come with the program, so that it judges on its first day without a download.
//!
//! **Failure**: [`set`] tells what is wrong with them; a test holds that nothing is.

use rust_embed::RustEmbed;

use super::pack::PackFile;
use super::{Fault, Pack, SignatureSet};

/// Everything in `signatures/`, one folder for each pack.
#[derive(Debug, RustEmbed)]
#[folder = "signatures/"]
struct Shipped;

/// The packs, by name.
///
/// # Errors
/// What is wrong with the first that can't be read.
pub fn packs() -> Result<Vec<Pack>, Fault> {
    let mut folders: Vec<(String, Vec<PackFile>)> = Vec::new();
    let mut paths: Vec<_> = Shipped::iter().collect();
    paths.sort_unstable();
    for path in paths {
        let (Some((folder, file)), Some(embedded)) = (path.split_once('/'), Shipped::get(&path)) else { continue };
        let file = PackFile { path: file.into(), octets: embedded.data.into_owned().into() };
        match folders.last_mut() {
            Some((last, files)) if last == folder => files.push(file),
            _ => folders.push((folder.to_owned(), vec![file])),
        }
    }
    folders.into_iter().map(|(folder, files)| Pack::from_files(&folder, files)).collect()
}

/// The set they make; its number is 0.
///
/// # Errors
/// What is wrong with them.
pub fn set() -> Result<SignatureSet, Vec<Fault>> {
    SignatureSet::compile(0, &packs().map_err(|fault| vec![fault])?)
}

#[cfg(test)]
mod tests {
    use crate::message::specimen::{Limits, Specimen};
    use crate::signatures::self_test;

    #[test]
    fn what_is_shipped_passes_its_own_test() {
        let packs = super::packs().unwrap();
        let set = super::set().unwrap();
        let parse = |octets| Specimen::parse(octets, &Limits::default(), &|| false);
        self_test::run(&set, &packs, &parse, &|_, _| Vec::new()).unwrap();
    }
}
