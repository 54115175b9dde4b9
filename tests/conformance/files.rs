//! Containers that others made, most with ClamAV's harmless test program in them, some with nothing but the will to break a reader.
//!
//! The program is known by its SHA-256. It is unpacked in memory only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sekisho::message::files;
use sekisho::message::specimen::{FileSeen, FileVisitor, Limits, Specimen, Trait};

/// `clam.exe`, 544 octets: prints a line.
const TEST_PROGRAM: &str = "71e7b604d18aefd839e51a39c88df8383bb4c071dc31f87f00a2b5df580d4495";

/// What the scan of one container came to.
struct Scan {
    specimen: Specimen,
    found: bool,
    took: Duration,
}

#[derive(Default)]
struct Look {
    found: bool,
}

impl FileVisitor for Look {
    fn file(&mut self, seen: &FileSeen, octets: &[u8]) {
        let hash: String = seen.sha256.iter().map(|octet| format!("{octet:02x}")).collect();
        self.found |= hash == TEST_PROGRAM || memchr::memmem::find(octets, b"STANDARD-ANTIVIRUS-TEST-FILE").is_some();
    }
}

fn scan(name: &str, octets: Vec<u8>, passwords: &[Box<str>]) -> Scan {
    let began = Instant::now();
    let time_up = move || began.elapsed() > Duration::from_secs(30);
    let mut look = Look::default();
    let specimen = files::walk_octets(name, Bytes::from(octets), &Limits::default(), passwords, &time_up, &mut look);
    Scan { specimen, found: look.found, took: began.elapsed() }
}

/// The files below a folder; those with every octet turned round are turned back.
fn containers(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut masked = Vec::new();
    let mut open: Vec<PathBuf> = vec![folder.to_path_buf()];
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let octets = std::fs::read(&path).unwrap();
            let mut name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if let Some(plain) = name.strip_suffix(".xor") {
                name = plain.to_owned();
                masked.push(name.clone());
            }
            found.insert(name, octets);
        }
    }
    unmask(&mut found, &masked);
    found
}

/// Octets of the mask that repeats over the masked files.
const MASK: usize = 160;

/// Zero is by far the most frequent octet of a program, so what stands most often at a place is the mask.
fn unmask(found: &mut BTreeMap<String, Vec<u8>>, masked: &[String]) {
    let mut counts = vec![[0_usize; 256]; MASK];
    for octets in masked.iter().filter_map(|name| found.get(name)) {
        for (at, &octet) in octets.iter().enumerate() {
            counts[at % MASK][usize::from(octet)] += 1;
        }
    }
    let mask: Vec<u8> = counts
        .iter()
        .map(|counts| u8::try_from((0..256).max_by_key(|&octet| counts[octet]).unwrap()).unwrap())
        .collect();
    for name in masked {
        for (at, octet) in found.get_mut(name).unwrap().iter_mut().enumerate() {
            *octet ^= mask[at % MASK];
        }
    }
}

fn report(name: &str, scan: &Scan) {
    let files: Vec<String> =
        scan.specimen.files.iter().skip(1).take(6).map(|file| format!("{}[{}]", file.name(), file.format)).collect();
    let unchecked: Vec<String> =
        scan.specimen.unchecked.iter().take(4).map(|one| format!("{:?}", one.reason)).collect();
    let top = &scan.specimen.files[0];
    let traits: Vec<Trait> = top.traits.clone();
    println!(
        "{} {name}: {:?}/{} {:?} {:?} files {} {:?} unchecked {:?} {:?}",
        if scan.found { "FOUND" } else { "-----" },
        top.kind,
        top.format,
        top.lock,
        traits,
        scan.specimen.files.len() - 1,
        files,
        unchecked,
        scan.took
    );
}

#[test]
fn look_around() {
    let Some(folder) = super::corpora("files") else { return };
    let only = std::env::var("ONLY").unwrap_or_default();
    for (name, octets) in containers(&folder) {
        if name.contains(&only) {
            println!("... {name}");
            report(
                &name,
                &scan(&name, octets, &["infected".into(), "password".into(), "1234".into(), "VelvetSweatshop".into()]),
            );
        }
    }
}
