//! ClamAV's own unit-test signatures, compiled as packs and held against the samples they are made for.
//!
//! A file that has only one line is one case; its name is the signature's. Sections of programs, version information, entry
//! points and hashes are all in them.

use std::path::{Path, PathBuf};

use sekisho::message::specimen::FileKind;
use sekisho::signatures::SignatureSet;
use sekisho::signatures::octets::Source;
use sekisho::signatures::pack::{Pack, PackFile};

use crate::{Tally, corpora};

fn compiled(files: &[PathBuf]) -> SignatureSet {
    let file = |path: &PathBuf| PackFile {
        path: path.file_name().unwrap().to_str().unwrap().into(),
        octets: std::fs::read(path).unwrap().into(),
    };
    let mut packed: Vec<_> = files.iter().map(file).collect();
    packed.push(PackFile { path: "pack.toml".into(), octets: "[pack]\nname = \"clamav\"".into() });
    let pack = Pack::from_files("clamav", packed).unwrap();
    SignatureSet::compile(1, &[pack]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn found(set: &SignatureSet, octets: &[u8], kind: FileKind) -> Vec<String> {
    let source = Source { kind, is_file: true, sha256: None };
    let (named, compared) =
        set.octets.look((&set.rules, &set.clamav), octets, source, &mut set.rules.nothing_seen(), &|| false);
    assert!(compared.is_ok());
    let yara = set.yara.scan(octets.to_vec().into(), std::time::Duration::from_secs(20)).unwrap();
    let yara = yara.into_iter().map(|info| format!("YARA.{}", info.name));
    named.into_iter().map(|named| named.name.to_owned()).chain(yara).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

#[test]
fn signatures_for_programs_find_their_program() {
    let Some(folder) = corpora("files/clamav-unit_tests/unit_tests/input/pe_allmatch") else { return };
    let Some(sample) = files(&folder).into_iter().find(|path| std::fs::read(path).unwrap().starts_with(b"MZ")) else {
        println!("SKIPPED: the sample is not in the corpora");
        return;
    };
    let octets = std::fs::read(&sample).unwrap();
    let mut tally = Tally::default();
    for signature in files(&folder.join("alert-sigs")) {
        let name = signature.file_stem().unwrap().to_str().unwrap().trim_end_matches(".UNOFFICIAL").to_owned();
        let ending = signature.extension().unwrap().to_str().unwrap();
        if !["hdb", "hsb", "mdb", "msb", "ndb", "ldb", "yar"].contains(&ending) {
            tally.note(&name, Err(format!("the format .{ending}")));
            continue;
        }
        let set = compiled(&[signature]);
        let outcome = match found(&set, &octets, FileKind::Executable) {
            names if names.iter().any(|found| name.contains(found.as_str())) => Ok(()),
            names => Err(format!("found {names:?}, skipped {:?}", set.skipped)),
        };
        tally.note(&name, outcome);
    }
    let total = tally.passed + tally.failed.len();
    println!("ClamAV's signatures for programs: {} of {total} pass", tally.passed);
    for (name, why) in &tally.failed {
        println!("  {name}: {why}");
    }
    assert!(tally.failed.keys().all(|name| name.contains("ICON")), "{:?}", tally.failed);
}

/// The samples lie in files of their own here; inside archives they are the scanner's to find.
#[test]
fn every_body_of_the_other_signatures_compiles() {
    let Some(folder) = corpora("files/clamav-unit_tests/unit_tests/input") else { return };
    let mut all = Vec::new();
    for dir in ["other_sigs", "embedded_testfiles/signatures", "."] {
        let known = |path: &PathBuf| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            ending.is_some_and(|ending| ["hdb", "hsb", "ndb", "ldb", "ign2"].contains(&ending))
        };
        all.extend(files(&folder.join(dir)).into_iter().filter(known));
    }
    let set = compiled(&all);
    assert!(set.skipped.is_empty(), "{:?}", set.skipped);
    assert!(set.clamav.len() > 20, "{}", set.clamav.len());
    assert_eq!(found(&set, b"CLAMAV-TEST-STRING-NOT-EICAR", FileKind::Text), ["NDB.Clamav-Unit-Test-Signature"]);
}
