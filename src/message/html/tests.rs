//! HTML as readers see it, in examples, and what a careless reader would be slow at.

use super::*;

fn seen(source: &str) -> (String, String) {
    let read = read(source);
    (read.visible.into(), read.hidden.into())
}

#[test]
fn an_address_is_bounded_wherever_it_stands() {
    let long = format!("https://evil.example/{}", "x".repeat(5_000));
    for page in [
        format!("<a href='{long}'>x</a>"),
        format!("<p style='background:url({long})'>x"),
        format!("<style>p {{ background: url({long}) }}</style>"),
        format!("<meta http-equiv=refresh content='0;url={long}'>"),
    ] {
        let read = read(&page);
        assert!(read.links.iter().all(|link| link.written.len() <= MAX_ADDRESS), "{page:.60}");
        assert!(read.links.iter().any(|link| link.written.starts_with("https://evil.example/xxx")), "{page:.60}");
    }
}

#[test]
fn what_is_shown_and_what_is_not() {
    for (source, visible, hidden) in [
        ("<p>One\n two<p>three<br>four</p>", "One two\nthree\nfour", ""),
        ("a<div style='display:none'>b<p>c</p></div>d", "a\nd", "b\nc"),
        ("V<span style=\"font-size:0\">xx</span>iagra", "Viagra", "xx"),
        ("<font color=#ffffff>white</font> black", "black", "white"),
        ("<body bgcolor=black text=white>shown <font color='#000'>no</font>", "shown", "no"),
        ("<td bgcolor=#336699><a style='color:#fff' href=x>go</a></td>", "go", ""),
        ("<div style='background:url(a.png)'><p style='color:white'>on a picture</p></div>", "on a picture", ""),
        ("<style>.h{display:none}</style><i class='a h'>x</i>y", "y", "x"),
        ("<style>@media print{.h{display:none}}</style><i class=h>x</i>y", "xy", ""),
        ("<div style='visibility:hidden'>a<b style='visibility:visible'>b</b></div>", "b", "a"),
        ("<div style='font-size:0'><span style='font-size:12px'>shown</span>not</div>", "shown", "not"),
        ("x<!-- <b>never</b> -->y", "xy", ""),
        ("a<!--[if mso]>outlook<![endif]-->b", "ab", "outlook"),
        ("a<!--[if !mso]><!-->others<!--<![endif]-->b", "aothersb", ""),
        ("<title>T</title><script>var a='<b>';</script>t", "t", ""),
        ("<title>never closed <b>text", "never closed text", ""),
        ("<table><tr><td style='display:none'>a<td>b<tr><td>c</table>d", "b\nc\nd", "a"),
        ("<ul><li style='display:none'>a<li>b</ul>", "b", "a"),
        ("<p style='display:none'>a<p>b", "b", "a"),
        ("<img alt='Pay&#32;now' src=x>", "Pay now", ""),
        ("<template>a</template><noscript>b</noscript><p hidden>c</p>", "b", "a\nc"),
        ("<div style='max-height:0;overflow:hidden'>pre</div>m", "m", "pre"),
        ("日本<wbr>語&nbsp;x", "日本語\u{a0}x", ""),
        ("<pre>a\n b</pre>", "a\nb", ""),
        ("</div></td>a<a>b</a>", "ab", ""),
    ] {
        let (v, h) = seen(source);
        assert_eq!((v.as_str(), h.as_str()), (visible, hidden), "{source}");
    }
}

#[test]
fn links_with_what_is_shown() {
    let read = read(
        "<base href=https://b.example/><a href=' https://a.exa\nmple/?x=1&amp;y=2 '>Go <b>there</b><img alt=now></a>
         <form action=/f><input type=PassWord><input type=submit value='Log in'></form>
         <img src=//i.example/p.gif width=1 height=1><meta http-equiv=Refresh content='0; URL=\"https://r.example\"'>
         <td background=b.png style=\"background-image:url('c.png')\"><iframe src=fr></iframe>
         <v:roundrect href='https://v.example/'></v:roundrect><a href=javascript:x()>j</a>",
    );
    let links = read.links.iter().map(|link| format!("{:?} {}", link.source, link.written)).collect::<Vec<_>>();
    assert_eq!(
        links,
        [
            "Anchor https://a.example/?x=1&y=2",
            "Form /f",
            "Image //i.example/p.gif",
            "Anchor https://r.example",
            "Image b.png",
            "Image c.png",
            "Anchor fr",
            "Anchor https://v.example/",
            "Anchor javascript:x()",
        ]
    );
    assert_eq!(read.links[0].shown.as_deref(), Some("Go there now"));
    assert_eq!(read.base.as_deref(), Some("https://b.example/"));
    let MarkupSigns { password_field, refresh, forms, frames, images, pixels, data_links, .. } = read.signs;
    assert!(password_field && refresh);
    assert_eq!((forms, frames, images, pixels, data_links), (1, 1, 2, 1, 1));
    assert!(read.visible.contains("Log in"));
}

#[test]
fn split_words_and_smuggled_files_are_signs() {
    assert_eq!(read("Pay<!-- x -->Pal a<!-- --> b").signs.split_words, 1);
    assert_eq!(read("Pay<span style='display:none'>q</span>Pal").signs.split_words, 1);
    assert_eq!(read("Pay&#8203;Pal").signs.split_words, 1);
    assert_eq!(read("<p>a &zwnj;&nbsp;&zwnj; b</p>").signs.split_words, 0);
    assert!(read("<script>new Blob([atob('x')])</script>").signs.smuggling);
    assert!(read("<a download=x.zip href=data:application/zip;base64,AA>x</a>").signs.smuggling);
    assert!(!read("<script>var x = 1;</script>").signs.smuggling);
}

/// What is only slow or big for a careless reader.
#[test]
fn hostile_markup_is_read_in_one_pass() {
    let many = |piece: &str, octets: usize| piece.repeat(octets / 4 / piece.len());
    for source in [
        many("<div>", 4 << 20),
        many("</x>", 2 << 20),
        many("<b><p>", 2 << 20),
        many("<title>", 2 << 20),
        many("<!--", 2 << 20),
        many("<!--[if a]>", 2 << 20),
        format!("<!--[if a]>{}-->", many("<!--<title>", 2 << 20)),
        many("<!--[if a]><title>-->", 2 << 20),
        many("--", 2 << 20) + "<!--" + &many("-", 2 << 20),
        many("<a href=", 2 << 20),
        many("<a b='", 2 << 20),
        many("&", 2 << 20),
        many("&#", 2 << 20),
        many("<style>a{", 1 << 20),
        format!("<style>{}</style>", many("@media{", 1 << 20)),
        format!("<style>{}", many(".a{color:red}", 1 << 20)),
        format!("<p style='{}'>", many("color:", 1 << 20)),
        many("<a href=http://x.example/>", 2 << 20),
        many("a<!---->", 2 << 20),
        many("<", 2 << 20),
    ] {
        let read = read(&source);
        assert!(read.links.len() <= MAX_LINKS);
        assert!(read.visible.len() <= 2 * source.len());
    }
}

proptest::proptest! {
    /// Any soup of markup is read, and no text is lost: what isn't markup is visible or hidden.
    #[test]
    fn any_soup_is_read(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "<", ">", "<a href='", "'", "\"", "</a>", "<!--", "-->", "[if x]>", "<style>", "</style>", ".a{", "}",
            "display:none", "<p class=a>", "word", "あ", "&amp", "&#x", ";", "<td", "<script", "</title>", "<title>", " ", "\u{200b}",
        ]), 0..60)) {
        let source = pieces.concat();
        let read = read(&source);
        proptest::prop_assert!(read.visible.len() + read.hidden.len() <= 4 * source.len() + 64);
    }
}

#[test]
fn what_is_text_to_a_browser_is_read_like_one() {
    for name in ["noembed", "noframes", "iframe"] {
        let source = format!("<{name}><!--</{name}>Verify <a href='https://evil.example/'>here</a><!-- --><p>end");
        let page = read(&source);
        assert!(page.visible.contains("Verify here"), "{name}: {page:?}");
        assert_eq!(page.links.len(), 1, "{name}");
        // What only programs without frames show is hidden, links and all.
        let page = read(&format!("<{name}>Only <a href='https://other.example/'>some</a></{name}>seen"));
        assert_eq!((&*page.visible, &*page.hidden), ("seen", "Only some"), "{name}");
        assert_eq!(page.links.len(), 1, "{name}");
    }
}

#[test]
fn a_style_inside_a_picture_is_an_element_like_others() {
    for outer in ["svg", "math"] {
        for inner in ["style", "script", "title"] {
            let page = read(&format!(
                "<{outer}><{inner}><p>Verify <a href='https://evil.example/'>here</a></{inner}></{outer}>"
            ));
            assert!(page.visible.contains("Verify here"), "{outer} {inner}: {page:?}");
            assert_eq!(page.links.len(), 1);
        }
        let page = read(&format!("<{outer}><style>.a {{ fill: red }}</style></{outer}><p>seen"));
        assert_eq!(&*page.visible, "seen");
    }
    let deep = "<b>".repeat(600) + "<svg><style><p>Verify";
    assert!(read(&deep).visible.contains("Verify"), "beyond the depth, too");
}

#[test]
fn an_address_is_found_behind_any_number_of_attributes_and_blanks() {
    let many: String = (0..100).map(|number| format!("b{number} ")).collect();
    let page = read(&format!("<a {many} href='https://evil.example/'>Login</a>"));
    assert_eq!(page.links.len(), 1);
    for blank in [" ", "\n", "&#32;", "&Tab;"] {
        let page = read(&format!("<a href=\"{}https://evil.example/\">x</a>", blank.repeat(20_000)));
        assert_eq!(&*page.links[0].written, "https://evil.example/", "{blank:?}");
    }
}

#[test]
fn what_is_declared_last_or_important_decides_what_is_hidden() {
    for (source, visible) in [
        ("<body style='opacity:0;opacity:1'>seen", "seen"),
        ("<style>.x{display:block!important}</style><p class=x style='display:none'>seen", "seen"),
        ("<style media=print>.x{display:none}</style><p class=x>seen", "seen"),
        ("<style media='screen, print'>.x{display:none}</style><p class=x>unseen</p>seen", "seen"),
        ("<style>.x{display:none!important}</style><p class=x style='display:block'>unseen</p>seen", "seen"),
    ] {
        assert_eq!(&*read(source).visible, visible, "{source}");
    }
}
