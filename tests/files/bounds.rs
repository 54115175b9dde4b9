//! What is beyond a bound is told, always.

use sekisho::message::files;
use sekisho::message::specimen::{FileSeen, FileVisitor, Limits, Specimen};
use sekisho::model::finding::Reason;

use super::make;

/// With all the time that it takes.
fn walked(name: &str, octets: Vec<u8>) -> Specimen {
    files::walk_octets(name, octets.into(), &Limits::default(), &[], &|| false, &mut Nobody)
}

fn reasons(name: &str, octets: Vec<u8>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = walked(name, octets).unchecked.iter().map(|one| one.reason).collect();
    reasons.sort();
    reasons.dedup();
    reasons
}

#[test]
fn text_that_is_not_read_is_told() {
    let line = b"a line of text that says nothing at all\n";
    let text = |mebibytes: usize| line.repeat((mebibytes << 20) / line.len());
    assert_eq!(reasons("a.txt", text(2)), []);
    assert_eq!(reasons("a.txt", text(17)), [Reason::Bytes]);
    let page = |mebibytes: usize| [b"<html><body>".as_slice(), &text(mebibytes)].concat();
    assert_eq!(reasons("a.html", page(1)), []);
    assert_eq!(reasons("a.html", page(5)), [Reason::Bytes]);
    // Together they are more than is kept; what is kept of the last one is its beginning.
    let texts: Vec<(String, Vec<u8>)> = (0..9).map(|index| (format!("{index}.txt"), text(2))).collect();
    let entries: Vec<(&str, &[u8])> = texts.iter().map(|(name, text)| (name.as_str(), text.as_slice())).collect();
    let specimen = walked("a.zip", make::stored(&entries));
    assert!(specimen.unchecked.iter().any(|one| one.reason == Reason::Bytes), "{:?}", specimen.unchecked);
    assert_eq!(specimen.texts.len(), 9);
}

#[test]
fn files_beyond_a_count_are_told() {
    let many = |count: usize| make::uu("a.bin", b"\x7fELF\x02\x01\x01 content").repeat(count);
    assert_eq!(reasons("a.txt", many(64)), []);
    assert_eq!(reasons("a.txt", many(65)), [Reason::Count]);
    let payload =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [b"MZ".as_slice(), &[0; 300]].concat());
    let page =
        |count: usize| format!("<html><script>{}</script>", format!("x('{payload}');\n").repeat(count)).into_bytes();
    assert_eq!(reasons("a.html", page(16)), []);
    assert_eq!(reasons("a.html", page(17)), [Reason::Count]);
}

#[test]
fn files_in_a_message_text_beyond_a_count_are_told() {
    let text = make::uu("a.bin", b"content").repeat(1_100);
    let mail = [b"From: a@b.example\r\n\r\n".as_slice(), &text].concat();
    let specimen = Specimen::parse(mail.into(), &Limits::default(), &|| false);
    assert!(specimen.unchecked.iter().any(|one| one.reason == Reason::Count), "{:?}", specimen.unchecked);
}

#[test]
fn links_of_a_document_beyond_the_bound_are_told() {
    let relations = |count: usize| {
        let one = |nth| format!("<Relationship Id='r{nth}' Target='http://h{nth}.example/' TargetMode='External'/>");
        let list: String = (0..count).map(one).collect();
        let list = format!("<?xml version='1.0'?><Relationships>{list}</Relationships>");
        make::docx(&[("word/_rels/document.xml.rels", list.as_bytes())])
    };
    assert_eq!(reasons("a.docx", relations(50)), []);
    assert_eq!(reasons("a.docx", relations(10_050)), [Reason::Count]);
}

#[test]
fn a_zip_entry_with_more_in_it_than_it_says_is_damaged() {
    let content = b"hello hello hello hello hello";
    let whole = make::zip(&[("a.txt", content)]);
    assert_eq!(reasons("a.zip", whole.clone()), []);
    let mut packed = flate2::Compress::new(flate2::Compression::best(), false);
    let mut stream = Vec::with_capacity(100);
    packed.compress_vec(content, &mut stream, flate2::FlushCompress::Finish).unwrap();
    let lies = make::Raw { method: 8, size: 10, ..make::Raw::stored("a.txt", &stream) };
    assert!(reasons("a.zip", make::raw_zip(&[lies])).contains(&Reason::Malformed));
}

#[test]
fn without_a_checksum_no_word_opens_a_locked_archive() {
    // AES with 2^8 rounds, no salt, sixteen zeros; nothing tells whether what a word makes of them is the file.
    let coder = [0x24, 6, 0xf1, 7, 1, 2, 8, 0];
    let octets = make::seven_with("a", &[7; 64], 64, &coder);
    let scan = super::scan("a.7z", octets, &["secret", "1234"]);
    assert!(scan.reasons().contains(&Reason::Encrypted), "{:?}", scan.reasons());
    assert_eq!(scan.top().lock, sekisho::message::specimen::Lock::Closed);
}

struct Nobody;

impl FileVisitor for Nobody {
    fn file(&mut self, _: &FileSeen, _: &[u8]) {}
}

#[test]
fn without_time_no_attachment_is_looked_at() {
    let part = "--b\r\nContent-Type: application/x\r\nContent-Disposition: attachment; filename=a.bin\r\n\r\nx\r\n";
    let mail = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", part.repeat(100));
    let mut specimen = Specimen::parse(mail.into(), &Limits::default(), &|| false);
    let asked = std::cell::Cell::new(0);
    let time_up = || asked.replace(asked.get() + 1) > 20;
    files::walk(&mut specimen, &Limits::default(), &files::Passwords::default(), &time_up, &mut Nobody);
    assert!(specimen.files.len() <= 21, "{}", specimen.files.len());
    assert!(specimen.unchecked.iter().any(|one| one.reason == Reason::Time), "{:?}", specimen.unchecked);
}
