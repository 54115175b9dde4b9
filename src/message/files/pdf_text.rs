//! The text of a PDF, page by page.
//!
//! **Failure**: a page that can't be read is left out: what a PDF shows is a picture in the end, and text in it is no promise. So
//! are pages beyond the first fifty, as honest books have them, and what draws more than 4 MiB; links and files of all pages are
//! seen elsewhere. More text on a page than there is memory for is told.
//! **Invariants**: a bounded number of pages and characters. What a page draws goes before the crate takes it apart, for it makes
//! hundreds of octets of each number.

use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

use super::pdf_weight::{Purse, string_length, word_length};
use crate::message::specimen::TimeUp;

const MAX_PAGES: usize = 50;
const MAX_PAGE_OCTETS: usize = 4 << 20;
const MAX_TEXT: usize = 1 << 20;

/// The text, and whether there was too much on a page.
pub fn of(document: &mut Document, purse: &Purse, time_up: TimeUp<'_>) -> (String, bool) {
    let mut text = String::new();
    let mut is_cut = false;
    for (number, page) in document.get_pages().into_iter().take(MAX_PAGES) {
        if time_up() || text.len() > MAX_TEXT {
            break;
        }
        let Ok(content) = document.get_page_content_with_limit(page, MAX_PAGE_OCTETS) else { continue };
        let (shown, words) = shown(&content);
        drop(content);
        if !purse.has_room_for(words) {
            is_cut = true;
            continue;
        }
        let Some(stream) = replace(document, page, shown) else { continue };
        if let Ok(found) = document.extract_text_with_limit(&[number], MAX_PAGE_OCTETS) {
            text.push_str(&found);
            text.push('\n');
        }
        document.objects.remove(&stream);
    }
    (text, is_cut)
}

/// Gives the page another content; where that is.
fn replace(document: &mut Document, page: ObjectId, content: Vec<u8>) -> Option<ObjectId> {
    let stream = document.add_object(Stream::new(Dictionary::new(), content));
    match document.get_object_mut(page) {
        Ok(Object::Dictionary(page)) => page.set("Contents", Object::Reference(stream)),
        _ => {
            document.objects.remove(&stream);
            return None;
        }
    }
    Some(stream)
}

/// What is between `BT` and `ET` (ISO 32000-1 section 9.4), and the fonts that are chosen elsewhere; and how many words that is.
fn shown(content: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut words = 0;
    let mut is_text = false;
    // The words before: the font's name and its size.
    let mut before: [&[u8]; 2] = [b"", b""];
    let mut here = 0;
    let mut is_picture = false;
    while let Some(&octet) = content.get(here) {
        let rest = content.get(here..).unwrap_or_default();
        let length = match octet {
            b'\0' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' => {
                here += 1;
                continue;
            }
            b'%' => {
                here += memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                continue;
            }
            b'(' => string_length(rest),
            b'<' if rest.get(1) != Some(&b'<') => memchr::memchr(b'>', rest).map_or(rest.len(), |end| end + 1),
            _ => word_length(rest),
        };
        let word = rest.get(..length).unwrap_or_default();
        here += length.max(1);
        is_picture |= word == b"BI";
        if word == b"ID" && std::mem::take(&mut is_picture) {
            // A picture in the text of the page, up to a word of its own.
            let picture = content.get(here..).unwrap_or_default();
            let end = memchr::memmem::find_iter(picture, b"EI").find(|&end| {
                let is_blank = |at: Option<usize>| {
                    at.and_then(|at| picture.get(at)).is_none_or(|octet| matches!(octet, 0 | 9 | 10 | 12 | 13 | 32))
                };
                is_blank(end.checked_sub(1)) && is_blank(Some(end + 2))
            });
            here += end.map_or(picture.len(), |end| end + 2);
            continue;
        }
        if word == b"BT" || word == b"ET" {
            is_text = word == b"BT";
            out.extend_from_slice(word);
            out.push(b'\n');
            words += 1;
        } else if is_text {
            out.extend_from_slice(word);
            out.push(b' ');
            words += 1;
        } else if word == b"Tf" {
            for word in before.iter().chain([&word]) {
                out.extend_from_slice(word);
                out.push(b' ');
            }
            words += 3;
        }
        before = [before.last().copied().unwrap_or_default(), word];
    }
    (out, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_taken_apart() {
        let content =
            b"q 1 0 0 1 5 5 cm /F1 12 Tf 0 0 m (no) 5 5 l S BT % hello ET\n[(a)(b\\) ET)-20<4142>] TJ/F2 9 Tf(c)' ET\n\
            BI /W 1 ID xBT EIx BT(\nEI BT <</A 1>>BDC (d) Tj EMC ET Q";
        let (shown, words) = shown(content);
        assert_eq!(
            String::from_utf8_lossy(&shown),
            "/F1 12 Tf BT\n[ (a) (b\\) ET) -20 <4142> ] TJ /F2 9 Tf (c) ' ET\nBT\n<< /A 1 >> BDC (d) Tj EMC ET\n"
        );
        assert_eq!(words, 27);
        assert_eq!(super::shown(&b"1 ".repeat(1_000_000)), (Vec::new(), 0));
    }
}
