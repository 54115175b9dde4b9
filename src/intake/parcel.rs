//! The message as each share of its recipients gets it: what goes on, what is held here, what is thrown away, and who is told.
//!
//! **Failure**: a disk that can't take a changed large message is an error before anything was promised.
//! **Invariants**: fields whose names are ours ([`RESERVED_FIELDS`](crate::model::disposition::RESERVED_FIELDS)) and fields that
//! claim our authserv-id are passed on to nobody; a message that was changed is sealed. What is quarantined is kept as it came.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::connection::Connection;
use super::content::{Divided, Fate, Share};
use super::draft::Complete;
use super::judging::Judged;
use super::lanes::Lane;
use super::notice;
use super::seal::Finding;
use super::signing::Unsigned;
use crate::message::edit;
use crate::message::specimen::Specimen;
use crate::model::disposition::{Category, Edits};
use crate::model::receipt::Receipt;
use crate::model::{Direction, Reply, Timestamp};
use crate::policy::replies;
use crate::quarantine::{self, NewHeld, QuarantineError};
use crate::scan::{Changed, Checked, Edited, changed};
use crate::spool::{Draft, NewMessage, SpoolError};
use crate::telemetry::{Event, EventName};
use crate::tenant::Tenant;

/// From this size on changing a message takes milliseconds.
const LARGE: usize = 64 << 10;

/// A message for some recipients, ready for custody.
pub(super) struct Parcel {
    pub(super) lane: Lane,
    /// Ours, each with its CRLF: they go before the message.
    pub(super) fields: String,
    pub(super) body: Complete,
    pub(super) direction: Direction,
    /// Of the message's header, for whoever looks at what is held.
    pub(super) shown: Shown,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    subject: Box<str>,
    from: Box<str>,
}

/// Everything that is made of one message.
#[derive(Default)]
pub(super) struct Parcels {
    /// Outbound, each with its check.
    pub(super) deliver: Vec<(Parcel, Option<Checked>)>,
    pub(super) quarantine: Vec<(Parcel, Category)>,
    pub(super) discard: Vec<Lane>,
    pub(super) notices: Vec<NewMessage>,
    /// Recipients that the client didn't name: of copies and notices.
    pub(super) more: usize,
    /// For whoever looks at what is held, where all of it is one tenant's; of several each has its own.
    pub(super) explanation: Option<Box<str>>,
}

/// Why there are no parcels.
#[derive(Debug)]
pub(super) enum Unmade {
    Storage(SpoolError),
    Unsigned,
}

impl From<SpoolError> for Unmade {
    fn from(error: SpoolError) -> Self {
        Self::Storage(error)
    }
}

impl From<Unsigned> for Unmade {
    fn from(_: Unsigned) -> Self {
        Self::Unsigned
    }
}

/// The message with one set of changes.
struct Edition {
    checked: Option<Checked>,
    /// Our fields of the content.
    fields: String,
    /// `None`: as it came.
    octets: Option<Bytes>,
    /// A file that was to be taken out is still in it, or time was up: it may not be delivered.
    is_left_in: bool,
}

impl Connection {
    /// `complete`: what holds the octets that are `whole`.
    pub(super) async fn parcels(
        &self,
        divided: Divided,
        (whole, complete): (Bytes, Complete),
        judged: Option<&Judged>,
        now: Timestamp,
    ) -> Result<Parcels, Unmade> {
        let Divided { shares, specimen, .. } = divided;
        let shown =
            Shown { subject: specimen.subject().into(), from: specimen.field("From").unwrap_or_default().into() };
        let specimen = Arc::new(specimen);
        let (editions, of_shares) = self.editions(&shares, Arc::clone(&specimen), &whole, judged, now).await?;
        // A large message has one file; whoever gets it unchanged gets a link to it.
        let store = Store::new(whole, complete, self);
        let mut parcels = Parcels::default();
        for (Share { lane, fate, copies, category, .. }, edition) in shares.into_iter().zip(of_shares) {
            let edition = edition.and_then(|at| editions.get(at));
            let parcel = |lane, fields: &str, body, direction| Parcel {
                lane,
                fields: fields.to_owned(),
                body,
                direction,
                shown: shown.clone(),
            };
            let own = self.listener.config.direction;
            // What could not be changed as it must be stays here, and everybody is told so.
            let fate = match fate {
                Fate::Deliver(_) if edition.is_some_and(|edition| edition.is_left_in) => Fate::Quarantine(category),
                fate => fate,
            };
            if let Some(notice) = notice::of(self, &lane, (&fate, &copies.notify), &specimen, now) {
                parcels.more += notice.meta().envelope.recipients.len();
                parcels.notices.push(notice);
            }
            match fate {
                Fate::Discard => parcels.discard.push(lane),
                Fate::Quarantine(category) => {
                    let fields = judged.map(|judged| judged.results.as_str()).unwrap_or_default();
                    let body = store.as_it_came().await?;
                    parcels.quarantine.push((parcel(lane, fields, body, own), category));
                }
                Fate::Deliver(_) => {
                    let Some(edition) = edition else { return Err(SpoolError::Closed.into()) };
                    let copy = (!copies.bcc.is_empty())
                        .then(|| Lane { tenant: lane.tenant.clone(), envelope: lane.envelope.copied_to(&copies.bcc) });
                    // Before its copy: the client is told the first one's id.
                    let body = store.edition(edition.octets.as_ref()).await?;
                    parcels.deliver.push((parcel(lane, &edition.fields, body, own), edition.checked.clone()));
                    if let Some(lane) = copy {
                        parcels.more += copies.bcc.len();
                        let body = store.edition(edition.octets.as_ref()).await?;
                        // Their addresses are the tenant's own: they go the way of its inbound mail.
                        parcels.deliver.push((parcel(lane, &edition.fields, body, Direction::Inbound), None));
                    }
                }
            }
        }
        Ok(parcels)
    }

    /// One for each set of changes, and which of them each share gets. What differs in our fields alone is changed and sealed once.
    async fn editions(
        &self,
        shares: &[Share],
        specimen: Arc<Specimen>,
        whole: &Bytes,
        judged: Option<&Judged>,
        now: Timestamp,
    ) -> Result<(Vec<Edition>, Vec<Option<usize>>), Unsigned> {
        let deps = &self.listener.intake.deps;
        let mut all: Vec<Wanted<'_>> = Vec::new();
        let mut of_shares = Vec::with_capacity(shares.len());
        let mut plain: Vec<(Edits, Option<Checked>)> = Vec::new();
        for share in shares {
            let Fate::Deliver(edits) = &share.fate else {
                of_shares.push(None);
                continue;
            };
            let known = all.iter().position(|other| other.edits == edits && other.check == &share.checked);
            of_shares.push(Some(known.unwrap_or(all.len())));
            if known.is_some() {
                continue;
            }
            let asked = (edits.without_fields(), share.checked.clone());
            let made = plain.iter().position(|other| *other == asked).unwrap_or(plain.len());
            all.push(Wanted { edits, check: &share.checked, tenant: &share.lane.tenant, made });
            if made == plain.len() {
                plain.push(asked);
            }
        }
        let forged = judged.map(|judged| judged.forged.clone()).unwrap_or_default();
        let mut made = Vec::new();
        for made_of in make(specimen, whole.clone(), plain, forged, deps.scanner.time()).await {
            let changed = &made_of.changed;
            if changed.is_unstamped {
                let reason = "a stamp could not be put on the message; its subject has the tag";
                deps.log.log(&Event { reason: Some(reason), ..self.event(EventName::Judged) });
            }
            let mut fields = String::new();
            if let Some(judged) = judged {
                if let Some(octets) = &changed.octets {
                    let finding = Finding {
                        hostname: &self.config.hostname,
                        authserv_id: deps.judges.authenticator.authserv_id(),
                        results: &judged.results,
                        chain: judged.authentication.arc.result,
                        now,
                    };
                    fields = deps.sealer.seal(octets.clone(), finding).await;
                }
                fields.push_str(&judged.results);
            }
            made.push((made_of, fields));
        }
        let mut editions = Vec::with_capacity(all.len());
        for Wanted { edits, tenant, made: at, .. } in all {
            // Never missing; a share without an edition would be put off.
            let Some((made, fields)) = made.get(at) else { break };
            let mut fields = format!("{fields}{}", edit::fields(&edits.fields));
            if self.listener.config.direction == Direction::Outbound && !made.changed.is_left_in {
                // As it leaves, with our fields: only the trace fields come before it.
                let leaves = made.changed.octets.as_ref().unwrap_or(whole);
                let leaves =
                    if fields.is_empty() { leaves.clone() } else { [fields.as_bytes(), leaves].concat().into() };
                let signatures = self.signatures(tenant, leaves, now).await?;
                fields.insert_str(0, &signatures);
            }
            editions.push(Edition {
                checked: made.checked.clone(),
                fields,
                octets: made.changed.octets.clone(),
                is_left_in: made.changed.is_left_in,
            });
        }
        Ok((editions, of_shares))
    }

    /// Makes a parcel durable in the quarantine.
    pub(super) async fn hold(
        &self,
        parcel: Parcel,
        category: Category,
        explanation: Option<Box<str>>,
    ) -> Result<Receipt, Reply> {
        let Parcel { lane, fields, body, direction, shown } = parcel;
        let (id, origin) = (self.new_id(), self.origin(&lane));
        let head = self.head(&lane, &origin, (id, &fields));
        let origin = self.blameless(origin, direction);
        let body = match body {
            Complete::Memory(rest) => quarantine::Body::Memory { head, rest },
            Complete::File(draft) => match draft.reader() {
                Ok(file) => quarantine::Body::File { head, file, length: draft.len() },
                Err(_) => return Err(replies::STORAGE_TROUBLE),
            },
        };
        let size = body.len();
        let new = NewHeld {
            id,
            tenant: lane.tenant.id.clone(),
            direction,
            origin,
            envelope: lane.envelope,
            class: category.class(),
            reason: category.name().into(),
            explanation,
            subject: Some(shown.subject),
            from: Some(shown.from),
        };
        let (sender, recipients) = (new.envelope.sender.clone(), new.envelope.recipients.len());
        let deps = &self.listener.intake.deps;
        let receipt = deps.quarantine.hold(new, body).await.map_err(|error| {
            tracing::error!(%error, "a message could not be quarantined");
            match error {
                QuarantineError::Full(_) => replies::STORAGE_LOW,
                _ => replies::STORAGE_TROUBLE,
            }
        })?;
        deps.log.log(&Event {
            message: Some(id),
            tenant: Some(&lane.tenant.id),
            helo: Some(self.helo()),
            sender: Some(&sender),
            recipients: u32::try_from(recipients).ok(),
            size: Some(size),
            reason: Some(category.name()),
            ..self.event(EventName::Quarantined)
        });
        Ok(receipt)
    }
}

/// A set of changes that somebody gets.
struct Wanted<'a> {
    edits: &'a Edits,
    check: &'a Option<Checked>,
    tenant: &'a Tenant,
    /// Which of those that are made, our own fields aside.
    made: usize,
}

/// A set of changes that was made, our own fields aside: those go before the message.
struct Made {
    checked: Option<Checked>,
    changed: Changed,
}

/// Makes all changes; a large message's not on a thread that serves connections, and no longer than `time`.
async fn make(
    specimen: Arc<Specimen>,
    whole: Bytes,
    wanted: Vec<(Edits, Option<Checked>)>,
    forged: Vec<Range<usize>>,
    time: Duration,
) -> Vec<Made> {
    let (size, count) = (whole.len(), wanted.len());
    let work = move || wanted.into_iter().map(|wanted| make_one(&specimen, &whole, wanted, &forged)).collect();
    if size < LARGE {
        return work();
    }
    match tokio::time::timeout(time, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(made)) => made,
        // Nobody knows what would have come of it: it is kept as it came.
        _ => std::iter::repeat_with(Made::left_in).take(count).collect(),
    }
}

impl Made {
    fn left_in() -> Self {
        Self { checked: None, changed: Changed::left_in() }
    }
}

fn make_one(
    specimen: &Specimen,
    whole: &Bytes,
    (edits, check): (Edits, Option<Checked>),
    forged: &[Range<usize>],
) -> Made {
    match &check {
        // Under its check, or it is kept here.
        Some(under) => match under.edited(specimen, whole, &edits, forged) {
            Some(Edited { checked, changed }) => Made { checked: Some(checked), changed },
            None => Made::left_in(),
        },
        None => Made { changed: changed(specimen, whole, &edits, forged), checked: None },
    }
}

/// Where the octets of parcels come from.
struct Store<'c> {
    connection: &'c Connection,
    whole: Bytes,
    /// Of a large message.
    file: Option<Arc<Draft>>,
}

impl<'c> Store<'c> {
    fn new(whole: Bytes, complete: Complete, connection: &'c Connection) -> Self {
        let file = match complete {
            Complete::Memory(_) => None,
            Complete::File(draft) => Some(Arc::new(draft)),
        };
        Self { connection, whole, file }
    }

    /// The directory may make us wait for a link, so no worker does.
    async fn as_it_came(&self) -> Result<Complete, SpoolError> {
        let Some(draft) = &self.file else { return Ok(Complete::Memory(self.whole.clone())) };
        let draft = Arc::clone(draft);
        let linked = tokio::task::spawn_blocking(move || draft.share()).await;
        linked.unwrap_or(Err(SpoolError::Closed)).map(Complete::File)
    }

    async fn edition(&self, octets: Option<&Bytes>) -> Result<Complete, SpoolError> {
        match (octets, &self.file) {
            (None, _) => self.as_it_came().await,
            (Some(octets), None) => Ok(Complete::Memory(octets.clone())),
            (Some(octets), Some(_)) => {
                let mut draft = self.connection.listener.intake.deps.spool.draft()?;
                let octets = octets.clone();
                let written = tokio::task::spawn_blocking(move || draft.append(&octets).map(|()| draft));
                written.await.unwrap_or(Err(SpoolError::Closed)).map(Complete::File)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::specimen::Limits;
    use crate::model::disposition::Strip;

    fn specimen(whole: &Bytes) -> Arc<Specimen> {
        Arc::new(Specimen::parse(whole.clone(), &Limits::default(), &|| false))
    }

    #[tokio::test]
    async fn forged_fields_go_together_with_the_changes() {
        let whole = Bytes::from_static(b"A-R: forged\r\nFrom: a@b.example\r\nSubject: s\r\n\r\nx\r\n");
        let edits = Edits { tag: Some("[T]".into()), ..Edits::default() };
        let forged = std::iter::once(0..13).collect();
        let made = make(specimen(&whole), whole, vec![(edits, None)], forged, Duration::from_secs(9)).await;
        assert_eq!(made[0].changed.octets.as_deref(), Some(&b"From: a@b.example\r\nSubject: [T] s\r\n\r\nx\r\n"[..]));
    }

    #[tokio::test]
    async fn what_could_not_be_changed_in_time_stays_here() {
        let whole = Bytes::from(format!("From: a@b.example\r\n\r\n{}", "x y\r\n".repeat(200_000)));
        let edits = Edits { stamp: Some("note".into()), ..Edits::default() };
        let made = make(specimen(&whole), whole.clone(), vec![(edits.clone(), None)], Vec::new(), Duration::ZERO).await;
        assert!(made[0].changed.is_left_in && made[0].changed.octets.is_none());
        let made = make(specimen(&whole), whole, vec![(edits, None)], Vec::new(), Duration::from_secs(60)).await;
        assert!(!made[0].changed.is_left_in && made[0].changed.octets.is_some());
    }

    #[tokio::test]
    async fn as_many_are_left_in_as_were_wanted() {
        let whole = Bytes::from(format!("From: a@b.example\r\n\r\n{}", "x y\r\n".repeat(200_000)));
        let wanted = ["one", "two"].map(|stamp| (Edits { stamp: Some(stamp.into()), ..Edits::default() }, None));
        let made = make(specimen(&whole), whole, wanted.to_vec(), Vec::new(), Duration::ZERO).await;
        assert_eq!(made.iter().map(|made| made.changed.is_left_in).collect::<Vec<_>>(), [true, true]);
    }

    #[tokio::test]
    async fn another_message_is_never_made_of_one() {
        let (whole, other) = (Bytes::from_static(b"A: b\r\n\r\n"), Bytes::from_static(b"A: c\r\n\r\n"));
        let edits = Edits { strip: Strip::Files, ..Edits::default() };
        assert!(
            make(specimen(&other), whole, vec![(edits, None)], Vec::new(), Duration::ZERO).await[0].changed.is_left_in
        );
    }
}
