//! The test virus in every container that can be written here: it is shown, and nothing is left unchecked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho::message::specimen::{FileKind, Lock, Trait};
use sekisho::model::finding::Reason;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::{make, scan, virus};

fn shown(name: &str, octets: Vec<u8>) {
    let scan = scan(name, octets, &[]);
    assert!(scan.found >= 1, "{name}: not shown; {:?}", scan.specimen.files);
    assert!(scan.specimen.unchecked.is_empty(), "{name}: {:?}", scan.specimen.unchecked);
}

fn method(method: CompressionMethod) -> Vec<u8> {
    make::zip_with(SimpleFileOptions::default().compression_method(method), &[("a.com", &virus())])
}

#[test]
fn archives_are_opened() {
    let virus = virus();
    let files: &[(&str, &[u8])] = &[("readme.txt", b"hello"), ("a.com", &virus)];
    shown("plain.com", virus.clone());
    shown("stored.zip", make::stored(files));
    shown("deflated.zip", make::zip(files));
    shown("bzip2.zip", method(CompressionMethod::Bzip2));
    shown("zstd.zip", method(CompressionMethod::Zstd));
    shown("a.tar", make::tar(files));
    shown("a.tgz", make::gz(&make::tar(files)));
    shown("a.tar.bz2", make::bz2(&make::tar(files)));
    shown("a.tar.zst", make::zst(&make::tar(files)));
    shown("a.cpio", make::newc(files));
    shown("a.ar", make::ar(files));
    shown("stored.cab", make::cab(cab::CompressionType::None, files));
    shown("mszip.cab", make::cab(cab::CompressionType::MsZip, files));
    shown("a.lzh", make::lzh("a.com", &virus));
    shown("a.7z", make::seven("a.com", &virus));
    shown("a.uu", make::uu("a.com", &virus));
}

#[test]
fn archives_in_archives_are_opened() {
    let mut octets = virus();
    for round in 0..4 {
        octets = make::zip(&[("a.bin", &octets)]);
        octets = make::gz(&make::tar(&[("a.zip", &octets)]));
        octets = if round % 2 == 0 { make::seven("a.tgz", &octets) } else { make::stored(&[("a.tgz", &octets)]) };
    }
    shown("deep.zip", octets);
}

#[test]
fn attached_mail_in_an_archive_is_opened() {
    let zip = STANDARD.encode(make::zip(&[("a.com", &virus())]));
    let mail = format!(
        "From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/zip; name=a.zip\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{zip}\r\n"
    );
    shown("outer.zip", make::zip(&[("a.eml", mail.as_bytes())]));
}

#[test]
fn documents_are_opened() {
    let virus = virus();
    let package = make::package("a.com", &virus);
    shown("media.docx", make::docx(&[("word/media/image1.png", &virus)]));
    shown(
        "object.docx",
        make::docx(&[("word/embeddings/oleObject1.bin", &make::ole(&[("/\u{1}Ole10Native", &package)]))]),
    );
    shown("object.doc", make::ole(&[("/WordDocument", &[0; 600]), ("/ObjectPool/_1/\u{1}Ole10Native", &package)]));
    let hex: String = [
        &[1, 5, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0][..],
        b"Package\0",
        &[0; 8],
        &u32::try_from(package.len() - 4).unwrap().to_le_bytes(),
        &package[4..],
    ]
    .concat()
    .iter()
    .map(|octet| format!("{octet:02x}"))
    .collect();
    shown("object.rtf", format!("{{\\rtf1 Hello{{\\object\\objemb{{\\*\\objdata {hex}}}}}}}").into_bytes());
    let one = [
        &b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"[..],
        &[0; 64],
        b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac",
        &(virus.len() as u64).to_le_bytes(),
        &[0; 12],
        &virus,
    ]
    .concat();
    shown("a.one", one);
    shown("a.pdf", pdf(&virus));
}

fn pdf(content: &[u8]) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    let objects: Vec<Vec<u8>> = vec![
        b"<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(a.com) 3 0 R] >> >> >>".to_vec(),
        b"<< /Type /Pages /Kids [] /Count 0 >>".to_vec(),
        b"<< /Type /Filespec /F (a.com) /EF << /F 4 0 R >> >>".to_vec(),
        [format!("<< /Type /EmbeddedFile /Length {} >>\nstream\n", content.len()).as_bytes(), content, b"\nendstream"]
            .concat(),
    ];
    for (index, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", index + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let xref = out.len();
    out.extend_from_slice(b"xref\n0 5\n0000000000 65535 f \n");
    for place in places {
        out.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(format!("trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n").as_bytes());
    out
}

#[test]
fn a_page_that_makes_a_file_is_seen_through() {
    let zip = STANDARD.encode(make::zip(&[("a.com", &virus()), ("b.txt", &[b'x'; 300])]));
    let page = format!(
        "<html><script>var b=new Blob([atob('{zip}')]);a.href=URL.createObjectURL(b);a.download='a.zip';a.click()</script></html>"
    );
    let scan = scan("a.html", page.into_bytes(), &[]);
    assert_eq!(scan.found, 1);
    assert!(scan.top().traits.contains(&Trait::Smuggling));
}

#[test]
fn an_archive_behind_something_else_is_found() {
    let zip = make::zip(&[("a.com", &virus())]);
    let picture = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 400], &zip].concat();
    let disguised = scan("a.png", picture, &[]);
    assert_eq!((disguised.found, disguised.top().kind), (1, FileKind::Image));
    assert!(disguised.top().traits.contains(&Trait::Ambiguous));
    let program = [b"MZ".as_slice(), &[7; 400], &zip].concat();
    let unpacker = scan("setup.exe", program, &[]);
    assert_eq!(unpacker.found, 1);
    assert!(!unpacker.top().traits.contains(&Trait::Ambiguous), "self-extracting programs are everyday");
}

#[test]
fn passwords_open_what_they_fit() {
    let virus = virus();
    let octets = make::locked("Seikyu-2024", &[("a.com", &virus), ("b.com", &virus)]);
    let opened = scan("a.zip", octets.clone(), &["wrong", "Seikyu-2024"]);
    assert_eq!((opened.found, opened.top().lock), (2, Lock::Opened));
    assert!(opened.specimen.unchecked.is_empty());
    let closed = scan("a.zip", octets, &["wrong"]);
    assert_eq!((closed.found, closed.top().lock, closed.reasons()), (0, Lock::Closed, vec![Reason::Encrypted]));
    assert_eq!(closed.specimen.files.iter().map(|file| file.name()).collect::<Vec<_>>(), ["a.zip", "a.com", "b.com"]);
}

#[test]
fn unknown_containers_are_named() {
    for (name, octets) in [
        ("a.ace", &b"\0\0\0\0\0\0\0**ACE**\0\0\0\0"[..]),
        ("a.wim", b"MSWIM\0\0\0\0\0"),
        ("a.vhdx", b"vhdxfile\0\0"),
        ("a.lz4", b"\x04\x22\x4d\x18\0\0"),
    ] {
        assert_eq!(scan(name, octets.to_vec(), &[]).reasons(), [Reason::Unsupported], "{name}");
    }
}
