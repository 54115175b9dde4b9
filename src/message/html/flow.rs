//! Text as it flows on the page: white space run together, a line for each block.

/// What stands before the next word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Gap {
    #[default]
    None,
    Space,
    Line,
}

#[derive(Debug, Default)]
pub struct Flow {
    text: String,
    gap: Gap,
}

impl Flow {
    pub fn with_capacity(octets: usize) -> Self {
        Self { text: String::with_capacity(octets), gap: Gap::None }
    }

    /// At least this much stands before what comes.
    pub fn gap(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// Where the next word will be, its gap included.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn since(&self, from: usize) -> &str {
        self.text.get(from..).unwrap_or_default()
    }

    /// Whether a word has just ended without anything behind it.
    pub fn is_inside_word(&self) -> bool {
        self.gap == Gap::None && self.text.chars().next_back().is_some_and(char::is_alphabetic)
    }

    /// Adds text; its white space counts as one space.
    pub fn push(&mut self, text: &str) {
        let blank = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
        if blank(text.as_bytes().first()) {
            self.gap(Gap::Space);
        }
        let mut first = true;
        for word in text.split_ascii_whitespace() {
            if !first {
                self.gap = Gap::Space;
            }
            first = false;
            self.word(word);
        }
        if !first && blank(text.as_bytes().last()) {
            self.gap(Gap::Space);
        }
    }

    /// Adds text whose lines are kept (`<pre>`, `<textarea>`).
    pub fn push_lines(&mut self, text: &str) {
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                self.gap(Gap::Line);
            }
            self.push(line);
        }
    }

    fn word(&mut self, word: &str) {
        if !self.text.is_empty() {
            match self.gap {
                Gap::None => {}
                Gap::Space => self.text.push(' '),
                Gap::Line => self.text.push('\n'),
            }
        }
        self.gap = Gap::None;
        self.text.push_str(word);
    }

    pub fn finish(self) -> Box<str> {
        self.text.into()
    }
}
