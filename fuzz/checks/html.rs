//! What must hold of any page: it is read without a panic, and what is kept of it is bounded by its own length.

use sekisho::message::html::{MAX_ADDRESS, MAX_LINKS, MAX_SHOWN, read};

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let source = String::from_utf8_lossy(data);
    let page = read(&source);
    assert!(page.links.len() <= MAX_LINKS);
    for link in &page.links {
        assert!(link.written.len() <= MAX_ADDRESS);
        assert!(link.shown.as_ref().is_none_or(|shown| shown.chars().count() <= MAX_SHOWN));
    }
    let text = page.visible.len() + page.hidden.len();
    assert!(text <= 4 * source.len() + 1_024, "{text} octets of text from {}", source.len());
}
