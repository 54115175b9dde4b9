//! Texts and pages against those who look for words in them.

use crate::Entry;
use crate::Kind::{Bomb, Text};
use crate::mime::{base64_lines, of_type, plain, with_file};

/// A line as SMTP has it, again and again.
fn lines(piece: &str, octets: usize) -> Vec<u8> {
    let line = piece.repeat((990 / piece.len()).max(1));
    format!("{line}\r\n").repeat((octets / (line.len() + 2)).max(1)).into_bytes()
}

fn page(body: &str) -> Vec<u8> {
    of_type("text/html; charset=utf-8", "", format!("<html><body>{body}</body></html>").as_bytes())
}

pub fn all() -> Vec<Entry> {
    vec![
        ("5 MB of a in one line", Text, || plain("a".repeat(5_000_000).as_bytes())),
        ("5 MB of a in lines", Text, || plain(&lines("a", 5_000_000))),
        ("5 MB of blanks", Text, || plain(" ".repeat(5_000_000).as_bytes())),
        ("5 MB of (", Text, || plain("(".repeat(5_000_000).as_bytes())),
        ("5 MB of digits", Text, || plain(&lines("1234567890", 5_000_000))),
        ("5 MB of dots and letters", Text, || plain(&lines("a.b-c_", 5_000_000))),
        ("5 MB of empty lines", Text, || plain("\r\n".repeat(2_500_000).as_bytes())),
        ("5 MB of $ and %", Text, || plain(&lines("$1,000,000.00 100% ", 5_000_000))),
        ("5 MB of addresses", Text, || plain(&lines("a@a.example ", 5_000_000))),
        ("5 MB of @", Text, || plain(&lines("@", 5_000_000))),
        ("5 MB of http://", Text, || plain(&lines("http://", 5_000_000))),
        ("5 MB of www.", Text, || plain(&lines("www.", 5_000_000))),
        ("a URL of 1 MB", Text, || plain(format!("http://a.example/{}", "a/".repeat(500_000)).as_bytes())),
        ("five hosts of 1 MB", Text, || {
            plain(format!("http://{}example/ ", "a.".repeat(500_000)).repeat(5).as_bytes())
        }),
        ("a URL of 1 MB of %", Text, || plain(format!("http://a.example/?u={}", "%2525".repeat(200_000)).as_bytes())),
        ("redirects in redirects, 200,000", Text, || {
            plain(format!("http://a.example/?url={}", "http://b.example/?url=".repeat(200_000)).as_bytes())
        }),
        ("100,000 links of punycode", Bomb, || {
            let links: String = (0..100_000).map(|nth| format!("http://xn--{nth}-1ga.xn--p1ai/ \r\n")).collect();
            plain(links.as_bytes())
        }),
        ("100,000 links of other scripts", Bomb, || {
            let links: String =
                (0..100_000).map(|nth| format!("http://\u{430}\u{440}{nth}\u{430}le.\u{65e5}\u{672c}/ \r\n")).collect();
            plain(links.as_bytes())
        }),
        ("5 million zero-width characters", Text, || plain("\u{200b}".repeat(5_000_000).as_bytes())),
        ("5 million marks on one letter", Text, || plain(format!("a{}", "\u{301}".repeat(5_000_000)).as_bytes())),
        ("5 million marks out of order", Text, || plain(format!("a{}", "\u{301}\u{323}".repeat(2_500_000)).as_bytes())),
        ("1 million letters that become 18 (U+FDFA)", Text, || plain("\u{fdfa}".repeat(1_000_000).as_bytes())),
        ("3 million letters that become 18 (U+FDFA)", Text, || plain("\u{fdfa}".repeat(3_000_000).as_bytes())),
        ("10 million letters that become 18 (U+FDFA)", Bomb, || plain("\u{fdfa}".repeat(10_000_000).as_bytes())),
        ("5 MB of full-width letters", Text, || plain("\u{ff21}".repeat(1_700_000).as_bytes())),
        ("10 MB of Japanese", Text, || {
            plain(&lines("\u{304a}\u{5f97}\u{306a}\u{60c5}\u{5831}\u{3067}\u{3059}\u{3002}", 10_000_000))
        }),
        ("40 MB of words", Bomb, || plain(&lines("some words of a very long letter ", 40_000_000))),
        ("10 MB of words", Text, || plain(&lines("some words of a very long letter ", 10_000_000))),
        ("40 MB of words in base64", Bomb, || {
            let words = lines("some words of a very long letter ", 29_000_000);
            of_type("text/plain", "Content-Transfer-Encoding: base64\r\n", base64_lines(&words).as_bytes())
        }),
        ("40 MB of words in a file", Bomb, || {
            with_file("a.txt", &lines("some words of a very long letter ", 29_000_000))
        }),
        ("40 MB of HTML words", Bomb, || {
            of_type("text/html; charset=utf-8", "", &lines("some words of a <b>very</b> long letter ", 40_000_000))
        }),
        ("every word of our rules, 5 MB", Bomb, || {
            let rules = [
                include_str!("../../signatures/starter/spam.toml"),
                include_str!("../../signatures/starter/phishing.toml"),
                include_str!("../../signatures/starter/fraud.toml"),
                include_str!("../../signatures/starter/spam-ja.toml"),
                include_str!("../../signatures/starter/phishing-ja.toml"),
            ]
            .concat()
            .replace('\n', "\r\n");
            plain(rules.repeat(5_000_000 / rules.len() + 1).as_bytes())
        }),
        // Nothing is hidden: what rules and classifier make of the words is no question of size.
        ("words of offers, 5 MB", Text, || {
            plain(&lines(
                "free viagra money back guarantee click here to unsubscribe dear friend $$$ v i a g r a ",
                5_000_000,
            ))
        }),
        ("HTML, 1,000,000 deep", Text, || page(&"<div>".repeat(1_000_000))),
        ("HTML, 200,000 tables in one another", Text, || page(&"<table><tr><td>".repeat(200_000))),
        ("HTML, 500,000 formatting elements unclosed", Text, || page(&"<b><i><font><p>".repeat(125_000))),
        ("HTML, a tag of 1,000,000 attributes", Text, || {
            let attributes: String = (0..1_000_000).map(|nth| format!(" a{nth}=b")).collect();
            page(&format!("<p{attributes}>hello"))
        }),
        ("HTML, 40 MB of attributes", Bomb, || page(&format!("<p title='{}'>x</p>", "a".repeat(990)).repeat(40_000))),
        ("HTML, 40 MB of CSS", Bomb, || {
            page(&format!("<style>{}</style>hello", ".a{color:red;font-size:0}\r\n".repeat(1_500_000)))
        }),
        ("HTML, 50,000 selectors and 50,000 elements", Text, || {
            let style: String = (0..50_000).map(|nth| format!(".c{nth} .d{nth} p{{display:none}}\r\n")).collect();
            page(&format!("<style>{style}</style>{}", "<p class='c1 c2 d3'>x".repeat(50_000)))
        }),
        ("HTML, 1,000 classes on each of 5,000 elements, 5,000 rules", Text, || {
            let style: String = (0..5_000).map(|nth| format!(".c{nth}{{color:#fff}}\r\n")).collect();
            let classes: String = (0..1_000).map(|nth| format!("c{nth} ")).collect();
            page(&format!("<style>{style}</style>{}", format!("<p class='{classes}'>x").repeat(5_000)))
        }),
        ("HTML, style attributes of 1 MB", Text, || {
            page(&format!("<p style='{}'>x", "color:red;".repeat(100_000)).repeat(5))
        }),
        ("HTML, 5 MB of <", Text, || page(&"<".repeat(5_000_000))),
        ("HTML, 5 MB of <!--", Text, || page(&"<!--".repeat(1_250_000))),
        ("HTML, 5 MB of </", Text, || page(&"</a ".repeat(1_250_000))),
        ("HTML, 5 MB of &", Text, || page(&"&amp;&#65;&#x41;&".repeat(300_000))),
        ("HTML, 100,000 links", Bomb, || {
            let links: String =
                (0..100_000).map(|nth| format!("<a href='http://h{nth}.example/'>www.bank.example</a>\r\n")).collect();
            page(&links)
        }),
        ("HTML, 100,000 images", Bomb, || {
            let links: String =
                (0..100_000).map(|nth| format!("<img src='http://h{nth}.example/a.png' width=1>\r\n")).collect();
            page(&links)
        }),
        // Decoded, and looked at as a file.
        ("HTML, data: of 10 MB", Text, || {
            page(&format!("<a href='data:text/html;base64,{}'>x</a>", "QUJD".repeat(2_500_000)))
        }),
        ("HTML, 100,000 data: addresses", Bomb, || {
            page(&"<a href='data:text/html,%3Cp%3Ehello'>x</a>\r\n".repeat(100_000))
        }),
        ("HTML, 5 MB of script", Text, || page(&format!("<script>{}</script>", "eval(atob('x'));".repeat(300_000)))),
    ]
}
