//! Addresses in their one form, found in texts and followed; and what a careless search would be slow at.

use super::*;

fn text(text: &str) -> Vec<String> {
    in_text(0, LinkSource::Text, text, 100).into_iter().map(|link| link.url.into()).collect()
}

#[test]
fn addresses_in_text_end_where_the_sentence_goes_on() {
    for (written, expected) in [
        (
            "See http://example.com/a?b=c, or (https://example.org/x_(y)).",
            &["http://example.com/a?b=c", "https://example.org/x_(y)"][..],
        ),
        ("詳細はhttps://example.jp/あちらをご覧", &["https://example.jp/"]),
        ("詳細はhttps://example.co.jpをご覧ください。", &["https://example.co.jp/"]),
        ("http://日本語.jpをご覧", &["http://xn--wgv71a119e.jp/"]),
        ("「www.example.jp」と example.com。", &["http://www.example.jp/", "http://example.com/"]),
        ("ｈｔｔｐｓ：／／ｅｘａｍｐｌｅ．ｃｏｍ／ａ", &["https://example.com/a"]),
        ("mail a@example.com, file main.rs, 3.14, e.g. this.It", &[]),
        ("hxxp://example.com/x", &["http://example.com/x"][..0]),
        ("<http://example.com/a\n  b/c>", &["http://example.com/ab/c"]),
        ("<https://example.com/>", &["https://example.com/"]),
        ("https://example.com/\"><b>", &["https://example.com/"]),
        ("HTTP://EXAMPLE.COM", &["http://example.com/"]),
        ("go to example.xyz/login now", &["http://example.xyz/login"]),
        ("http://", &[]),
        ("http://user:pass@example.com:8080/", &["http://user:pass@example.com:8080/"]),
    ] {
        let found = text(written);
        assert_eq!(found, expected, "{written}");
    }
}

#[test]
fn one_form_for_one_target() {
    for (written, host, domain) in [
        ("HTTP://WWW.Example.COM./%41", "www.example.com", Some("example.com")),
        ("http://3232235777/", "192.168.1.1", None),
        ("http://0xC0.0250.257/", "192.168.1.1", None),
        ("http://[::ffff:192.0.2.1]/", "192.0.2.1", None),
        ("https://www.bank.example@evil.example.net/", "evil.example.net", Some("example.net")),
        ("https:\\\\evil.example.net\\x", "evil.example.net", Some("example.net")),
        ("http:/evil.example.net", "evil.example.net", Some("example.net")),
        ("//evil.example.net/x", "evil.example.net", Some("example.net")),
        ("http://日本語.jp/", "xn--wgv71a119e.jp", Some("xn--wgv71a119e.jp")),
        ("http://ｅxample。com/", "example.com", Some("example.com")),
        ("http://ex%61mple.com/", "example.com", Some("example.com")),
        ("http://user.github.io/", "user.github.io", Some("user.github.io")),
        ("mailto:A@Example.com?subject=x", "example.com", Some("example.com")),
        ("http://example.com:99999999/", "example.com", Some("example.com")),
        ("data:text/html,x", "", None),
        ("file://server.example.net/share", "server.example.net", Some("example.net")),
    ] {
        let link = link(0, LinkSource::Anchor, written, None).unwrap_or_else(|| panic!("{written}"));
        assert_eq!((&*link.host, link.domain.as_deref()), (host, domain), "{written}");
    }
    for nothing in ["#top", "cid:x@y", "tel:+1", "relative/path", "", "mailto:", "http://"] {
        assert_eq!(link(0, LinkSource::Anchor, nothing, None), None, "{nothing}");
    }
    assert_eq!(&*normalize("http://example.com/%7Ea%2fb%zz").unwrap().url, "http://example.com/~a%2Fb%zz");
}

#[test]
fn redirects_name_their_target() {
    let target = |written: &str| {
        let mut links = Vec::new();
        add(&mut links, link(0, LinkSource::Anchor, written, None).unwrap(), 10);
        links.iter().skip(1).map(|link| format!("{} {:?}", link.host, link.source)).collect::<Vec<_>>().join(",")
    };
    for (written, host) in [
        ("https://www.google.com/url?q=https%3A%2F%2Fevil.example.net%2Fx&sa=D", "evil.example.net"),
        ("https://www.google.co.jp/amp/s/evil.example.net/x", "evil.example.net"),
        ("https://www.bing.com/ck/a?!&&p=1&u=a1aHR0cHM6Ly9ldmlsLmV4YW1wbGUubmV0L3g&ntb=1", "evil.example.net"),
        (
            "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fevil.example.net&data=05",
            "evil.example.net",
        ),
        ("https://urldefense.proofpoint.com/v2/url?u=https-3A__evil.example.net_a-2Db&d=x", "evil.example.net"),
        ("https://urldefense.com/v3/__https://evil.example.net/x__;!!abc$", "evil.example.net"),
        ("https://l.facebook.com/l.php?u=http%3A%2F%2Fevil.example.net%2F&h=A", "evil.example.net"),
        ("https://t.umblr.com/redirect?z=https%253A%252F%252Fevil.example.net&t=x", "evil.example.net"),
        ("https://evil--bad-example-net.translate.goog/x?_x_tr_sl=en", "evil-bad.example.net"),
        ("https://web.archive.org/web/2020/http://evil.example.net/", "evil.example.net"),
        ("https://secure-web.cisco.com/1abc/https%3A%2F%2Fevil.example.net", "evil.example.net"),
        ("https://href.li/?https://evil.example.net/a", "evil.example.net"),
        ("https://x.example.org/r#https://evil.example.net", "evil.example.net"),
    ] {
        assert_eq!(target(written), format!("{host} Redirect"), "{written}");
    }
    assert_eq!(target("https://example.org/?next=https://example.org/login"), "", "to itself");
    assert_eq!(target("https://example.org/?a=b&http=c"), "");
    let mut nested = "https://z.example.net/".to_owned();
    for host in ["a", "b", "c", "d", "e"] {
        nested = format!("https://{host}.example.net/?u={nested}");
    }
    assert_eq!(target(&nested).split(',').count(), MAX_REDIRECTS);
}

#[test]
fn relative_addresses_belong_to_the_base() {
    let read = crate::message::html::read("<base href='https://evil.example.net/d/'><a href=x>a</a><a href='#t'>b</a>");
    let links = in_html(3, &read, 10);
    let urls: Vec<_> = links.iter().map(|link| (&*link.url, link.part)).collect();
    assert_eq!(urls, [("https://evil.example.net/d/", 3), ("https://evil.example.net/d/x", 3)]);
}

#[test]
fn hostile_texts_take_one_pass() {
    let many = |piece: &str, octets: usize| piece.repeat(octets / 4 / piece.len());
    for source in [
        many("a.", 2 << 20),
        many("http://", 2 << 20),
        many("http://a.", 2 << 20),
        many("http://あ", 2 << 20),
        many("http://あ.", 2 << 20),
        many("<http://a.com\n", 2 << 20),
        many("www.a", 2 << 20),
        many("．ａ", 2 << 20),
        many("http://a.com/))))", 2 << 20),
        "a".repeat(2 << 20) + ".com",
    ] {
        assert!(in_text(0, LinkSource::Text, &source, 1_000).len() <= 1_000);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_searched(text in "(http://|https://|www\\.|[a-zあ．：／%@.:/?#<>()\\[\\] \n]){0,40}") {
        for link in in_text(0, LinkSource::Text, &text, 50) {
            proptest::prop_assert!(!link.host.contains('@'));
        }
    }
}

#[test]
fn the_host_is_what_browsers_take_for_it_however_long_the_rest() {
    let long = "A".repeat(5_000);
    for written in [
        format!("https://google.com:{long}@evil.example/x"),
        format!("https://{long}@{long}@evil.example/x"),
        format!("https:\\\\google.com{long}@evil.example"),
    ] {
        let page = crate::message::html::read(&format!("<a href='{written}'>x</a>"));
        let links = in_html(0, &page, 10);
        assert_eq!(&*links[0].host, "evil.example", "{}", &written[..40]);
    }
    let plain = normalize(&format!("https://good.example/{long}@evil.example")).unwrap();
    assert_eq!(&*plain.host, "good.example");
}

#[test]
fn a_base_is_where_relative_addresses_lead_to() {
    let page = crate::message::html::read("<base href='https://evil.example/'><a href='https:good.example/x'>x</a>");
    let hosts: Vec<_> = in_html(0, &page, 10).into_iter().map(|link| link.url.to_string()).collect();
    assert!(hosts.contains(&"https://evil.example/good.example/x".to_owned()), "{hosts:?}");
    assert!(hosts.contains(&"https://good.example/x".to_owned()), "{hosts:?}");
    assert_eq!(normalize("/\\evil.example/x").map(|link| link.host), Some("evil.example".into()));
}
