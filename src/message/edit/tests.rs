//! Edits of whole messages, and that they leave the rest alone.

use super::*;
use crate::model::disposition::Field;

const MIXED: &str = "X-Spam-Flag: NO\r\nFrom: a@b.example\r\nSubject: hello\r\nx-sekisho-verdict: clean\r\n\tmore\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"o\"\r\n\r\nfor old programs\r\n--o\r\n\
    Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: 8bit\r\n\r\ncaf\u{e9}\r\n--i\r\nContent-Type: text/html\r\n\r\n<html><body class=x>html</body></html>\r\n\
    --i--\r\n--o\r\nContent-Type: application/zip; name=a.zip\r\nContent-Disposition: attachment; filename=a.zip\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nUEs=\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner\r\n--o--\r\nend\r\n";

fn parse(text: &str) -> Specimen {
    Specimen::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default(), &|| false)
}

fn edit(text: &str, edits: &Edits) -> (String, Vec<Undone>) {
    let edited = apply(&parse(text), edits, &Style::default());
    (String::from_utf8(edited.octets.to_vec()).unwrap(), edited.undone)
}

fn tagged(tag: &str) -> Edits {
    Edits { tag: Some(tag.into()), ..Edits::default() }
}

fn stamped(stamp: &str) -> Edits {
    Edits { stamp: Some(stamp.into()), ..Edits::default() }
}

#[test]
fn reserved_fields_go_and_nothing_else() {
    let (edited, undone) = edit(MIXED, &Edits::default());
    let expected = MIXED.replace("X-Spam-Flag: NO\r\n", "").replace("x-sekisho-verdict: clean\r\n\tmore\r\n", "");
    assert_eq!((edited, undone), (expected.clone(), vec![]));
    assert_eq!(without_reserved(&Bytes::from_static(MIXED.as_bytes())), expected);
    let many = format!("{}X-Spam-Status: No\r\n\r\nx", "A: b\r\n".repeat(3_000));
    assert!(!edit(&many, &Edits::default()).0.contains("X-Spam"));
    let clean = "From: a@b.example\r\n\r\nX-Spam-Flag: in the body\r\n";
    assert_eq!(edit(clean, &Edits::default()).0, clean);
}

#[test]
fn no_forged_field_is_left_to_any_reader() {
    let gone =
        |text: &str| String::from_utf8(without_reserved(&Bytes::copy_from_slice(text.as_bytes())).to_vec()).unwrap();
    // To some the header ends at the line that is no field, to others at its end.
    assert_eq!(gone("A: b\r\nhello\r\nX-Spam-Flag: NO\r\n\tmore\r\nC: d"), "A: b\r\nhello\r\nC: d");
    assert_eq!(gone("From : a\r\n b\r\nX-Sekisho-Verdict: x\r\nC: d\r\n"), "From : a\r\n b\r\nC: d\r\n");
    assert_eq!(gone("A: b\r\nX-Spam-Status (no): x\r\n\r\nX-Spam-A: b"), "A: b\r\n\r\nX-Spam-A: b");
    // Nor anything that would go on the field of ours that is put before it.
    assert_eq!(gone(" dkim=pass\r\n\tx\r\nFrom: a\r\n\r\nhello"), "From: a\r\n\r\nhello");
    assert_eq!(gone("  Dear sir,\r\nhello\r\n"), "\r\n  Dear sir,\r\nhello\r\n");
    for text in ["", "\r\n", " ", "X-Spam-Flag: NO", "From x Mon\r\nX-Spam-A: b\r\n\r\nhello"] {
        let once = gone(text);
        assert!(gone(&once) == once && !once.contains("X-Spam"), "{text:?}: {once:?}");
    }
}

#[test]
fn where_the_body_begins_to_some_alone_nothing_is_written_over_it() {
    let edits = Edits { instead: Some("[SEEN]".into()), ..stamped("Seen.") };
    for text in [
        "From: a@b.example\r\nSubject: s\r\nX-Spam-Status (no): x\r\n\r\nhello\r\n",
        "X-Spam-Status (no): x\r\n\r\nhello\r\n",
        "Subject: s\r\nhello\r\n\r\nbody\r\n",
        "Subject: s\r\nhello\r\nX-Spam-Flag: NO\r\n",
    ] {
        let (edited, undone) = edit(text, &edits);
        assert_eq!(undone, [Undone { what: What::Stamp, why: Why::Ambiguous }], "{text}: {edited}");
        assert!(edited.contains("[SEEN]") && !edited.contains("Content-") && !edited.contains("X-Spam"), "{edited}");
    }
    let (edited, undone) = edit("hello\r\n\r\nbody\r\n", &edits);
    assert!(undone.is_empty() && edited.contains("Seen."), "{edited}");
}

#[test]
fn our_fields_stand_at_the_top_in_order() {
    let field = |name: &str| Field { name: name.into(), value: "v".into() };
    let edits = Edits { fields: vec![field("X-Sekisho-A"), field("X-Spam-B")], ..Edits::default() };
    let (edited, _) = edit("X-Spam-C: x\r\nFrom: a@b.example\r\n\r\nx", &edits);
    assert_eq!(edited, "X-Sekisho-A: v\r\nX-Spam-B: v\r\nFrom: a@b.example\r\n\r\nx");
}

#[test]
fn the_subject_is_encoded_anew_as_a_whole() {
    for (subject, expected) in [
        ("Subject: hello", "[SPAM] hello"),
        ("Subject:", "[SPAM]"),
        ("Subject: =?iso-2022-jp?B?GyRCTEJPRxsoQg==?=", "[SPAM] 迷惑"),
        ("Subject: [SPAM] again", "[SPAM] again"),
        ("X-Other: none", "[SPAM]"),
    ] {
        let (edited, undone) = edit(&format!("From: a@b.example\r\n{subject}\r\nTo: c\r\n\r\nx"), &tagged("[SPAM]"));
        assert_eq!((parse(&edited).subject().trim(), undone.len()), (expected, 0), "{subject}");
        assert!(edited.is_ascii() && edited.ends_with("\r\nTo: c\r\n\r\nx"), "{edited}");
    }
    let (edited, _) = edit("Subject: a\r\n b\r\nFrom: a@b.example\r\n\r\nx", &tagged("迷惑"));
    assert_eq!(parse(&edited).subject(), "迷惑 a b");
}

#[test]
fn a_stamp_stands_above_each_shown_text() {
    let stamp = "注意: <outside>\nsecond line";
    let (edited, undone) = edit(MIXED, &stamped(stamp));
    assert_eq!(undone, []);
    let after = parse(&edited);
    assert_eq!(after.ambiguities, []);
    let texts: Vec<&str> = after.texts.iter().map(|text| &*text.visible).collect();
    assert!(texts[0].starts_with("注意: <outside>\nsecond line\n\ncaf"), "{texts:?}");
    assert!(texts[1].contains("注意: <outside>") && texts[1].contains("html"), "{texts:?}");
    assert_eq!(texts[2], "inner");
    let plain = after.parts.iter().find(|part| part.kind == PartKind::Text).unwrap();
    assert_eq!(plain.charset.as_deref(), Some("utf-8"));
    // Everything but the two texts and their fields is where it was.
    for kept in [
        "for old programs\r\n--o\r\n",
        "\r\n--i--\r\n--o\r\nContent-Type: application/zip; name=a.zip",
        "UEs=",
        "end\r\n",
    ] {
        assert!(edited.contains(kept), "{kept:?} in {edited}");
    }
}

#[test]
fn the_last_line_ends_as_all_do() {
    for text in ["Subject: x\r\n\r\nhello\r\n", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"]
    {
        let (edited, undone) = edit(text, &stamped("外部からのメールです。送信者のお名前にご注意ください。"));
        assert!(edited.contains("base64") && undone.is_empty(), "{edited}");
        assert!(edited.ends_with("\r\n"), "{edited}");
    }
    let (edited, _) = edit(MIXED, &stamped("外部からのメールです。"));
    let blank_before = |text: &str| text.matches("\r\n\r\n--").count();
    assert!(edited.ends_with("--o--\r\nend\r\n") && blank_before(&edited) == blank_before(MIXED), "{edited}");
}

#[test]
fn a_stamp_on_mail_without_mime() {
    for plain in ["From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n", "\r\nhello\r\n"] {
        let (edited, _) = edit(plain, &stamped("note"));
        assert_eq!(&*parse(&edited).texts[0].visible, "note\n\nhello\n", "{edited:?}");
        assert!(edited.contains("MIME-Version: 1.0\r\n"));
    }
    let part = "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b--\r\n";
    let (edited, _) = edit(part, &stamped("note"));
    assert_eq!(&*parse(&edited).texts[0].visible, "note\n\nhello", "{edited:?}");
    let image = "From: a@b.example\r\nContent-Type: image/png\r\n\r\nx";
    let (edited, undone) = edit(image, &stamped("note"));
    assert_eq!((edited.as_str(), undone[0].why), (image, Why::Absent));
}

#[test]
fn what_is_signed_or_read_in_several_ways_gets_no_stamp() {
    let signed = "From: a@b.example\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
        Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n";
    let (edited, undone) = edit(signed, &stamped("note"));
    assert_eq!((edited.as_str(), undone), (signed, vec![Undone { what: What::Stamp, why: Why::Signed }]));
    let odd = "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--a\r\n\r\nx\r\n--b\r\n\r\ny\r\n";
    assert_eq!(edit(odd, &stamped("note")).1[0].why, Why::Ambiguous);
}

#[test]
fn a_file_taken_out_leaves_a_notice() {
    let edits = Edits { strip: Strip::Parts(vec!["2".into()]), ..Edits::default() };
    let (edited, undone) = edit(MIXED, &edits);
    assert_eq!(undone, []);
    let (before, after) = (parse(MIXED), parse(&edited));
    assert_eq!(before.parts.len(), after.parts.len());
    for (old, new) in before.parts.iter().zip(&after.parts).filter(|(old, _)| old.kind != PartKind::Multipart) {
        if &*old.path == "2" {
            assert_eq!(new.kind, PartKind::Text);
            assert!(new.text.as_deref().unwrap().contains("a.zip") && new.names.is_empty());
        } else {
            assert_eq!(old.octets, new.octets, "{}", old.path);
        }
    }
    assert!(!edited.contains("UEs="));
}

#[test]
fn files_go_from_everywhere_or_it_is_said() {
    let all = Edits { strip: Strip::Files, ..Edits::default() };
    let single = "From: a@b.example\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEs=\r\n";
    let (edited, undone) = edit(single, &all);
    assert!(undone.is_empty() && parse(&edited).parts[0].kind == PartKind::Text, "{edited}");
    let inside = "From: a@b.example\r\n\r\nbefore\r\nbegin 644 x.exe\r\n#0V%T\r\n`\r\nend\r\nafter\r\n";
    let (edited, undone) = edit(inside, &all);
    assert!(
        undone.is_empty()
            && edited.contains("before\r\nThe attachment \"x.exe\" was removed")
            && edited.ends_with("after\r\n")
    );
    // A file inside an attached mail that is encoded: the attached mail goes.
    let enclosed = "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\
        Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        Q29udGVudC1UeXBlOiBhcHBsaWNhdGlvbi96aXA7IG5hbWU9YS56aXANCg0KUEs=\r\n--b--\r\n";
    let (edited, undone) = edit(enclosed, &all);
    assert!(undone.is_empty() && parse(&edited).parts.iter().all(|part| part.kind != PartKind::File), "{edited}");
    let absent = Edits { strip: Strip::Parts(vec!["9".into()]), ..Edits::default() };
    assert_eq!(edit(single, &absent).1, [Undone { what: What::Strip("9".into()), why: Why::Absent }]);
}

#[test]
fn documents_keep_their_shape() {
    let html = "<!doctype html><html><head><meta http-equiv=Content-Type content=\"text/html; charset=iso-2022-jp\"></head>\
                <BODY BGCOLOR=white><p>x</p></BODY></html>";
    let stamped = body::stamped_html(html, "a\nb");
    assert!(
        stamped.contains("charset=utf-8\"")
            && stamped.contains("<BODY BGCOLOR=white><div style=")
            && stamped.contains("a<br>b</div><p>x")
    );
    assert!(body::stamped_html("no tags", "a").ends_with("</div>no tags"));
    assert!(body::stamped_html(&"<".repeat(200_000), "a").contains("a</div>"));
}

struct Nobody;

impl crate::message::specimen::FileVisitor for Nobody {
    fn file(&mut self, _: &crate::message::specimen::FileSeen, _: &[u8]) {}
}

/// With the files found, as it is when it has been scanned.
fn walked(text: &str, edits: &Edits) -> Edited {
    let mut specimen = parse(text);
    crate::message::files::walk(
        &mut specimen,
        &Limits::default(),
        &crate::message::files::Passwords::default(),
        &|| false,
        &mut Nobody,
    );
    apply(&specimen, edits, &Style::default())
}

#[test]
fn a_file_that_says_it_is_text_is_not_left_in_silence() {
    let disguised = "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\
        Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nTVqQAAMAAAAEAAAA//8AALgAAAA=\r\n--b--\r\n";
    let all = Edits { strip: Strip::Files, ..Edits::default() };
    assert_eq!(walked(disguised, &all).undone, [Undone { what: What::Strip("2".into()), why: Why::Enclosed }]);
    // Beside a file that can go.
    let both = disguised.replace(
        "--b--",
        "--b\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEs=\r\n--b--",
    );
    let edited = walked(&both, &all);
    assert_eq!(edited.undone, [Undone { what: What::Strip("2".into()), why: Why::Enclosed }]);
}

#[test]
fn where_nothing_is_to_be_taken_out_it_is_said() {
    let none = Edits { strip: Strip::Files, ..Edits::default() };
    let (_, undone) = edit("From: a@b.example\r\n\r\nx\r\n", &none);
    assert_eq!(undone, [Undone { what: What::Strip("".into()), why: Why::Absent }]);
}

#[test]
fn a_stamp_never_keeps_a_file_in() {
    for before in ["before\r\n", ""] {
        let text = format!("From: a@b.example\r\n\r\n{before}begin 644 x.exe\r\n#0V%T\r\n`\r\nend\r\nafter\r\n");
        let edits = Edits { strip: Strip::Files, ..stamped("note") };
        let (edited, undone) = edit(&text, &edits);
        assert!(!edited.contains("#0V%T") && edited.contains("was removed"), "{edited}");
        assert_eq!(undone, [Undone { what: What::Stamp, why: Why::Enclosed }]);
        assert!(parse(&edited).texts[0].visible.ends_with("after\n"), "{edited}");
    }
}

#[test]
fn a_range_that_meets_another_is_told() {
    let mut splices = Splices::default();
    splices.replace(0..4, b"x".to_vec());
    splices.replace(2..6, b"y".to_vec());
    let (octets, dropped) = splices.apply(&Bytes::from_static(b"abcdefg"));
    assert_eq!((&octets[..], dropped.first(), dropped.len()), (&b"xefg"[..], Some(&(2..6)), 1));
}

#[test]
fn a_stamp_that_cannot_be_put_is_a_tag() {
    let signed = "From: a@b.example\r\nSubject: s\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b--\r\n";
    let edits = Edits { instead: Some("[?]".into()), ..stamped("note") };
    let (edited, undone) = edit(signed, &edits);
    assert_eq!(undone, [Undone { what: What::Stamp, why: Why::Signed }]);
    assert_eq!(parse(&edited).subject(), "[?] s");
    let both = Edits { tag: Some("[T]".into()), ..edits.clone() };
    assert_eq!(parse(&edit(signed, &both).0).subject(), "[T] s");
    assert_eq!(parse(&edit("From: a@b.example\r\nSubject: s\r\n\r\nx", &edits).0).subject(), "s");
}

#[test]
fn a_stamp_stands_where_it_is_seen() {
    const BLOCK: &str = "<div style=";
    for (before, behind) in [
        ("<html><head><title><body></title><style>a>b{}<body></style></head><body id=\">\">", "<p>x"),
        ("<html><!-- <body> -->\n<body>", "x"),
        ("<!--[if mso]><body><![endif]--><!DOCTYPE html>\n<html><body>", "x"),
        ("<!--><body>", "x<!-- -->"),
        ("<html><script>\"<body>\"</script><BODY\nclass=a>", "x"),
        // A body inside of something else is none.
        ("<html>", "<div hidden><body></div>x"),
        ("", "text <body> x"),
        ("<html><head></head>", "<template><body></template>x"),
        // What never ends hides all that comes behind it.
        ("", "<!-- <body> x"),
        ("<html>", "<script> <body> x"),
        ("<html>", "<body class=\"x> y"),
    ] {
        let stamped = body::stamped_html(&format!("{before}{behind}"), "note");
        let at = stamped.find(BLOCK).unwrap();
        assert_eq!((&stamped[..at], stamped.ends_with(behind)), (before, true), "{stamped}");
    }
    assert!(body::stamped_html(&"<!--".repeat(100_000), "a").starts_with(BLOCK));
    assert!(body::stamped_html(&"<a=\"".repeat(100_000), "a").starts_with(BLOCK));
    assert!(body::stamped_html(&"<meta x='>".repeat(100_000), "a").contains(BLOCK));
}
