//! Messages that claim to be another's, and honest ones that look a little like them.

use super::*;
use crate::message::specimen::Limits;
use crate::model::finding::{Class, Score};

fn parse(text: &str) -> Specimen {
    Specimen::parse(text.replace('\n', "\r\n").into(), &Limits::default(), &|| false)
}

fn symbols_with(text: &str, known: &Known<'_>) -> Vec<String> {
    let mut verdict = Verdict::new(1);
    detect(&parse(text), known, &mut verdict);
    let mut names = verdict.findings.iter().map(|finding| finding.symbol.to_string()).collect::<Vec<_>>();
    names.sort_unstable();
    names
}

fn symbols(text: &str) -> Vec<String> {
    symbols_with(text, &Known::default())
}

#[test]
fn authors_who_are_somebody_else() {
    let own = [Domain::parse("acme.example.jp").unwrap()];
    let recipients = [Address::parse("taro@acme.example.jp").unwrap()];
    let person =
        Person { name: "山田 太郎".into(), addresses: vec![Address::parse("yamada@acme.example.jp").unwrap()] };
    let known = Known {
        own_domains: &own,
        recipients: &recipients,
        authenticated: Some(false),
        first_contact: false,
        protected: std::slice::from_ref(&person),
    };
    for (from, expected) in [
        ("\"ceo@acme.example.jp\" <x@evil.example.net>", "FROM_NAME_OWN_ADDRESS"),
        ("\"support@other.com\" <x@evil.example.net>", "FROM_NAME_OTHER_ADDRESS"),
        ("太郎 山田 <x@evil.example.net>", "FROM_NAME_OWN_PERSON"),
        ("山田太郎 <x@evil.example.net>", "FROM_NAME_OWN_PERSON"),
        ("代表取締役 山田太郎 <x@evil.example.net>", "FROM_NAME_OWN_PERSON"),
        ("acme.example.jp Admin <x@evil.example.net>", "FROM_NAME_OWN_DOMAIN"),
        ("PayPal <service@evil.example.net>", "FROM_NAME_BRAND"),
        ("三井住友カード <info@evil.example.net>", "FROM_NAME_BRAND"),
        ("Info <info@paypa1.com>", "FROM_LIKE_BRAND"),
        ("Microsoft account team ,_<x@evil.example.net>", "FROM_NAME_BRAND"),
        ("Trust WaIIet <x@evil.example.net>", "FROM_NAME_IMITATES"),
        ("=?utf-8?B?8J2Xo/CdlKHwnZSi?= <x@evil.example.net>", "LETTERS_DRAWN"),
        ("=?utf-8?Q?Ca=E2=80=8Brd?= <x@evil.example.net>", "LETTERS_CUT"),
        ("Bank <x@server-1>", "FROM_NO_DOMAIN"),
        ("Boss <boss@acme.example.jp>", "FROM_OWN_DOMAIN"),
        ("Me <taro@acme.example.jp>", "FROM_IS_RECIPIENT"),
        ("=?utf-8?Q?p=D0=B0yrol?= <x@evil.example.net>", "FROM_MIXED_SCRIPTS"),
    ] {
        let found = symbols_with(&format!("From: {from}\nSubject: s\n\ntext\n"), &known);
        assert_eq!(found, [expected], "{from}");
    }
    for honest in [
        "PayPal <service@intl.paypal.com>",
        "Chase Miller <chase@example.net>",
        "\"x@evil.example.net\" <x@evil.example.net>",
        "山田 花子 <hanako@example.net>",
    ] {
        assert_eq!(symbols_with(&format!("From: {honest}\nSubject: s\n\ntext\n"), &known), [""; 0], "{honest}");
    }
    let yes = Known { authenticated: Some(true), ..known };
    assert_eq!(symbols_with("From: Boss <boss@acme.example.jp>\n\nx\n", &yes), [""; 0]);
}

#[test]
fn forged_syntax_of_the_author() {
    for from in [
        "=?utf-8?b?cG90dXNAd2hpdGVob3VzZS5nb3Y=?==?utf-8?Q?=0A=00?= <x@evil.example.net>",
        "=?utf-8?b?cG90dXNAd2hpdGVob3VzZS5nb3Y=?=@evil.example.net",
        "\"=?utf-8?b?InRlc3QiIDx4QHkuZ292Pg==?==?utf-8?Q?=0A=00=00=00?=\" <x@evil.example.net>",
        "<=?utf-8?Q?=42=45?=@evil.example.net>",
    ] {
        let found = symbols(&format!("From: {from}\n\nx\n"));
        assert!(found.contains(&"FROM_FORGED_SYNTAX".to_owned()), "{from}: {found:?}");
    }
    assert_eq!(symbols("From: =?utf-8?Q?Ren=C3=A9?= <r@example.net>\n\nx\n"), [""; 0]);
}

#[test]
fn answers_that_go_elsewhere() {
    let head = "From: A <a@company.example>\n";
    assert_eq!(symbols(&format!("{head}Reply-To: b@gmail.com\n\nx\n")), ["REPLY_TO_FREEMAIL"]);
    assert_eq!(
        symbols("From: A <a@trading-works.com>\nReply-To: a@trading-w0rks.com\n\nx\n"),
        ["REPLY_TO_LIKE_AUTHOR"]
    );
    assert_eq!(symbols(&format!("{head}Reply-To: b@gmail.com\nList-Post: <mailto:l@l.example>\n\nx\n")), [""; 0]);
    assert_eq!(symbols(&format!("{head}Reply-To: c@mail.company.example\n\nx\n")), [""; 0]);
}

fn page(html: &str) -> Vec<String> {
    symbols(&format!("From: A <a@company.example>\nContent-Type: text/html; charset=utf-8\n\n{html}\n"))
}

#[test]
fn links_that_lead_elsewhere() {
    for (html, expected) in [
        ("<a href=https://evil.example.net/>https://www.paypal.com/login</a>", "LINK_TEXT_OTHER_BRAND"),
        ("<a href=https://evil.example.net/>www.other.com</a>", "LINK_TEXT_OTHER_DOMAIN"),
        ("<a href=https://paypal.com.evil.example.net/>x</a>", "LINK_BRAND_BELOW_OTHER"),
        ("<a href=https://paypal-login.com/>x</a>", "LINK_LIKE_BRAND"),
        ("<a href=http://192.0.2.7/>x</a>", "LINK_ADDRESS_NUMBER"),
        ("<a href=http://0xC0000207/>x</a>", "LINK_ADDRESS_DISGUISED"),
        ("<a href='http://www.bank.com@evil.example.net/'>x</a>", "LINK_USER_IN_HOST"),
        ("<a href=http://xn--exmple-4nf.com/>x</a>", "LINK_MIXED_SCRIPTS"),
        ("<a href='data:text/html,x'>x</a>", "LINK_MADE_IN_MAIL"),
        ("<a href=https://x.weebly.com/>x</a>", "LINK_FREE_PAGE"),
        ("<a href=https://bit.ly/x>x</a>", "LINK_SHORTENED"),
        ("<a href='https://www.google.com/url?q=https://evil.example.net/'>x</a>", "LINK_THROUGH_SEARCH"),
        ("<form action=https://evil.example.net/><input></form>", "FORM_IN_MAIL"),
        ("<form><input type=password></form>", "PASSWORD_IN_MAIL"),
        ("<script>x=new Blob([atob('')])</script>", "PAGE_MAKES_FILE"),
        ("<meta http-equiv=refresh content='0;url=https://evil.example.net/'>", "PAGE_GOES_ELSEWHERE"),
    ] {
        assert_eq!(page(html), [expected], "{html}");
    }
    for honest in [
        "<a href=https://company.example/>www.company.example</a>",
        "<a href=https://www.paypal.com/x>paypal.com</a>",
        "<a href='https://safe.example.com/?url=https%3A%2F%2Fwww.other.com%2F'>www.other.com</a>",
        "<a href=https://company.example/>Read more...</a>",
        "<a href=https://click.company.example/c>see http://www.company.example/</a>",
        "<a href=mailto:a@b.example>a@c.example</a>",
    ] {
        assert_eq!(page(honest), [""; 0], "{honest}");
    }
}

#[test]
fn several_signs_make_phishing() {
    let text = "From: PayPal Service <x@evil.example.net>\nSubject: Your PayPal account\nContent-Type: text/html\n\n\
                <a href=https://paypal-verify.top/>https://www.paypal.com/</a>\n";
    let mut verdict = Verdict::new(1);
    detect(&parse(text), &Known::default(), &mut verdict);
    assert!(verdict.score_of(Class::Phishing) >= Score(8_000), "{:?}", verdict.findings);
}
