//! Bombs: each ends within the time it was given and within 64 MiB, and is never clean.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho::model::finding::Reason;

use super::make::{self, Raw};
use super::scan;

const MIB: usize = 1 << 20;
/// Two mebibytes of zeros as xz.
const XZ: &str = "/Td6WFoAAAFpIt42AgAhARYAAAB0L+Wj//8RAWxdAABv/f//o7f/Rz5IFXI5YVG4kijmo4YH+e7kHoLTL8U6PAFLsX7JiopNL6MN2X+m44wjEVPgWRjFdYrid/i2lH8MasDedElk4ulcU7IE2PdEDKtfDW1G6eXDdoi3llestk3haR1v+0uIEGxCy4g/XACP0E6vJiiUcR89jyThcJ6nI1/sKMuF0ZWYin4qkfIndfcZwAaYTZj92K/VkA/EJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsqbN+1O/DEvS5fqg8+S2ZCkBMO/xCT+HF4WfgLzf+VKEYPqfx83vuaMC5WwI+F84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsqbN+1O/DEvEgn5liAAO0ABQAcpiTxAAAAfoeJjQABjwOAgIABZg37Kz4wDYsCAAAAAAFZWg==";

/// The most memory this process ever had, in octets.
pub fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).map_or(0, |kib| kib << 10)
}

/// Scans it, and holds it to time, memory and a reason. Memory only where the test has its process to itself.
fn bomb(name: &str, octets: Vec<u8>, expected: &[Reason]) {
    let size = octets.len();
    let before = peak();
    let scan = scan(name, octets, &[]);
    let grown = peak().saturating_sub(before);
    println!("{name}: {size} octets, {:?}, {} MiB, {:?}", scan.took, grown / MIB, scan.reasons());
    assert!(
        scan.reasons().iter().any(|reason| expected.contains(reason) || *reason == Reason::Time),
        "{name}: {:?}",
        scan.specimen.unchecked
    );
    assert!(scan.took < Duration::from_millis(3_500), "{name}: {:?}", scan.took);
    if std::env::var_os("NEXTEST").is_some() {
        assert!(grown <= 64 * MIB, "{name}: {grown} octets");
    }
}

/// A raw deflate stream of so many mebibytes of zeros: one piece, repeated.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    let mut piece = Vec::with_capacity(1 << 16);
    deflate.compress_vec(&vec![0; MIB], &mut piece, flate2::FlushCompress::Full).unwrap();
    let mut out = piece.repeat(mebibytes);
    // The last block is empty.
    out.extend_from_slice(&[0x03, 0x00]);
    out
}

fn deflated<'a>(name: &'a str, content: &'a [u8], size: u32) -> Raw<'a> {
    Raw { method: 8, size, ..Raw::stored(name, content) }
}

#[test]
fn one_file_too_big() {
    let content = zeros(1_000);
    bomb("honest.zip", make::raw_zip(&[deflated("a", &content, 1_000 << 20)]), &[Reason::FileSize, Reason::Ratio]);
}

#[test]
fn one_file_too_big_that_lies() {
    let content = zeros(1_000);
    bomb("lies.zip", make::raw_zip(&[deflated("a", &content, 10)]), &[Reason::FileSize, Reason::Ratio]);
}

#[test]
fn sizes_beyond_reason() {
    let content = zeros(1);
    bomb("zip64.zip", make::raw_zip(&[deflated("a", &content, u32::MAX - 1)]), &[Reason::FileSize, Reason::Ratio]);
}

#[test]
fn many_files_of_one_content() {
    let content = zeros(10);
    let mut out = deflated("a", &content, 10 << 20).local();
    let offset = out.len();
    let names: Vec<String> = (0..300).map(|index| format!("f{index}")).collect();
    let directory: Vec<u8> = names
        .iter()
        .flat_map(|name| Raw { local: "a", central: name, ..deflated("a", &content, 10 << 20) }.central(0))
        .collect();
    out.extend_from_slice(&directory);
    out.extend(make::end(300, directory.len(), offset));
    bomb("overlap.zip", out, &[Reason::Ratio, Reason::Malformed, Reason::Bytes]);
}

#[test]
fn files_without_number() {
    let names: Vec<String> = (0..100_000).map(|index| format!("{index}")).collect();
    let entries: Vec<Raw<'_>> = names.iter().map(|name| Raw::stored(name, b"")).collect();
    bomb("many.zip", make::raw_zip(&entries), &[Reason::Count]);
    let entries: Vec<(&str, &[u8])> = names.iter().take(5_000).map(|name| (name.as_str(), &b"x"[..])).collect();
    bomb("many.tar", make::tar(&entries), &[Reason::Count]);
    bomb("many.ar", make::ar(&entries), &[Reason::Count]);
    bomb("many.cpio", make::newc(&entries), &[Reason::Count]);
}

#[test]
fn layers_without_end() {
    let mut octets = b"core".to_vec();
    for _ in 0..100 {
        octets = make::stored(&[("a.zip", &octets)]);
    }
    bomb("deep.zip", octets, &[Reason::Depth]);
    let mut octets = b"core".to_vec();
    for _ in 0..100 {
        octets = make::gz(&octets);
    }
    bomb("deep.gz", octets, &[Reason::Depth]);
}

#[test]
fn sixteen_in_sixteen() {
    let content = zeros(50);
    let mut octets = make::raw_zip(&[deflated("0", &content, 50 << 20)]);
    for _ in 0..5 {
        let names: Vec<String> = (0..16).map(|index| format!("lib{index}.zip")).collect();
        let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), octets.as_slice())).collect();
        octets = make::zip(&entries);
    }
    bomb("forty-two.zip", octets, &[Reason::Ratio, Reason::Count, Reason::Bytes]);
}

#[test]
fn streams_too_well_packed() {
    let content = zeros(1_000);
    let gz = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &content, &[0; 8]].concat();
    bomb("a.gz", gz, &[Reason::FileSize, Reason::Ratio]);
    bomb("a.bz2", make::bz2(&vec![0; MIB]).repeat(1_000), &[Reason::FileSize, Reason::Ratio]);
    bomb("a.zst", make::zst(&vec![0; MIB]).repeat(1_000), &[Reason::FileSize, Reason::Ratio]);
    bomb("a.xz", STANDARD.decode(XZ).unwrap().repeat(1_000), &[Reason::FileSize, Reason::Ratio]);
}

#[test]
fn dictionaries_beyond_reason() {
    // LZMA with 4 GiB, PPMd with 4 GiB, and a key of 2^62 hashes.
    let lzma = [0x23, 3, 1, 1, 5, 0x5d, 0xff, 0xff, 0xff, 0xff];
    bomb("lzma.7z", make::seven_with("a", &[0; 64], 1 << 20, &lzma), &[Reason::Bytes]);
    let ppmd = [0x23, 3, 4, 1, 5, 6, 0xff, 0xff, 0xff, 0xff];
    bomb("ppmd.7z", make::seven_with("a", &[0; 64], 1 << 20, &ppmd), &[Reason::Bytes]);
    let key = [0x24, 6, 0xf1, 7, 1, 2, 0x3e, 0];
    bomb("key.7z", make::seven_with("a", &[0; 64], 64, &key), &[Reason::Encrypted]);
    bomb("a.lzma", [&b"\x5d\0\0\0\x40"[..], &[0xff; 8], &[0; 64]].concat(), &[Reason::Bytes, Reason::Malformed]);
    bomb("a.zst", b"\x28\xb5\x2f\xfd\x00\xff\x00\x00\x00\x00\x00".to_vec(), &[Reason::Malformed]);
    bomb("a.xz", b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36\x02\0\x21\x01\x28\0\0\0".to_vec(), &[Reason::Malformed]);
}

#[test]
fn documents_too_well_packed() {
    let laughs: String =
        (1..10).map(|round| format!("<!ENTITY a{round} \"{}\">", format!("&a{};", round - 1).repeat(10))).collect();
    let laughs = format!(
        "<?xml version='1.0'?><!DOCTYPE d [<!ENTITY a0 \"ha\">{laughs}]><w:document><w:t>&a9;</w:t></w:document>"
    );
    let types: &[u8] = b"<?xml version='1.0'?><Types/>";
    bomb(
        "laughs.docx",
        make::zip(&[("[Content_Types].xml", types), ("word/document.xml", laughs.as_bytes())]),
        &[Reason::Malformed],
    );
    let content = zeros(500);
    bomb(
        "big.docx",
        make::raw_zip(&[Raw::stored("[Content_Types].xml", types), deflated("word/document.xml", &content, 500 << 20)]),
        &[Reason::Ratio, Reason::FileSize],
    );
    let parts: Vec<String> = (0..6_000).map(|index| format!("word/{index}.xml")).collect();
    let mut entries: Vec<(&str, &[u8])> = vec![("[Content_Types].xml", types)];
    entries.extend(parts.iter().map(|name| (name.as_str(), &b"<?xml version='1.0'?><a/>"[..])));
    bomb("parts.docx", make::stored(&entries), &[Reason::Count]);
}

#[test]
fn nesting_without_end() {
    bomb("deep.rtf", [b"{\\rtf1".as_slice(), &b"{".repeat(1_000_000)].concat(), &[Reason::Depth]);
    bomb("deep.pdf", [b"%PDF-1.4\n1 0 obj\n".as_slice(), &b"[".repeat(1_000_000)].concat(), &[Reason::Malformed]);
    bomb("dict.pdf", [b"%PDF-1.4\n1 0 obj\n".as_slice(), &b"<</A ".repeat(200_000)].concat(), &[Reason::Malformed]);
}

#[test]
fn a_deep_document_is_no_bomb_but_ends() {
    let deep = [b"<?xml version='1.0'?>".as_slice(), &b"<a>".repeat(1_000_000)].concat();
    let scan = scan(
        "deep.docx",
        make::zip(&[("[Content_Types].xml", b"<?xml version='1.0'?><Types/>"), ("word/document.xml", &deep)]),
        &[],
    );
    assert!(scan.took < Duration::from_millis(3_500), "{:?}", scan.took);
}

#[test]
fn objects_of_a_document_without_end() {
    // An array that grows, a table of references that leads to one object again and again, a page that draws.
    let array = [b"%PDF-1.4\n1 0 obj\n[".as_slice(), &b"1 ".repeat(400_000), b"]\nendobj\n"].concat();
    bomb("array.pdf", array, &[Reason::Bytes]);
    let mut table = b"%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\nxref\n0 500000\n".to_vec();
    table.extend(b"0000000009 00000 n \n".repeat(500_000));
    table.extend(b"trailer\n<</Size 500000/Root 1 0 R>>\nstartxref\n42\n%%EOF\n");
    bomb("table.pdf", table, &[Reason::Bytes]);
}
