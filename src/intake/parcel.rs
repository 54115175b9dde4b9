//! The message as each share of its recipients gets it: what goes on, what is held here, what is thrown away, and who is told.
//!
//! **Failure**: a disk that can't take a changed large message is an error before anything was promised.
//! **Invariants**: fields whose names are ours ([`RESERVED_FIELDS`](crate::model::disposition::RESERVED_FIELDS)) and fields that
//! claim our authserv-id are passed on to nobody; a message that was changed is sealed. What is quarantined is kept as it came.

use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::content::{Divided, Fate, Share};
use super::draft::Complete;
use super::judging::Judged;
use super::lanes::Lane;
use super::notice;
use super::seal::Finding;
use crate::message::edit;
use crate::message::specimen::Specimen;
use crate::model::disposition::{Category, Edits};
use crate::model::receipt::Receipt;
use crate::model::{Direction, Recipient, Reply, Timestamp};
use crate::policy::replies;
use crate::quarantine::{self, NewHeld, QuarantineError};
use crate::scan::{Changed, Checked, Edited, changed};
use crate::spool::{Draft, NewMessage, SpoolError};

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
}

/// The message with one set of changes.
struct Edition {
    edits: Edits,
    /// Of the message as it came.
    check: Option<Checked>,
    /// Of this one.
    checked: Option<Checked>,
    /// Our fields of the content.
    fields: String,
    /// `None`: as it came.
    octets: Option<Bytes>,
    /// A file that was to be taken out is still in it: it may not be delivered.
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
    ) -> Result<Parcels, SpoolError> {
        let Divided { shares, specimen, .. } = divided;
        let shown =
            Shown { subject: specimen.subject().into(), from: specimen.field("From").unwrap_or_default().into() };
        let editions = self.editions(&shares, &specimen, &whole, judged, now).await;
        // A large message has one file; whoever gets it unchanged gets a link to it.
        let store = Store::new(whole, complete, self);
        let mut parcels = Parcels::default();
        for Share { lane, fate, copies, category, checked } in shares {
            let parcel = |lane, fields: &str, body, direction| Parcel {
                lane,
                fields: fields.to_owned(),
                body,
                direction,
                shown: shown.clone(),
            };
            let own = self.listener.config.direction;
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
                Fate::Deliver(edits) => {
                    let Some(edition) =
                        editions.iter().find(|edition| edition.edits == edits && edition.check == checked)
                    else {
                        return Err(SpoolError::Closed);
                    };
                    if edition.is_left_in {
                        let fields = judged.map(|judged| judged.results.as_str()).unwrap_or_default();
                        let body = store.as_it_came().await?;
                        parcels.quarantine.push((parcel(lane, fields, body, own), category));
                        continue;
                    }
                    if !copies.bcc.is_empty() {
                        parcels.more += copies.bcc.len();
                        let recipients = copies.bcc.iter().cloned().map(Recipient::new).collect();
                        let lane =
                            Lane { tenant: lane.tenant.clone(), envelope: lane.envelope.with_recipients(recipients) };
                        let body = store.edition(edition.octets.as_ref()).await?;
                        // Their addresses are the tenant's own: they go the way of its inbound mail.
                        parcels.deliver.push((parcel(lane, &edition.fields, body, Direction::Inbound), None));
                    }
                    let body = store.edition(edition.octets.as_ref()).await?;
                    parcels.deliver.push((parcel(lane, &edition.fields, body, own), edition.checked.clone()));
                }
            }
        }
        Ok(parcels)
    }

    /// One for each set of changes.
    async fn editions(
        &self,
        shares: &[Share],
        specimen: &Specimen,
        whole: &Bytes,
        judged: Option<&Judged>,
        now: Timestamp,
    ) -> Vec<Edition> {
        let mut editions: Vec<Edition> = Vec::new();
        for share in shares {
            let Fate::Deliver(edits) = &share.fate else { continue };
            if editions.iter().any(|edition| edition.edits == *edits && edition.check == share.checked) {
                continue;
            }
            let forged = judged.map(|judged| judged.forged.as_slice()).unwrap_or_default();
            let (changed, checked) = match &share.checked {
                // Under its check, or it is kept here.
                Some(check) => match check.edited(specimen, whole, edits, forged) {
                    Some(Edited { checked, changed }) => (changed, Some(checked)),
                    None => (Changed { octets: None, is_left_in: true }, None),
                },
                None => (changed(specimen, whole, edits, forged), None),
            };
            let Changed { octets, is_left_in } = changed;
            let mut fields = String::new();
            if let Some(judged) = judged {
                if let Some(octets) = &octets {
                    let finding = Finding {
                        hostname: &self.config.hostname,
                        authserv_id: self.listener.intake.deps.judges.authenticator.authserv_id(),
                        results: &judged.results,
                        chain: judged.authentication.arc.result,
                        now,
                    };
                    fields = self.listener.intake.deps.sealer.seal(octets.clone(), finding).await;
                }
                fields.push_str(&judged.results);
            }
            fields.push_str(&edit::fields(&edits.fields));
            let (edits, check) = (edits.clone(), share.checked.clone());
            editions.push(Edition { edits, check, checked, fields, octets, is_left_in });
        }
        editions
    }

    /// Makes a parcel durable in the quarantine.
    pub(super) async fn hold(&self, parcel: Parcel, category: Category) -> Result<Receipt, Reply> {
        let Parcel { lane, fields, body, direction, shown } = parcel;
        let (id, origin) = (self.new_id(), self.origin(&lane));
        let head = self.head(&lane, &origin, (id, &fields));
        let body = match body {
            Complete::Memory(rest) => quarantine::Body::Memory { head, rest },
            Complete::File(draft) => match draft.reader() {
                Ok(file) => quarantine::Body::File { head, file, length: draft.len() },
                Err(_) => return Err(replies::STORAGE_TROUBLE),
            },
        };
        let new = NewHeld {
            id,
            tenant: lane.tenant.id.clone(),
            direction,
            origin,
            envelope: lane.envelope,
            class: category.class(),
            reason: category.name().into(),
            explanation: None,
            subject: Some(shown.subject),
            from: Some(shown.from),
        };
        self.listener.intake.deps.quarantine.hold(new, body).await.map_err(|error| {
            tracing::error!(%error, "a message could not be quarantined");
            match error {
                QuarantineError::Full(_) => replies::STORAGE_LOW,
                _ => replies::STORAGE_TROUBLE,
            }
        })
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
