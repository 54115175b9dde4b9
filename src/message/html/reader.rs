//! Follows the tokens with the elements that are open, and writes down what is seen.

use super::elements::{
    A, BODY, BR, BUTTON, FONT, HREF, HTML, IMG, INPUT, LI, P, PRE, SRC, STYLE, TABLE, TD, TEMPLATE, TH, TITLE, TR,
    attributes, ends_foreign, is_block, is_foreign, is_void,
};
use super::entities::{Place, decode};
use super::flow::{Flow, Gap};
use super::signs::{address, bare_colour, invisible_in_words, is_made_here, is_pixel, shortened, smuggles};
use super::style::{Declared, Effect, Paint, Rgb, Sheet, alike, is_for_screens};
use super::tokens::{Key, Token, Tokens, key};
use super::{HtmlLink, HtmlRead, MAX_LINKS, MAX_SHOWN};
use crate::message::specimen::{LinkSource, MarkupSigns};

/// Most open elements, as in browsers; deeper ones are not remembered.
const MAX_DEPTH: usize = 512;
/// Octets of an alternative text.
const MAX_ALT: usize = 1_024;
const SCRIPT: Key = key(b"script");
const IFRAME: Key = key(b"iframe");
const NOEMBED: Key = key(b"noembed");
const NOFRAMES: Key = key(b"noframes");
/// Octets of a script that are looked at.
const MAX_SCRIPT: usize = 256 << 10;

/// How text looks inside an element.
#[derive(Debug, Clone, Copy)]
struct Look {
    gone: bool,
    invisible: bool,
    tiny: bool,
    clear: bool,
    colour: Option<Rgb>,
    background: Option<Rgb>,
}

impl Look {
    const PAGE: Self = Self {
        gone: false,
        invisible: false,
        tiny: false,
        clear: false,
        colour: Some([0; 3]),
        background: Some([255; 3]),
    };

    fn is_hidden(&self) -> bool {
        let same = matches!((self.colour, self.background), (Some(one), Some(other)) if alike(one, other));
        self.gone || self.invisible || self.tiny || self.clear || same
    }
}

#[derive(Debug, Clone, Copy)]
struct Element {
    name: Key,
    look: Look,
    hidden: bool,
}

#[derive(Debug)]
struct OpenAnchor {
    link: usize,
    /// Where its text begins.
    from: usize,
}

pub struct Reader<'a> {
    tokens: Tokens<'a>,
    visible: Flow,
    hidden: Flow,
    title: Flow,
    stack: Vec<Element>,
    /// While inside a comment: how many elements are open outside it.
    outside: Option<usize>,
    sheet: Sheet,
    links: Vec<HtmlLink>,
    anchor: Option<OpenAnchor>,
    base: Option<Box<str>>,
    signs: MarkupSigns,
    cut: bool,
    /// A word was interrupted by something that isn't seen.
    interrupted: bool,
    /// The outermost picture or formula that is open; [`MAX_DEPTH`]: one too deep to be remembered.
    foreign: Option<usize>,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a str) -> Self {
        Self {
            tokens: Tokens::new(source),
            visible: Flow::with_capacity(source.len() / 4),
            hidden: Flow::default(),
            title: Flow::default(),
            stack: Vec::with_capacity(64),
            outside: None,
            sheet: Sheet::default(),
            links: Vec::new(),
            anchor: None,
            base: None,
            signs: MarkupSigns::default(),
            cut: false,
            interrupted: false,
            foreign: None,
        }
    }

    pub fn read(mut self) -> HtmlRead {
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Text(text) => self.text(text),
                Token::Start(name) => self.start(name),
                Token::End(name) => self.end(name),
                Token::Comment(from, to) => self.comment(from, to),
                Token::Leave => {
                    self.close_anchor();
                    let outside = self.outside.take().unwrap_or_default();
                    self.truncate(outside);
                }
            }
        }
        self.close_anchor();
        let visible = self.visible.finish();
        self.signs.split_words = self.signs.split_words.saturating_add(invisible_in_words(&visible));
        HtmlRead {
            visible,
            hidden: self.hidden.finish(),
            title: self.title.finish(),
            links: self.links,
            base: self.base,
            signs: self.signs,
            cut: self.cut,
        }
    }

    /// The element that text belongs to now.
    fn here(&self) -> Element {
        self.stack.last().copied().unwrap_or(Element { name: 0, look: Look::PAGE, hidden: false })
    }

    fn text(&mut self, text: &str) {
        let here = self.here();
        let text = decode(text, Place::Text);
        if here.hidden {
            self.interrupted |= self.visible.is_inside_word() && !text.trim_ascii().is_empty();
            self.hidden.push(&text);
            return;
        }
        if std::mem::take(&mut self.interrupted)
            && self.visible.is_inside_word()
            && text.chars().next().is_some_and(|c| c.is_ascii_alphabetic())
        {
            self.signs.split_words = self.signs.split_words.saturating_add(1);
        }
        if here.name == PRE {
            self.visible.push_lines(&text);
        } else {
            self.visible.push(&text);
        }
    }

    fn comment(&mut self, from: usize, to: usize) {
        let inside = self.tokens.slice(from, to);
        let conditional = inside.trim_ascii_start().get(..3).is_some_and(|start| start.eq_ignore_ascii_case("[if"));
        if conditional && self.outside.is_none() {
            if let Some(close) = inside.find("]>") {
                self.aside_of_some(from + close + 2, to);
            }
        } else if to > from {
            self.interrupted |= self.visible.is_inside_word();
        }
    }

    /// Reads as markup what only some programs show.
    fn aside_of_some(&mut self, from: usize, to: usize) {
        self.tokens.enter(from, to);
        self.close_anchor();
        let look = Look { gone: true, ..self.here().look };
        self.outside = Some(self.stack.len());
        // Beyond the depth, too: there is one such element at a time.
        self.stack.push(Element { name: 0, look, hidden: true });
    }

    fn truncate(&mut self, length: usize) {
        self.stack.truncate(length);
        // One that was too deep to be remembered is never closed: its inside stays markup.
        self.foreign = self.foreign.filter(|foreign| *foreign < length || *foreign >= MAX_DEPTH);
    }

    fn start(&mut self, name: Key) {
        if let Some(foreign) = self.foreign
            && foreign < MAX_DEPTH
            && ends_foreign(name)
        {
            self.truncate(foreign);
        }
        self.close_implied(name);
        if is_block(name) {
            self.visible.gap(Gap::Line);
            self.hidden.gap(Gap::Line);
        } else if matches!(name, TD | TH) {
            self.visible.gap(Gap::Space);
            self.hidden.gap(Gap::Space);
        }
        let element = self.element(name);
        self.signs.scripts |= self.tokens.has_handlers();
        self.special(name, &element);
        if is_foreign(name) {
            self.foreign.get_or_insert(self.stack.len().min(MAX_DEPTH));
        }
        if !is_void(name) && self.stack.len() < MAX_DEPTH {
            self.stack.push(element);
        }
        self.raw(name);
    }

    /// How the new element looks.
    fn element(&mut self, name: Key) -> Element {
        let parent = self.here();
        let mut look = parent.look;
        if name == A && look.colour == Some([0; 3]) {
            look.colour = Some([0, 0, 238]);
        }
        // Inside a picture a style sheet is an element like others, which nobody sees.
        look.gone |= name == TEMPLATE || (self.foreign.is_some() && matches!(name, STYLE | SCRIPT));
        let styled = self.tokens.has_attributes() || !self.sheet.is_empty();
        if !styled {
            return Element { name, look, hidden: look.is_hidden() };
        }
        let mut effect = self.hints(name);
        let mut important = Effect::default();
        if !self.sheet.is_empty() {
            let class = self.tokens.attribute(attributes::CLASS);
            let id = self.tokens.attribute(attributes::ID);
            let sheet = self.sheet.of(name, id, class);
            effect = effect.then(sheet.usual);
            important = sheet.important;
        }
        if let Some(style) = self.tokens.attribute(STYLE) {
            let style = decode(style, Place::Attribute);
            let inline = Declared::parse(&style);
            if inline.usual.loads || inline.important.loads {
                self.loads(&style);
            }
            effect = effect.then(inline.usual);
            important = important.then(inline.important);
        }
        effect = effect.then(important);
        if effect == Effect::default() {
            return Element { name, look, hidden: look.is_hidden() };
        }
        look.gone |= effect.is_gone();
        look.invisible = effect.invisible.unwrap_or(look.invisible);
        look.tiny = effect.tiny.unwrap_or(look.tiny);
        match effect.colour {
            Some(Paint::Known(rgb)) => (look.colour, look.clear) = (Some(rgb), false),
            Some(Paint::Clear) => look.clear = true,
            Some(Paint::Unknown) => (look.colour, look.clear) = (None, false),
            None => {}
        }
        match effect.background {
            Some(Paint::Known(rgb)) => look.background = Some(rgb),
            Some(Paint::Unknown) => look.background = None,
            Some(Paint::Clear) | None => {}
        }
        if effect.loads && effect.background.is_none() {
            look.background = None;
        }
        Element { name, look, hidden: look.is_hidden() }
    }

    /// Attributes that are styles of old.
    fn hints(&mut self, name: Key) -> Effect {
        let mut effect = Effect::default();
        let colour = match name {
            FONT => self.tokens.attribute(attributes::COLOR),
            BODY => self.tokens.attribute(attributes::TEXT),
            _ => None,
        };
        effect.colour = colour.map(bare_colour);
        effect.background = self.tokens.attribute(attributes::BGCOLOR).map(bare_colour);
        if let Some(image) = self.tokens.attribute(attributes::BACKGROUND) {
            effect.background = Some(Paint::Unknown);
            self.link(LinkSource::Image, image);
        }
        if self.tokens.attribute(attributes::HIDDEN).is_some() {
            effect.gone = Some(true);
        }
        effect
    }

    /// Addresses in `url(…)`.
    fn loads(&mut self, css: &str) {
        for at in memchr::memmem::find_iter(css.as_bytes(), b"url(").take(64) {
            let inside = css.get(at + 4..).unwrap_or_default();
            let inside = inside.trim_start_matches([' ', '"', '\'']);
            let address = inside.split([')', '"', '\'']).next().unwrap_or_default();
            if !address.is_empty() {
                self.push_link(LinkSource::Image, shortened(address).into());
            }
        }
    }

    /// Elements that lead somewhere or ask for something.
    fn special(&mut self, name: Key, element: &Element) {
        const AREA: Key = key(b"area");
        const FORM: Key = key(b"form");
        const META: Key = key(b"meta");
        const BASE: Key = key(b"base");
        const LINK: Key = key(b"link");
        const FRAME: Key = key(b"frame");
        const EMBED: Key = key(b"embed");
        const OBJECT: Key = key(b"object");
        const IMAGE: Key = key(b"image");
        const HR: Key = key(b"hr");
        match name {
            BR | HR => {
                self.visible.gap(Gap::Line);
                self.hidden.gap(Gap::Line);
            }
            A => self.open_anchor(),
            AREA => self.linked(LinkSource::Anchor, HREF),
            IMG | IMAGE => self.image(element),
            FORM => {
                self.signs.forms = self.signs.forms.saturating_add(1);
                self.linked(LinkSource::Form, attributes::ACTION);
            }
            INPUT => self.input(element),
            BUTTON => self.linked(LinkSource::Form, attributes::FORMACTION),
            META => self.meta(),
            BASE => {
                let href = self.tokens.attribute(HREF).map(address);
                if self.base.is_none() {
                    self.base = href.filter(|href| !href.is_empty());
                }
            }
            LINK => self.linked(LinkSource::Image, HREF),
            IFRAME | FRAME | EMBED => {
                self.signs.frames = self.signs.frames.saturating_add(1);
                self.linked(LinkSource::Anchor, SRC);
            }
            OBJECT => {
                self.signs.frames = self.signs.frames.saturating_add(1);
                self.linked(LinkSource::Anchor, attributes::DATA);
            }
            _ => {
                // Buttons and pictures of other vocabularies (`v:roundrect`, `v:fill`, `svg:use`), media.
                self.linked(LinkSource::Anchor, HREF);
                self.linked(LinkSource::Image, SRC);
            }
        }
        if !matches!(name, LI | TD | TR | P | FONT) {
            self.linked(LinkSource::Anchor, attributes::XLINK_HREF);
        }
    }

    fn image(&mut self, element: &Element) {
        let small = |name: Key| {
            let value = self.tokens.attribute(name).unwrap_or_default().trim_ascii();
            matches!(value, "0" | "1" | "0px" | "1px")
        };
        let styled = || self.tokens.attribute(STYLE).is_some_and(is_pixel);
        self.signs.images = self.signs.images.saturating_add(1);
        if (small(attributes::WIDTH) && small(attributes::HEIGHT)) || styled() {
            self.signs.pixels = self.signs.pixels.saturating_add(1);
        }
        self.linked(LinkSource::Image, SRC);
        if let Some(set) = self.tokens.attribute(attributes::SRCSET) {
            for candidate in set.split(',').take(16) {
                let address = candidate.split_ascii_whitespace().next().unwrap_or_default();
                self.link(LinkSource::Image, address);
            }
        }
        if let Some(alt) = self.tokens.attribute(attributes::ALT) {
            let alt = alt.get(..alt.floor_char_boundary(MAX_ALT)).unwrap_or_default();
            self.aside(&decode(alt, Place::Attribute), element.hidden);
        }
    }

    /// A text of its own in the line.
    fn aside(&mut self, text: &str, hidden: bool) {
        let flow = if hidden { &mut self.hidden } else { &mut self.visible };
        flow.gap(Gap::Space);
        flow.push(text);
        flow.gap(Gap::Space);
    }

    fn input(&mut self, element: &Element) {
        let kind = self.tokens.attribute(attributes::TYPE).unwrap_or_default().trim_ascii();
        if kind.eq_ignore_ascii_case("password") {
            self.signs.password_field = true;
        }
        let shows = ["submit", "button", "reset"].iter().any(|shown| kind.eq_ignore_ascii_case(shown));
        let label = if shows { attributes::VALUE } else { attributes::PLACEHOLDER };
        if let Some(label) = self.tokens.attribute(label) {
            let label = label.get(..label.floor_char_boundary(MAX_ALT)).unwrap_or_default();
            self.aside(&decode(label, Place::Attribute), element.hidden);
        }
        self.linked(LinkSource::Form, attributes::FORMACTION);
        if kind.eq_ignore_ascii_case("image") {
            self.linked(LinkSource::Image, SRC);
        }
    }

    fn meta(&mut self) {
        let refresh = self.tokens.attribute(attributes::HTTP_EQUIV).unwrap_or_default();
        if !refresh.trim_ascii().eq_ignore_ascii_case("refresh") {
            return;
        }
        let content = decode(self.tokens.attribute(attributes::CONTENT).unwrap_or_default(), Place::Attribute);
        let Some((_, address)) = content.split_once([';', ',']) else { return };
        let address = address.trim_ascii_start();
        let address = match address.split_once('=') {
            Some((url, address)) if url.trim_ascii().eq_ignore_ascii_case("url") => address.trim_ascii(),
            _ => address,
        };
        let address = address.trim_matches(['"', '\'']);
        if !address.is_empty() {
            self.signs.refresh = true;
            self.push_link(LinkSource::Anchor, shortened(address).into());
        }
    }

    /// Elements whose inside is no markup.
    fn raw(&mut self, name: Key) {
        const TEXTAREA: Key = key(b"textarea");
        const XMP: Key = key(b"xmp");
        let text = match name {
            STYLE => "style",
            SCRIPT => "script",
            TITLE => "title",
            TEXTAREA => "textarea",
            XMP => "xmp",
            IFRAME => "iframe",
            NOEMBED => "noembed",
            NOFRAMES => "noframes",
            _ => return,
        };
        self.signs.scripts |= name == SCRIPT;
        if self.foreign.is_some() {
            return;
        }
        if matches!(name, IFRAME | NOEMBED | NOFRAMES) {
            self.alternative(name, text);
            return;
        }
        let Some(inside) = self.tokens.raw(name, text) else { return };
        match name {
            STYLE => {
                if self.tokens.attribute(attributes::MEDIA).is_none_or(is_for_screens) {
                    self.sheet.add(inside);
                }
                if memchr::memmem::find(inside.as_bytes(), b"url(").is_some() {
                    self.loads(inside);
                }
            }
            SCRIPT => {
                let script = inside.get(..inside.floor_char_boundary(MAX_SCRIPT)).unwrap_or_default();
                self.signs.smuggling |= smuggles(script);
            }
            TITLE => self.title.push(&decode(inside, Place::Text)),
            XMP => self.visible.push_lines(inside),
            _ => self.visible.push_lines(&decode(inside, Place::Text)),
        }
        self.end(name);
    }

    /// What programs show that have no frames: browsers take none of it for markup.
    fn alternative(&mut self, name: Key, text: &str) {
        let from = self.tokens.position();
        // Inside another one it is hidden already, and goes on as markup.
        if self.outside.is_none()
            && let Some(inside) = self.tokens.raw(name, text)
        {
            self.end(name);
            self.aside_of_some(from, from + inside.len());
        }
    }

    fn open_anchor(&mut self) {
        self.close_anchor();
        let Some(href) = self.tokens.attribute(HREF) else { return };
        let before = self.links.len();
        self.link(LinkSource::Anchor, href);
        if self.tokens.attribute(attributes::DOWNLOAD).is_some()
            && self.links.get(before).is_some_and(|link| is_made_here(&link.written))
        {
            self.signs.smuggling = true;
        }
        if self.links.len() > before {
            self.anchor = Some(OpenAnchor { link: before, from: self.visible.len() });
        }
    }

    fn close_anchor(&mut self) {
        let Some(anchor) = self.anchor.take() else { return };
        let shown = self.visible.since(anchor.from).trim();
        if let Some(link) = self.links.get_mut(anchor.link)
            && !shown.is_empty()
        {
            link.shown = Some(shown.chars().take(MAX_SHOWN).collect());
        }
    }

    /// The address in an attribute, if there is one.
    fn linked(&mut self, source: LinkSource, attribute: Key) {
        if let Some(value) = self.tokens.attribute(attribute) {
            self.link(source, value);
        }
    }

    fn link(&mut self, source: LinkSource, value: &str) {
        let written = address(value);
        if !written.is_empty() {
            self.push_link(source, written);
        }
    }

    fn push_link(&mut self, source: LinkSource, written: Box<str>) {
        if is_made_here(&written) && source != LinkSource::Image {
            self.signs.data_links = self.signs.data_links.saturating_add(1);
        }
        if self.links.len() < MAX_LINKS {
            self.links.push(HtmlLink { source, written, shown: None });
        } else {
            self.cut = true;
        }
    }

    fn end(&mut self, name: Key) {
        if is_block(name) {
            self.visible.gap(Gap::Line);
            self.hidden.gap(Gap::Line);
        }
        if name == A {
            self.close_anchor();
        }
        self.pop_to(name, |open| {
            matches!(open, TD | TH | TABLE) && !matches!(name, TABLE | TR | TD | TH | BODY | HTML)
        });
    }

    /// Closes the innermost element of this name and what is inside it, unless a barrier is in between.
    fn pop_to(&mut self, name: Key, barrier: impl Fn(Key) -> bool) {
        let floor = self.outside.map_or(0, |outside| outside + 1);
        for (at, element) in self.stack.iter().enumerate().skip(floor).rev() {
            if element.name == name {
                self.truncate(at);
                return;
            }
            if barrier(element.name) {
                return;
            }
        }
    }

    /// What a start tag closes without an end tag (WHATWG HTML section 13.1.2.4).
    fn close_implied(&mut self, name: Key) {
        const UL: Key = key(b"ul");
        const OL: Key = key(b"ol");
        const OPTION: Key = key(b"option");
        match name {
            LI => self.pop_to(LI, |open| matches!(open, UL | OL | TD | TH | TABLE)),
            TD | TH => {
                self.pop_to(TD, |open| matches!(open, TABLE | TR | TH));
                self.pop_to(TH, |open| matches!(open, TABLE | TR));
            }
            TR => self.pop_to(TR, |open| open == TABLE),
            OPTION => self.pop_to(OPTION, |open| open != OPTION),
            A => self.pop_to(A, |open| matches!(open, TD | TH | TABLE)),
            _ => {}
        }
        if is_block(name) && !matches!(name, TR | LI) {
            self.pop_to(P, |open| matches!(open, TD | TH | TABLE | BUTTON) || is_block(open));
        }
    }
}
