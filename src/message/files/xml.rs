//! XML of documents: a pull parser without entities of its own, bounded.
//!
//! **Failure**: what isn't well-formed ends the reading where it is; a document type is noted, since no office document has one.
//! **Invariants**: no entity but the five of XML and numbers is replaced, so nothing can grow; linear.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Events of one part.
const MAX_EVENTS: usize = 4_000_000;

/// Attributes of one element that are read.
const MAX_ATTRIBUTES: usize = 256;

/// Something in the document.
#[derive(Debug)]
pub enum Item<'a> {
    /// Name without its prefix, in lower case, and its attributes by the same names.
    Start(&'a str, &'a [(String, String)]),
    End(&'a str),
    Text(&'a str),
}

/// How the reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Well,
    Malformed,
    /// A document type: entities may be defined there.
    DocType,
    /// More of it, or more in one element, than is read.
    TooLong,
}

/// Calls `seen` for each item until it returns false.
pub fn read(octets: &[u8], mut seen: impl FnMut(Item<'_>) -> bool) -> Ended {
    let source = super::encoded::text_of(octets);
    let mut reader = Reader::from_str(&source);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut ended = Ended::Well;
    let mut is_cut = false;
    for _ in 0..MAX_EVENTS {
        let goes_on = match reader.read_event() {
            Ok(Event::Start(start)) => element(&start, &mut is_cut, &mut seen),
            Ok(Event::Empty(start)) => {
                element(&start, &mut is_cut, &mut seen) && seen(Item::End(&local(start.name().as_ref())))
            }
            Ok(Event::End(end)) => seen(Item::End(&local(end.name().as_ref()))),
            Ok(Event::Text(text)) => seen(Item::Text(&String::from_utf8_lossy(&text))),
            Ok(Event::CData(text)) => seen(Item::Text(&String::from_utf8_lossy(&text))),
            Ok(Event::GeneralRef(name)) => {
                reference(&name).is_none_or(|c| seen(Item::Text(c.encode_utf8(&mut [0; 4]))))
            }
            Ok(Event::DocType(_)) => {
                ended = Ended::DocType;
                true
            }
            Ok(Event::Eof) if is_cut => return Ended::TooLong,
            Ok(Event::Eof) => return ended,
            Ok(_) => true,
            Err(_) => return Ended::Malformed,
        };
        if !goes_on {
            return if is_cut { Ended::TooLong } else { ended };
        }
    }
    Ended::TooLong
}

/// `is_cut` is set if there are more attributes than are read.
fn element(start: &BytesStart<'_>, is_cut: &mut bool, seen: &mut impl FnMut(Item<'_>) -> bool) -> bool {
    let mut all = start.attributes();
    let mut all = all.with_checks(false).filter_map(Result::ok);
    let attributes: Vec<(String, String)> = all
        .by_ref()
        .take(MAX_ATTRIBUTES)
        .map(|attribute| (local(attribute.key.as_ref()), unescaped(&String::from_utf8_lossy(&attribute.value))))
        .collect();
    *is_cut |= all.next().is_some();
    seen(Item::Start(&local(start.name().as_ref()), &attributes))
}

fn local(name: &[u8]) -> String {
    let name = name.rsplit(|&octet| octet == b':').next().unwrap_or(name);
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

fn reference(name: &[u8]) -> Option<char> {
    let name = std::str::from_utf8(name).ok()?;
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = number
                .strip_prefix(['x', 'X'])
                .map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
            char::from_u32(code)?
        }
    })
}

fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut pieces = value.split('&');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        match piece.split_once(';').and_then(|(name, rest)| Some((reference(name.as_bytes())?, rest))) {
            Some((c, rest)) => {
                out.push(c);
                out.push_str(rest);
            }
            None => {
                out.push('&');
                out.push_str(piece);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> (String, Ended) {
        let mut text = String::new();
        let ended = read(source.as_bytes(), |item| {
            if let Item::Text(piece) = item {
                text.push_str(piece);
            }
            true
        });
        (text, ended)
    }

    #[test]
    fn entities_of_a_document_type_stay_what_they_are() {
        let (text, ended) = text("<!DOCTYPE a [<!ENTITY b \"cccccccc\">]><a>x&b;&amp;&#x41;</a>");
        assert_eq!((&*text, ended), ("x&A", Ended::DocType));
    }

    #[test]
    fn attributes_beyond_the_bound_are_told() {
        let element = |count: usize| {
            let attributes: String = (0..count).map(|nth| format!(" a{nth}='x'")).collect();
            read(format!("<a{attributes}/>").as_bytes(), |_| true)
        };
        assert_eq!((element(MAX_ATTRIBUTES), element(MAX_ATTRIBUTES + 1)), (Ended::Well, Ended::TooLong));
    }

    #[test]
    fn prefixes_and_cases_are_alike() {
        let mut names = Vec::new();
        read(b"<w:P a:Val='1&amp;2'/>", |item| {
            if let Item::Start(name, attributes) = item {
                names.push((name.to_owned(), attributes.to_vec()));
            }
            true
        });
        assert_eq!(names, [("p".to_owned(), vec![("val".to_owned(), "1&2".to_owned())])]);
    }
}
