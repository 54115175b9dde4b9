//! HTML in tokens, as browsers read it (WHATWG HTML section 13.2.5, without the states that mail never meets). One pass,
//! nothing is copied.
//!
//! **Failure**: there is none: every sequence of characters is HTML. A tag that the end of the text cuts off still counts.
//! **Invariants**: the position only moves forward; a search that found nothing is never repeated.

/// Most attributes of one tag that are kept, whatever their names; those that matter are kept behind them, too.
const MAX_ATTRIBUTES: usize = 64;

/// A name in lower case, packed: up to 16 octets as they are, longer ones as a hash with the highest bit set.
pub type Key = u128;

/// Packs a name. Evaluated by the compiler for names that are written down.
#[must_use]
#[allow(clippy::indexing_slicing, reason = "below the length; get() is no const fn for slices of this kind")]
pub const fn key(name: &[u8]) -> Key {
    let mut packed: Key = 0;
    let mut at = 0;
    if name.len() > 16 {
        packed = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        while at < name.len() && at < 256 {
            packed =
                (packed ^ name[at].to_ascii_lowercase() as Key).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
            at += 1;
        }
        return packed | (1 << 127);
    }
    while at < name.len() {
        packed = (packed << 8) | name[at].to_ascii_lowercase() as Key;
        at += 1;
    }
    packed
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// Entities are still in it.
    Text(&'a str),
    /// Its attributes are in [`Tokens::attribute`] until the next token.
    Start(Key),
    End(Key),
    /// Where its inside begins and ends.
    Comment(usize, usize),
    /// The end of what [`Tokens::enter`] began.
    Leave,
}

/// One attribute; the value as written.
#[derive(Debug, Clone, Copy)]
struct Attribute<'a> {
    name: Key,
    value: &'a str,
}

#[derive(Debug)]
pub struct Tokens<'a> {
    source: &'a str,
    at: usize,
    end: usize,
    /// Where to go on behind the range that was entered: position and end.
    resume: Option<(usize, usize)>,
    attributes: Vec<Attribute<'a>>,
    handlers: bool,
    /// Raw elements without an end tag in the rest of the text; the second, in the rest of the range that was entered.
    unclosed: [Vec<Key>; 2],
    /// There is no further end of a comment.
    comment_unclosed: bool,
}

impl<'a> Tokens<'a> {
    pub fn new(source: &'a str) -> Self {
        Self {
            source,
            at: 0,
            end: source.len(),
            resume: None,
            attributes: Vec::with_capacity(16),
            handlers: false,
            unclosed: [Vec::new(), Vec::new()],
            comment_unclosed: false,
        }
    }

    /// The first attribute of this name, as written.
    pub fn attribute(&self, name: Key) -> Option<&'a str> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.value)
    }

    pub fn has_attributes(&self) -> bool {
        !self.attributes.is_empty()
    }

    /// Whether the last tag has an attribute `on…`.
    pub fn has_handlers(&self) -> bool {
        self.handlers
    }

    pub fn slice(&self, from: usize, to: usize) -> &'a str {
        self.source.get(from..to).unwrap_or_default()
    }

    /// Reads the inside of a comment as HTML, then [`Token::Leave`]. Comments have no comments in them: one layer is enough.
    pub fn enter(&mut self, from: usize, to: usize) {
        if self.resume.is_none() {
            self.resume = Some((self.at, self.end));
            self.unclosed[1].clear();
            (self.at, self.end) = (from, to);
        }
    }

    /// Where the next token begins.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The inside of an element that holds no markup; the position moves behind its end tag. `None` if there is no end tag:
    /// then the rest counts as markup, so that nothing hides behind it.
    pub fn raw(&mut self, name: Key, text: &str) -> Option<&'a str> {
        let entered = usize::from(self.resume.is_some());
        if self.unclosed.get(entered).is_some_and(|unclosed| unclosed.contains(&name)) {
            return None;
        }
        let bytes = self.source.as_bytes().get(..self.end)?;
        let from = self.at;
        let mut at = from;
        while let Some(open) = bytes.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
            at += open + 1;
            let rest = bytes.get(at..).unwrap_or_default();
            let Some((b'/', rest)) = rest.split_first() else { continue };
            let Some((found, rest)) = rest.split_at_checked(text.len()) else { break };
            let ends = rest.first().is_none_or(|byte| matches!(byte, b'>' | b'/') || byte.is_ascii_whitespace());
            if ends && found.eq_ignore_ascii_case(text.as_bytes()) {
                let close = memchr::memchr(b'>', rest).map_or(self.end, |close| at + 2 + text.len() + close);
                self.at = close.min(self.end);
                return self.source.get(from..at - 1);
            }
        }
        if let Some(unclosed) = self.unclosed.get_mut(entered) {
            unclosed.push(name);
        }
        None
    }

    fn rest(&self) -> &'a [u8] {
        self.source.as_bytes().get(self.at..self.end).unwrap_or_default()
    }

    fn markup(&mut self) -> Option<Token<'a>> {
        match *self.rest() {
            [b'<', b'!', b'-', b'-', ..] => Some(self.comment()),
            [b'<', b'/', first, ..] if first.is_ascii_alphabetic() => {
                self.at += 2;
                Some(Token::End(self.tag()))
            }
            [b'<', b'!' | b'?' | b'/', ..] => {
                let from = self.at + 2;
                let close = memchr::memchr(b'>', self.rest()).map_or(self.end, |close| self.at + close);
                self.at = (close + 1).min(self.end);
                Some(Token::Comment(from.min(close), from.min(close)))
            }
            [b'<', first, ..] if first.is_ascii_alphabetic() => {
                self.at += 1;
                Some(Token::Start(self.tag()))
            }
            _ => None,
        }
    }

    fn comment(&mut self) -> Token<'a> {
        let from = (self.at + 4).min(self.end);
        let inside = self.source.as_bytes().get(from..self.end).unwrap_or_default();
        for short in [&b">"[..], b"->"] {
            if inside.starts_with(short) {
                self.at = from + short.len();
                return Token::Comment(from, from);
            }
        }
        // Inside a comment there is no end of another.
        if !self.comment_unclosed && self.resume.is_none() {
            for dashes in memchr::memmem::find_iter(inside, b"--") {
                let end = match inside.get(dashes + 2..).unwrap_or_default() {
                    [b'>', ..] => 3,
                    // `--->` ends a comment, too.
                    [b'-', b'>', ..] | [b'!', b'>', ..] => 4,
                    _ => continue,
                };
                self.at = from + dashes + end;
                return Token::Comment(from, from + dashes);
            }
            self.comment_unclosed = true;
        }
        // Without an end, it ends where a tag could: at the next `>`, as old readers do; what follows is looked at.
        let end = memchr::memchr(b'>', inside).map_or(self.end, |close| from + close);
        self.at = (end + 1).min(self.end);
        Token::Comment(from, end)
    }

    /// From the name of a tag to behind its `>`.
    fn tag(&mut self) -> Key {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| !matches!(byte, b'>' | b'/') && !byte.is_ascii_whitespace()).count();
        let name = key(rest.get(..length).unwrap_or_default());
        self.at += length;
        self.attributes.clear();
        self.handlers = false;
        while self.more() {}
        name
    }

    /// One attribute; false behind the tag.
    fn more(&mut self) -> bool {
        let rest = self.rest();
        let blanks = rest.iter().take_while(|byte| **byte == b'/' || byte.is_ascii_whitespace()).count();
        self.at += blanks;
        let rest = rest.get(blanks..).unwrap_or_default();
        match rest.first() {
            None => return false,
            Some(b'>') => {
                self.at += 1;
                return false;
            }
            Some(_) => {}
        }
        let plain = |byte: &&u8| !matches!(**byte, b'=' | b'>' | b'/') && !byte.is_ascii_whitespace();
        let length = 1 + rest.iter().skip(1).take_while(plain).count();
        let (name, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at += length;
        let mut value = "";
        if rest.get(blanks) == Some(&b'=') {
            self.at += blanks + 1;
            value = self.value();
        }
        self.handlers |= name.len() > 4 && name.get(..2).is_some_and(|on| on.eq_ignore_ascii_case(b"on"));
        let name = key(name);
        if self.attributes.len() < MAX_ATTRIBUTES
            // The first of a name counts: there is room for each once.
            || (super::elements::matters(name) && self.attribute(name).is_none())
        {
            self.attributes.push(Attribute { name, value });
        }
        true
    }

    fn value(&mut self) -> &'a str {
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let rest = self.rest();
        let from = self.at;
        match rest.first() {
            Some(quote @ (b'"' | b'\'')) => {
                let inside = rest.get(1..).unwrap_or_default();
                let length = memchr::memchr(*quote, inside).unwrap_or(inside.len());
                self.at = (from + 1 + length + 1).min(self.end);
                self.slice(from + 1, from + 1 + length)
            }
            _ => {
                let length = rest.iter().take_while(|byte| **byte != b'>' && !byte.is_ascii_whitespace()).count();
                self.at += length;
                self.slice(from, from + length)
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.at >= self.end {
            (self.at, self.end) = self.resume.take()?;
            return Some(Token::Leave);
        }
        let rest = self.rest();
        if rest.first() == Some(&b'<')
            && let Some(token) = self.markup()
        {
            return Some(token);
        }
        let from = self.at;
        let length = memchr::memchr(b'<', rest.get(1..).unwrap_or_default()).map_or(rest.len(), |open| open + 1);
        self.at += length;
        Some(Token::Text(self.slice(from, from + length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(source: &str) -> String {
        let mut tokens = Tokens::new(source);
        let mut out = String::new();
        while let Some(token) = tokens.next() {
            match token {
                Token::Text(text) => out += &format!("[{text}]"),
                Token::Start(_) => {
                    out += "<";
                    for attribute in &tokens.attributes {
                        out += &format!("({})", attribute.value);
                    }
                }
                Token::End(_) => out += "/",
                Token::Comment(from, to) => out += &format!("!{}!", tokens.slice(from, to)),
                Token::Leave => out += "^",
            }
        }
        out
    }

    #[test]
    fn markup_is_told_from_text() {
        for (source, expected) in [
            ("a<b>c</b>d", "[a]<[c]/[d]"),
            ("1 < 2 <3 <", "[1 ][< 2 ][<3 ][<]"),
            ("<a href=x y='1>2' z=\"3\"/>t", "<(x)(1>2)(3)[t]"),
            ("<a href = \"x\ny\" checked>t", "<(x\ny)()[t]"),
            ("x<!-- a -- b --->y<!-->z<!--->w", "[x]! a -- b ![y]!![z]!![w]"),
            ("x<!-- open > y", "[x]! open ![ y]"),
            ("<!DOCTYPE html><?xml a?></ b>c", "!!!!!![c]"),
            ("<a href='x", "<(x)"),
            ("<日本>本</日本>", "[<日本>本]!!"),
        ] {
            assert_eq!(seen(source), expected, "{source}");
        }
    }

    #[test]
    fn elements_without_markup_end_at_their_tag_or_are_none() {
        let mut tokens = Tokens::new("<style>a<b></Style x>c");
        assert!(matches!(tokens.next(), Some(Token::Start(_))));
        assert_eq!(tokens.raw(key(b"style"), "style"), Some("a<b>"));
        assert_eq!(tokens.next(), Some(Token::Text("c")));
        let mut open = Tokens::new("<title>a<b>");
        open.next();
        assert_eq!(open.raw(key(b"title"), "title"), None);
        assert_eq!(open.next(), Some(Token::Text("a")));
    }

    #[test]
    fn names_are_packed_without_case() {
        assert_eq!(key(b"DiV"), key(b"div"));
        assert_ne!(key(b"a-name-longer-than-16"), key(b"a-name-longer-than-17"));
    }
}
