//! Addresses on the web: found in text and images, normalized, and followed through the parameters of redirecting services.
//!
//! **Failure**: what is no address makes no [`Link`]. One that browsers refuse but that names a host is kept with that host.
//! **Invariants**: linear in the length of the text; an address has at most [`MAX_ADDRESS`](super::html::MAX_ADDRESS) octets,
//! at most [`MAX_REDIRECTS`] targets inside each other, and no caller gets more links than it asked for.

mod find;
mod image;
mod normal;
mod redirect;

pub use find::{hosts_in, is_host};
pub use image::{PIXELS, in_image, in_images, is_beyond_photographs};
pub use normal::{Normal, normalize, registrable};

use super::html::{HtmlRead, MAX_SHOWN};
use super::specimen::{Link, LinkSource};

/// Targets inside the parameters of a target that are followed.
pub const MAX_REDIRECTS: usize = 3;

/// Makes a link of an address as it is written; `None` if a mail program makes none of it.
#[must_use]
pub fn link(part: usize, source: LinkSource, written: &str, shown: Option<&str>) -> Option<Link> {
    let Normal { url, host } = normalize(written)?;
    let domain = registrable(&host).map(Into::into);
    let shown = shown.map(|shown| shown.chars().take(MAX_SHOWN).collect());
    Some(Link { part, source, written: written.into(), url, host, domain, shown })
}

/// Adds a link and, behind it, the targets in its parameters as [`LinkSource::Redirect`]. Says whether there was room.
pub fn add(links: &mut Vec<Link>, link: Link, limit: usize) -> bool {
    let part = link.part;
    let mut next = Some(link);
    for _ in 0..=MAX_REDIRECTS {
        let Some(link) = next.take() else { return true };
        if links.len() >= limit {
            return false;
        }
        next = redirect::inner(&link).and_then(|target| self::link(part, LinkSource::Redirect, &target, None));
        // A service that leads to itself leads nowhere.
        next = next.filter(|target| target.host != link.host && !target.host.is_empty());
        links.push(link);
    }
    true
}

/// The links of a document that was read, at most `limit`, targets included.
#[must_use]
pub fn in_html(part: usize, html: &HtmlRead, limit: usize) -> Vec<Link> {
    let mut links = Vec::with_capacity(html.links.len().min(limit));
    // Where all relative addresses lead to.
    if let Some(base) = html.base.as_deref().and_then(|base| link(part, LinkSource::Anchor, base, None))
        && !add(&mut links, base, limit)
    {
        return links;
    }
    for found in &html.links {
        let shown = found.shown.as_deref();
        let absolute = link(part, found.source, &found.written, shown);
        let joined = html
            .base
            .as_deref()
            .and_then(|base| normal::join(base, &found.written))
            .and_then(|whole| link(part, found.source, &whole, shown));
        for link in absolute.into_iter().chain(joined) {
            if !add(&mut links, link, limit) {
                return links;
            }
        }
    }
    links
}

/// The addresses in a text that a mail program would make links of, each once, at most `limit`, targets included.
#[must_use]
pub fn in_text(part: usize, source: LinkSource, text: &str, limit: usize) -> Vec<Link> {
    let mut links = Vec::new();
    let mut seen = std::collections::HashSet::new();
    find::each(text, |written| {
        let bare = !written.contains(':');
        let made = if bare || starts_with_www(written) {
            link(part, source, &format!("http://{written}"), None)
        } else {
            link(part, source, written, None)
        };
        match made {
            Some(mut link) if seen.insert(link.url.clone()) => {
                link.written = written.into();
                add(&mut links, link, limit)
            }
            _ => true,
        }
    });
    links
}

fn starts_with_www(written: &str) -> bool {
    written.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"www."))
}

#[cfg(test)]
mod tests;
