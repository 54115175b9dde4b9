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

#[test]
fn files_without_content_count_as_files() {
    let names: Vec<String> = (0..400).map(|nth| format!("{nth}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(reasons("a.cpio", make::newc(&files)), [Reason::Count]);
    assert_eq!(reasons("a.cpio", make::newc(&files[..300])), []);
}

#[test]
fn objects_and_text_of_a_letter_beyond_the_bound_are_told() {
    let one = "{\\object\\objemb{\\*\\objdata 01050000020000000800000050616b6167650000000000000000000400000061626364}}";
    let letter = |count: usize| format!("{{\\rtf1{}}}", one.repeat(count)).into_bytes();
    assert_eq!(reasons("a.rtf", letter(128)), []);
    assert_eq!(reasons("a.rtf", letter(129)), [Reason::Count]);
    let binary = format!("{{\\bin600 {}}}", "x".repeat(600)).repeat(129);
    assert_eq!(reasons("a.rtf", format!("{{\\rtf1{binary}}}").into_bytes()), [Reason::Count]);
    let words = |mebibytes: usize| format!("{{\\rtf1 {}}}", "some words ".repeat((mebibytes << 20) / 11)).into_bytes();
    assert_eq!(reasons("a.rtf", words(3)), []);
    assert_eq!(reasons("a.rtf", words(5)), [Reason::Bytes]);
}

#[test]
fn attributes_and_text_of_a_document_beyond_the_bound_are_told() {
    let document = |xml: String| make::docx(&[("word/footer.xml", xml.as_bytes())]);
    let attributes: String = (0..300).map(|nth| format!(" a{nth}='x'")).collect();
    let wide = format!("<?xml version='1.0'?><w:document{attributes} href='http://evil.example/'/>");
    assert!(reasons("a.docx", document(wide)).contains(&Reason::Count));
    let long = |mebibytes: u32| {
        let word = |nth: u32| format!("<i>words {:08x} </i>", nth.wrapping_mul(2_654_435_761));
        let words: String = (0..mebibytes << 16).map(word).collect();
        format!("<?xml version='1.0'?><w:t>{words}</w:t>")
    };
    assert!(!reasons("a.docx", document(long(2))).contains(&Reason::Bytes));
    assert!(reasons("a.docx", document(long(14))).contains(&Reason::Bytes));
}

#[test]
fn properties_of_outlook_beyond_the_bound_are_told() {
    let properties = |count: u32| {
        let list = [&count.to_le_bytes()[..], &[3, 0, 1, 0, 0, 0, 0, 0].repeat(count as usize)].concat();
        let length = u32::try_from(list.len()).unwrap().to_le_bytes();
        [b"\x78\x9f\x3e\x22\x01\0\x01\x03\x90\x06\0", &length[..], &list, &[0, 0]].concat()
    };
    assert_eq!(reasons("winmail.dat", properties(10_000)), []);
    assert_eq!(reasons("winmail.dat", properties(10_001)), [Reason::Count]);
}

fn walked_mail(mail: impl Into<Vec<u8>>) -> (Specimen, usize) {
    let mut specimen = Specimen::parse(mail.into().into(), &Limits::default(), &|| false);
    let mut look = super::Look { virus: super::virus(), found: 0 };
    files::walk(&mut specimen, &Limits::default(), &files::Passwords::default(), &|| false, &mut look);
    (specimen, look.found)
}

fn encoded(octets: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, octets)
}

#[test]
fn files_in_the_addresses_of_a_page_are_looked_at() {
    let page = |content: &str| format!("Content-Type: text/html\r\n\r\n<html><p>hello{content}");
    let virus = encoded(&super::virus());
    let zip = encoded(&make::zip(&[("a.com", &super::virus())]));
    for content in [
        format!("<a href='data:text/plain;base64,{virus}'>x</a>"),
        format!("<a href=\"DATA:application/octet-stream;base64,\r\n{zip}\">x</a>"),
        format!("<p style='background:url(data:;base64,{zip})'>x</p>"),
    ] {
        let (specimen, found) = walked_mail(page(&content));
        assert_eq!((found, specimen.unchecked.len()), (1, 0), "{content}");
    }
    // One and the same is looked at once, whatever the number of addresses.
    let links = |count: usize, text: fn(usize) -> usize| {
        let links: String =
            (0..count).map(|at| format!("<a href='data:text/html,%3Cp%3E{}'>x</a>", text(at))).collect();
        walked_mail(page(&links)).0
    };
    assert_eq!(links(257, |at| at).unchecked.first().map(|one| one.reason), Some(Reason::Count));
    let same = links(257, |_| 1);
    assert_eq!((same.files.len(), same.unchecked.len()), (1, 0), "{:?}", same.unchecked);
    // A picture, a drawing and a font are the page's own.
    let honest = format!(
        "<img src='data:image/gif;base64,{}'><img src=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E\">\
         <style>@font-face{{src:url(data:font/woff2;base64,d09GMgABAAA)}}</style>",
        encoded(b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;")
    );
    let (specimen, _) = walked_mail(page(&honest));
    assert_eq!((specimen.files.len(), specimen.unchecked.len()), (0, 0), "{:?}", specimen.files);
}

#[test]
fn a_file_in_pieces_that_a_script_joins_is_found() {
    let text = encoded(&make::zip(&[("a.com", &super::virus())]));
    let (first, rest) = text.split_at(120);
    let page = format!(
        "<html><script>x('{first}' + '{}');</script>",
        rest.as_bytes().chunks(80).map(|piece| String::from_utf8_lossy(piece)).collect::<Vec<_>>().join("'+'")
    );
    let scan = super::scan("a.html", page.into_bytes(), &[]);
    assert_eq!(scan.found, 1, "{:?}", scan.specimen.files);
    let honest = "<html><script>var names = 'a_rather_long_name_of_a_function_of_this_page another';</script>";
    assert!(!super::scan("a.html", honest, &[]).top().has(sekisho::message::specimen::Trait::Smuggling));
}

#[test]
fn a_text_without_end_is_told_and_its_beginning_is_read() {
    let line = "some words of a letter without end\r\n";
    let mail = |mebibytes: usize| {
        format!("Content-Type: text/plain\r\n\r\nfirst words\r\n{}", line.repeat((mebibytes << 20) / line.len()))
    };
    let read = |mebibytes: usize| Specimen::parse(mail(mebibytes).into(), &Limits::default(), &|| false);
    let (short, long) = (read(9), read(11));
    assert!(short.unchecked.is_empty() && short.parts[0].text.is_some());
    assert!(!long.unchecked.is_empty() && long.unchecked.iter().all(|one| one.reason == Reason::Bytes));
    assert!(long.texts[0].folded.starts_with("first words some words") && long.parts[0].text.is_none());
    // A text that is a file has room of its own.
    let file = format!(
        "Content-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n{}",
        line.repeat((11 << 20) / line.len())
    );
    assert!(walked_mail(file).0.unchecked.is_empty());
}

#[test]
fn the_innermost_of_thirty_messages_is_read() {
    let mut mail = b"Subject: x\r\n\r\nthe innermost words\r\n".to_vec();
    for _ in 0..30 {
        mail =
            [b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n", encoded(&mail).as_bytes()]
                .concat();
    }
    let specimen = Specimen::parse(mail.into(), &Limits::default(), &|| false);
    assert!(specimen.unchecked.is_empty() && specimen.texts.iter().any(|text| &*text.folded == "the innermost words"));
}
