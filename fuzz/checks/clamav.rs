//! What must hold of any file of ClamAV's signatures: it is read without a panic, what is wrong is told with its line, and what
//! was read comes to an end with a file.
//!
//! The first octet chooses the format; behind a line of `--` stands the file that is looked into.

use memchr::memmem;
use sekisho::message::specimen::FileKind;
use sekisho::signatures::clamav::{ClamAv, Format};
use sekisho::signatures::fault::{Faults, MAX_FAULTS};

const FORMATS: [&str; 7] = ["ndb", "ldb", "hdb", "hsb", "mdb", "msb", "ign2"];

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let [choice, rest @ ..] = data else { return };
    let format = Format::of(FORMATS[usize::from(*choice) % FORMATS.len()]).expect("a format");
    let (signatures, file) = match memmem::find(rest, b"\n--\n") {
        Some(at) => (&rest[..at], &rest[at + 4..]),
        None => (rest, &b"MZ file of some octets"[..]),
    };
    let (mut set, mut faults) = (ClamAv::default(), Faults::default());
    set.add(format, "fuzz", signatures, &mut faults);
    set.finish();
    assert!(faults.refused.len() + faults.skipped.len() <= 2 * MAX_FAULTS);
    let lines = signatures.split(|octet| *octet == b'\n').count();
    assert!(set.len() <= lines, "{} signatures of {lines} lines", set.len());
    let literals: Vec<(Vec<u8>, _)> = set.literals().map(|(octets, case)| (octets.to_vec(), case)).collect();
    let mut scan = set.file(file, FileKind::Executable);
    for (number, (literal, _)) in (0..).zip(&literals) {
        assert!(!literal.is_empty(), "nothing is looked for");
        memmem::find_iter(file, literal).for_each(|at| scan.saw(number, at));
    }
    let (named, _) = scan.finish(None, &|| false);
    assert!(named.len() <= lines * 4 + 16);
}
