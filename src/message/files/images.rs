//! Pictures inside other files: addresses in QR codes. Those that are parts of the mail are searched with the mail.
//!
//! **Invariants**: a bounded number of pictures of one message is searched.

use bytes::Bytes;

use super::walk::Walk;
use crate::message::links;
use crate::message::specimen::LinkSource;
use crate::model::finding::Reason;

pub fn open(walk: &mut Walk<'_>, at: usize, octets: &Bytes) {
    if !walk.is_inside(at) || walk.is_spent(at) {
        return;
    }
    if links::is_beyond_photographs(octets) {
        walk.note(Reason::Bytes, at);
    }
    for text in links::in_image(octets, &mut walk.pixels) {
        walk.link_from(LinkSource::Qr, &text, None);
    }
}
