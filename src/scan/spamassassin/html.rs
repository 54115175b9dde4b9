//! HTML as SpamAssassin's rules expect it rendered, and what its functions want to know of the markup.
//!
//! **Failure**: nothing fails; what is no markup is text.
//! **Invariants**: one pass, without recursion; what is kept is bounded by the length of the source.

use std::collections::BTreeMap;

/// What one HTML text holds.
#[derive(Debug, Default)]
pub struct Html {
    /// Paragraphs are parted by empty lines.
    pub text: String,
    /// Element names in lower case: opened, closed.
    pub tags: BTreeMap<String, (u32, u32)>,
    /// Addresses in attributes, and the text of the anchor.
    pub links: Vec<Anchor>,
    pub base: Option<String>,
    pub comments: Vec<String>,
    pub titles: Vec<String>,
    /// Octets of the source.
    pub length: usize,
    /// Pixels of images, and how many.
    pub pixels: u64,
    pub images: u32,
    /// Tags of unknown names, closed without being open, within a word.
    pub unknown: u32,
    pub bad: u32,
    pub extra_closed: u32,
    pub obfuscated: u32,
    pub elements: u32,
    pub biggest: u32,
    pub low_contrast: bool,
    pub form_mailto: bool,
    pub odd_face: bool,
    pub odd_color: bool,
    /// Octets of visible text without blanks.
    pub shown: usize,
}

/// A link in the markup.
#[derive(Debug, Clone, Default)]
pub struct Anchor {
    pub address: String,
    /// The attribute's element: `a`, `img`.
    pub element: String,
    pub text: String,
}

/// Most links and comments of one text.
const MAX_KEPT: usize = 5_000;
const MAX_ATTRIBUTES: usize = 60;

struct Reader<'t> {
    source: &'t str,
    html: Html,
    /// The anchor whose text is being read.
    anchor: Option<usize>,
    title: bool,
    face: Vec<Option<[u8; 3]>>,
    background: [u8; 3],
}

/// Reads a source in Unicode.
#[must_use]
pub fn read(source: &str) -> Html {
    let mut reader = Reader {
        source,
        html: Html { length: source.len(), ..Html::default() },
        anchor: None,
        title: false,
        face: Vec::new(),
        background: [255; 3],
    };
    reader.run();
    reader.html
}

impl Reader<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(rest) = self.source.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(open) = rest.find('<') else {
                self.text(rest);
                break;
            };
            let (text, markup) = rest.split_at(open);
            if !text.is_empty() {
                self.text(text);
            }
            let used = self.markup(markup, !text.ends_with(|c: char| c.is_whitespace()));
            at += open + used;
        }
    }

    /// `markup` begins with `<`; how much of it was read.
    fn markup(&mut self, markup: &str, within: bool) -> usize {
        if markup.starts_with("<!--") {
            let end = markup.get(4..).and_then(|rest| rest.find("-->")).map_or(markup.len(), |end| end + 7);
            if self.html.comments.len() < MAX_KEPT {
                self.html.comments.push(markup.get(..end).unwrap_or_default().to_owned());
            }
            return end;
        }
        let second = markup.chars().nth(1);
        if matches!(second, Some('!' | '?')) {
            let end = markup.find('>').map_or(markup.len(), |end| end + 1);
            if second == Some('!') && self.html.comments.len() < MAX_KEPT {
                let text = markup.get(..end).unwrap_or_default();
                if !text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype")) {
                    self.html.comments.push(text.to_owned());
                }
            }
            return end;
        }
        let closing = second == Some('/');
        let name_at = if closing { 2 } else { 1 };
        let name: &str = markup.get(name_at..).unwrap_or_default();
        let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c))).unwrap_or(name.len());
        let name = name.get(..length).unwrap_or_default();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.text("<");
            return 1;
        }
        let Some(end) = tag_end(markup) else {
            self.text("<");
            return 1;
        };
        let inside = markup.get(name_at + length..end).unwrap_or_default();
        let name = name.to_ascii_lowercase();
        let after = markup.get(end + 1..).unwrap_or_default();
        self.html.elements += 1;
        if within
            && after.starts_with(|c: char| c.is_ascii_alphanumeric())
            && self.html.text.ends_with(|c: char| c.is_ascii_alphanumeric())
        {
            self.html.obfuscated += u32::from(!matches!(name.as_str(), "br" | "p" | "div" | "td" | "tr" | "li"));
        }
        if closing {
            self.close(&name);
            return end + 1;
        }
        self.open(&name, inside);
        if name == "script" || name == "style" {
            let close = format!("</{name}");
            let skip = find_ignoring_case(after, &close).unwrap_or(after.len());
            return end + 1 + skip;
        }
        end + 1
    }

    fn close(&mut self, name: &str) {
        let known = is_known(name);
        let entry = self.html.tags.entry(name.to_owned()).or_default();
        entry.1 += 1;
        let extra = entry.1 > entry.0;
        if extra {
            self.html.extra_closed += 1;
        }
        self.html.unknown += u32::from(!known);
        match name {
            "a" => self.anchor = None,
            "title" => self.title = false,
            "font" => drop(self.face.pop()),
            _ => {}
        }
        self.part(name);
    }

    fn open(&mut self, name: &str, inside: &str) {
        let known = is_known(name);
        self.html.tags.entry(name.to_owned()).or_default().0 += 1;
        self.html.unknown += u32::from(!known);
        self.html.bad += u32::from(!known && !name.contains(':'));
        self.part(name);
        let attributes = attributes(inside);
        let value = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let keys: &[&str] = match name {
            "a" | "area" | "link" => &["href"],
            "img" | "iframe" | "frame" | "embed" | "script" | "input" => &["src"],
            "form" => &["action"],
            "object" => &["data"],
            "body" | "table" | "td" | "tr" | "th" => &["background"],
            "base" => {
                self.html.base = self.html.base.take().or_else(|| value("href").map(str::to_owned));
                &["href"]
            }
            _ => &[],
        };
        for key in keys {
            let Some(address) = value(key).map(str::trim).filter(|address| !address.is_empty()) else { continue };
            if self.html.links.len() >= MAX_KEPT {
                break;
            }
            let address: String = address.chars().filter(|c| !matches!(c, '\r' | '\n' | '\t')).take(4_000).collect();
            self.html.links.push(Anchor { address, element: name.to_owned(), text: String::new() });
            if name == "a" {
                self.anchor = Some(self.html.links.len() - 1);
            }
        }
        match name {
            "title" => {
                self.title = true;
                self.html.titles.push(String::new());
            }
            "form"
                if value("action")
                    .is_some_and(|action| action.trim_start().to_ascii_lowercase().starts_with("mailto:")) =>
            {
                self.html.form_mailto = true;
            }
            "img" => {
                self.html.images += 1;
                let number = |key| {
                    value(key).and_then(|value| value.trim().trim_end_matches("px").parse::<u64>().ok()).unwrap_or(200)
                };
                self.html.pixels += number("width").min(4_000) * number("height").min(4_000);
                if let Some(anchor) = self.anchor.and_then(|anchor| self.html.links.get_mut(anchor)) {
                    anchor.text.push_str("<img>\n");
                }
            }
            "body" => {
                if let Some(color) = value("bgcolor").and_then(color) {
                    self.background = color;
                }
            }
            "font" => {
                if let Some(size) = value("size") {
                    let size = match size.trim().strip_prefix('+') {
                        Some(more) => more.parse::<u32>().map_or(3, |more| 3 + more),
                        None => size.trim().parse().unwrap_or(3),
                    };
                    self.html.biggest = self.html.biggest.max(size.min(20));
                }
                if let Some(face) = value("face") {
                    self.html.odd_face |=
                        !face.chars().all(|c| c.is_alphanumeric() || " ,-_'\"".contains(c) || !c.is_ascii());
                }
                let written = value("color");
                let face = written.and_then(color);
                self.html.odd_color |= written.is_some_and(|written| face.is_none() && written.starts_with('#'));
                self.face.push(face);
                self.face.truncate(200);
            }
            _ => {}
        }
    }

    /// Elements that part words, lines or paragraphs.
    fn part(&mut self, name: &str) {
        match name {
            "p" | "hr" | "blockquote" | "pre" | "title" => {
                let kept = self.html.text.trim_end_matches([' ', '\t', '\u{a0}', '\n']).len();
                self.html.text.truncate(kept);
                self.html.text.push_str("\n\n");
            }
            "br" | "div" => self.html.text.push('\n'),
            "td" | "th" | "li" | "dd" | "dt" | "embed" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.html.text.push(' ')
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        let decoded = entities(text);
        let mut flat: String = decoded.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
        if self.html.text.ends_with(char::is_whitespace) {
            flat = flat.trim_start_matches([' ', '\u{a0}']).to_owned();
        }
        if let Some(title) = self.html.titles.last_mut().filter(|_| self.title) {
            title.push_str(&flat);
        }
        if let Some(anchor) = self.anchor.and_then(|anchor| self.html.links.get_mut(anchor)) {
            anchor.text.push_str(&flat);
        }
        let letters = flat.bytes().filter(|octet| !octet.is_ascii_whitespace()).count();
        self.html.shown += letters;
        if let Some(Some(face)) = self.face.last() {
            let distance: i32 =
                face.iter().zip(self.background).map(|(one, other)| (i32::from(*one) - i32::from(other)).pow(2)).sum();
            if letters > 0 && distance < 35 * 35 {
                self.html.low_contrast = true;
            }
        }
        self.html.text.push_str(&flat);
    }
}

/// Where the tag at the start ends: its `>`; quotes in it count.
fn tag_end(markup: &str) -> Option<usize> {
    let mut quote = None;
    let mut after_equals = false;
    for (at, octet) in markup.bytes().enumerate().take(20_000) {
        match (quote, octet) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') if after_equals => quote = Some(octet),
            (Some(open), octet) if open == octet => quote = None,
            _ => {}
        }
        after_equals = octet == b'=' || (after_equals && octet.is_ascii_whitespace());
    }
    // A quote that isn't closed: as far as the first `>`.
    markup.find('>')
}

fn attributes(inside: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut rest = inside.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
    while !rest.is_empty() && all.len() < MAX_ATTRIBUTES {
        let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        let tail = tail.trim_start();
        let (value, tail) = match tail.strip_prefix('=') {
            None => ("", tail),
            Some(tail) => {
                let tail = tail.trim_start();
                match tail.chars().next() {
                    Some(quote @ ('"' | '\'')) => {
                        let inside = tail.get(1..).unwrap_or_default();
                        inside.split_once(quote).unwrap_or((inside, ""))
                    }
                    _ => tail.split_at(tail.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tail.len())),
                }
            }
        };
        all.push((name.to_ascii_lowercase(), entities(value)));
        let next = tail.trim_start_matches(|c: char| c.is_ascii_whitespace());
        rest = if next.len() == rest.len() { rest.get(1..).unwrap_or_default() } else { next };
    }
    all
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    memchr::memchr_iter(b'<', text.as_bytes()).find(|at| {
        text.as_bytes().get(*at..at + wanted.len()).is_some_and(|here| here.eq_ignore_ascii_case(wanted.as_bytes()))
    })
}

fn color(text: &str) -> Option<[u8; 3]> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "white" => return Some([255; 3]),
        "black" => return Some([0; 3]),
        "red" => return Some([255, 0, 0]),
        "yellow" => return Some([255, 255, 0]),
        "blue" => return Some([0, 0, 255]),
        "green" => return Some([0, 128, 0]),
        "gray" | "grey" => return Some([128; 3]),
        "silver" => return Some([192; 3]),
        _ => {}
    }
    let digits = text.strip_prefix('#').unwrap_or(text);
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (digits.len() == 6).then_some(())?;
    Some([pair(0)?, pair(2)?, pair(4)?])
}

/// Character references of HTML 4, and numbers.
#[must_use]
pub fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let body = rest.get(1..).unwrap_or_default();
        let length = body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '#')).unwrap_or(body.len());
        let name = body.get(..length.min(10)).unwrap_or_default();
        let decoded = match name.strip_prefix('#') {
            Some(number) => {
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                code.ok().filter(|code| *code > 0).and_then(char::from_u32)
            }
            None => named(name),
        };
        match decoded {
            Some(c) => {
                out.push(c);
                let used = 1 + length + usize::from(body.get(length..).is_some_and(|rest| rest.starts_with(';')));
                rest = rest.get(used..).unwrap_or_default();
            }
            None => {
                out.push('&');
                rest = body;
            }
        }
    }
    out.push_str(rest);
    out
}

/// ISO 8859-1 in the order of its codes, from 160 on.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro \
para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc \
Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig \
agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc \
otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

fn named(name: &str) -> Option<char> {
    Some(match name {
        "" => return None,
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        "lsquo" => '\u{2018}',
        "rsquo" => '\u{2019}',
        "sbquo" => '\u{201a}',
        "ldquo" => '\u{201c}',
        "rdquo" => '\u{201d}',
        "bdquo" => '\u{201e}',
        "hellip" => '\u{2026}',
        "bull" => '\u{2022}',
        "euro" => '\u{20ac}',
        "trade" => '\u{2122}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "ensp" => '\u{2002}',
        "emsp" => '\u{2003}',
        "thinsp" => '\u{2009}',
        "lrm" => '\u{200e}',
        "rlm" => '\u{200f}',
        "larr" => '\u{2190}',
        "rarr" => '\u{2192}',
        "lsaquo" => '\u{2039}',
        "rsaquo" => '\u{203a}',
        other => {
            let at = LATIN.split_ascii_whitespace().position(|known| known == other)?;
            return char::from_u32(160 + u32::try_from(at).ok()?);
        }
    })
}

/// Elements of HTML, old ones included.
fn is_known(name: &str) -> bool {
    const KNOWN: &str = " a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big blink blockquote body br \
button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed fieldset figcaption \
figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins isindex kbd label legend li link \
listing main map mark marquee menu meta meter multicol nav nobr noembed noframes noscript object ol optgroup option output p param \
picture plaintext pre progress q rp rt ruby s samp script section select server small source spacer span strike strong style sub summary \
sup table tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr x-sigsep x-tab xmp center ";
    KNOWN.split_ascii_whitespace().any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_parts_words_lines_and_paragraphs() {
        assert_eq!(read("a<td>b</td>c<br>d<p>e").text, "a b c\nd\n\ne");
        assert_eq!(read("x < y &amp; &eacute;&#8364; &bogus;").text, "x < y & \u{e9}\u{20ac} &bogus;");
        assert_eq!(read("a<script>if (a<b) x</script>b<!-- > -->c").text, "abc");
    }

    #[test]
    fn links_have_their_text() {
        let html = read("<A HREF='http://x.example/?a=1&amp;b'>go <b>there</b></a> <img src=i.png width=2 height=3>");
        assert_eq!(
            (html.links[0].address.as_str(), html.links[0].text.as_str()),
            ("http://x.example/?a=1&b", "go there")
        );
        assert_eq!(html.pixels, 6);
    }

    #[test]
    fn broken_markup_ends() {
        for source in ["<", "<a", "<a href=\"", "<!--", "<script>", "&", "&#", "<a b=c d e='>f", "</", "<a =\"\">"] {
            let _ = read(source);
        }
    }
}
