//! Telling a tenant's administrators what became of a message because of its content (action `notify`).
//!
//! **Failure**: none of its own; it is committed with the message, or neither is. **Invariants**: goes to addresses of the
//! tenant's own domains alone, from the null sender, labelled so that nothing answers it (RFC 3834 section 5); holds nothing of
//! the message but sender, recipients, author and subject, bounded, so that it can carry nothing harmful on.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::connection::Connection;
use super::content::Fate;
use super::lanes::Lane;
use crate::message::specimen::Specimen;
use crate::model::{Address, BodyKind, Envelope, Origin, Recipient, ReversePath, Timestamp};
use crate::spool::{About, Body, NewMessage};

/// Most recipients named.
const NAMED: usize = 10;
/// Longest text of the message that is told, in characters.
const LONGEST: usize = 200;

/// `None`: nobody is to be told.
pub(super) fn of(
    connection: &Connection,
    lane: &Lane,
    (fate, notify): (&Fate, &[Address]),
    specimen: &Specimen,
    now: Timestamp,
) -> Option<NewMessage> {
    if notify.is_empty() {
        return None;
    }
    let id = connection.new_id();
    let hostname = &*connection.config.hostname;
    let mut envelope = Envelope::from_sender(ReversePath::Null);
    envelope.recipients = notify.iter().cloned().map(Recipient::new).collect();
    envelope.body = BodyKind::SevenBit;
    envelope.smtputf8 = notify.iter().any(|address| !address.to_string().is_ascii());
    let mut octets = String::new();
    // Writing to a string never fails.
    let _ = write!(
        octets,
        "From: Sekisho <postmaster@{hostname}>\r\nTo: undisclosed-recipients:;\r\nSubject: =?UTF-8?B?{}?=\r\n\
         Date: {}\r\nMessage-ID: <{id}@{hostname}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        STANDARD.encode("[Sekisho] メールの通知 / About a message"),
        now.rfc5322(),
    );
    for line in STANDARD.encode(text(lane, fate, specimen)).as_bytes().chunks(76) {
        octets.push_str(std::str::from_utf8(line).unwrap_or_default());
        octets.push_str("\r\n");
    }
    let origin = Origin {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        helo: hostname.into(),
        listener: "notice".into(),
        protocol: "LOCAL".into(),
        received_at: now,
    };
    let rest = Bytes::from(octets);
    let about = About { tenant: lane.tenant.id.clone(), origin, envelope };
    Some(NewMessage::notice(id, about, Body::Memory { head: Bytes::new(), rest }))
}

fn text(lane: &Lane, fate: &Fate, specimen: &Specimen) -> String {
    let (ja, en) = match fate {
        Fate::Deliver(_) => ("届けました（注意が必要です）", "was delivered, and needs attention".to_owned()),
        Fate::Quarantine(category) => ("隔離しました", format!("was quarantined ({})", category.name())),
        Fate::Discard => ("破棄しました", "was thrown away".to_owned()),
    };
    let sender = lane.envelope.sender.address().map(ToString::to_string).unwrap_or_default();
    let recipients = &lane.envelope.recipients;
    let mut named: Vec<String> = recipients.iter().take(NAMED).map(|one| one.address.to_string()).collect();
    if recipients.len() > NAMED {
        named.push(format!("(+{})", recipients.len() - NAMED));
    }
    let (from, subject) = (plain(specimen.field("From").unwrap_or_default()), plain(specimen.subject()));
    format!(
        "次のメールを{ja}。\r\nThis message {en}.\r\n\r\n送信者 / Envelope sender: {sender}\r\n差出人 / From: {from}\r\n\
         宛先 / To: {}\r\n件名 / Subject: {subject}\r\n",
        named.join(", ")
    )
}

/// Bounded, in one line, and no program makes a link of it.
fn plain(text: &str) -> String {
    let clean = |c: char| {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { ' ' } else { c }
    };
    let text: String = text.chars().take(LONGEST).map(clean).collect();
    text.replace("://", ": //").replace("www.", "www .")
}
