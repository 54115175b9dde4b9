//! Texts and links found in files, brought into the Specimen's form.
//!
//! **Invariants**: no more links than [`Limits::links`], targets of redirecting addresses included.

use crate::message::html;
use crate::message::links;
use crate::message::specimen::{Limits, LinkSource, Specimen};

/// Shorter or longer texts are no addresses.
const ADDRESS: std::ops::RangeInclusive<usize> = 4..=html::MAX_ADDRESS;

pub fn links_in_text(specimen: &mut Specimen, part: usize, limits: &Limits, text: &str) {
    let room = limits.links.saturating_sub(specimen.links.len());
    specimen.links.extend(links::in_text(part, LinkSource::File, text, room));
}

pub fn link(
    specimen: &mut Specimen,
    part: usize,
    limits: &Limits,
    source: LinkSource,
    written: &str,
    shown: Option<&str>,
) {
    let written = written.trim();
    if !ADDRESS.contains(&written.len()) {
        return;
    }
    if let Some(link) = links::link(part, source, written, shown) {
        links::add(&mut specimen.links, link, limits.links);
    }
}
