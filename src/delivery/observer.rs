//! Who is told what became of a recipient: a port, so that what is remembered of senders lives elsewhere.

use std::fmt;

use crate::model::{MessageId, Outcome, Recipient};
use crate::spool::Meta;

/// A recipient whose fate a next hop has decided, after that is durable.
#[derive(Debug)]
pub struct Ended<'a> {
    pub message: MessageId,
    pub meta: &'a Meta,
    pub recipient: &'a Recipient,
    /// Delivered or failed.
    pub outcome: &'a Outcome,
}

/// Told of each recipient once; quick, and never waits. Mail whose time ran out is told to nobody: no server decided it.
pub trait Observer: Send + Sync + fmt::Debug {
    fn ended(&self, ended: &Ended<'_>);
}
