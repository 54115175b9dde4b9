//! Messages whose shape is the bomb: headers, multiparts, messages in messages, encodings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Entry;
use crate::Kind::{Bomb, Text};

const MIB: usize = 1 << 20;
const HEAD: &str = "From: Taro <taro@sender.example>\r\nTo: you@acme.example\r\nSubject: papers\r\nDate: Sat, 21 Nov 2026 10:00:00 +0900\r\nMessage-ID: <1@sender.example>\r\nMIME-Version: 1.0\r\n";

pub fn base64_lines(content: &[u8]) -> String {
    let mut out = String::with_capacity(content.len() * 7 / 5);
    for line in content.chunks(57) {
        STANDARD.encode_string(line, &mut out);
        out.push_str("\r\n");
    }
    out
}

pub fn with_file(name: &str, content: &[u8]) -> Vec<u8> {
    letter_with_file("Please look at the papers.", name, content)
}

pub fn letter_with_file(letter: &str, name: &str, content: &[u8]) -> Vec<u8> {
    let body = base64_lines(content);
    format!(
        "{HEAD}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{letter}\r\n--b\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{body}--b--\r\n"
    )
    .into_bytes()
}

pub fn of_type(content_type: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("{HEAD}Content-Type: {content_type}\r\n{more}\r\n").into_bytes();
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
    out
}

pub fn plain(body: &[u8]) -> Vec<u8> {
    of_type("text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit\r\n", body)
}

fn with_header(header: &str) -> Vec<u8> {
    format!("{header}{HEAD}\r\nHello there.\r\n").into_bytes()
}

pub fn all() -> Vec<Entry> {
    vec![
        ("multipart in multipart, 1,000 deep", Bomb, || multiparts(1_000)),
        ("multipart in multipart, 60 deep, boundaries of one beginning, 5 MiB", Bomb, boundaries),
        ("message in message, 1,000 deep", Bomb, || {
            let inner = format!("{HEAD}Content-Type: message/rfc822\r\n\r\n").repeat(1_000);
            format!("{inner}{HEAD}\r\nend\r\n").into_bytes()
        }),
        // Fewer than the 64 layers that are taken off: the innermost text is read.
        ("message in message in base64, 30 deep", Text, || {
            let mut inner = format!("{HEAD}\r\nend\r\n").into_bytes();
            for _ in 0..30 {
                let body = base64_lines(&inner);
                inner = of_type("message/rfc822", "Content-Transfer-Encoding: base64\r\n", body.as_bytes());
            }
            inner
        }),
        ("100,000 parts", Bomb, || parts(100_000, "text/plain", "x")),
        ("100,000 parts of HTML", Bomb, || parts(100_000, "text/html", "<a href='http://a.example'>x</a>")),
        ("1,000,000 boundaries and nothing", Bomb, || {
            of_type("multipart/mixed; boundary=b", "", "--b\r\n".repeat(1_000_000).as_bytes())
        }),
        ("900 texts of 20 KiB", Text, || parts(900, "text/plain", &"some words of a text \r\n".repeat(900))),
        ("100,000 recipients in To", Bomb, || {
            let list: Vec<String> =
                (0..100_000).map(|nth| format!("user{nth} <user{nth}@acme{nth}.example>")).collect();
            with_header(&format!("To: {}\r\n", list.join(",\r\n ")))
        }),
        ("100,000 To fields", Bomb, || {
            let list: String = (0..100_000).map(|nth| format!("To: user{nth}@acme.example\r\n")).collect();
            with_header(&list)
        }),
        ("100,000 authors in From", Bomb, || {
            let list: Vec<String> =
                (0..100_000).map(|nth| format!("user{nth} <user{nth}@acme{nth}.example>")).collect();
            with_header(&format!("From: {}\r\n", list.join(",\r\n ")))
        }),
        ("10 MB header line", Bomb, || with_header(&format!("X-Long: {}\r\n", "a".repeat(10_000_000)))),
        ("10 MB Subject in one line", Bomb, || with_header(&format!("Subject: {}\r\n", "free ".repeat(2_000_000)))),
        ("10 MB of folded Subject", Bomb, || with_header(&format!("Subject: x{}\r\n", "\r\n a".repeat(2_500_000)))),
        ("900 KiB of folded Subject", Text, || with_header(&format!("Subject: x{}\r\n", "\r\n a".repeat(225_000)))),
        ("10 MB of blanks in a header", Bomb, || with_header(&format!("Subject: {}x\r\n", " ".repeat(10_000_000)))),
        ("1,000,000 short fields", Bomb, || with_header(&"A: b\r\n".repeat(1_000_000))),
        ("1,900 Received fields of 500 octets", Text, || {
            let one = format!(
                "Received: from a.example ([192.0.2.1]) by b.example ({}) for <a@b.example>; Sat, 21 Nov 2026 10:00:00 +0900\r\n",
                "x".repeat(380)
            );
            with_header(&one.repeat(1_900))
        }),
        ("10 MB of encoded words", Bomb, || {
            with_header(&format!("Subject: {}\r\n", "=?iso-2022-jp?B?GyRCJCIbKEI=?=\r\n ".repeat(300_000)))
        }),
        ("900 KiB of encoded words, each another charset", Text, || {
            let words = ["=?shift_jis?Q?=82=A0?= ", "=?utf-8?B?44GC?= ", "=?euc-jp?Q?=A4=A2?= ", "=?utf-7?Q?+AGE-?= "];
            with_header(&format!("Subject: {}\r\n", words.concat().replace(' ', "\r\n ").repeat(10_000)))
        }),
        ("900 KiB of =? without end", Text, || with_header(&format!("Subject: {}\r\n", "=?utf-8?B?".repeat(90_000)))),
        // Of each of these the whole field is read: one comment, one name, one address without its end, or nobody at all. The
        // letter below is plain text.
        ("900 KiB of ( in From", Text, || with_header(&format!("From: {}\r\n", "(".repeat(900_000)))),
        ("900 KiB of \" in From", Text, || with_header(&format!("From: {}\r\n", "\"a\" ".repeat(225_000)))),
        ("900 KiB of < in From", Text, || with_header(&format!("From: {}\r\n", "<".repeat(900_000)))),
        ("900 KiB of groups in From", Text, || with_header(&format!("From: {}\r\n", "a:;,".repeat(225_000)))),
        ("900 KiB of ( in Content-Type", Text, || {
            of_type(&format!("text/plain {}", "(".repeat(900_000)), "", b"hello")
        }),
        ("100,000 parameters by RFC 2231", Bomb, || {
            let list: String = (0..100_000).map(|nth| format!(";\r\n name*{nth}*=%61")).collect();
            of_type(&format!("application/octet-stream{list}"), "Content-Disposition: attachment\r\n", b"hello")
        }),
        ("30,000 parameters by RFC 2231, backwards", Bomb, || {
            let list: String = (0..30_000).rev().map(|nth| format!(";\r\n name*{nth}*=%61")).collect();
            of_type(&format!("application/octet-stream{list}"), "Content-Disposition: attachment\r\n", b"hello")
        }),
        ("1,000 DKIM-Signature fields", Text, || {
            let one = "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from:to:subject; bh=AAAA; b=AAAA\r\n";
            with_header(&one.repeat(1_000))
        }),
        ("900 KiB Authentication-Results", Text, || {
            with_header(&format!("Authentication-Results: mx.example{}\r\n", ";\r\n spf=pass (a) a.b=c".repeat(40_000)))
        }),
        ("30 MB of base64 junk", Bomb, || {
            let junk = "%%%% not base64 !!!! \u{e9}\r\n".repeat(1_300_000);
            of_type("application/octet-stream; name=a.bin", "Content-Transfer-Encoding: base64\r\n", junk.as_bytes())
        }),
        ("20 MB of base64 with = in each line", Bomb, || {
            of_type(
                "application/octet-stream; name=a.bin",
                "Content-Transfer-Encoding: base64\r\n",
                "YWJj\r\nYQ==\r\n".repeat(1_600_000).as_bytes(),
            )
        }),
        // Decodes to `=zz`, again and again, which is read as text.
        ("20 MB of quoted-printable =", Text, || {
            let more = "Content-Transfer-Encoding: quoted-printable\r\n";
            of_type("text/plain", more, "=\r\n=3D=zz=".repeat(2_000_000).as_bytes())
        }),
        ("100,000 uuencoded files", Bomb, || {
            plain("begin 644 a.bin\r\n#86)C\r\n`\r\nend\r\n".repeat(100_000).as_bytes())
        }),
        // No line behind a `begin` is uuencoded: it is all text, and read as text.
        ("1,000,000 begin lines", Text, || plain("begin 644 a\r\n".repeat(1_000_000).as_bytes())),
        ("100,000 yEnc files", Bomb, || {
            plain("=ybegin line=128 size=3 name=a.bin\r\nabc\r\n=yend size=3\r\n".repeat(100_000).as_bytes())
        }),
        ("5 MB of ISO-2022-JP escapes", Text, || {
            of_type("text/plain; charset=iso-2022-jp", "", "\x1b$B$\"\x1b(B".repeat(600_000).as_bytes())
        }),
        ("5 MB of UTF-7", Text, || of_type("text/plain; charset=utf-7", "", "+AGEAYg- ".repeat(550_000).as_bytes())),
        // Junk in every charset, read in the one that fits best; what is ASCII is the same in all of them.
        ("10 MB of no charset at all", Text, || {
            let octets: Vec<u8> = (0..10 * MIB).map(|nth| (nth * 31 % 251) as u8).collect();
            of_type("text/plain; charset=shift_jis", "", &octets)
        }),
        // Nobody shows a NUL, or a bare CR but as the end of a line.
        ("10 MB of NUL", Text, || plain(&vec![0; 10 * MIB])),
        ("5 MB of bare CR", Text, || plain(&vec![b'\r'; 5 * MIB])),
    ]
}

fn multiparts(depth: usize) -> Vec<u8> {
    let mut out = HEAD.to_owned();
    for nth in 0..depth {
        out.push_str(&format!("Content-Type: multipart/mixed; boundary=b{nth}\r\n\r\n--b{nth}\r\n"));
    }
    out.push_str("\r\nhello\r\n");
    (0..depth).rev().for_each(|nth| out.push_str(&format!("--b{nth}--\r\n")));
    out.into_bytes()
}

fn boundaries() -> Vec<u8> {
    let mut out = HEAD.to_owned();
    for nth in 1..=60 {
        let boundary = "-".repeat(nth);
        out.push_str(&format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"));
    }
    out.push_str("\r\n");
    out.push_str(&format!("{}x\r\n", "-".repeat(66)).repeat(5 * MIB / 69));
    out.into_bytes()
}

fn parts(count: usize, kind: &str, body: &str) -> Vec<u8> {
    let one = format!("--b\r\nContent-Type: {kind}\r\n\r\n{body}\r\n");
    of_type("multipart/mixed; boundary=b", "", format!("{}--b--", one.repeat(count)).as_bytes())
}
