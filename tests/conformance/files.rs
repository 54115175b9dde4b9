//! Containers that others made, most with ClamAV's harmless test program in them, some with nothing but the will to break a reader.
//!
//! The program is known by its SHA-256. It is unpacked in memory only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sekisho::message::files;
use sekisho::message::specimen::{FileKind, FileSeen, FileVisitor, Limits, Specimen};

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

/// Why a container's program is not found. Executables are risky files whatever is in them.
const NOT_FOUND: &[(&str, &str)] = &[
    ("clam-aspack.exe", PACKED),
    ("clam-fsg.exe", PACKED),
    ("clam-mew.exe", PACKED),
    ("clam-nsis.exe", INSTALLER),
    ("clam-pespin.exe", PACKED),
    ("clam-petite.exe", PACKED),
    ("clam-upack.exe", PACKED),
    ("clam-upx.exe", PACKED),
    ("clam-wwpack.exe", PACKED),
    ("clam-yc.exe", PACKED),
    ("clam.ea05.exe", INSTALLER),
    ("clam.ea06.exe", INSTALLER),
    ("clam_IScab_ext.exe", INSTALLER),
    ("clam_IScab_int.exe", INSTALLER),
    ("clam_ISmsi_ext.exe", INSTALLER),
    ("clam_ISmsi_int.exe", INSTALLER),
    ("clam.chm", UNSUPPORTED),
    ("clam.sis", UNSUPPORTED),
    ("clam.exe.webapp-export.one", "the program is shown with more behind it: an executable in a document"),
    ("copyright", "is none"),
];
const PACKED: &str = "a program that unpacks itself in memory: an executable";
const INSTALLER: &str = "an installer or interpreter with its own format: an executable";
const UNSUPPORTED: &str = "a format that is not opened: unscannable";

#[test]
fn the_test_program_is_found_in_its_containers() {
    let mut tally = super::Tally::default();
    let mut total = 0;
    for folder in ["files/clamav-testfiles-deb", "files/clamav-unit_tests/unit_tests/input/clamav_hdb_scanfiles"] {
        let Some(folder) = super::corpora(folder) else { return };
        for (name, octets) in containers(&folder) {
            let scan = scan(&name, octets, &[]);
            total += 1;
            let file = &scan.specimen.files[0];
            // Nothing that was not opened is clean.
            let runs = scan.specimen.files.iter().any(|file| file.kind == FileKind::Executable);
            let is_held = scan.found
                || runs
                || !scan.specimen.unchecked.is_empty()
                || !scan.specimen.ambiguities.is_empty()
                || file.kind == FileKind::Text;
            assert!(is_held, "{name}: {:?}", file);
            let outcome = if scan.found { Ok(()) } else { Err(format!("{:?} {}", file.kind, file.format)) };
            tally.note(&name, outcome);
        }
    }
    let unnamed: Vec<&String> =
        tally.failed.keys().filter(|name| !NOT_FOUND.iter().any(|(known, _)| known == name)).collect();
    for (name, what) in &tally.failed {
        let why = NOT_FOUND.iter().find(|(known, _)| known == name).map_or("NOT NAMED", |(_, why)| why);
        println!("not found: {name}: {what} ({why})");
    }
    println!("the test program: found in {} of {total}", tally.passed);
    assert!(unnamed.is_empty(), "{unnamed:?}");
    for (name, _) in NOT_FOUND {
        assert!(tally.failed.contains_key(*name), "{name} is found now");
    }
}

/// Everything there is, damaged files most of all: each is done with in time.
#[test]
fn nothing_breaks_a_reader() {
    let Some(folder) = super::corpora("files") else { return };
    let passwords: Vec<Box<str>> = ["infected", "password", "1234"].map(Into::into).to_vec();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let (mut count, mut slowest) = (0, (Duration::ZERO, String::new()));
    for (name, octets) in containers(&folder) {
        let scan = scan(&name, octets, &passwords);
        count += 1;
        for one in &scan.specimen.unchecked {
            *reasons.entry(format!("{:?}", one.reason)).or_default() += 1;
        }
        if std::env::var_os("SEKISHO_REPORT").is_some() {
            report(&name, &scan);
        }
        slowest = slowest.max((scan.took, name));
    }
    println!("{count} files; unchecked {reasons:?}; slowest {slowest:?}");
    assert!(count > 1_000, "{count}");
    assert!(slowest.0 < Duration::from_secs(60), "{slowest:?}");
}

fn report(name: &str, scan: &Scan) {
    let files: Vec<String> =
        scan.specimen.files.iter().skip(1).take(6).map(|file| format!("{}[{}]", file.name(), file.format)).collect();
    let unchecked: Vec<_> = scan.specimen.unchecked.iter().take(4).map(|one| (one.reason, &one.what)).collect();
    let top = &scan.specimen.files[0];
    println!(
        "{} {name}: {:?}/{} {:?} {:?}, {} inside {files:?}, unchecked {unchecked:?}, {:?}, {:?}",
        if scan.found { "FOUND" } else { "-----" },
        top.kind,
        top.format,
        top.lock,
        top.traits,
        scan.specimen.files.len() - 1,
        scan.specimen.ambiguities,
        scan.took
    );
}
