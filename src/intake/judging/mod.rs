//! Judging a sender: gathers the facts that policy asks for, at RCPT for one recipient and at end of data for all, and keeps
//! the Explanation. `sekisho explain smtp` asks the same way, without leaving a trace.
//!
//! **Failure**: a fact that can't be had is a value that says so; policy knows what follows.
//! **Invariants**: a fact is asked for only if it can still change the answer, and once: the client's address for a
//! connection, SPF for a transaction. A [`Mode::Dry`] judgement counts nothing and remembers nothing.

mod dry;
mod message;
mod rcpt;
mod record;

use std::net::IpAddr;
use std::sync::Arc;

use crate::limits::Limits;
use crate::model::authentication::Spf;
use crate::model::explanation::Judgement;
use crate::model::lists::Matched;
use crate::model::rule::Rule;
use crate::model::sender::{Reverse, ZoneAnswer};
use crate::model::{Address, Domain, ReversePath, TenantId};
use crate::policy::sender::{Provisional, Ruling, Tls, same_fate};
use crate::sender::Source;
use crate::sender::authentication::Authenticator;
use crate::sender::authentication::budget::Budget;
use crate::tenant::lists::Hits;
use crate::tenant::{SenderPolicy, Snapshot, Tenant, TenantDomain};

pub use dry::Conversation;
pub use message::{Judged, Told, Verdict};
pub use record::{Beside, Which};

/// What judging works with.
#[derive(Debug, Clone)]
pub struct Judges {
    pub source: Arc<Source>,
    pub authenticator: Arc<Authenticator>,
    pub limits: Arc<Limits>,
    pub hits: Arc<Hits>,
    /// Addresses nobody has: who writes to them sends spam. Sorted.
    pub spam_traps: Arc<[Address]>,
}

/// Whether what is judged really happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Live,
    Dry,
}

/// Who is judged.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    pub ip: IpAddr,
    /// A relay of our own, which has judged the sender: its address says nothing of whom it speaks for.
    pub is_relay: bool,
    /// Empty before HELO.
    pub helo: &'a str,
    pub tls: Tls,
    pub sender: &'a ReversePath,
}

impl Who<'_> {
    /// Whether the address is the sender's side. A proxy that could not tell whom it speaks for has 0.0.0.0 for the client:
    /// nothing is counted for or against it, nor for or against a relay of our own.
    fn is_known(&self) -> bool {
        !self.is_relay && !self.ip.is_unspecified()
    }

    fn mail_from(&self) -> Option<&Address> {
        self.sender.address()
    }

    fn sender_domain(&self) -> Option<&Domain> {
        self.mail_from().map(Address::domain)
    }
}

/// For whom.
#[derive(Debug, Clone, Copy)]
pub struct Whom<'a> {
    pub snapshot: &'a Snapshot,
    pub tenant: &'a Tenant,
    pub domain: &'a TenantDomain,
    pub recipient: &'a Address,
}

/// What was found out about the client's address; for a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientKnown {
    zones: Option<Vec<ZoneAnswer>>,
    reverse: Option<Reverse>,
}

/// What was found out in a transaction.
#[derive(Debug)]
pub struct SenderKnown {
    budget: Arc<Budget>,
    /// HELO, then MAIL FROM; empty: not asked.
    spf: Vec<Spf>,
    /// The lists' answers about the client and about the sender's domain.
    zones: Option<Vec<ZoneAnswer>>,
    /// The accepted recipients, in their order.
    taken: Vec<Taken>,
    judgements: Vec<Judgement>,
    /// Of the message, for each tenant's own record; empty where all of it is one tenant's.
    of_message: Vec<(TenantId, Judgement)>,
    /// Whether this transaction was counted as spam.
    counted: bool,
}

/// An accepted recipient, as end of data needs it.
#[derive(Debug)]
struct Taken {
    recipient: Address,
    policy: Option<Arc<SenderPolicy>>,
    tenant: Arc<Tenant>,
    ruling: Ruling,
    entries: Vec<Matched>,
}

impl Taken {
    fn policy(&self) -> &SenderPolicy {
        self.policy.as_deref().unwrap_or_else(|| SenderPolicy::default_ref())
    }

    fn provisional(&self) -> Option<&Provisional> {
        self.ruling.provisional.as_deref()
    }
}

impl SenderKnown {
    #[must_use]
    pub fn new(judges: &Judges) -> Self {
        Self {
            budget: Arc::new(judges.authenticator.budget()),
            spf: Vec::new(),
            zones: None,
            taken: Vec::new(),
            judgements: Vec::new(),
            of_message: Vec::new(),
            counted: false,
        }
    }

    /// Whether a recipient can have the same answer at end of data as those before it.
    fn shares_fate(&self, who: &Who<'_>, policy: &SenderPolicy, ruling: &Ruling) -> bool {
        self.taken.first().is_none_or(|first| {
            // Of all actions one is left that may part them.
            let same_action = || first.policy().authentication.from_invalid == policy.authentication.from_invalid;
            (who.is_relay && same_action()) || same_fate((first.policy(), &first.ruling), (policy, ruling))
        })
    }
}

impl Judges {
    /// Nobody has this address, and nobody was ever told of it.
    #[must_use]
    pub fn is_trap(&self, recipient: &Address) -> bool {
        self.spam_traps.binary_search_by(|trap| trap.key().cmp(&recipient.key())).is_ok()
    }

    /// The entry that decided has been of use.
    fn count_hit(&self, rule: &Rule, mode: Mode, now: crate::model::Timestamp) {
        if let (Rule::Entry { id, .. }, Mode::Live) = (rule, mode) {
            self.hits.count(*id, now);
        }
    }
}
