//! Archives that programs read in two ways: everything that any of them would unpack is shown, and the archive is marked.

use sekisho::message::specimen::Trait;

use super::make::{self, Raw};
use super::{Scan, scan, virus};

fn read(octets: Vec<u8>) -> Scan {
    scan("a.zip", octets, &[])
}

fn marked(scan: &Scan) -> bool {
    scan.specimen.files.iter().any(|file| file.traits.contains(&Trait::Ambiguous))
}

#[test]
fn two_archives_behind_one_another() {
    let (harmless, harmful) = (make::zip(&[("a.txt", b"hello")]), make::zip(&[("a.com", &virus())]));
    for octets in [[harmless.clone(), harmful.clone()].concat(), [harmful, harmless].concat()] {
        let scan = read(octets);
        assert_eq!((scan.found, marked(&scan)), (1, true));
    }
}

#[test]
fn an_entry_that_no_directory_names() {
    let virus = virus();
    let hidden = Raw { in_directory: false, ..Raw::stored("a.com", &virus) };
    let scan = read(make::raw_zip(&[Raw::stored("a.txt", b"hello"), hidden]));
    assert_eq!((scan.found, marked(&scan)), (1, true));
}

#[test]
fn two_names_for_one_entry() {
    let virus = virus();
    let scan = read(make::raw_zip(&[Raw { local: "a.com", ..Raw::stored("a.txt", &virus) }]));
    assert_eq!((scan.found, marked(&scan)), (1, true));
    let names: Vec<&str> = scan.specimen.files[1].names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["a.txt", "a.com"]);
}

#[test]
fn a_directory_that_says_too_little() {
    let virus = virus();
    let scan = read(make::raw_zip(&[Raw { packed: 10, ..Raw::stored("a.com", &virus) }]));
    assert_eq!((scan.found, marked(&scan)), (1, true));
}

#[test]
fn an_archive_in_the_comment_of_another() {
    let inner = make::zip(&[("a.com", &virus())]);
    let mut octets = make::zip(&[("a.txt", b"hello")]);
    let length = octets.len();
    octets[length - 2..].copy_from_slice(&u16::try_from(inner.len()).unwrap().to_le_bytes());
    octets.extend(inner);
    let scan = read(octets);
    assert_eq!((scan.found, marked(&scan)), (1, true));
}

#[test]
fn octets_in_front_that_offsets_count_or_not() {
    let archive = make::zip(&[("a.com", &virus())]);
    let scan = read([b"PK\x03\x04junk".as_slice(), &[b' '; 100], &archive].concat());
    assert_eq!(scan.found, 1);
}

#[test]
fn no_directory_at_all() {
    let virus = virus();
    let scan = read(Raw::stored("a.com", &virus).local());
    assert_eq!(scan.found, 1);
}

#[test]
fn honest_archives_are_not_marked() {
    let inner = make::stored(&[("c.txt", b"hello"), ("d.txt", b"there")]);
    for octets in [
        make::zip(&[("a.txt", b"hello"), ("b/c.txt", b"hello")]),
        make::stored(&[("a.txt", b"hello"), ("inner.zip", &inner), ("b.txt", b"hello")]),
        make::raw_zip(&[Raw::stored("a.txt", b"hello")]),
    ] {
        let scan = read(octets);
        assert!(
            !marked(&scan) && scan.specimen.unchecked.is_empty(),
            "{:?} {:?}",
            scan.specimen.files,
            scan.specimen.unchecked
        );
    }
}

#[test]
fn names_that_lead_out_are_marked() {
    let scan =
        read(make::zip(&[("../../etc/cron.d/x", b"hello"), ("C:\\x", b"hello"), ("/x", b"hello"), ("a/b", b"hello")]));
    let escaping: Vec<bool> =
        scan.specimen.files.iter().skip(1).map(|file| file.traits.contains(&Trait::EscapingName)).collect();
    assert_eq!(escaping, [true, true, true, false]);
}
