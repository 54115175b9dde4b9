//! The notice of a measure as a message to the tenant's administrators.
//!
//! **Failure**: none of its own. **Invariants**: goes to addresses of the tenant's own domains alone, by the way of its inbound mail,
//! from the null sender, labelled so that nothing answers it (RFC 3834 section 5).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::limits::suspension::{Change, text};
use crate::model::{BodyKind, Envelope, MessageId, Origin, Recipient, ReversePath, Timestamp};
use crate::spool::{About, Body, NewMessage};
use crate::tenant::Tenant;

pub(super) fn write(change: &Change, tenant: &Tenant, hostname: &str, now: Timestamp) -> NewMessage {
    let mut random = [0u8; 16];
    // Without randomness the name is still this millisecond's.
    let _ = aws_lc_rs::rand::fill(&mut random);
    let id = MessageId::new(now.as_millis(), u128::from_le_bytes(random));
    let mut envelope = Envelope::from_sender(ReversePath::Null);
    envelope.recipients = tenant.administrators.iter().cloned().map(Recipient::new).collect();
    envelope.body = BodyKind::SevenBit;
    envelope.smtputf8 = tenant.administrators.iter().any(|address| !address.to_string().is_ascii());
    let mut octets = String::new();
    // Writing to a string never fails.
    let _ = write!(
        octets,
        "From: Sekisho <postmaster@{hostname}>\r\nTo: undisclosed-recipients:;\r\nSubject: {}\r\nDate: {}\r\n\
         Message-ID: <{id}@{hostname}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        encoded(&text::subject(change)),
        now.rfc5322(),
    );
    for line in STANDARD.encode(text::notice(change)).as_bytes().chunks(76) {
        octets.push_str(std::str::from_utf8(line).unwrap_or_default());
        octets.push_str("\r\n");
    }
    let rest = Bytes::from(octets);
    let origin = Origin {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        helo: hostname.into(),
        listener: "notice".into(),
        protocol: "LOCAL".into(),
        received_at: now,
    };
    let about = About { tenant: tenant.id.clone(), origin, envelope };
    NewMessage::notice(id, about, Body::Memory { head: Bytes::new(), rest })
}

/// Encoded words of at most 75 characters, folded (RFC 2047 section 2).
fn encoded(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut piece = String::new();
    for c in text.chars() {
        // 45 octets are 60 characters of base 64.
        if piece.len() + c.len_utf8() > 45 {
            words.push(std::mem::take(&mut piece));
        }
        piece.push(c);
    }
    words.push(piece);
    let words: Vec<String> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_subject_is_folded_at_whole_characters() {
        let text = "[Sekisho] 送信を停止しました / Sending is stopped, and more words than fit";
        let folded = encoded(text);
        assert!(folded.lines().all(|line| line.trim().len() <= 75) && folded.lines().count() > 1, "{folded}");
        let decode = |line: &str| {
            let word = line.trim().strip_prefix("=?UTF-8?B?").unwrap().strip_suffix("?=").unwrap();
            String::from_utf8(STANDARD.decode(word).unwrap()).unwrap()
        };
        assert_eq!(folded.lines().map(decode).collect::<String>(), text);
    }
}
