//! Whole messages through [`Specimen::parse`].

use super::*;
use crate::message::specimen::{Ambiguity, PartKind};
use crate::model::finding::Reason;

fn parse(text: &str) -> Specimen {
    Specimen::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default(), &|| false)
}

fn shape(specimen: &Specimen) -> Vec<(String, PartKind, String)> {
    let part = |part: &crate::message::specimen::Part| {
        (part.path.to_string(), part.kind, String::from_utf8_lossy(&part.octets).into_owned())
    };
    specimen.parts.iter().filter(|part| part.kind != PartKind::Multipart).map(part).collect()
}

fn row(path: &str, kind: PartKind, octets: &str) -> (String, PartKind, String) {
    (path.to_owned(), kind, octets.to_owned())
}

#[test]
fn a_message_without_mime_has_one_part() {
    let specimen = parse("From: a@b.example\r\nSubject: =?utf-8?Q?hi?=\r\n\r\nhello\r\n");
    assert_eq!(shape(&specimen), [row("1", PartKind::Text, "hello\r\n")]);
    assert_eq!((specimen.subject(), &*specimen.texts[0].visible), ("hi", "hello\n"));
    assert_eq!(&specimen.raw[specimen.fields[0].raw.clone()], b" a@b.example");
    assert!(specimen.ambiguities.is_empty() && specimen.unchecked.is_empty());
}

#[test]
fn a_tree_is_walked_in_document_order() {
    let specimen = parse(
        "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\npre\r\n--o\r\n\
         Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\nplain\r\n--i\r\nContent-Type: text/html\r\n\r\n\
         <b>html</b>\r\n--i--\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nattached\r\n--o\r\n\
         Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEs=\r\n--o--\r\n",
    );
    let inner = "Subject: in\r\n\r\nattached";
    assert_eq!(
        shape(&specimen),
        [
            row("1.1", PartKind::Text, "plain"),
            row("1.2", PartKind::Html, "<b>html</b>"),
            row("2", PartKind::Message, inner),
            row("2.1", PartKind::Text, "attached"),
            row("3", PartKind::File, "PK"),
        ]
    );
    assert_eq!(specimen.ambiguities, []);
    let attached = specimen.parts.iter().find(|part| &*part.path == "2.1").unwrap();
    assert_eq!((&*attached.fields[0].name, &*attached.fields[0].value), ("Subject", "in"));
    assert_eq!(&specimen.raw[attached.encoded.clone()], b"attached");
    assert!(specimen.parts.iter().enumerate().all(|(at, part)| part.parent.is_none_or(|parent| parent < at)));
}

#[test]
fn every_reading_becomes_a_part() {
    let two = parse(
        "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --a\r\n\r\none\r\n--a--\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
    );
    let texts: Vec<_> = two.texts.iter().map(|text| &*text.visible).collect();
    assert!(texts.contains(&"one") && texts.contains(&"two"), "{texts:?}");
    assert_eq!(two.ambiguities, [Ambiguity::DuplicateField]);
    let behind = parse(
        "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a--\r\n--a\r\n\r\ntwo\r\n",
    );
    assert_eq!(shape(&behind).last().unwrap(), &row("2'", PartKind::Text, "two\r\n"));
    assert_eq!(behind.ambiguities, [Ambiguity::Boundary]);
    let encoded = parse(
        "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         LS1hDQoNCmluc2lkZQ0KLS1hLS0NCg==\r\n",
    );
    assert!(encoded.texts.iter().any(|text| text.folded.contains("inside")));
    assert_eq!(encoded.ambiguities, [Ambiguity::BrokenHeader]);
}

#[test]
fn files_inside_text_are_parts() {
    let specimen = parse("From: a@b.example\r\n\r\nlook\r\nbegin 644 cat.exe\r\n#0V%T\r\n`\r\nend\r\n");
    let file = specimen.parts.last().unwrap();
    assert_eq!(
        (&*file.path, file.kind, &*file.names[0], &*file.octets),
        ("1.1", PartKind::File, "cat.exe", &b"Cat"[..])
    );
}

#[test]
fn beyond_the_limits_it_says_so() {
    let limits = Limits { parts: 10, depth: 3, ..Limits::default() };
    let many = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(100));
    let specimen = Specimen::parse(many.into(), &limits, &|| false);
    assert!(specimen.parts.len() <= 10);
    assert!(specimen.unchecked.iter().any(|missed| missed.reason == Reason::Count));
    let deep: String =
        (0..100).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")).collect();
    let specimen = Specimen::parse(deep.into(), &limits, &|| false);
    assert!(specimen.unchecked.iter().any(|missed| missed.reason == Reason::Depth));
    let specimen = Specimen::parse(Bytes::from_static(b"A: b\r\n\r\nc"), &limits, &|| true);
    assert_eq!(specimen.unchecked[0].reason, Reason::Time);
}

/// The same phrase in the encodings that Japanese mail is in, labels wrong and missing, in the body and in the subject.
#[test]
fn a_phrase_folds_alike_in_every_encoding_and_under_every_label() {
    use encoding_rs::{EUC_JP, ISO_2022_JP, SHIFT_JIS, UTF_8};
    let phrase = "迷惑メールの配信停止はこちら";
    let kana = "迷惑ﾒｰﾙの配信停止はこちら";
    let mut bodies: Vec<Vec<u8>> =
        [ISO_2022_JP, SHIFT_JIS, EUC_JP, UTF_8].map(|encoding| encoding.encode(phrase).0.into_owned()).into();
    bodies.push(SHIFT_JIS.encode(kana).0.into_owned());
    // Half-width kana in seven bits, and the phrase broken over two lines.
    let mut seven = ISO_2022_JP.encode("迷惑").0.into_owned();
    seven.extend(b"\x1b(IR0Y\x1b(B");
    seven.extend(&*ISO_2022_JP.encode("の配信\r\n停止はこちら").0);
    bodies.push(seven);
    for label in
        ["iso-2022-jp", "iso-2022-jp-ms", "shift_jis", "cp932", "euc-jp", "utf-8", "us-ascii", "x-nobody-knows"]
    {
        for body in &bodies {
            let mut mail =
                format!("From: a@b.example\r\nContent-Type: text/plain; charset={label}\r\nSubject: ").into_bytes();
            let word = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body);
            mail.extend(format!("=?{label}?B?{word}?=\r\n\r\n").into_bytes());
            mail.extend(body);
            let specimen = Specimen::parse(mail.into(), &Limits::default(), &|| false);
            let subject = crate::message::fold::fold(specimen.subject());
            assert_eq!((&*specimen.texts[0].folded, &*subject), (phrase, phrase), "{label} {body:02x?}");
            assert!(specimen.ambiguities.is_empty(), "{label}: {:?}", specimen.ambiguities);
        }
    }
    for body in bodies.iter().take(5) {
        let mail = [b"From: a@b.example\r\nSubject: ", body.as_slice(), b"\r\n\r\n", body].concat();
        let specimen = Specimen::parse(mail.into(), &Limits::default(), &|| false);
        assert_eq!(crate::message::fold::fold(specimen.subject()), phrase, "{body:02x?}");
        assert_eq!(&*specimen.texts[0].folded, phrase, "{body:02x?}");
    }
}

/// Messages made to cost much; each is told not to be looked at in full, or is simply read.
#[test]
fn bombs_are_bounded() {
    let nested: String =
        (0..20_000).map(|n| format!("Content-Type: multipart/mixed; boundary=\"b{n}\"\r\n\r\n--b{n}\r\n")).collect();
    let same: String = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(50_000);
    let attached: String = "Content-Type: message/rfc822\r\n\r\n".repeat(50_000);
    let empty = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\n".repeat(200_000));
    let header = format!("From: a@b.example\r\nX: {}\r\n\r\nbody", "x ".repeat(2_000_000));
    let fields = format!("From: a@b.example\r\n{}\r\nbody", "X: y\r\n".repeat(300_000));
    let boundaries = format!("Content-Type: multipart/mixed{}\r\n\r\nx", "; boundary=b".repeat(80_000));
    for (name, bomb) in [
        ("nested", nested),
        ("same", same),
        ("attached", attached),
        ("empty", empty),
        ("header", header),
        ("fields", fields),
        ("boundaries", boundaries),
    ] {
        let specimen = Specimen::parse(bomb.into(), &Limits::default(), &|| false);
        assert!(specimen.parts.len() <= 1_000, "{name}");
        assert!(!specimen.unchecked.is_empty() || !specimen.ambiguities.is_empty(), "{name} is no clean mail");
    }
    // Each comma or colon asks what stands before it.
    let long = "a".repeat(400_000);
    for author in [
        format!("{long}@{}", ":".repeat(400_000)),
        "a,".repeat(400_000),
        format!("{}{}", " ".repeat(400_000), ",".repeat(400_000)),
    ] {
        let bomb = format!("From: {author}\r\nTo: {author}\r\n\r\nx");
        assert!(Specimen::parse(bomb.into(), &Limits::default(), &|| false).recipients_named() < 2);
    }
    let to = format!("From: a@b.example\r\nTo: {}\r\n\r\nx", "a@b.example,\r\n ".repeat(60_000));
    let specimen = Specimen::parse(to.into(), &Limits::default(), &|| false);
    assert_eq!(specimen.recipients_named(), 60_000);
}

/// What has no charset of its own is read in that of the message, wherever that stands.
#[test]
fn raw_fields_are_read_in_the_charset_that_the_message_names() {
    let subject = "\u{6e2c}\u{8a66}";
    let (raw, _, _) = encoding_rs::BIG5.encode(subject);
    let message = [
        b"From: a@b.example\r\nSubject: ".as_slice(),
        &raw,
        b"\r\nContent-Type: text/plain; charset=big5\r\n\r\nx\r\n",
    ];
    let specimen = Specimen::parse(message.concat().into(), &Limits::default(), &|| false);
    assert_eq!(specimen.subject(), subject);
}

#[test]
fn a_frame_has_what_changing_the_message_needs() {
    let frame =
        |text: &str| Specimen::parse_frame(Bytes::copy_from_slice(text.as_bytes()), &Limits::default(), &|| false);
    let specimen = frame("From: a@b.example\r\nSubject: x\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\nhello\r\n");
    assert!(specimen.is_signed() && specimen.texts.is_empty());
    assert_eq!(specimen.subject(), "x");
    assert!(!frame("From: a@b.example\r\n\r\nhello\r\n").is_signed());
    let (odd, whole) = (frame(ODD), parse(ODD));
    assert_eq!(odd.ambiguities, whole.ambiguities);
    assert!(!odd.ambiguities.is_empty());
}

/// Of two authors.
const ODD: &str = "From: a@b.example\r\nFrom: c@d.example\r\n\r\nhello\r\n";
