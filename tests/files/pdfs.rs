//! PDF: what is embedded is found whatever it calls itself, and no small file becomes a large one in memory.

use std::io::Write as _;
use std::time::Duration;

use sekisho::message::specimen::{FileKind, Trait};
use sekisho::model::finding::Reason;

use super::bombs::peak;
use super::{Scan, scan, virus};

/// Objects 1, 2, 3… as they are given, with a table of references and the first as root.
fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.5\n".to_vec();
    let mut table = b"0000000000 65535 f \n".to_vec();
    for (index, object) in objects.iter().enumerate() {
        table.extend(format!("{:010} 00000 n \n", out.len()).bytes());
        out.extend(format!("{} 0 obj\n", index + 1).bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    finish(out, &table, objects.len() + 1)
}

fn finish(mut out: Vec<u8>, table: &[u8], size: usize) -> Vec<u8> {
    let start = out.len();
    out.extend(format!("xref\n0 {size}\n").bytes());
    out.extend_from_slice(table);
    out.extend(format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").bytes());
    out
}

fn plain(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("<<{entries}/Length {}>>stream\n", content.len());
    [head.as_bytes(), content, b"\nendstream"].concat()
}

fn flate(entries: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(content).unwrap();
    stream(&format!("{entries}/Filter/FlateDecode"), &writer.finish().unwrap())
}

/// Objects by number, in an object stream.
fn object_stream(objects: &[(usize, &str)]) -> Vec<u8> {
    let (mut index, mut content) = (String::new(), String::new());
    for (number, object) in objects {
        index.push_str(&format!("{number} {} ", content.len()));
        content.push_str(&format!("{object}\n"));
    }
    let entries = format!("/Type/ObjStm/N {}/First {}", objects.len(), index.len());
    flate(&entries, format!("{index}{content}").as_bytes())
}

fn catalog() -> Vec<u8> {
    plain("<</Type/Catalog/Pages 2 0 R>>")
}

fn pages() -> Vec<u8> {
    plain("<</Type/Pages/Kids[]/Count 0>>")
}

fn quick(scan: &Scan) {
    assert!(scan.took < Duration::from_millis(3_500), "{:?}", scan.took);
}

fn too_much(octets: Vec<u8>) {
    let before = peak();
    let scan = scan("a.pdf", octets, &[]);
    let grown = peak().saturating_sub(before) >> 20;
    println!("{:?}, {grown} MiB, {:?}", scan.took, scan.specimen.unchecked);
    // On a machine that is busy with other things its time is up before.
    let told = |one: &Reason| matches!(one, Reason::Bytes | Reason::Ratio | Reason::Time);
    assert!(scan.reasons().iter().any(told), "{:?}", scan.reasons());
    // Nextest gives each test its own process.
    assert!(std::env::var_os("NEXTEST").is_none() || grown <= 192, "{grown} MiB");
}

#[test]
fn an_embedded_file_is_found_whatever_it_says_it_is() {
    for claim in ["/Subtype/Image", "/Type/Metadata", "/Type/XRef", "/Type/ObjStm", "/Type/EmbeddedFile", ""] {
        let specification = plain("<</Type/Filespec/F(a.exe)/EF<</F 4 0 R>>>>");
        let scan = scan("a.pdf", pdf(&[catalog(), pages(), specification, flate(claim, &virus())]), &[]);
        assert_eq!(scan.found, 1, "{claim}: {:?}", scan.specimen.unchecked);
        assert!(scan.specimen.files.iter().any(|file| file.name() == "a.exe"), "{claim}: {:?}", scan.specimen.files);
    }
}

#[test]
fn what_is_in_object_streams_is_seen() {
    let inner = object_stream(&[
        (1, "<</Type/Catalog/Pages 2 0 R/OpenAction 6 0 R>>"),
        (2, "<</Type/Pages/Kids[]/Count 0>>"),
        (6, "<</S/URI/URI(https://a.example/x)>>"),
        (7, "<</Type/Filespec/UF(b.exe)/EF<</F 9 0 R>>>>"),
        (8, "<</S/JavaScript/JS(app.alert)>>"),
    ]);
    let mut out = b"%PDF-1.5\n".to_vec();
    let mut table = b"0000000000 65535 f \n".repeat(10);
    for (number, object) in [(5, inner), (9, stream("", &virus()))] {
        table[20 * number..20 * number + 20].copy_from_slice(format!("{:010} 00000 n \n", out.len()).as_bytes());
        out.extend(format!("{number} 0 obj\n").bytes());
        out.extend_from_slice(&object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let scan = scan("a.pdf", finish(out, &table, 10), &[]);
    assert_eq!((scan.found, scan.reasons()), (1, vec![]), "{:?}", scan.specimen.files);
    assert!(scan.specimen.files.iter().any(|file| file.name() == "b.exe"));
    assert!(scan.top().has(Trait::Script));
    assert_eq!(scan.specimen.links.iter().map(|link| &*link.host).collect::<Vec<_>>(), ["a.example"]);
}

#[test]
fn a_pdf_in_a_pdf_is_what_it_was() {
    let inner = pdf(&[catalog(), pages(), object_stream(&[(9, "<</S/Launch>>")])]);
    let alone = scan("b.pdf", inner.clone(), &[]).top().sha256;
    let outer = pdf(&[catalog(), pages(), stream("/Type/EmbeddedFile", &inner)]);
    let scan = scan("a.pdf", outer, &[]);
    let file = scan.specimen.files.iter().find(|file| file.layer == 1 && file.kind == FileKind::Pdf).unwrap();
    assert_eq!(file.sha256, alone);
    assert!(file.has(Trait::Launch), "{file:?}");
}

#[test]
fn object_streams_that_become_large_are_not_opened() {
    let array = [b"1 0 ".as_slice(), b"[", &b"1 ".repeat(4 << 20), b"]"].concat();
    let one = flate("/Type/ObjStm/N 1/First 4", &array);
    let objects: Vec<Vec<u8>> = [catalog(), pages()].into_iter().chain(std::iter::repeat_n(one, 10)).collect();
    too_much(pdf(&objects));
    // A bit smaller: each fits, all together don't.
    let array = [b"1 0 ".as_slice(), b"[", &b"1 ".repeat(200_000), b"]"].concat();
    let one = flate("/Type/ObjStm/N 1/First 4", &array);
    let objects: Vec<Vec<u8>> = [catalog(), pages()].into_iter().chain(std::iter::repeat_n(one, 10)).collect();
    too_much(pdf(&objects));
    // One array under many numbers.
    let index: String = (10..3_000).map(|number| format!("{number} 0 ")).collect();
    let content = [index.as_bytes(), b"[", &b"1 ".repeat(20_000), b"]"].concat();
    let one = flate(&format!("/Type/ObjStm/N 2990/First {}", index.len()), &content);
    too_much(pdf(&[catalog(), pages(), one]));
}

#[test]
fn a_name_in_disguise_opens_nothing() {
    let array = [b"1 0 ".as_slice(), b"[", &b"1 ".repeat(1 << 20), b"]"].concat();
    let one = flate("/Type/Obj#53tm/N 1/Fi#72st 4", &array);
    too_much(pdf(&[catalog(), pages(), one]));
}

#[test]
fn plain_objects_that_become_large_are_not_read() {
    let array = [b"[".as_slice(), &b"1 ".repeat(10 << 20), b"]"].concat();
    too_much(pdf(&[catalog(), pages(), array]));
}

#[test]
fn one_object_for_many_references_is_paid_for_each() {
    let content = stream("", &vec![b'x'; 4 << 20]);
    let mut out = b"%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n".to_vec();
    let mut table = b"0000000000 65535 f \n0000000009 00000 n \n".to_vec();
    let at = out.len();
    out.extend_from_slice(b"2 0 obj\n");
    out.extend_from_slice(&content);
    out.extend_from_slice(b"\nendobj\n");
    table.extend(format!("{at:010} 00000 n \n").repeat(5_000).bytes());
    too_much(finish(out, &table, 5_002));
}

#[test]
fn names_are_gathered_once() {
    let specifications = (0..3_000).map(|index| plain(&format!("<</F(a{index})/EF<</F {} 0 R>>>>", index + 3_003)));
    let streams = (0..3_000).map(|_| stream("", b"x"));
    let objects: Vec<Vec<u8>> = [catalog(), pages()].into_iter().chain(specifications).chain(streams).collect();
    let scan = scan("a.pdf", pdf(&objects), &[]);
    assert!(scan.specimen.files.iter().any(|file| file.name() == "a7"));
    quick(&scan);
}

/// So many actions; `script` gives each its script.
fn actions(count: usize, script: impl Fn(usize) -> String) -> Vec<Vec<u8>> {
    (0..count).map(|index| plain(&format!("<</S/JavaScript/JS {}>>", script(index)))).collect()
}

#[test]
fn a_script_that_many_actions_name_is_looked_at_once() {
    let numbers: String = (0..400_000_u32).map(|number| format!("{} ", number.wrapping_mul(2_654_435_761))).collect();
    let script = flate("", &[virus(), numbers.into_bytes()].concat());
    let scan =
        scan("a.pdf", pdf(&[vec![catalog(), pages(), script], actions(2_000, |_| "3 0 R".to_owned())].concat()), &[]);
    assert_eq!(scan.found, 1);
    assert!(scan.reasons().is_empty(), "{:?}", scan.specimen.unchecked);
    quick(&scan);
}

#[test]
fn scripts_count_towards_what_is_unpacked() {
    let script = flate("", &vec![b' '; 4 << 20]);
    let objects = [vec![catalog(), pages()], actions(160, |index| format!("{} 0 R", 163 + index)), vec![script; 160]];
    let scan = scan("a.pdf", pdf(&objects.concat()), &[]);
    // The one that would be too much is given up within, as if it were packed too well.
    assert_eq!(scan.reasons(), [Reason::Ratio]);
    quick(&scan);
}

#[test]
fn scripts_without_number_are_told() {
    let scan = scan("a.pdf", pdf(&[vec![catalog(), pages()], actions(10_001, |_| "(a)".to_owned())].concat()), &[]);
    assert_eq!(scan.reasons(), [Reason::Count]);
    quick(&scan);
}
