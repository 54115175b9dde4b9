//! Honest forms of the author fields, and what must not pass for one.

use super::*;

fn owns(domain: &Domain) -> bool {
    ["acme.example", "acme.test", "xn--wgv71a119e.example"].contains(&domain.as_str())
}

fn said(header: &str) -> Result<String, AuthorError> {
    read(format!("{header}\r\n\r\nFrom: body@evil.example\r\n").as_bytes(), &owns).map(|found| found.from.to_string())
}

#[test]
fn honest_forms_pass() {
    for from in [
        "From: aoi@acme.example",
        "from : Aoi <aoi@acme.example>",
        "From:aoi@ACME.Example",
        "FROM: Aoi\r\n\t<aoi@acme.example>",
        "From:\r\n aoi@acme.example",
        "From: \"Suzuki, Aoi\" <aoi@acme.example>",
        "From: Acme, Inc. <info@acme.example>",
        "From: [Acme] Support <support@acme.example>",
        "From: aoi@acme.example (Aoi Suzuki)",
        "From: Aoi (Sales (Tokyo)) <aoi@acme.example> (works here)",
        "From: aoi+news@acme.example",
        "From: aoi-news=x@acme.example",
        "From: \"aoi suzuki\"@acme.example",
        "From: <\"aoi.suzuki\"@acme.example>",
        "From: o'brien@acme.example",
        "From: =?iso-2022-jp?B?GyRCTmtMWhsoQg==?= <aoi@acme.example>",
        "From: =?utf-8?Q?=E9=88=B4=E6=9C=A8=E3=80=81=E8=91=B5?= =?utf-8?Q?=E8=91=B5?= <aoi@acme.example>",
        "From: \"=?utf-8?B?6Yi05pyo?=\" <aoi@acme.example>",
        "From: 鈴木 葵 <aoi@acme.example>",
        "From: 葵@acme.example",
        "From: aoi@日本語.example",
        "From: aoi@xn--wgv71a119e.example",
        "From: Team: aoi@acme.example, ken@acme.test;",
        "From: aoi@acme.example, ken@acme.test\r\nSender: ken@acme.test",
        "From: aoi@acme.example <aoi@acme.example>",
        "From: aoi @ acme.example",
        "From: ,aoi@acme.example,",
        "From: \"ceo@other.example\" <aoi@acme.example>",
        "From: \"tanaka@other.example via List\" <list@acme.example>",
        "From: =?utf-8?q?ceo=40other.example?= <aoi@acme.example>",
        "From: aoi@acme.example (was aoi@old.example)",
        "From: MAILER-DAEMON@acme.example (Mail Delivery System)",
        "From: aoi@acme.example\r\nResent-From: ken@acme.test\r\nResent-From: mei@acme.example\r\nResent-Sender: x@acme.test",
        "X-From: ceo@other.example\r\nFrom: aoi@acme.example\r\nReply-To: ceo@other.example",
    ] {
        assert!(said(from).is_ok(), "{from}: {:?}", said(from));
    }
    assert_eq!(said("From: aoi@acme.test, x@acme.example").as_deref(), Ok("acme.test"));
}

#[test]
fn what_could_be_somebody_else_is_refused() {
    use AuthorError::{Doubtful, Foreign, Missing, OddLine, Several};
    for (header, error) in [
        ("From: ceo@other.example", Foreign),
        ("From: ceo@sub.acme.example", Foreign),
        ("From: ceo@acme.example.other.example", Foreign),
        ("From: ceo@xacme.example", Foreign),
        ("From: aoi@acme.example, ceo@other.example", Foreign),
        ("From: Team: aoi@acme.example, ceo@other.example;", Foreign),
        ("From: aoi@acme.example\r\nSender: ceo@other.example", Foreign),
        ("From: aoi@acme.example\r\nResent-From: ceo@other.example", Foreign),
        ("From: aoi@acme.example\r\nResent-From: a@acme.test\r\nResent-From: ceo@other.example", Foreign),
        ("From: aoi@acme.example\r\nRESENT-SENDER : ceo@other.example", Foreign),
        ("From: ceo@other.example <aoi@acme.example>", Foreign),
        ("From: <ceo@other.example>", Foreign),
        ("From: =?utf-8?q?Aoi_=3Cceo=40other=2Eexample=3E?= <aoi@acme.example>", Foreign),
        ("From: \"<ceo@other.example>\" <aoi@acme.example>", Foreign),
        ("From: \"Ceo, ceo@other.example\" <aoi@acme.example>", Foreign),
        ("From: aoi@acme.example (<ceo@other.example>)", Foreign),
        ("From: a=?utf-8?q?=0D=0AFrom_ceo?= <aoi@acme.example>", Foreign),
        ("From: a=?utf-8?q?=0D=0AFrom:_ceo?= <aoi@acme.example>", Doubtful),
        ("From: =?utf-8?q?ceo=40other.example,?= aoi@acme.example", Doubtful),
        ("From: =?utf-8?q?<ceo=40other.example>?= <aoi@acme.example>", Doubtful),
        ("From: ceo@xn--wgv71a119e.other.example", Foreign),
        ("From: \"ceo@other.example\", aoi@acme.example", Foreign),
        ("From: =?utf-8?q?ceo=40other.example?=, aoi@acme.example", Foreign),
        ("From: ceo＠other.example, aoi@acme.example", Foreign),
        ("From: =?utf-8?q?ceo=40other.example?=: aoi@acme.example;", Foreign),
        ("From: (ceo@other.example), aoi@acme.example", Foreign),
        ("To: you@acme.example", Missing),
        ("From:", Missing),
        ("From: Aoi", Missing),
        ("From: undisclosed:;", Missing),
        ("From: =?utf-8?q?ceo=40other.example?=", Foreign),
        ("From: ceo＠other.example", Foreign),
        ("From: \"ceo@other.example\"", Foreign),
        ("From: aoi@acme.example\r\nFrom: aoi@acme.example", Several),
        ("From: aoi@acme.example\r\nfrom : ceo@other.example", Several),
        ("From: aoi@acme.example\r\nSender: a@acme.test\r\nSender: a@acme.test", Several),
        ("From: aoi@acme.example\r\nSender:", Doubtful),
        ("From: <ceo@other.example> <aoi@acme.example>", Doubtful),
        ("From: <aoi@acme.example> ceo@other.example", Doubtful),
        ("From: <@other.example:aoi@acme.example>", Doubtful),
        ("From: <aoi@acme.example@other.example>", Doubtful),
        ("From: \"ceo@other.example\"@acme.example", Doubtful),
        ("From: ceo%other.example@acme.example", Doubtful),
        ("From: other.example!ceo@acme.example", Doubtful),
        ("From: =?utf-8?q?ceo=40other.example?=@acme.example", Doubtful),
        ("From: aoi@=?utf-8?q?acme.example?=", Doubtful),
        ("From: ceo＠other.example@acme.example", Doubtful),
        ("From: aoi@acme .example", Doubtful),
        ("From: ceo aoi@acme.example", Doubtful),
        ("From: aoi@[192.0.2.1]", Doubtful),
        ("From: <aoi@acme.example", Doubtful),
        ("From: (aoi@acme.example", Doubtful),
        ("From: \"aoi@acme.example", Doubtful),
        ("From: aoi@acme.example>", Doubtful),
        ("From: <aoi(ceo@other.example)@acme.example>", Doubtful),
        ("From: aoi(ceo@other.example)@acme.example", Doubtful),
        ("From: aoi@(ceo@other.example)acme.example", Doubtful),
        ("From: aoi@acme(ceo@other.example).example", Doubtful),
        ("From: (ceo@other.example) aoi@acme.example", Doubtful),
        ("From: aoi@acme.example\r\n\tFrom: ceo@other.example", Doubtful),
        ("From: aoi@acme.example;ceo@other.example", Doubtful),
        ("From: \x1b$B$\"$*$$\x1b(B <aoi@acme.example>", Doubtful),
        ("From: a\u{200b}oi@acme.example", Doubtful),
        ("From: aoi@acme.example\rFrom: ceo@other.example", OddLine),
        ("From: aoi@acme.example\nFrom: ceo@other.example", OddLine),
        ("From: ceo@other.example\0 <aoi@acme.example>", OddLine),
        ("From: aoi@acme.example\r\nFr om: ceo@other.example", OddLine),
        ("From: aoi@acme.example\r\nFr\u{200b}om: ceo@other.example", OddLine),
        ("From: aoi@acme.example\r\n\0From: ceo@other.example", OddLine),
        ("no field\r\nFrom: aoi@acme.example", OddLine),
        (" From: ceo@other.example\r\nFrom: aoi@acme.example", OddLine),
    ] {
        assert_eq!(said(header), Err(error), "{header:?}");
    }
}

#[test]
fn what_is_no_text_and_what_is_endless_is_refused() {
    let raw = b"From: \x97\xe9\x96\xd8 <aoi@acme.example>\r\n\r\n";
    assert_eq!(read(raw, &owns), Err(AuthorError::Doubtful), "Shift_JIS as it stands");
    let many = format!("From: {}aoi@acme.example", "aoi@acme.example, ".repeat(500));
    assert_eq!(said(&many), Err(AuthorError::Doubtful));
    assert_eq!(said(&format!("From: {}<aoi@acme.example>", "x".repeat(20_000))), Err(AuthorError::Doubtful));
    for whole in ["", "\r\n", "\r\nFrom: aoi@acme.example\r\n\r\n"] {
        assert_eq!(read(whole.as_bytes(), &owns), Err(AuthorError::Missing), "{whole:?}");
    }
}

proptest::proptest! {
    /// A message whose author fields hold no domain but a foreign one never passes, whatever stands around it.
    #[test]
    fn nothing_makes_a_foreign_address_ours(before in "\\PC{0,12}", between in "[ -~]{0,8}", behind in "\\PC{0,12}") {
        let header = format!("From: {before}<ceo@{between}other.example>{behind}");
        proptest::prop_assert!(said(&header).is_err(), "{header:?}");
    }
}
