//! Writes the body of a part anew, and what its header says about it.
//!
//! **Invariants**: only the part's own `Content-` fields and its body change.

use super::splice::{Splices, line_end, line_start};
use super::{encode, place};
use crate::message::mime::params;
use crate::message::specimen::{HeaderField, Part, PartKind, Specimen};

/// What stays of the part's old Content-Type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The type and its parameters, but for the charset.
    Parameters,
    /// Nothing: the part is another one now.
    Nothing,
}

/// The text with the stamp above it.
#[must_use]
pub fn stamped(text: &str, stamp: &str) -> String {
    format!("{}\n\n{text}", stamp.trim_end())
}

/// The document with the stamp at the top of what is shown.
#[must_use]
pub fn stamped_html(html: &str, stamp: &str) -> String {
    let mut block = String::from(
        "<div style=\"display:block!important;visibility:visible!important;opacity:1!important;margin:0 0 12px 0;padding:8px;border:1px solid #b00020;background:#fff4f4;color:#000000;\
         font-family:sans-serif;font-size:14px\">",
    );
    for (index, line) in stamp.trim_end().lines().enumerate() {
        if index > 0 {
            block.push_str("<br>");
        }
        for c in line.chars() {
            match c {
                '<' => block.push_str("&lt;"),
                '>' => block.push_str("&gt;"),
                '&' => block.push_str("&amp;"),
                '"' => block.push_str("&quot;"),
                c => block.push(c),
            }
        }
    }
    block.push_str("</div>");
    let html = in_utf8(html);
    let (before, behind) = html.split_at_checked(place::top_of(&html)).unwrap_or(("", &html));
    [before, &block, behind].concat()
}

/// Everything between angle brackets with its place, linear in the length: an unclosed tag ends where the next one begins.
fn tags(html: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + html.get(at..)?.find('<')?;
            let end = start + 1 + html.get(start + 1..)?.find(['<', '>'])?;
            at = end;
            if html.as_bytes().get(end) == Some(&b'>') {
                at += 1;
                return Some((start, html.get(start..=end)?));
            }
        }
    })
}

fn is_tag(tag: &str, name: &str) -> bool {
    let Some(inner) = tag.strip_prefix('<') else { return false };
    inner.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && inner.get(name.len()..).is_some_and(|rest| rest.starts_with(['>', '/', ' ', '\t', '\r', '\n']))
}

/// A document that names its own charset names UTF-8 now.
fn in_utf8(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut copied = 0;
    for (at, tag) in tags(html).filter(|(_, tag)| is_tag(tag, "meta")).take(100) {
        let Some(named) = tag.to_ascii_lowercase().find("charset=").map(|found| found + 8) else { continue };
        let value = tag.get(named..).unwrap_or_default();
        let quotes = value.len() - value.trim_start_matches(['"', '\'', ' ']).len();
        let length =
            value.get(quotes..).unwrap_or_default().find(|c: char| !(c.is_ascii_alphanumeric() || "-_.:".contains(c)));
        let start = at + named + quotes;
        if start < copied {
            continue;
        }
        out.push_str(html.get(copied..start).unwrap_or_default());
        out.push_str("utf-8");
        copied = start + length.unwrap_or(0);
    }
    out.push_str(html.get(copied..).unwrap_or_default());
    out
}

/// Replaces the part's body by `text` in UTF-8.
pub fn rewrite(specimen: &Specimen, index: usize, text: &str, keep: Keep, splices: &mut Splices) {
    let Some(part) = specimen.parts.get(index) else { return };
    let fields = if part.parent.is_none() { &specimen.fields } else { &part.fields };
    let (encoding, mut body) = encode::text(text);
    // The last line of a message ends as all do.
    if part.encoded.end == specimen.raw.len() && !body.ends_with(b"\r\n") {
        body.extend(b"\r\n");
    }
    let mut header = String::new();
    let old = fields.iter().find(|field| is(field, "content-type")).filter(|_| keep == Keep::Parameters);
    encode::push_field(&mut header, "Content-Type", &content_type(specimen, part, old));
    encode::push_field(&mut header, "Content-Transfer-Encoding", encoding);
    if part.parent.is_none() && specimen.field("MIME-Version").is_none() {
        encode::push_field(&mut header, "MIME-Version", "1.0");
    }
    for field in fields {
        let ours = match keep {
            Keep::Parameters => is(field, "content-type") || is(field, "content-transfer-encoding"),
            Keep::Nothing => field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-")),
        };
        if ours {
            splices.remove(line_start(&specimen.raw, field.raw.start)..line_end(&specimen.raw, field.raw.end));
        }
    }
    place_header(specimen, part, fields, header, splices);
    splices.replace(part.encoded.clone(), body);
}

fn is(field: &HeaderField, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

fn place_header(specimen: &Specimen, part: &Part, fields: &[HeaderField], mut header: String, splices: &mut Splices) {
    let raw = &specimen.raw;
    let before = raw.get(..part.encoded.start).unwrap_or_default();
    if let Some(first) = fields.first() {
        // Behind a field that goes, not inside of it.
        splices.insert(line_start(raw, first.raw.start), header.into_bytes());
    } else if before.ends_with(b"\n\r\n") || before == b"\r\n" {
        splices.insert(part.encoded.start - 2, header.into_bytes());
    } else {
        header.push_str("\r\n");
        splices.insert(part.encoded.start, header.into_bytes());
    }
}

fn content_type(specimen: &Specimen, part: &Part, old: Option<&HeaderField>) -> String {
    let default = if part.kind == PartKind::Html { "text/html" } else { "text/plain" };
    let Some(old) = old else { return format!("{default}; charset=utf-8") };
    let read = params::read(specimen.raw.get(old.raw.clone()).unwrap_or_default(), true);
    let name = if read.value.contains('/') { read.value.as_str() } else { default };
    let mut value = format!("{name}; charset=utf-8");
    for param in read.params.iter().filter(|param| param.base != "charset").take(20) {
        let number = param.section.map(|number| format!("*{number}")).unwrap_or_default();
        let star = if param.extended { "*" } else { "" };
        let text = String::from_utf8_lossy(param.first()).into_owned();
        let token = param.extended || text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let text = if token { text } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) };
        value.push_str(&format!("; {}{number}{star}={text}", param.base));
    }
    value
}

/// Puts a notice in the place of a file.
pub fn take_out(specimen: &Specimen, index: usize, notice: &str, splices: &mut Splices) {
    let Some(part) = specimen.parts.get(index) else { return };
    let name = part.names.first().map_or("?", |name| name);
    let clean: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
    let text = notice.replace("{file}", &clean);
    let parent = part.parent.and_then(|parent| specimen.parts.get(parent));
    if parent.is_some_and(|parent| parent.kind == PartKind::Text) {
        // A file in the middle of a text, which may be in any charset.
        let plain: String = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        splices.replace(part.encoded.clone(), plain.replace('\n', "\r\n").into_bytes());
        return;
    }
    rewrite(specimen, index, &text, Keep::Nothing, splices);
}
