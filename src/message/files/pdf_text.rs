//! The text of a PDF, page by page.
//!
//! **Failure**: a page that can't be read is left out: what a PDF shows is a picture in the end, and text in it is no promise.
//! **Invariants**: a bounded number of pages and characters.

use lopdf::Document;

use crate::message::specimen::TimeUp;

const MAX_PAGES: usize = 50;
const MAX_PAGE_OCTETS: usize = 4 << 20;
const MAX_TEXT: usize = 1 << 20;

pub fn of(document: &Document, time_up: TimeUp<'_>) -> String {
    let mut text = String::new();
    for (page, _) in document.get_pages().into_iter().take(MAX_PAGES) {
        if time_up() || text.len() > MAX_TEXT {
            break;
        }
        if let Ok(page) = document.extract_text_with_limit(&[page], MAX_PAGE_OCTETS) {
            text.push_str(&page);
            text.push('\n');
        }
    }
    text
}
