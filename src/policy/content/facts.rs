//! What is known when a message's content is judged for one recipient.

use crate::model::Direction;
use crate::model::detectors::Detectors;
use crate::model::egress::OutboundSpam;
use crate::model::finding::Verdict;
use crate::model::rule::{Rule, Skips};
use crate::tenant::ContentPolicy;

/// How often the same message is put off because it could not be inspected, before it is quarantined instead.
pub const MAX_TRIES: u32 = 3;

/// Whether the author is who the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// DMARC passes, or SPF or DKIM is aligned.
    Authenticated,
    Unproven,
}

/// Whether the message carries a digital signature of a person (S/MIME, OpenPGP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    No,
    Yes,
}

/// The facts.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub direction: Direction,
    /// `None`: the scan as a whole could not be done (no room, time, a fault).
    pub verdict: Option<&'a Verdict>,
    /// Of the recipient's domain; outbound, of the sender's.
    pub policy: &'a ContentPolicy,
    /// What an allow entry spares; counts inbound only.
    pub skips: Skips,
    pub author: Author,
    /// The rules that marked the sender (`sender::Ruling::marks`).
    pub marks: &'a [Rule],
    /// The detectors without which a message is put off.
    pub mandatory: Detectors,
    /// How often this very message was put off before because it could not be inspected.
    pub tries: u32,
    pub signed: Signed,
    /// The operator's rule for spam; counts outbound only.
    pub spam: OutboundSpam,
}
