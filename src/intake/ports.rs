//! What intake asks of the rest of the house. `app` puts delivery behind these ports; intake doesn't know it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::model::receipt::Receipt;
use crate::model::{Address, Domain, Envelope, MessageId, Remote, Reply};
use crate::policy::rcpt::Validity;

/// The answer of a port, boxed so that ports are `dyn`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks the next hop whether a mailbox exists (recipient validation `call-ahead`).
pub trait RecipientProbe: Send + Sync {
    fn probe<'a>(&'a self, recipient: &'a Address) -> Answer<'a, Validity>;
}

/// One lane to be handed on while the client waits.
#[derive(Debug)]
pub struct HandOn<'a> {
    pub id: MessageId,
    pub domain: &'a Domain,
    pub envelope: &'a Envelope,
    /// The fields we prepend.
    pub head: Bytes,
    /// The message as it came.
    pub rest: Bytes,
    /// How long the client can be kept waiting from now.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug)]
pub enum HandedOn {
    /// The next hop has it, all recipients; counted as accepted and delivered.
    Delivered { receipt: Receipt, reply: Reply, remote: Remote },
    /// The next hop refused it before or at the end of data, for all recipients alike: say the same.
    Refused(Reply),
    /// Recipients with different fates: nothing was handed on.
    Mixed,
    /// No next hop answered in time: nothing was handed on.
    Unavailable,
    /// The end of data was sent and no answer came: it may have been taken. The client must keep it.
    Unknown,
}

/// Hands a lane to a tenant's next hop (inline custody).
pub trait NextHop: Send + Sync {
    fn hand_on<'a>(&'a self, lane: HandOn<'a>) -> Answer<'a, HandedOn>;
}
