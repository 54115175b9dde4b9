//! Functions about HTML.

use std::sync::LazyLock;

use regex::Regex;

use super::{real, within};
use crate::scan::spamassassin::html::Html;
use crate::scan::spamassassin::mail::Mail;
use crate::scan::spamassassin::uris::host_of;
use crate::signatures::spamassassin::eval::Call;

/// Share of one number in another; none of nothing.
fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

pub fn test(mail: &Mail<'_>, name: &str) -> bool {
    mail.htmls.iter().any(|html| match name {
        "html" => html.elements > 0,
        "embeds" => {
            html.tags.get("embed").is_some_and(|tag| tag.0 > 0) || html.tags.get("object").is_some_and(|tag| tag.0 > 0)
        }
        "font_face_bad" => html.odd_face,
        "font_low_contrast" => html.low_contrast,
        "font_invalid_color" => html.odd_color,
        "form_action_mailto" => html.form_mailto,
        _ => false,
    })
}

fn value(html: &Html, name: &str) -> Option<f64> {
    match name {
        "length" => Some(real(html.length)),
        "bad_tag_ratio" => share(html.bad, html.elements),
        "non_element_ratio" => share(html.unknown, html.elements),
        "closed_extra_ratio" => share(html.extra_closed, html.elements),
        "obfuscation_ratio" => share(html.obfuscated, html.elements),
        "max_size" => Some(f64::from(html.biggest)),
        _ => None,
    }
}

pub fn range(mail: &Mail<'_>, call: &Call) -> bool {
    mail.htmls
        .iter()
        .filter(|html| html.elements > 0)
        .filter_map(|html| value(html, call.text(0)))
        .any(|value| within(value, call.number(1), call.number(2)))
}

/// `html_eval('length', '< 384')`.
pub fn compared(mail: &Mail<'_>, call: &Call) -> bool {
    let (operator, number) = call.text(1).split_once(' ').unwrap_or_default();
    let Ok(number) = number.trim().parse::<f64>() else { return false };
    mail.htmls.iter().filter(|html| html.elements > 0).filter_map(|html| value(html, call.text(0))).any(|value| {
        match operator {
            "<" => value < number,
            "<=" => value <= number,
            ">" => value > number,
            ">=" => value >= number,
            _ => false,
        }
    })
}

pub fn opened(mail: &Mail<'_>, tag: &str) -> u32 {
    mail.htmls.iter().filter_map(|html| html.tags.get(tag)).map(|tag| tag.0).sum()
}

pub fn unbalanced(mail: &Mail<'_>, tag: &str) -> bool {
    mail.htmls.iter().filter_map(|html| html.tags.get(tag)).any(|(opened, closed)| *opened > 0 && opened != closed)
}

pub fn text_matches(mail: &Mail<'_>, call: &Call) -> bool {
    let Some(pattern) = &call.pattern else { return false };
    let matches = |text: &String| pattern.surely_matches(text.as_bytes());
    mail.htmls.iter().any(|html| match call.text(0) {
        "comment" => html.comments.iter().any(matches),
        "title" => html.titles.iter().any(matches),
        "anchor" => html.links.iter().filter(|link| link.element == "a").any(|link| matches(&link.text)),
        _ => false,
    })
}

pub fn title_ratio(mail: &Mail<'_>, call: &Call) -> bool {
    let subject = mail.first("subject").unwrap_or_default();
    let Some(most) = call.number(0) else { return false };
    if subject.is_empty() {
        return false;
    }
    mail.htmls
        .iter()
        .filter_map(|html| html.titles.first())
        .any(|title| real(title.trim().len()) / real(subject.len()) > most)
}

pub fn image_only(mail: &Mail<'_>, call: &Call) -> bool {
    mail.htmls.iter().any(|html| html.images > 0 && within(real(html.length), call.number(0), call.number(1)))
}

#[allow(clippy::cast_precision_loss, reason = "areas are far below 2^52")]
pub fn image_ratio(mail: &Mail<'_>, call: &Call) -> bool {
    mail.htmls
        .iter()
        .any(|html| html.pixels > 0 && within(real(html.length) / html.pixels as f64, call.number(0), call.number(1)))
}

pub fn iframe_with_source(mail: &Mail<'_>) -> bool {
    mail.htmls.iter().any(|html| html.links.iter().any(|link| link.element == "iframe"))
}

#[allow(clippy::unwrap_used, reason = "a constant, which the tests compile")]
static SHOWN_HTTPS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)https://([^\s/?#:<>]+)").unwrap());

/// Links that show an https address and lead to an IP address.
pub fn https_ip_mismatch(mail: &Mail<'_>) -> bool {
    anchors(mail).any(|(address, shown)| {
        address.parse::<std::net::Ipv4Addr>().is_ok() && shown.parse::<std::net::Ipv4Addr>().is_err()
    })
}

/// Links that show an https address and lead to another domain by plain http.
pub fn https_http_mismatch(mail: &Mail<'_>, call: &Call) -> bool {
    let links = mail.htmls.iter().flat_map(|html| &html.links).filter(|link| link.element == "a").count();
    if !(real(links) >= call.number(0).unwrap_or(1.0) && real(links) <= call.number(1).unwrap_or(10.0)) {
        return false;
    }
    mail.htmls.iter().flat_map(|html| &html.links).filter(|link| link.element == "a").any(|link| {
        let address = link.address.trim().to_ascii_lowercase();
        let (Some(host), Some(shown)) =
            (host_of(&address), SHOWN_HTTPS.captures(&link.text).and_then(|found| found.get(1)))
        else {
            return false;
        };
        address.starts_with("http://") && !host.is_empty() && shown.as_str().contains('.')
    })
}

/// Host of the target, and the host that the text shows behind `https://`.
fn anchors<'m>(mail: &'m Mail<'_>) -> impl Iterator<Item = (String, &'m str)> {
    mail.htmls
        .iter()
        .flat_map(|html| &html.links)
        .filter(|link| link.element == "a")
        .filter_map(|link| Some((host_of(&link.address)?, SHOWN_HTTPS.captures(&link.text)?.get(1)?.as_str())))
}
