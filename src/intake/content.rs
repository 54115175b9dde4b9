//! End of data: the content is scanned once, judged for each recipient, and the message divided by what becomes of it.
//!
//! **Failure**: a scan that can't be done is 451 for everybody; the same message that can't be scanned again and again is
//! quarantined (`policy::content`). **Invariants**: no message of either direction goes on to custody without having been here:
//! [`Divided`] is made by [`Connection::divide`] alone. Every recipient of the transaction is in exactly one of its parts.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::connection::Connection;
use super::judging::{self, Told};
use super::lanes::Lane;
use super::stages::Transaction;
use crate::message::specimen::Specimen;
use crate::model::disposition::{Category, Copies, Disposition, Edits};
use crate::model::explanation::content::Content;
use crate::model::finding::Verdict;
use crate::model::{Address, Direction, Domain, Person, Reply, TenantId, Timestamp};
use crate::policy::content::{Author, Decider, Facts, Ruling, Signed, Together, dispose, same_edits, together};
use crate::policy::explain::content_group;
use crate::scan::{Checked, Request, Scanned, Terms, unscanned};
use crate::telemetry::metrics::{Judged, ScanTrouble};
use crate::tenant::{ContentPolicy, Snapshot, Tenant};

/// Recipients of one lane whose mail is treated alike.
pub(super) struct Share {
    pub(super) lane: Lane,
    pub(super) fate: Fate,
    pub(super) copies: Copies,
    /// What the message counts as, first of all.
    pub(super) category: Category,
    /// Outbound mail that is delivered has it.
    pub(super) checked: Option<Checked>,
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
    /// Who is told of malware that names no sender, if the message is taken.
    pub(super) alarmed: Option<TenantId>,
}

/// What the content was found to be and what becomes of it, for the records.
#[derive(Debug, Default)]
pub(super) struct Explained {
    pub(super) whole: Option<Box<Content>>,
    /// The recipients were of several tenants, all of which have a record.
    pub(super) is_of_several: bool,
    /// Each tenant's own part, where there were several.
    pub(super) parts: Vec<(TenantId, Content)>,
}

/// What came of judging the content.
pub(super) enum Outcome {
    Divided(Box<Divided>),
    Refused(Reply),
}

impl Connection {
    /// Scans and judges. `judged`: what is known of the sender, inbound. What was found goes into `told`.
    pub(super) async fn divide(
        &self,
        transaction: &Transaction,
        lanes: Vec<Lane>,
        (octets, judged): (&Bytes, Option<&judging::Judged>),
        told: &mut Explained,
    ) -> Outcome {
        let intake = &self.listener.intake;
        let direction = transaction.direction(self.listener.config.direction);
        let fingerprint = fingerprint(transaction, &lanes, octets);
        // Too much was going on: that says nothing about the message, however often it happens.
        let mut counts = true;
        let request = self.request(transaction, &lanes, (octets, judged), fingerprint);
        let scanned = match intake.deps.scanner.scan(request).await {
            Ok(scanned) => Some(scanned),
            Err(error) => {
                tracing::error!(%error, "a message was not scanned");
                counts = !error.is_for_want_of_a_place();
                None
            }
        };
        let author = author(judged);
        let verdict = scanned.as_ref().map(Scanned::verdict);
        let is_signed = scanned.as_ref().is_some_and(|scanned| scanned.specimen().is_signed());
        let signed = if is_signed { Signed::Yes } else { Signed::No };
        let put_off = intake.put_off.get(&fingerprint).unwrap_or_default();
        let tries = put_off.tries;
        let nothing = Told::default();
        let mut rulings: Vec<Ruling> = Vec::new();
        let mut checks: Vec<Option<Checked>> = Vec::new();
        let mut alarmed = None;
        for lane in &lanes {
            // Asked at most once for a message, which counts.
            let mut answers = None;
            for recipient in &lane.envelope.recipients {
                let policy = policy(&transaction.snapshot, &lane.tenant, transaction, &recipient.address, direction);
                if direction == Direction::Outbound {
                    let (mut ruling, checked) = self.check(scanned.as_ref(), (policy, tries));
                    let is_malware = ruling.disposition == Disposition::Quarantine { category: Category::Malware };
                    if is_malware && ruling.copies.notify.is_empty() {
                        let answers = answers.get_or_insert_with(|| self.who_answers(transaction, &lane.tenant));
                        if transaction.sender.address().is_none() && !answers.is_empty() {
                            alarmed = Some(lane.tenant.id.clone());
                        }
                        ruling.copies.notify.clone_from(answers);
                    }
                    rulings.push(ruling);
                    checks.push(checked);
                    continue;
                }
                let known = judged.and_then(|judged| judged.told.get(&recipient.address)).unwrap_or(&nothing);
                checks.push(None);
                rulings.push(dispose(&Facts {
                    direction,
                    verdict,
                    policy,
                    skips: known.skips,
                    author,
                    marks: &known.marks,
                    mandatory: intake.deps.scanner.mandatory(direction),
                    tries,
                    signed,
                    spam: self.config.outbound_spam,
                }));
            }
        }
        let answer = together(&mut rulings);
        self.count(&rulings, direction);
        told.whole = Some(Box::new(explained(direction, (&lanes, &rulings), verdict)));
        if told.is_of_several {
            let mut rest = rulings.as_slice();
            for lane in &lanes {
                let own = rest.split_off(..lane.envelope.recipients.len()).unwrap_or_default();
                let part = explained(direction, (std::slice::from_ref(lane), own), verdict);
                told.parts.push((lane.tenant.id.clone(), part));
            }
        }
        match answer {
            Together::Defer(reply) => {
                if let Some(more) = put_off.again(intake.deps.clock.now()).filter(|_| counts) {
                    intake.put_off.insert(fingerprint, more);
                }
                Outcome::Refused(reply)
            }
            Together::Reject(reply) => Outcome::Refused(reply),
            Together::Settle => {
                let shares = shares(lanes, rulings.iter().zip(&checks));
                let specimen = scanned.map(|scanned| scanned.into_parts().1).unwrap_or_default();
                Outcome::Divided(Box::new(Divided { shares, specimen, alarmed }))
            }
        }
    }

    /// Outbound mail.
    fn check(&self, scanned: Option<&Scanned>, (policy, tries): (&ContentPolicy, u32)) -> (Ruling, Option<Checked>) {
        let terms = Terms { policy, tries, spam: self.config.outbound_spam };
        match scanned {
            Some(scanned) => scanned.check(&terms),
            None => (unscanned(&terms), None),
        }
    }

    /// Malware is told to somebody of the tenant's whether or not its policy names anybody: the postmaster of the sender's domain; of
    /// mail without a sender the administrators, or the postmaster of the first domain, and not for each of a flood.
    fn who_answers(&self, transaction: &Transaction, tenant: &Tenant) -> Vec<Address> {
        let postmaster = |domain: &Domain| Address::parse(&format!("postmaster@{domain}")).ok();
        let sender = transaction.leaves_as.as_ref().unwrap_or(&transaction.sender);
        if let Some(sender) = sender.address() {
            return postmaster(sender.domain()).into_iter().collect();
        }
        let intake = &self.listener.intake;
        let now = intake.deps.clock.now();
        let told = intake.told.get(&tenant.id).filter(|told| *told <= now && now.since(*told) < BETWEEN_NOTICES);
        if told.is_some() {
            return Vec::new();
        }
        if tenant.administrators.is_empty() {
            return tenant.domains.first().and_then(|first| postmaster(&first.name)).into_iter().collect();
        }
        tenant.administrators.to_vec()
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
        let is_relayed = self.is_relay();
        Request {
            octets: octets.clone(),
            number: u128::from(fingerprint),
            direction: transaction.direction(self.listener.config.direction),
            tenant,
            client: self.sender_ip(),
            // A relay greets as itself.
            helo: if is_relayed { Box::default() } else { self.helo().into() },
            sender: transaction.sender.clone(),
            recipients: recipients.map(|recipient| recipient.address.clone()).collect(),
            own_domains,
            protected: people(lanes),
            authentication: judged.map(|judged| judged.authentication.clone()),
            is_relayed,
            first_contact: self.is_first_contact(transaction, lanes, judged),
        }
    }

    fn count(&self, rulings: &[Ruling], direction: Direction) {
        let metrics = &self.listener.intake.deps.metrics.scan;
        for ruling in rulings {
            let (fate, category) = ((&ruling.disposition).into(), ruling.categories.first().copied());
            metrics.judged.inc(Judged { direction, fate, category });
        }
        if rulings.iter().any(|ruling| matches!(ruling.decided_by, Decider::Unavailable { .. })) {
            metrics.troubles.inc(ScanTrouble::Detector);
        }
    }
}

/// The rulings, alike ones together, with their sentences.
fn explained(direction: Direction, (lanes, rulings): (&[Lane], &[Ruling]), verdict: Option<&Verdict>) -> Content {
    let mut groups: Vec<(Vec<Address>, &Ruling)> = Vec::new();
    let recipients = lanes.iter().flat_map(|lane| &lane.envelope.recipients);
    for (recipient, ruling) in recipients.zip(rulings) {
        match groups.iter_mut().find(|(_, other)| *other == ruling) {
            Some((addresses, _)) => addresses.push(recipient.address.clone()),
            None => groups.push((vec![recipient.address.clone()], ruling)),
        }
    }
    let mut content = Content::new(verdict).without_texts();
    for (addresses, ruling) in groups {
        content.judge(content_group(direction, addresses, ruling, verdict));
    }
    content
}

/// Of one tenant: of several, one's people are nothing to the other, and there is one verdict.
fn people(lanes: &[Lane]) -> Arc<[Person]> {
    if let [lane] = lanes { Arc::clone(&lane.tenant.people) } else { Arc::default() }
}

/// Between two notices to a tenant about malware that named no sender; each message is in its quarantine.
const BETWEEN_NOTICES: Duration = Duration::from_mins(10);
/// Most domains of the recipients' tenants that detectors are told of.
const MAX_OWN: usize = 1_000;

/// Whether the author is who the header says. Outbound nobody asks.
fn author(judged: Option<&judging::Judged>) -> Author {
    let proven = judged.is_some_and(|judged| judged.authentication.proves_author());
    if proven { Author::Authenticated } else { Author::Unproven }
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

/// How often a message was put off because it could not be scanned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PutOff {
    tries: u32,
    /// When it was counted last.
    counted: Option<Timestamp>,
}

/// A client that comes again at once tells us nothing new: our trouble may not be over yet.
const BETWEEN_TRIES: Duration = Duration::from_mins(10);

impl PutOff {
    /// `None`: it was counted just now.
    fn again(self, now: Timestamp) -> Option<Self> {
        // A clock that was put back counts.
        let is_soon = |last: Timestamp| last <= now && now.since(last) < BETWEEN_TRIES;
        let is_due = !self.counted.is_some_and(is_soon);
        is_due.then(|| Self { tries: self.tries.saturating_add(1), counted: Some(now) })
    }
}

/// The same for the same message to the same recipients when it comes again: by it we know that it was put off before. Who makes two
/// alike gains nothing: both must be put off to begin with.
fn fingerprint(transaction: &Transaction, lanes: &[Lane], octets: &Bytes) -> u64 {
    let recipients = lanes.iter().flat_map(|lane| &lane.envelope.recipients);
    fingerprint_of(transaction.sender.address(), recipients.map(|recipient| &recipient.address), octets)
}

fn fingerprint_of<'a>(sender: Option<&Address>, to: impl Iterator<Item = &'a Address>, octets: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    sender.hash(&mut hasher);
    let mut recipients: Vec<&Address> = to.collect();
    recipients.sort_unstable();
    recipients.hash(&mut hasher);
    (octets.len(), crc32c::crc32c(octets)).hash(&mut hasher);
    hasher.finish()
}

/// Each lane, parted into recipients that are treated alike. The rulings, with their checks, are those of the recipients in order.
fn shares<'r>(lanes: Vec<Lane>, mut rulings: impl Iterator<Item = (&'r Ruling, &'r Option<Checked>)>) -> Vec<Share> {
    let mut shares = Vec::new();
    for Lane { tenant, envelope } in lanes {
        let mut parts: Vec<((&Ruling, &Option<Checked>), Vec<_>)> = Vec::new();
        for (recipient, (ruling, checked)) in envelope.recipients.iter().zip(rulings.by_ref()) {
            let same = |other: &&mut ((&Ruling, &Option<Checked>), Vec<_>)| {
                same_edits(other.0.0, ruling) && other.0.1 == checked
            };
            match parts.iter_mut().find(same) {
                Some((_, recipients)) => recipients.push(recipient.clone()),
                None => parts.push(((ruling, checked), vec![recipient.clone()])),
            }
        }
        for ((ruling, checked), recipients) in parts {
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
            shares.push(Share { lane, fate, copies: ruling.copies.clone(), category, checked: checked.clone() });
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_try_is_counted_in_ten_minutes() {
        let begun = Timestamp(1_795_176_451_250);
        let once = PutOff::default().again(begun).unwrap();
        assert_eq!(once.tries, 1);
        assert_eq!(once.again(begun.plus(Duration::from_secs(599))), None);
        let twice = once.again(begun.plus(BETWEEN_TRIES)).unwrap();
        assert_eq!((twice.tries, twice.again(begun).map(|more| more.tries)), (2, Some(3)), "the clock was put back");
    }

    #[test]
    fn a_message_to_others_is_another_one() {
        let to = |text: &str| Address::parse(text).unwrap();
        let (a, b) = (to("a@acme.example"), to("b@acme.example"));
        let octets = Bytes::from_static(b"x");
        let of = |recipients: &[&Address]| fingerprint_of(Some(&a), recipients.iter().copied(), &octets);
        assert_eq!(of(&[&a, &b]), of(&[&b, &a]));
        assert_ne!(of(&[&a, &b]), of(&[&a]));
    }
}
