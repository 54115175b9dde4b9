//! What is known of the client when a recipient is judged. Facts that were not asked for have a value that says so, and
//! it is always the one that speaks neither for nor against.

use std::net::IpAddr;

use crate::model::rule::LimitOf;
use crate::model::sender::{Country, Reverse, Standing, ZoneAnswer};

/// The client itself.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// IPv4-mapped addresses folded to IPv4.
    pub ip: IpAddr,
    /// A relay of our own, which has judged the sender.
    pub is_relay: bool,
    pub tls: Tls,
    pub country: Option<Country>,
    /// `None`: not asked.
    pub reverse: Option<&'a Reverse>,
    /// What the known-source lists said.
    pub zones: &'a [ZoneAnswer],
}

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Plain,
    Encrypted,
}

/// What our own counters say of the client.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub reputation: Reputation<'a>,
    /// The limit that is exceeded.
    pub limit: Option<LimitOf>,
    pub harvest: Harvest,
    pub greylist: Greylist,
}

/// Dynamic reputation at the level of the recipient's policy.
#[derive(Debug, Clone, Copy)]
pub struct Reputation<'a> {
    pub standing: Standing,
    /// The counts behind it, for the Explanation.
    pub why: Option<&'a str>,
}

/// Whether the client tries recipients that don't exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harvest {
    Clear,
    Suspected,
}

/// What the greylist says of client network, sender and recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greylist {
    NotAsked,
    /// Came back after the delay, or known from before.
    Passed,
    /// To come back later.
    Wait,
    /// The greylist did not answer; nobody is delayed for that.
    Unavailable,
}
