//! Perl's regular expressions, as SpamAssassin's rules write them, for our two engines: `regex` where it can, PCRE2 for
//! the rest. Each also gets a relaxed form, which matches whatever the expression matches and possibly more: what must be
//! in a text (see [`super::literals`]) is read from it.
//!
//! **Failure**: what is no expression is an error with a reason; what only Perl can do has no relaxed form.
//! **Invariants**: expressions match octets, never characters: a pattern's octets above 127 become `\xHH`.

use std::fmt::Write as _;

/// An expression in the engines' own words. Rule files are read as Latin-1: a `char` is one octet.
#[derive(Debug, Clone)]
pub struct Translated {
    /// For `regex::bytes`; `None` if it needs look-around, back-references or the like.
    pub exact: Option<String>,
    /// For `regex-syntax`; `None` if nothing is known.
    pub relaxed: Option<String>,
    /// For PCRE2, flags included.
    pub pcre: String,
    /// Named groups: tags that other rules use.
    pub names: Vec<Box<str>>,
}

/// `i`, `m`, `s`, `x` of an expression or of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flags {
    bits: u8,
}

const CASELESS: u8 = 1;
const MULTI: u8 = 2;
const DOT_ALL: u8 = 4;
const EXTENDED: u8 = 8;

impl Flags {
    fn has(self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    fn bit(letter: char) -> Option<u8> {
        match letter {
            'i' => Some(CASELESS),
            'm' => Some(MULTI),
            's' => Some(DOT_ALL),
            'x' => Some(EXTENDED),
            _ => None,
        }
    }

    /// `(?is-mu` for the engine without Perl's `x`.
    fn written(self) -> String {
        let (mut on, mut off) = (String::new(), String::new());
        for (letter, bit) in [('i', CASELESS), ('m', MULTI), ('s', DOT_ALL)] {
            if self.has(bit) { on.push(letter) } else { off.push(letter) }
        }
        format!("(?{on}-{off}u")
    }
}

/// `/…/i`, `m{…}x` or a bare expression: what is between the delimiters, and the letters behind.
///
/// # Errors
/// Without a closing delimiter.
pub fn undelimit(source: &str) -> Result<(&str, &str), &'static str> {
    let source = source.trim();
    let rest = match source.strip_prefix('m') {
        Some(rest) if rest.starts_with(|c: char| (c.is_ascii_punctuation() && c != '_') || c == '\u{1}') => rest,
        _ => source,
    };
    let open = rest.chars().next().ok_or("an empty expression")?;
    if !rest.starts_with('/') && rest.len() == source.len() {
        return Err("an expression without delimiters");
    }
    let close = match open {
        '(' => ')',
        '{' => '}',
        '[' => ']',
        '<' => '>',
        other => other,
    };
    let end = rest.rfind(close).filter(|end| *end > 0).ok_or("an expression without its end")?;
    let body = rest.get(open.len_utf8()..end).ok_or("an expression without its end")?;
    let flags = rest.get(end + close.len_utf8()..).unwrap_or_default().trim();
    Ok((body, flags))
}

/// Reads an expression with its delimiters.
///
/// # Errors
/// If it is none, with the reason.
pub fn translate(source: &str) -> Result<Translated, &'static str> {
    let (body, letters) = undelimit(source)?;
    let mut flags = Flags::default();
    for letter in letters.chars() {
        match Flags::bit(letter) {
            Some(bit) => flags.bits |= bit,
            None if "goaudlnp".contains(letter) => {}
            None => return Err("an unknown modifier of an expression"),
        }
    }
    let mut walk = Walk {
        chars: body.chars().collect(),
        at: 0,
        scopes: vec![Scope { flags, silent: false }],
        silent: 0,
        exact: Some(String::new()),
        relaxed: Some(String::new()),
        pcre: String::new(),
        names: Vec::new(),
    };
    walk.run()?;
    let head = flags.written();
    let mut pcre = String::from("(*LIMIT_MATCH=100000)");
    let letters: String = [('i', CASELESS), ('m', MULTI), ('s', DOT_ALL), ('x', EXTENDED)]
        .iter()
        .filter(|(_, bit)| flags.has(*bit))
        .map(|(letter, _)| letter)
        .collect();
    if !letters.is_empty() {
        let _ = write!(pcre, "(?{letters})");
    }
    pcre.push_str(&walk.pcre);
    Ok(Translated {
        exact: walk.exact.map(|exact| format!("{head}:{exact})")),
        relaxed: walk.relaxed.map(|relaxed| format!("{head}:{relaxed})")),
        pcre,
        names: walk.names,
    })
}

#[derive(Debug, Clone, Copy)]
struct Scope {
    flags: Flags,
    /// A look-around: nothing of it is in the relaxed form.
    silent: bool,
}

struct Walk {
    chars: Vec<char>,
    at: usize,
    scopes: Vec<Scope>,
    silent: usize,
    exact: Option<String>,
    relaxed: Option<String>,
    pcre: String,
    names: Vec<Box<str>>,
}

/// Deepest nesting of groups.
const MAX_DEPTH: usize = 100;

impl Walk {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek(0);
        self.at += 1;
        next
    }

    fn flags(&self) -> Flags {
        self.scopes.last().map_or(Flags::default(), |scope| scope.flags)
    }

    /// Into both forms for `regex`.
    fn rust(&mut self, text: &str) {
        if let Some(exact) = &mut self.exact {
            exact.push_str(text);
        }
        self.relax(text);
    }

    fn relax(&mut self, text: &str) {
        if let Some(relaxed) = self.relaxed.as_mut().filter(|_| self.silent == 0) {
            relaxed.push_str(text);
        }
    }

    fn all(&mut self, text: &str) {
        self.rust(text);
        self.pcre.push_str(text);
    }

    /// `regex` can't: the relaxed form says `instead`.
    fn only_perl(&mut self, perl: &str, instead: &str) {
        self.exact = None;
        self.relax(instead);
        self.pcre.push_str(perl);
    }

    fn literal(&mut self, octet: char) {
        let mut text = String::new();
        write_octet(&mut text, octet);
        self.all(&text);
    }

    fn run(&mut self) -> Result<(), &'static str> {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => self.close()?,
                '*' | '+' | '?' => self.quantified(&c.to_string()),
                '{' => match self.counted() {
                    Some(text) => self.quantified(&text),
                    None => self.all("\\{"),
                },
                '$' if self.flags().has(MULTI) => self.all("$"),
                '$' => {
                    self.rust("(?:\\n?\\z)");
                    self.pcre.push('$');
                }
                '^' | '|' | '.' => self.all(c.encode_utf8(&mut [0; 4])),
                c if self.flags().has(EXTENDED) && c.is_ascii_whitespace() => {}
                '#' if self.flags().has(EXTENDED) => while self.next().is_some_and(|c| c != '\n') {},
                c => self.literal(c),
            }
        }
        if self.scopes.len() == 1 { Ok(()) } else { Err("a group that isn't closed") }
    }

    fn close(&mut self) -> Result<(), &'static str> {
        let scope = self.scopes.pop().ok_or("a parenthesis too many")?;
        if self.scopes.is_empty() {
            return Err("a parenthesis too many");
        }
        if scope.silent {
            self.silent = self.silent.saturating_sub(1);
            self.pcre.push(')');
        } else {
            self.all(")");
        }
        Ok(())
    }

    /// Behind `{`: `3}`, `3,}`, `3,5}`.
    fn counted(&mut self) -> Option<String> {
        let mut text = String::from("{");
        for ahead in 0..12 {
            let c = self.peek(ahead)?;
            match c {
                '0'..='9' => text.push(c),
                ',' if text.len() == 1 => text.push_str("0,"),
                ',' if !text.contains(',') => text.push(','),
                '}' if text.len() > 1 => {
                    text.push('}');
                    self.at += ahead + 1;
                    return Some(text);
                }
                _ => return None,
            }
        }
        None
    }

    fn quantified(&mut self, text: &str) {
        match self.peek(0) {
            Some('+') => {
                self.at += 1;
                self.only_perl(&format!("{text}+"), text);
            }
            Some('?') => {
                self.at += 1;
                self.all(&format!("{text}?"));
            }
            _ => self.all(text),
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let c = self.next().ok_or("a backslash at the end")?;
        match c {
            'b' | 'B' if self.peek(0) == Some('{') => return Err("a boundary of Unicode"),
            'A' | 'z' | 'b' | 'B' | 'd' | 'D' | 'w' | 'W' | 's' | 'S' => self.all(&format!("\\{c}")),
            'Z' => {
                self.rust("(?:\\n?\\z)");
                self.pcre.push_str("\\Z");
            }
            'h' => self.all("[\\x09\\x20\\xA0]"),
            'H' => self.all("[^\\x09\\x20\\xA0]"),
            'v' => self.all("[\\x0A-\\x0D\\x85]"),
            'V' => self.all("[^\\x0A-\\x0D\\x85]"),
            'R' => self.all("(?:\\x0D\\x0A|[\\x0A-\\x0D\\x85])"),
            'N' => self.all("[^\\x0A]"),
            'K' | 'G' => self.only_perl(&format!("\\{c}"), ""),
            'E' => {}
            'Q' => {
                while let Some(c) = self.next() {
                    if c == '\\' && self.peek(0) == Some('E') {
                        self.at += 1;
                        break;
                    }
                    self.literal(c);
                }
            }
            '1'..='9' => {
                let mut digits = String::from(c);
                while let Some(digit) = self.peek(0).filter(char::is_ascii_digit) {
                    digits.push(digit);
                    self.at += 1;
                }
                self.only_perl(&format!("\\{digits}"), "(?s-u:.*)");
            }
            'g' | 'k' => {
                let name = self.braced().ok_or("an odd back-reference")?;
                self.only_perl(&format!("\\{c}{{{name}}}"), "(?s-u:.*)");
            }
            'p' | 'P' => {
                let name = self.braced().ok_or("an odd property")?;
                self.only_perl(&format!("\\{c}{{{name}}}"), "(?s-u:.)");
            }
            'X' | 'C' => return Err("a character of Unicode"),
            other => match self.octet(other) {
                Some(octet) => self.literal(octet),
                // Above 255: never in octets.
                None => self.all("[^\\x00-\\xFF]"),
            },
        }
        Ok(())
    }

    /// `{name}`, `<name>`, `'name'`, or one character.
    fn braced(&mut self) -> Option<String> {
        let close = match self.next()? {
            '{' => '}',
            '<' => '>',
            '\'' => '\'',
            single => return Some(single.to_string()),
        };
        let mut name = String::new();
        loop {
            match self.next()? {
                c if c == close => return Some(name),
                c => name.push(c),
            }
        }
    }

    /// The octet that an escape stands for; `c` stands behind the backslash.
    fn octet(&mut self, c: char) -> Option<char> {
        let code = match c {
            'n' => 10,
            'r' => 13,
            't' => 9,
            'f' => 12,
            'a' => 7,
            'e' => 27,
            '0' => {
                let mut code = 0;
                for _ in 0..2 {
                    let Some(digit) = self.peek(0).and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    self.at += 1;
                }
                code
            }
            'c' => u32::from(self.next()?.to_ascii_uppercase()) ^ 64,
            'x' if self.peek(0) == Some('{') => u32::from_str_radix(self.braced()?.trim(), 16).ok()?,
            'x' => {
                let mut code = 0;
                for _ in 0..2 {
                    let Some(digit) = self.peek(0).and_then(|c| c.to_digit(16)) else { break };
                    code = code * 16 + digit;
                    self.at += 1;
                }
                code
            }
            other => u32::from(other),
        };
        u8::try_from(code).ok().map(char::from)
    }

    /// Behind `[`. Written anew for all engines, so that their own extensions of classes don't matter.
    fn class(&mut self) -> Result<(), &'static str> {
        const OPEN: &str = "a class that isn't closed";
        let negated = self.peek(0) == Some('^');
        self.at += usize::from(negated);
        let mut set = Set::default();
        let mut last: Option<u8> = None;
        let mut first = true;
        loop {
            let c = self.next().ok_or(OPEN)?;
            let mut range = false;
            match c {
                ']' if !first => break,
                '[' if self.peek(0) == Some(':') => {
                    last = None;
                    self.posix(&mut set)?;
                    first = false;
                    continue;
                }
                '-' => range = !first && last.is_some() && self.peek(0).is_some_and(|c| c != ']'),
                _ => {}
            }
            first = false;
            let from = last;
            let c = if range { self.next().ok_or(OPEN)? } else { c };
            let octet = if c == '\\' {
                match self.class_escape(&mut set)? {
                    Some(octet) => octet,
                    None => {
                        // A class behind a hyphen: the hyphen is one.
                        if range {
                            set.add(b'-', b'-');
                        }
                        last = None;
                        continue;
                    }
                }
            } else {
                u8::try_from(c).map_err(|_| "a character above 255")?
            };
            if range {
                set.add(from.unwrap_or(octet), octet);
                last = None;
            } else {
                set.add(octet, octet);
                last = Some(octet);
            }
        }
        let text = set.written(negated);
        self.all(&text);
        Ok(())
    }

    /// One octet, or `None` if a whole class was added.
    fn class_escape(&mut self, set: &mut Set) -> Result<Option<u8>, &'static str> {
        let c = self.next().ok_or("a class that isn't closed")?;
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'h' | 'H' | 'v' | 'V' => {
                let member: fn(u8) -> bool = match c.to_ascii_lowercase() {
                    'd' => |b| b.is_ascii_digit(),
                    'w' => |b| b.is_ascii_alphanumeric() || b == b'_',
                    's' => |b| matches!(b, 9..=13 | 32),
                    'h' => |b| matches!(b, 9 | 32 | 0xA0),
                    _ => |b| matches!(b, 10..=13 | 0x85),
                };
                set.add_if(|octet| member(octet) != c.is_ascii_uppercase());
                Ok(None)
            }
            'b' => Ok(Some(8)),
            'p' | 'P' => Err("a property in a class"),
            '1'..='7' => {
                let mut code = c.to_digit(8).unwrap_or(0);
                while let Some(digit) = self.peek(0).and_then(|c| c.to_digit(8)).filter(|_| code < 32) {
                    code = code * 8 + digit;
                    self.at += 1;
                }
                Ok(u8::try_from(code).ok())
            }
            // A character above 255 is none of the octets.
            other => Ok(self.octet(other).and_then(|c| u8::try_from(c).ok())),
        }
    }

    /// `[:alpha:]`, at the colon.
    fn posix(&mut self, set: &mut Set) -> Result<(), &'static str> {
        let mut name = String::new();
        self.at += 1;
        loop {
            match self.next().ok_or("a class that isn't closed")? {
                ':' if self.peek(0) == Some(']') => break,
                c if name.len() < 10 => name.push(c),
                _ => return Err("an unknown class"),
            }
        }
        self.at += 1;
        let negated = name.starts_with('^');
        let member: fn(u8) -> bool = match name.trim_start_matches('^') {
            "alpha" => |b| b.is_ascii_alphabetic(),
            "digit" => |b| b.is_ascii_digit(),
            "alnum" => |b| b.is_ascii_alphanumeric(),
            "upper" => |b| b.is_ascii_uppercase(),
            "lower" => |b| b.is_ascii_lowercase(),
            "punct" => |b| b.is_ascii_punctuation(),
            "space" => |b| matches!(b, 9..=13 | 32),
            "blank" => |b| matches!(b, 9 | 32),
            "cntrl" => |b| b.is_ascii_control(),
            "graph" => |b| b.is_ascii_graphic(),
            "print" => |b| b.is_ascii_graphic() || b == 32,
            "xdigit" => |b| b.is_ascii_hexdigit(),
            "word" => |b| b.is_ascii_alphanumeric() || b == b'_',
            "ascii" => |b| b.is_ascii(),
            _ => return Err("an unknown class"),
        };
        set.add_if(|octet| member(octet) != negated);
        Ok(())
    }

    fn open(&mut self, flags: Flags, silent: bool) -> Result<(), &'static str> {
        if self.scopes.len() > MAX_DEPTH {
            return Err("groups nested too deeply");
        }
        self.silent += usize::from(silent);
        self.scopes.push(Scope { flags, silent });
        Ok(())
    }

    /// Behind `(`.
    fn group(&mut self) -> Result<(), &'static str> {
        let flags = self.flags();
        if self.peek(0) == Some('*') {
            return Err("a verb");
        }
        if self.peek(0) != Some('?') {
            self.rust("(?:");
            self.pcre.push('(');
            return self.open(flags, false);
        }
        self.at += 1;
        match (self.peek(0), self.peek(1)) {
            (Some(':'), _) => {
                self.at += 1;
                self.all("(?:");
                self.open(flags, false)
            }
            (Some('#'), _) => {
                while self.next().is_some_and(|c| c != ')') {}
                Ok(())
            }
            (Some(c @ ('=' | '!')), _) => {
                self.at += 1;
                self.only_perl(&format!("(?{c}"), "(?:)");
                self.open(flags, true)
            }
            (Some('<'), Some(c @ ('=' | '!'))) => {
                self.at += 2;
                self.only_perl(&format!("(?<{c}"), "(?:)");
                self.open(flags, true)
            }
            (Some('>'), _) => {
                self.at += 1;
                self.only_perl("(?>", "(?:");
                self.open(flags, false)
            }
            (Some('|'), _) => {
                self.at += 1;
                self.rust("(?:");
                self.pcre.push_str("(?|");
                self.open(flags, false)
            }
            (Some('P'), Some('<')) => {
                self.at += 1;
                self.named(flags)
            }
            (Some('<' | '\''), _) => self.named(flags),
            _ => self.inline_flags(flags),
        }
    }

    fn named(&mut self, flags: Flags) -> Result<(), &'static str> {
        let name = self.braced().ok_or("a group without a name")?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("an odd name of a group");
        }
        self.all(&format!("(?P<{name}>"));
        self.names.push(name.into());
        self.open(flags, false)
    }

    /// `(?i)`, `(?i-s:…)`, `(?^i:…)`.
    fn inline_flags(&mut self, mut flags: Flags) -> Result<(), &'static str> {
        let mut on = true;
        loop {
            match self.next().ok_or("a group that isn't closed")? {
                '^' => flags = Flags::default(),
                '-' => on = false,
                ':' => {
                    let text = flags.written();
                    self.rust(&format!("{text}:"));
                    self.pcre_flags(flags, ':');
                    return self.open(flags, false);
                }
                ')' => {
                    let text = flags.written();
                    self.rust(&format!("{text})"));
                    self.pcre_flags(flags, ')');
                    if let Some(scope) = self.scopes.last_mut() {
                        scope.flags = flags;
                    }
                    return Ok(());
                }
                c => match Flags::bit(c) {
                    Some(bit) if on => flags.bits |= bit,
                    Some(bit) => flags.bits &= !bit,
                    None if "aluns".contains(c) => {}
                    None => return Err("a group of an unknown kind"),
                },
            }
        }
    }

    fn pcre_flags(&mut self, flags: Flags, end: char) {
        let (mut on, mut off) = (String::new(), String::new());
        for (letter, bit) in [('i', CASELESS), ('m', MULTI), ('s', DOT_ALL), ('x', EXTENDED)] {
            if flags.has(bit) { on.push(letter) } else { off.push(letter) }
        }
        let _ = write!(self.pcre, "(?{on}-{off}{end}");
    }
}

/// A set of octets.
#[derive(Debug, Default)]
struct Set {
    words: [u64; 4],
}

impl Set {
    fn add(&mut self, from: u8, to: u8) {
        for octet in from..=to {
            if let Some(word) = self.words.get_mut(usize::from(octet >> 6)) {
                *word |= 1 << (octet & 63);
            }
        }
    }

    fn add_if(&mut self, member: impl Fn(u8) -> bool) {
        for octet in 0..=255 {
            if member(octet) {
                self.add(octet, octet);
            }
        }
    }

    fn has(&self, octet: u8) -> bool {
        self.words.get(usize::from(octet >> 6)).is_some_and(|word| word >> (octet & 63) & 1 == 1)
    }

    fn written(&self, negated: bool) -> String {
        let mut text = String::from(if negated { "[^" } else { "[" });
        let start = text.len();
        let mut octet = 0_u16;
        while octet < 256 {
            let begin = octet;
            while octet < 256 && u8::try_from(octet).is_ok_and(|octet| self.has(octet)) {
                octet += 1;
            }
            match octet - begin {
                0 => octet += 1,
                1 => drop(write!(text, "\\x{begin:02X}")),
                _ => drop(write!(text, "\\x{begin:02X}-\\x{:02X}", octet - 1)),
            }
        }
        if text.len() == start {
            return String::from(if negated { "[\\x00-\\xFF]" } else { "[^\\x00-\\xFF]" });
        }
        text.push(']');
        text
    }
}

/// One octet as both engines read it.
fn write_octet(text: &mut String, octet: char) {
    match octet {
        'a'..='z'
        | 'A'..='Z'
        | '0'..='9'
        | '_'
        | ' '
        | ':'
        | ';'
        | ','
        | '='
        | '/'
        | '@'
        | '<'
        | '>'
        | '"'
        | '\''
        | '!'
        | '%' => {
            if octet == ' ' {
                text.push_str("\\x20")
            } else {
                text.push(octet)
            }
        }
        other => drop(write!(text, "\\x{:02X}", u32::from(other) & 0xFF)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(source: &str, text: &[u8]) -> bool {
        let translated = translate(source).unwrap();
        let perl = pcre2::bytes::Regex::new(&translated.pcre).unwrap().is_match(text).unwrap();
        if let Some(exact) = translated.exact {
            assert_eq!(regex::bytes::Regex::new(&exact).unwrap().is_match(text), perl, "{source} {exact}");
        }
        if let Some(relaxed) = translated.relaxed {
            assert!(!perl || regex::bytes::Regex::new(&relaxed).unwrap().is_match(text), "{source} {relaxed}");
        }
        perl
    }

    #[test]
    fn both_engines_read_alike() {
        for (source, text, hit) in [
            ("/foo$/", &b"foo\n"[..], true),
            ("/foo$/", b"foo\n\n", false),
            ("/^foo$/m", b"bar\nfoo\nbar", true),
            ("/[[:digit:]a-c-]x/i", b"-X", true),
            ("/[^a-c]x/i", b"BX", false),
            ("m{a{b}c}", b"a{b}c", true),
            ("m/a\\/b{2}/", b"a/bb", true),
            ("/\\h\\xA0\u{e4}/", b"\t\xA0\xe4", true),
            ("/[\\w&&b]+[[]/", b"a&b[", true),
            ("m'it\\'s'i", b"IT'S", true),
            ("/a b # c\n d/x", b"abd", true),
            ("/(?i)a(?-i)B/", b"AB", true),
            ("/(?i)a(?-i)B/", b"Ab", false),
            ("/\\<a\\>/", b"<a>", true),
            ("/a(?!b)c?/", b"ab", false),
            ("/(a)\\1/", b"aa", true),
            ("/a++b/", b"aab", true),
            ("/\\Qa.b\\E./", b"a.bc", true),
            ("/[+--]/", b",", true),
            ("/[a\\-z]/", b"q", false),
        ] {
            assert_eq!(matches(source, text), hit, "{source}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for source in ["/a", "", "/(a/", "/a)/", "/[a/", "/a/q", "foo"] {
            assert!(translate(source).is_err(), "{source}");
        }
    }
}
