//! Rates and alike messages of outbound mail: asked at MAIL, RCPT and the end of a message (`limits::outbound`).
//!
//! **Failure**: what is beyond a limit is 450 or 451 and says when to come back. **Invariants**: a limit refuses only what the content
//! would let out; what the content keeps back is remembered of its sender and charged to nobody.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::connection::Connection;
use super::content::{Fate, Outcome};
use super::outbound::{Judged, answerable};
use super::parcel::Parcels;
use super::stages::Transaction;
use crate::limits::bulk::Sketch;
use crate::limits::outbound::{Harm, Party, Weighed};
use crate::limits::{Beyond, Paid};
use crate::message::specimen::{Limits as SpecimenLimits, Specimen};
use crate::model::disposition::Category;
use crate::model::explanation::Bulk;
use crate::model::explanation::content::Content;
use crate::model::rates::Dimension;
use crate::model::{Address, Decision, Direction, Envelope, Reply, ReversePath};
use crate::policy::replies;
use crate::telemetry::metrics::Limit;
use crate::tenant::Tenant;

/// A refused message of more octets is not read once more for its sketch.
const MOST_READ_AGAIN: usize = 256 << 10;
/// What was not read by then, as pictures that unpack to millions of points, is not in the sketch.
const TIME_TO_READ: Duration = Duration::from_secs(1);

impl Connection {
    pub(super) fn rates_at_mail(&self, tenant: &Tenant, sender: &ReversePath) -> Decision {
        let deps = &self.listener.intake.deps;
        let party = party(tenant, sender, self.sender_ip());
        decision(deps.outbound.at_mail(&party, deps.clock.now()))
    }

    /// `so_far`: recipients that the message has already.
    pub(super) fn rates_at_rcpt(&self, tenant: &Tenant, sender: &ReversePath, so_far: usize) -> Decision {
        let deps = &self.listener.intake.deps;
        let party = party(tenant, sender, self.known_by_ip.then(|| self.peer.ip()));
        let recipients = u64::try_from(so_far).unwrap_or(u64::MAX).saturating_add(1);
        decision(deps.outbound.at_rcpt(&party, recipients, deps.clock.now()))
    }

    /// A measure refused a recipient.
    pub(super) fn tried(&self, tenant: &Tenant, sender: &ReversePath) {
        let deps = &self.listener.intake.deps;
        let party = party(tenant, sender, self.known_by_ip.then(|| self.peer.ip()));
        deps.outbound.tried(&party, deps.clock.now());
    }

    /// Compares the message with others before its fate is told. What its content keeps back for good is remembered here, because
    /// nobody asks about it again.
    pub(super) async fn weigh_outbound(
        &self,
        transaction: &mut Transaction,
        envelope: &Envelope,
        (whole, outcome): (&Bytes, &Outcome),
        content: Option<&Content>,
    ) {
        let Some(tenant) = transaction.client.clone() else { return };
        let deps = &self.listener.intake.deps;
        let read;
        let specimen = match outcome {
            Outcome::Divided(divided) => &divided.specimen,
            // Put off: it comes again.
            Outcome::Refused(reply) if !reply.is_permanent() => return,
            Outcome::Refused(_) if whole.len() <= MOST_READ_AGAIN => {
                read = read_again(whole.clone()).await;
                &read
            }
            Outcome::Refused(_) => {
                read = Specimen::default();
                &read
            }
        };
        let sender = match outcome {
            Outcome::Divided(divided) => answerable(transaction, divided),
            Outcome::Refused(_) => transaction.sender.clone(),
        };
        let party = party(&tenant, &sender, self.known_by_ip.then(|| self.peer.ip()));
        let seen = (Sketch::of(specimen), is_list(specimen), harm(content));
        let recipients: Vec<&Address> = envelope.recipients.iter().map(|recipient| &recipient.address).collect();
        let now = deps.clock.now();
        let weighed = deps.outbound.weigh(&party, seen, recipients.iter().copied(), now);
        let goes_out = match outcome {
            Outcome::Divided(divided) => divided.shares.iter().any(|share| matches!(share.fate, Fate::Deliver(_))),
            Outcome::Refused(_) => false,
        };
        if !goes_out {
            deps.outbound.kept_back(&party, &weighed, &recipients, now);
        }
        transaction.weighed = Some(weighed);
    }

    /// What was charged stays with the transaction until it has ended well.
    pub(super) fn rates_at_end(
        &self,
        tenant: &Tenant,
        transaction: &mut Transaction,
        judged: &Judged<'_>,
    ) -> Option<Reply> {
        let weighed = transaction.weighed.as_ref()?;
        let leaving = judged.divided.shares.iter().filter(|share| matches!(share.fate, Fate::Deliver(_)));
        let recipients = leaving.flat_map(|share| &share.lane.envelope.recipients);
        let recipients: Vec<&Address> = recipients.map(|recipient| &recipient.address).collect();
        if recipients.is_empty() {
            return None;
        }
        let deps = &self.listener.intake.deps;
        let sender = answerable(transaction, judged.divided);
        let party = party(tenant, &sender, self.known_by_ip.then(|| self.peer.ip()));
        let size = u64::try_from(judged.whole.len()).unwrap_or(u64::MAX);
        match deps.outbound.pay_at_end(&party, weighed, (&recipients, size), deps.clock.now()) {
            Ok(paid) => {
                transaction.paid = Some(paid);
                None
            }
            Err(beyond) => Some(reply(&beyond)),
        }
    }

    /// What had to be changed and could not be is kept here after all.
    pub(super) fn give_back_unless_it_leaves(&self, transaction: &mut Transaction, parcels: &Parcels) {
        if !parcels.deliver.iter().any(|(parcel, _)| parcel.direction == Direction::Outbound) {
            self.give_back(transaction.paid.take());
        }
    }

    /// It was not taken after all, and the client comes again and pays then; or nothing of it leaves.
    pub(super) fn give_back(&self, paid: Option<Paid>) {
        if let Some(paid) = paid {
            self.listener.intake.deps.outbound.give_back(paid);
        }
    }
}

/// Not on a thread that serves connections. What breaks it is like nothing else.
async fn read_again(whole: Bytes) -> Specimen {
    let until = Instant::now() + TIME_TO_READ;
    let read = move || Specimen::parse(whole, &SpecimenLimits::default(), &|| Instant::now() >= until);
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// For the Explanation.
pub(super) fn explained(weighed: &Weighed) -> Option<Bulk> {
    (weighed.alike > 0 || weighed.found.reached > 0 || weighed.is_list).then(|| Bulk {
        alike: weighed.alike,
        reached: weighed.found.reached,
        senders: weighed.found.senders,
        list: weighed.is_list,
        allowance: weighed.allowance.map(|rate| (rate.count(), rate.per().as_secs())),
    })
}

fn party<'t>(tenant: &'t Tenant, sender: &ReversePath, ip: Option<IpAddr>) -> Party<'t> {
    Party::new(&tenant.id, (&tenant.rates, tenant.is_trial()), sender.address(), ip)
}

fn decision(found: Result<(), Beyond>) -> Decision {
    found.map_or_else(|beyond| Decision::Defer(reply(&beyond)), |()| Decision::Accept)
}

fn reply(beyond: &Beyond) -> Reply {
    let whose = match beyond.limit {
        Limit::Alike | Limit::AlikeContent => return replies::alike(beyond.rate, beyond.after),
        Limit::OutboundClient => Dimension::Client,
        Limit::OutboundDomain | Limit::OutboundTrial => Dimension::Domain,
        Limit::OutboundTenant => Dimension::Tenant,
        _ => Dimension::Sender,
    };
    replies::outbound_rate(whose, (beyond.measure, beyond.rate), beyond.after)
}

/// RFC 2369, RFC 2919, and what lists write beside.
fn is_list(specimen: &Specimen) -> bool {
    let precedence = specimen.field("Precedence").unwrap_or_default().trim();
    ["List-Id", "List-Unsubscribe", "List-Post"].iter().any(|name| specimen.field(name).is_some())
        || ["bulk", "list", "junk"].iter().any(|word| precedence.eq_ignore_ascii_case(word))
}

fn harm(content: Option<&Content>) -> Harm {
    let found = |wanted: &[Category]| {
        let groups = content.map(|content| content.groups.as_slice()).unwrap_or_default();
        groups.iter().flat_map(|group| &group.categories).any(|category| wanted.contains(category))
    };
    if found(&[Category::Malware]) {
        Harm::Malware
    } else if found(&[Category::Phishing, Category::Spam]) {
        Harm::Spam
    } else if found(&[Category::Suspected]) {
        Harm::Near
    } else {
        Harm::None
    }
}
