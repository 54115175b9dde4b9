//! HTML as a reader sees it: visible text told apart from hidden text, links with what is shown in their place, and signs of
//! deception.
//!
//! It follows what browsers do (WHATWG HTML section 13.2) as far as it decides what is seen: tags, comments, character
//! references, elements without markup, the plain part of CSS. Where readers differ, what any of them shows is visible or
//! hidden text, never nothing.
//!
//! **Failure**: nothing fails; odd markup is read as browsers read it. What is beyond a bound is marked in [`HtmlRead::cut`].
//! **Invariants**: one pass, linear in the length, without recursion; open elements, links and rules are bounded.
//! **Elsewhere**: what a URL leads to is `message::links`.

mod elements;
mod entities;
mod flow;
mod reader;
mod signs;
mod style;
mod tokens;

pub use entities::{Place, decode};
pub use signs::shortened;

use super::specimen::{LinkSource, MarkupSigns};

/// Most links of one document.
pub const MAX_LINKS: usize = 10_000;
/// Longest address that is kept, in octets.
pub const MAX_ADDRESS: usize = 2_048;
/// Longest text that is kept for a link, in characters.
pub const MAX_SHOWN: usize = 300;

/// What a document holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HtmlRead {
    /// What is shown; a line for each block, white space run together, alternative texts of images included.
    pub visible: Box<str>,
    /// What the markup keeps from the reader's eyes, and what only some mail programs show (conditional comments).
    pub hidden: Box<str>,
    /// `<title>`; mail programs don't show it, browsers do.
    pub title: Box<str>,
    /// In document order.
    pub links: Vec<HtmlLink>,
    /// `<base href>`, to which relative addresses belong.
    pub base: Option<Box<str>>,
    pub signs: MarkupSigns,
    /// More links than [`MAX_LINKS`].
    pub cut: bool,
}

/// An address in the markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HtmlLink {
    pub source: LinkSource,
    /// As written, references decoded, at most [`MAX_ADDRESS`] octets; may be relative or no address at all.
    pub written: Box<str>,
    /// What stands between `<a>` and `</a>`, at most [`MAX_SHOWN`] characters.
    pub shown: Option<Box<str>>,
}

/// Reads a document or a piece of one.
#[must_use]
pub fn read(source: &str) -> HtmlRead {
    reader::Reader::new(source).read()
}

#[cfg(test)]
mod tests;
