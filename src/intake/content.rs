//! End of data: the content is scanned once, judged for each recipient, and the message divided by what becomes of it.
//!
//! **Failure**: a scan that can't be done is 451 for everybody; the same message that can't be scanned again and again is
//! quarantined (`policy::content`). **Invariants**: no message of either direction goes on to custody without having been here:
//! [`Divided`] is made by [`Connection::divide`] alone. Every recipient of the transaction is in exactly one of its parts.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;

use super::connection::Connection;
use super::judging::{self, Told};
use super::lanes::Lane;
use super::stages::Transaction;
use crate::message::specimen::Specimen;
use crate::model::disposition::{Category, Copies, Disposition, Edits};
use crate::model::explanation::content::Content;
use crate::model::finding::Verdict;
use crate::model::{Address, Direction, Domain, Reply};
use crate::policy::content::{Author, Decider, Facts, Ruling, Signed, Together, dispose, same_edits, together};
use crate::policy::explain::content_group;
use crate::scan::{Request, Scanned};
use crate::telemetry::metrics::{Judged, ScanTrouble};
use crate::tenant::{ContentPolicy, Snapshot, Tenant};

/// Recipients of one lane whose mail is treated alike.
pub(super) struct Share {
    pub(super) lane: Lane,
    pub(super) fate: Fate,
    pub(super) copies: Copies,
    /// What the message counts as, first of all.
    pub(super) category: Category,
}

/// What becomes of a share; refusals are not here, they are for the whole transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Deliver(Edits),
    Quarantine(Category),
    Discard,
}

/// A message, divided.
pub(super) struct Divided {
    pub(super) shares: Vec<Share>,
    /// For whoever edits.
    pub(super) specimen: Specimen,
    /// `None`: nothing was scanned, and everything is kept here.
    pub(super) verdict: Option<Verdict>,
}

/// What came of judging the content.
pub(super) enum Outcome {
    Divided(Divided),
    Refused(Reply),
}

impl Connection {
    /// Scans and judges. `judged`: what is known of the sender, inbound. What was found goes into `told`.
    pub(super) async fn divide(
        &self,
        transaction: &Transaction,
        lanes: Vec<Lane>,
        (octets, judged): (&Bytes, Option<&judging::Judged>),
        told: &mut Option<Box<Content>>,
    ) -> Outcome {
        let intake = &self.listener.intake;
        let direction = self.listener.config.direction;
        let fingerprint = fingerprint(transaction, octets);
        let request = self.request(transaction, &lanes, (octets, judged), fingerprint);
        let (verdict, specimen) = match intake.deps.scanner.scan(request).await {
            Ok(Scanned { verdict, specimen }) => (Some(verdict), specimen),
            Err(error) => {
                tracing::error!(%error, "a message was not scanned");
                (None, Specimen::default())
            }
        };
        let author = author(judged, direction);
        let signed = if specimen.is_signed() { Signed::Yes } else { Signed::No };
        let tries = intake.put_off.get(&fingerprint).unwrap_or(0);
        let nothing = Told::default();
        let mut rulings: Vec<Ruling> = Vec::new();
        for lane in &lanes {
            for recipient in &lane.envelope.recipients {
                let direction = transaction.direction_of(&recipient.address, direction);
                let known = judged.and_then(|judged| judged.told.get(&recipient.address)).unwrap_or(&nothing);
                rulings.push(dispose(&Facts {
                    direction,
                    verdict: verdict.as_ref(),
                    policy: policy(&transaction.snapshot, &lane.tenant, transaction, &recipient.address, direction),
                    skips: known.skips,
                    author,
                    marks: &known.marks,
                    mandatory: intake.deps.scanner.mandatory(),
                    tries,
                    signed,
                }));
            }
        }
        let answer = together(&mut rulings);
        self.count(&rulings);
        *told = Some(Box::new(self.explained(&lanes, &rulings, verdict.as_ref())));
        match answer {
            Together::Defer(reply) => {
                intake.put_off.insert(fingerprint, tries.saturating_add(1));
                Outcome::Refused(reply)
            }
            Together::Reject(reply) => Outcome::Refused(reply),
            Together::Settle => Outcome::Divided(Divided { shares: shares(lanes, &rulings), specimen, verdict }),
        }
    }

    fn request(
        &self,
        transaction: &Transaction,
        lanes: &[Lane],
        (octets, judged): (&Bytes, Option<&judging::Judged>),
        fingerprint: u64,
    ) -> Request {
        let tenant = if let [lane] = lanes { Some(lane.tenant.id.clone()) } else { None };
        let own_domains: Vec<Domain> = lanes
            .iter()
            .flat_map(|lane| lane.tenant.domains.iter().map(|own| own.name.clone()))
            .take(MAX_OWN)
            .collect();
        let recipients = lanes.iter().flat_map(|lane| lane.envelope.recipients.iter());
        Request {
            octets: octets.clone(),
            number: u128::from(fingerprint),
            direction: self.listener.config.direction,
            tenant,
            client: Some(self.peer.ip()),
            helo: self.helo().into(),
            sender: transaction.sender.clone(),
            recipients: recipients.map(|recipient| recipient.address.clone()).collect(),
            own_domains,
            authentication: judged.map(|judged| judged.authentication.clone()),
        }
    }

    /// The rulings, alike ones together, with their sentences.
    fn explained(&self, lanes: &[Lane], rulings: &[Ruling], verdict: Option<&Verdict>) -> Content {
        let mut groups: Vec<(Vec<Address>, &Ruling)> = Vec::new();
        let recipients = lanes.iter().flat_map(|lane| &lane.envelope.recipients);
        for (recipient, ruling) in recipients.zip(rulings) {
            match groups.iter_mut().find(|(_, other)| *other == ruling) {
                Some((addresses, _)) => addresses.push(recipient.address.clone()),
                None => groups.push((vec![recipient.address.clone()], ruling)),
            }
        }
        let mut content = Content::new(verdict);
        for (addresses, ruling) in groups {
            content.judge(content_group(self.listener.config.direction, addresses, ruling, verdict));
        }
        content
    }

    fn count(&self, rulings: &[Ruling]) {
        let metrics = &self.listener.intake.deps.metrics.scan;
        for ruling in rulings {
            let direction = self.listener.config.direction;
            let (fate, category) = ((&ruling.disposition).into(), ruling.categories.first().copied());
            metrics.judged.inc(Judged { direction, fate, category });
        }
        if rulings.iter().any(|ruling| matches!(ruling.decided_by, Decider::Unavailable { .. })) {
            metrics.troubles.inc(ScanTrouble::Detector);
        }
    }
}

/// Most domains of the recipients' tenants that detectors are told of.
const MAX_OWN: usize = 1_000;

fn author(judged: Option<&judging::Judged>, direction: Direction) -> Author {
    let proven = judged.is_some_and(|judged| {
        let found = &judged.authentication;
        found.from.as_ref().is_some_and(|from| found.authenticates(from))
    });
    // An outbound client has shown who it is before it said MAIL.
    if proven || direction == Direction::Outbound { Author::Authenticated } else { Author::Unproven }
}

/// Inbound, of the recipient's domain; outbound, of the sender's.
fn policy<'a>(
    snapshot: &'a Snapshot,
    tenant: &'a Tenant,
    transaction: &Transaction,
    recipient: &Address,
    direction: Direction,
) -> &'a ContentPolicy {
    let domain = match direction {
        Direction::Inbound => snapshot.domain(recipient.domain().as_str()).map(|found| found.domain),
        Direction::Outbound => transaction.sender.address().and_then(|sender| tenant.domain(sender.domain())),
    };
    domain.map_or_else(|| tenant.content_policy(direction), |domain| domain.content_policy(direction))
}

/// The same for the same message when it comes again: by it we know that it was put off before. Who makes two alike gains
/// nothing: both must be put off to begin with.
fn fingerprint(transaction: &Transaction, octets: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    transaction.sender.address().map(ToString::to_string).hash(&mut hasher);
    (octets.len(), crc32c::crc32c(octets)).hash(&mut hasher);
    hasher.finish()
}

/// Each lane, parted into recipients that are treated alike. The rulings are those of the recipients in order.
fn shares(lanes: Vec<Lane>, rulings: &[Ruling]) -> Vec<Share> {
    let mut shares = Vec::new();
    let mut rulings = rulings.iter();
    for Lane { tenant, envelope } in lanes {
        let mut parts: Vec<(&Ruling, Vec<_>)> = Vec::new();
        for (recipient, ruling) in envelope.recipients.iter().zip(rulings.by_ref()) {
            match parts.iter_mut().find(|(other, _)| same_edits(other, ruling)) {
                Some((_, recipients)) => recipients.push(recipient.clone()),
                None => parts.push((ruling, vec![recipient.clone()])),
            }
        }
        for (ruling, recipients) in parts {
            let fate = match &ruling.disposition {
                Disposition::Deliver(edits) => Fate::Deliver(edits.clone()),
                Disposition::Discard => Fate::Discard,
                Disposition::Quarantine { category } => Fate::Quarantine(*category),
                // Nothing else is left of a transaction that is settled; whatever it is, it is kept.
                Disposition::Hold { .. } | Disposition::Reject(_) | Disposition::Defer(_) => {
                    Fate::Quarantine(Category::Unscannable)
                }
            };
            let lane = Lane { tenant: tenant.clone(), envelope: envelope.with_recipients(recipients) };
            let category = ruling.categories.first().copied().unwrap_or(Category::Unscannable);
            shares.push(Share { lane, fate, copies: ruling.copies.clone(), category });
        }
    }
    shares
}
