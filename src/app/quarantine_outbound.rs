//! Outbound mail on its way out of the quarantine: it is scanned again, and leaves with a new check or not at all.
//!
//! An operator's release overrides what the tenant's own rules kept back (a file of a risky kind, a password) and nothing that
//! nobody can edit: malware, phishing and what is certain to be spam stay, what could not be inspected stays, and other spam leaves
//! over the addresses of the suspect pool, if there are any: the operator who releases it allows it, for this message.
//!
//! **Failure**: [`NotOut`]; the message is as it was.

use std::io::{Read as _, Seek as _, SeekFrom};

use bytes::Bytes;

use crate::intake::signing::Unsigned;
use crate::model::Direction;
use crate::model::disposition::{Category, Disposition};
use crate::model::egress::OutboundSpam;
use crate::policy::content::Decider;
use crate::quarantine::{Held, HeldBody};
use crate::scan::{Checked, Request, Scanner, Terms};
use crate::tenant::{ContentPolicy, DirectionSpec, Fate, Treatment};

/// Why it stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotOut {
    #[error("it is outbound and counts as {}: nobody may send that on; remove it", .0.name())]
    Never(Category),
    #[error(
        "it counts as spam, which leaves over addresses of its own alone: name some ([[egress]] with pool = \"suspect\"), or remove it"
    )]
    NoPool,
    #[error("it cannot be inspected now, and nothing leaves unseen; try again later")]
    Unseen,
    #[error("a measure stands against its sender: measure {0}; lift it first")]
    Suspended(Box<str>),
    #[error("its tenant isn't there any more")]
    Nobodys,
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
}

/// Looks once more.
pub(super) async fn recheck(
    scanner: &Scanner,
    held: &Held,
    octets: Bytes,
    spam: OutboundSpam,
) -> Result<Checked, NotOut> {
    let recipients = held.envelope.recipients.iter().map(|recipient| recipient.address.clone());
    let request = Request {
        octets,
        number: held.id.as_u128(),
        direction: Direction::Outbound,
        tenant: Some(held.tenant.clone()),
        client: held.origin.client(),
        helo: held.origin.helo.clone(),
        sender: held.envelope.sender.clone(),
        recipients: recipients.collect(),
        own_domains: held.envelope.sender.address().map(|sender| sender.domain().clone()).into_iter().collect(),
        protected: [].into(),
        authentication: None,
        is_relayed: false,
        first_contact: false,
    };
    let scanned = scanner.scan(request).await.map_err(|_| NotOut::Unseen)?;
    let policy = lenient();
    let (ruling, checked) = scanned.check(&Terms { policy: &policy, tries: 0, spam });
    match (checked, ruling.decided_by, ruling.disposition) {
        (Some(checked), ..) => Ok(checked),
        (None, Decider::Category { category: Category::Spam }, _) if spam != OutboundSpam::SuspectPool => {
            Err(NotOut::NoPool)
        }
        (None, Decider::Category { category }, _) | (None, _, Disposition::Quarantine { category }) => {
            Err(NotOut::Never(category))
        }
        (None, ..) => Err(NotOut::Unseen),
    }
}

/// What a tenant could ask for at most.
fn lenient() -> ContentPolicy {
    let deliver = Treatment::plain(Fate::Deliver);
    let actions = Category::ALL.into_iter().map(|category| (category, deliver)).collect();
    ContentPolicy::compile(Direction::Outbound, DirectionSpec { actions, ..DirectionSpec::default() })
}

/// All octets of a held message. It stays readable from its beginning. Blocks for a file.
pub(super) fn octets(body: &mut HeldBody) -> std::io::Result<Bytes> {
    match body {
        HeldBody::Memory(octets) => Ok(octets.clone()),
        HeldBody::File { file, length } => {
            let mut octets = Vec::with_capacity(usize::try_from(*length).unwrap_or(0));
            let begin = file.stream_position()?;
            file.read_to_end(&mut octets)?;
            file.seek(SeekFrom::Start(begin))?;
            Ok(octets.into())
        }
    }
}
