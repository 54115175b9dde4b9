//! What styles hide: the few properties of CSS that decide whether a reader sees a text, from `style` attributes and from
//! plain rules of `<style>`.
//!
//! **Failure**: what isn't understood hides nothing: then the text counts as visible, which is looked at hardest.
//! **Invariants**: linear in the length; at most [`MAX_RULES`] rules are kept. Rules for some screens only (`@media`) are
//! left aside.

use std::collections::HashMap;

use super::tokens::{Key, key};

const MAX_RULES: usize = 2_000;
/// Octets of style sheets that are read, all together.
const MAX_SHEET: usize = 512 << 10;
/// Rules with the same class or id.
const MAX_SAME: usize = 8;

pub type Rgb = [u8; 3];

/// A colour as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Known(Rgb),
    /// `transparent`, or an alpha of nearly nothing.
    Clear,
    /// An image, a gradient, a name we don't know.
    Unknown,
}

/// What some declarations change; `None` leaves it as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// `display: none`; nothing inside can undo this and the next two.
    pub gone: Option<bool>,
    /// No opacity.
    pub faded: Option<bool>,
    /// Off the page, by an indent or a margin.
    pub moved: Option<bool>,
    /// Made small beyond sight.
    pub shrunk: Option<bool>,
    /// `visibility: hidden`
    pub invisible: Option<bool>,
    /// Letters of a pixel or less.
    pub tiny: Option<bool>,
    pub colour: Option<Paint>,
    pub background: Option<Paint>,
    pub no_width: Option<bool>,
    pub no_height: Option<bool>,
    pub clips: Option<bool>,
    /// Holds `url(`.
    pub loads: bool,
}

/// What declarations change, and what of it no usual one changes again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    pub usual: Effect,
    /// With `!important`.
    pub important: Effect,
}

impl Declared {
    /// Reads declarations: `a: b; c: d`.
    #[must_use]
    pub fn parse(css: &str) -> Self {
        let mut declared = Self::default();
        let mut offset = Offset::default();
        // Declarations are short: plain loops over octets beat the searches of the library.
        let mut rest = css;
        while !rest.is_empty() {
            let end = rest.bytes().position(|byte| byte == b';').unwrap_or(rest.len());
            let (declaration, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
            rest = behind.get(1..).unwrap_or_default();
            let Some(colon) = declaration.bytes().position(|byte| byte == b':') else { continue };
            let name = declaration.get(..colon).unwrap_or_default();
            let value = declaration.get(colon + 1..).unwrap_or_default();
            let (value, is_important) = unmarked(value.trim_ascii());
            let effect = if is_important { &mut declared.important } else { &mut declared.usual };
            effect.declare(name.trim_ascii(), value, &mut offset);
        }
        if offset.is_away() {
            declared.usual.moved = Some(true);
        }
        declared
    }

    /// `later` decides where it says something, but for what is important.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self { usual: self.usual.then(later.usual), important: self.important.then(later.important) }
    }

    #[cfg(test)]
    fn effect(self) -> Effect {
        self.usual.then(self.important)
    }
}

/// The value without `!important`, and whether that was there.
fn unmarked(value: &str) -> (&str, bool) {
    match value.rsplit_once('!') {
        Some((value, mark)) if mark.trim_ascii().eq_ignore_ascii_case("important") => (value.trim_ascii_end(), true),
        _ => (value, false),
    }
}

/// A box that is moved away: out of the flow, and far from its place.
#[derive(Debug, Default)]
struct Offset {
    free: bool,
    left: bool,
    top: bool,
}

impl Offset {
    fn is_away(&self) -> bool {
        self.free && (self.left || self.top)
    }
}

impl Effect {
    fn declare(&mut self, name: &str, value: &str, offset: &mut Offset) {
        const DISPLAY: Key = key(b"display");
        const VISIBILITY: Key = key(b"visibility");
        const OPACITY: Key = key(b"opacity");
        const FONT_SIZE: Key = key(b"font-size");
        const FONT: Key = key(b"font");
        const COLOR: Key = key(b"color");
        const BACKGROUND: Key = key(b"background");
        const BACKGROUND_COLOR: Key = key(b"background-color");
        const BACKGROUND_IMAGE: Key = key(b"background-image");
        const WIDTH: Key = key(b"width");
        const MAX_WIDTH: Key = key(b"max-width");
        const HEIGHT: Key = key(b"height");
        const MAX_HEIGHT: Key = key(b"max-height");
        const OVERFLOW: Key = key(b"overflow");
        const POSITION: Key = key(b"position");
        const LEFT: Key = key(b"left");
        const TOP: Key = key(b"top");
        const TEXT_INDENT: Key = key(b"text-indent");
        const MARGIN_LEFT: Key = key(b"margin-left");
        const TRANSFORM: Key = key(b"transform");
        match key(name.as_bytes()) {
            DISPLAY => self.gone = Some(is(value, "none")),
            VISIBILITY => self.invisible = Some(is(value, "hidden") || is(value, "collapse")),
            OPACITY => self.faded = number(value).map(|(opacity, _)| opacity <= 0.05).or(self.faded),
            FONT_SIZE => self.tiny = tiny(value).or(self.tiny),
            FONT => {
                // `font: 700 0/0 a`: a weight is three digits without a unit.
                let is_weight = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
                let is_size = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && !is_weight(word);
                self.tiny = value.split_ascii_whitespace().find(is_size).and_then(tiny).or(self.tiny);
            }
            COLOR => self.colour = Some(paint(value)),
            BACKGROUND_COLOR => self.background = Some(paint(value)),
            BACKGROUND | BACKGROUND_IMAGE => {
                self.loads |= has_url(value);
                if !(name.len() == BACKGROUND_IMAGE_LENGTH && is(value, "none")) {
                    self.background = Some(paint(value));
                }
            }
            WIDTH | MAX_WIDTH => self.no_width = Some(at_most(value, 0.0)),
            HEIGHT | MAX_HEIGHT => self.no_height = Some(at_most(value, 0.0) || starts(value, "1px")),
            OVERFLOW => self.clips = Some(is(value, "hidden") || is(value, "clip")),
            POSITION => offset.free = is(value, "absolute") || is(value, "fixed"),
            LEFT => offset.left = far(value),
            TOP => offset.top = far(value),
            TEXT_INDENT | MARGIN_LEFT => self.moved = Some(far(value)),
            TRANSFORM => self.shrunk = Some(starts(value, "scale(0)")),
            _ => self.loads |= value.len() > 6 && has_url(value),
        }
    }

    /// `later` decides where it says something.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            gone: later.gone.or(self.gone),
            faded: later.faded.or(self.faded),
            moved: later.moved.or(self.moved),
            shrunk: later.shrunk.or(self.shrunk),
            invisible: later.invisible.or(self.invisible),
            tiny: later.tiny.or(self.tiny),
            colour: later.colour.or(self.colour),
            background: later.background.or(self.background),
            no_width: later.no_width.or(self.no_width),
            no_height: later.no_height.or(self.no_height),
            clips: later.clips.or(self.clips),
            loads: self.loads || later.loads,
        }
    }

    /// Whether the reader sees nothing of the box.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let boxed = self.no_width == Some(true) || self.no_height == Some(true);
        let away = [self.gone, self.faded, self.moved, self.shrunk].contains(&Some(true));
        away || (boxed && self.clips == Some(true))
    }
}

const BACKGROUND_IMAGE_LENGTH: usize = "background-image".len();

fn starts(value: &str, word: &str) -> bool {
    value.as_bytes().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// The one word of a value.
fn is(value: &str, word: &str) -> bool {
    value.eq_ignore_ascii_case(word)
}

/// Whether a style sheet for these media is one for screens.
#[must_use]
pub fn is_for_screens(media: &str) -> bool {
    let media = media.trim_ascii();
    let is_plain = |medium: &str| is(medium.trim_ascii(), "all") || is(medium.trim_ascii(), "screen");
    media.is_empty() || media.split(',').any(is_plain)
}

fn has_url(value: &str) -> bool {
    // Few values have a parenthesis at all.
    memchr::memchr_iter(b'(', value.as_bytes()).any(|at| {
        let before = value.get(..at).unwrap_or_default().as_bytes();
        [&b"url"[..], b"gradient"].iter().any(|name| {
            before
                .len()
                .checked_sub(name.len())
                .and_then(|from| before.get(from..))
                .is_some_and(|end| end.eq_ignore_ascii_case(name))
        })
    })
}

/// A number and the unit behind it.
fn number(value: &str) -> Option<(f32, &str)> {
    let length = value.bytes().take(24).take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+')).count();
    let (number, unit) = value.split_at_checked(length)?;
    Some((number.parse().ok()?, unit))
}

fn at_most(value: &str, most: f32) -> bool {
    number(value).is_some_and(|(number, _)| number <= most)
}

/// Thousands of pixels to the left or above.
fn far(value: &str) -> bool {
    number(value).is_some_and(|(number, unit)| number <= if starts(unit, "p") { -500.0 } else { -50.0 })
}

fn tiny(value: &str) -> Option<bool> {
    let (size, unit) = number(value)?;
    Some(if starts(unit, "em") || starts(unit, "rem") {
        size <= 0.1
    } else if starts(unit, "%") {
        size <= 10.0
    } else {
        size <= 1.5
    })
}

/// The colour in a value; `#f00`, `#ff0000`, `rgb(255, 0, 0)`, or one of the commonest names.
#[must_use]
pub fn paint(value: &str) -> Paint {
    let value = value.trim_ascii();
    if let Some(hex) = value.strip_prefix('#') {
        return hexadecimal(hex);
    }
    if starts(value, "rgb") {
        return function(value);
    }
    if has_url(value) {
        return Paint::Unknown;
    }
    let word = value.split([' ', '!']).next().unwrap_or_default();
    const NAMES: [(&str, Rgb); 22] = [
        ("white", [255, 255, 255]),
        ("black", [0, 0, 0]),
        ("snow", [255, 250, 250]),
        ("ivory", [255, 255, 240]),
        ("ghostwhite", [248, 248, 255]),
        ("floralwhite", [255, 250, 240]),
        ("whitesmoke", [245, 245, 245]),
        ("azure", [240, 255, 255]),
        ("mintcream", [245, 255, 250]),
        ("red", [255, 0, 0]),
        ("green", [0, 128, 0]),
        ("blue", [0, 0, 255]),
        ("navy", [0, 0, 128]),
        ("yellow", [255, 255, 0]),
        ("orange", [255, 165, 0]),
        ("purple", [128, 0, 128]),
        ("gray", [128, 128, 128]),
        ("grey", [128, 128, 128]),
        ("silver", [192, 192, 192]),
        ("maroon", [128, 0, 0]),
        ("teal", [0, 128, 128]),
        ("lightgrey", [211, 211, 211]),
    ];
    if word.eq_ignore_ascii_case("transparent") {
        return Paint::Clear;
    }
    NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map_or(Paint::Unknown, |(_, rgb)| Paint::Known(*rgb))
}

fn hexadecimal(hex: &str) -> Paint {
    let mut digits = [0u8; 8];
    let mut count = 0;
    for (digit, place) in hex.chars().map_while(|c| c.to_digit(16)).zip(&mut digits) {
        *place = u8::try_from(digit).unwrap_or_default();
        count += 1;
    }
    let [a, b, c, d, e, f, g, h] = digits;
    match count {
        4 if d == 0 => Paint::Clear,
        8 if g == 0 && h == 0 => Paint::Clear,
        3 | 4 => Paint::Known([a * 17, b * 17, c * 17]),
        6 | 8 => Paint::Known([a * 16 + b, c * 16 + d, e * 16 + f]),
        _ => Paint::Unknown,
    }
}

fn function(value: &str) -> Paint {
    let Some((_, inside)) = value.split_once('(') else { return Paint::Unknown };
    let mut numbers = inside
        .split([',', ' ', '/', ')'])
        .filter(|word| !word.is_empty())
        .map_while(|word| number(word).map(|(value, unit)| if unit == "%" { value * 2.55 } else { value }));
    let mut channel = || numbers.next();
    let (Some(red), Some(green), Some(blue)) = (channel(), channel(), channel()) else { return Paint::Unknown };
    if channel().is_some_and(|alpha| alpha <= 0.05) {
        return Paint::Clear;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    let whole = |value: f32| value.clamp(0.0, 255.0) as u8;
    Paint::Known([whole(red), whole(green), whole(blue)])
}

/// Whether nobody can tell one from the other.
#[must_use]
pub fn alike(one: Rgb, other: Rgb) -> bool {
    one.iter().zip(other).all(|(one, other)| one.abs_diff(other) <= 10)
}

/// Rules of `<style>` whose selector is a class, an id or a tag.
#[derive(Debug, Default)]
pub struct Sheet {
    rules: HashMap<Box<str>, Vec<(Key, Declared)>>,
    /// A bit for each selector by [`bit`]: most names of a page have no rule.
    bits: u64,
    count: usize,
    read: usize,
}

impl Sheet {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds the rules of one `<style>`.
    pub fn add(&mut self, css: &str) {
        let mut rest = css;
        while self.count < MAX_RULES && self.read < MAX_SHEET {
            let length = rest.len();
            rest = skip_blanks(rest);
            let Some(open) = memchr::memchr2(b'{', b';', rest.as_bytes()) else { return };
            let (selectors, body) = rest.split_at_checked(open).unwrap_or((rest, ""));
            if selectors.starts_with('@') {
                rest = if body.starts_with('{') { behind_block(body) } else { body.get(1..).unwrap_or_default() };
            } else {
                let end = memchr::memchr(b'}', body.as_bytes()).unwrap_or(body.len());
                self.rule(selectors, body.get(1..end).unwrap_or_default());
                rest = body.get(end + 1..).unwrap_or_default();
            }
            self.read += length - rest.len();
        }
    }

    fn rule(&mut self, selectors: &str, declarations: &str) {
        let effect = Declared::parse(declarations);
        if effect == Declared::default() {
            return;
        }
        for selector in selectors.split(',').take(64) {
            let Some((tag, name)) = simple(selector) else { continue };
            let name = name.to_ascii_lowercase();
            self.bits |= bit(&name);
            let same = self.rules.entry(name.into()).or_default();
            if let Some((_, known)) = same.iter_mut().find(|(known, _)| *known == tag) {
                *known = known.then(effect);
            } else if same.len() < MAX_SAME {
                same.push((tag, effect));
                self.count += 1;
            }
        }
    }

    /// What the rules say of an element; the name of its tag is packed.
    #[must_use]
    pub fn of(&self, tag: Key, id: Option<&str>, classes: Option<&str>) -> Declared {
        let mut effect = Declared::default();
        let bytes = tag.to_be_bytes();
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let name = bytes.get(start..).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        self.apply(tag, name, &mut effect);
        let mut buffer = String::new();
        let mut select = |sign: char, name: &str| {
            buffer.clear();
            buffer.push(sign);
            buffer.push_str(name.get(..name.floor_char_boundary(64)).unwrap_or_default());
            buffer.make_ascii_lowercase();
            self.apply(tag, &buffer, &mut effect);
        };
        for class in classes.unwrap_or_default().split_ascii_whitespace().take(16) {
            select('.', class);
        }
        if let Some(id) = id {
            select('#', id.trim_ascii());
        }
        effect
    }

    fn apply(&self, tag: Key, selector: &str, effect: &mut Declared) {
        if self.bits & bit(selector) == 0 {
            return;
        }
        for (only, later) in self.rules.get(selector).into_iter().flatten() {
            if *only == 0 || *only == tag {
                *effect = effect.then(*later);
            }
        }
    }
}

fn bit(selector: &str) -> u64 {
    let mixed =
        selector.bytes().fold(selector.len(), |mixed, byte| mixed.wrapping_mul(31).wrapping_add(usize::from(byte)));
    1 << (mixed % 64)
}

/// `td.small` is the tag and `.small`; tags before it (`body .small`) don't matter, anything else makes it unknown.
fn simple(selector: &str) -> Option<(Key, &str)> {
    let mut words = selector.split_ascii_whitespace().rev();
    let last = words.next()?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !words.all(plain) {
        return None;
    }
    let Some(at) = last.find(['.', '#']) else { return plain(last).then_some((0, last)) };
    let (tag, name) = last.split_at_checked(at)?;
    let tag = if tag == "*" { "" } else { tag };
    (plain(tag) && plain(name.get(1..)?)).then(|| (key(tag.as_bytes()), name))
}

fn skip_blanks(css: &str) -> &str {
    let mut rest = css;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, behind)| behind);
        } else if let Some(behind) = rest.strip_prefix("<!--").or_else(|| rest.strip_prefix("-->")) {
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('}') {
            rest = behind;
        } else {
            return rest;
        }
    }
}

/// Behind the braces that begin here, braces inside them counted.
fn behind_block(body: &str) -> &str {
    let mut depth = 0usize;
    for at in memchr::memchr2_iter(b'{', b'}', body.as_bytes()) {
        if body.as_bytes().get(at) == Some(&b'{') {
            depth += 1;
        } else {
            depth -= 1;
            if depth == 0 {
                return body.get(at + 1..).unwrap_or_default();
            }
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_that_hide() {
        for css in [
            "display:none",
            "color:red; DISPLAY : None !important",
            "opacity:0",
            "max-height:0;overflow:hidden",
            "width:0px; overflow: hidden; height:0",
            "position:absolute;left:-9999px",
            "text-indent:-9999px",
        ] {
            assert!(Declared::parse(css).effect().is_gone(), "{css}");
        }
        for css in [
            "display:block",
            "opacity:.8",
            "max-height:0",
            "overflow:hidden",
            "left:-9999px",
            "text-indent:-2em",
            "opacity:0;opacity:1",
            "display:nonesuch",
            "display:block !important;display:none",
            "position:absolute;left:-9999px;left:0",
            "text-indent:-9999px;text-indent:0",
        ] {
            assert!(!Declared::parse(css).effect().is_gone(), "{css}");
        }
        for (css, tiny) in [
            ("font-size:0", Some(true)),
            ("font-size:1px", Some(true)),
            ("font-size:0.01em", Some(true)),
            ("font:0/0 a", Some(true)),
            ("font:700 12px/14px x", Some(false)),
            ("font-size:14px", Some(false)),
            ("font-size:small", None),
        ] {
            assert_eq!(Declared::parse(css).usual.tiny, tiny, "{css}");
        }
    }

    #[test]
    fn colours() {
        assert_eq!(paint("#FFF"), Paint::Known([255; 3]));
        assert_eq!(paint("#fefefe !important"), Paint::Known([254; 3]));
        assert_eq!(paint("rgb(1, 2,3)"), Paint::Known([1, 2, 3]));
        assert_eq!(paint("rgba(1,2,3,0)"), Paint::Clear);
        assert_eq!(paint("rgb(100% 0% 0%)"), Paint::Known([255, 0, 0]));
        assert_eq!(paint("url(x.png)"), Paint::Unknown);
        assert_eq!(paint("White"), Paint::Known([255; 3]));
        assert!(alike([255; 3], [250; 3]) && !alike([255; 3], [240; 3]));
    }

    #[test]
    fn rules_for_classes_ids_and_tags() {
        let mut sheet = Sheet::default();
        sheet.add(
            "/* x */ @import 'a'; @media (max-width: 9px) { .m { display:none } .n {display:none} }
             .gone, td.cell {display:none} body #Id{font-size:0} em{visibility:hidden} .a.b{display:none} .x:hover{display:none}",
        );
        let gone = |tag: &str, id, class| sheet.of(key(tag.as_bytes()), id, class).effect().is_gone();
        assert!(gone("p", None, Some("x GONE")));
        assert!(gone("td", None, Some("cell")) && !gone("p", None, Some("cell")));
        assert!(!gone("p", None, Some("m")) && !gone("p", None, Some("a b x n")));
        assert_eq!(sheet.of(key(b"p"), Some("id"), None).usual.tiny, Some(true));
        assert_eq!(sheet.of(key(b"em"), None, None).usual.invisible, Some(true));
    }
}
