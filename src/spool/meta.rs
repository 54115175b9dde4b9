//! What is kept with a queued message besides its bytes, and its encoding on disk and in the index.
//!
//! The encoding is a version byte and fields in a fixed order. A later version may append fields; this reader ignores
//! what follows the fields it knows, so that the previous release can read what the next one wrote.
//! **Failure**: [`Malformed`] on decoding; nothing is believed before it was checked (addresses are parsed again).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::Mark;
use super::wire::{Malformed, Put, Reader};
use crate::model::egress::Pool;
use crate::model::{
    Address, BodyKind, Direction, Domain, Envelope, Notify, Origin, OriginalRecipient, Recipient, ReturnContent,
    ReversePath, TenantId, Timestamp,
};

const VERSION: u8 = 1;
/// Before the pool and the set's number; other octets there mean that no mark is known.
const CHECKED: u8 = 1;

/// Mail of a client, or a notice of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Mail,
    Notice,
}

/// Everything about a message but its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub tenant: TenantId,
    pub direction: Direction,
    pub origin: Origin,
    pub envelope: Envelope,
    /// Octets of the message as delivered.
    pub size: u64,
    pub kind: Kind,
    /// Made by the check of outbound mail alone ([`Meta::way`]).
    pub(super) mark: Option<Mark>,
}

impl Meta {
    /// Recipient indexes by routing domain, in the order in which the domains first appear: the branches of the message.
    #[must_use]
    pub fn branches(&self) -> Vec<(&Domain, Vec<u32>)> {
        let mut branches: Vec<(&Domain, Vec<u32>)> = Vec::with_capacity(1);
        let mut seen: std::collections::HashMap<&Domain, usize> = std::collections::HashMap::new();
        for (index, recipient) in (0u32..).zip(&self.envelope.recipients) {
            let domain = recipient.address.domain();
            // Nearly every message has one domain; the map is only for the others.
            let last = branches.len().saturating_sub(1);
            let place = match branches.last() {
                Some((same, _)) if *same == domain => Some(last),
                Some(_) => seen.get(domain).copied(),
                None => None,
            };
            match place.and_then(|place| branches.get_mut(place)) {
                Some((_, members)) => members.push(index),
                None => {
                    seen.insert(domain, branches.len());
                    branches.push((domain, vec![index]));
                }
            }
        }
        branches
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        let flags = u8::from(self.direction == Direction::Outbound)
            | u8::from(self.kind == Kind::Notice) << 1
            | u8::from(self.envelope.body == BodyKind::EightBitMime) << 2
            | u8::from(self.envelope.smtputf8) << 3
            | match self.envelope.ret {
                None => 0,
                Some(ReturnContent::Full) => 1 << 4,
                Some(ReturnContent::Headers) => 2 << 4,
            }
            | u8::from(self.envelope.envid.is_some()) << 6;
        out.push(flags);
        out.put_text(self.tenant.as_str());
        match self.origin.ip {
            IpAddr::V4(ip) => out.put_block(&ip.octets()),
            IpAddr::V6(ip) => out.put_block(&ip.octets()),
        }
        out.put_text(&self.origin.helo);
        out.put_text(&self.origin.listener);
        out.put_text(&self.origin.protocol);
        out.put_varint(self.origin.received_at.as_millis());
        out.put_varint(self.size);
        if let Some(envid) = &self.envelope.envid {
            out.put_text(envid);
        }
        match &self.envelope.sender {
            ReversePath::Null => out.put_varint(0),
            ReversePath::Mailbox(address) => put_address(out, address),
        }
        out.put_varint(self.envelope.recipients.len() as u64);
        for recipient in &self.envelope.recipients {
            put_recipient(out, recipient);
        }
        match self.mark {
            None => out.push(0),
            Some(Mark { pool, set }) => {
                out.extend([CHECKED, pool.code()]);
                out.put_varint(set);
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        if reader.u8()? == 0 {
            return Err(Malformed("meta of version 0"));
        }
        let flags = reader.u8()?;
        let tenant = TenantId::parse(reader.text()?).map_err(|_| Malformed("tenant"))?;
        let ip = match *reader.block()? {
            [a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            ref other => {
                let octets: [u8; 16] = other.try_into().map_err(|_| Malformed("ip"))?;
                IpAddr::V6(Ipv6Addr::from(octets))
            }
        };
        let origin = Origin {
            ip,
            helo: reader.text()?.into(),
            listener: reader.text()?.into(),
            protocol: reader.text()?.into(),
            received_at: Timestamp::from_millis(reader.varint()?),
        };
        let size = reader.varint()?;
        let envid = if flags & 1 << 6 != 0 { Some(reader.text()?.into()) } else { None };
        let sender = match reader.text()? {
            "" => ReversePath::Null,
            text => ReversePath::Mailbox(Address::parse(text).map_err(|_| Malformed("sender"))?),
        };
        let count = reader.count()?;
        let mut recipients = Vec::new();
        for _ in 0..count {
            recipients.push(take_recipient(reader)?);
        }
        // Records of earlier releases end here.
        let mark = if reader.is_empty() || reader.u8()? != CHECKED {
            None
        } else {
            let pool = Pool::from_code(reader.u8()?);
            let set = reader.varint()?;
            // A pool that this release doesn't know: nobody could say which addresses it may take.
            pool.map(|pool| Mark { pool, set })
        };
        let ret = match flags >> 4 & 3 {
            0 => None,
            1 => Some(ReturnContent::Full),
            _ => Some(ReturnContent::Headers),
        };
        let body = if flags & 1 << 2 != 0 { BodyKind::EightBitMime } else { BodyKind::SevenBit };
        Ok(Self {
            tenant,
            direction: if flags & 1 != 0 { Direction::Outbound } else { Direction::Inbound },
            origin,
            envelope: Envelope { sender, body, smtputf8: flags & 1 << 3 != 0, ret, envid, recipients },
            size,
            kind: if flags & 1 << 1 != 0 { Kind::Notice } else { Kind::Mail },
            mark,
        })
    }
}

fn put_address(out: &mut Vec<u8>, address: &Address) {
    use std::io::Write as _;
    // The printed length isn't known before; one byte is enough unless the address is longer than 127 octets.
    let start = out.len();
    out.push(0);
    let _ = write!(out, "{address}");
    let length = out.len() - start - 1;
    if length < 0x80 {
        if let Some(place) = out.get_mut(start) {
            *place = length.to_le_bytes()[0];
        }
        return;
    }
    out.truncate(start);
    out.put_text(&address.to_string());
}

fn put_recipient(out: &mut Vec<u8>, recipient: &Recipient) {
    let notify = match recipient.notify {
        None => 0,
        Some(Notify::Never) => 1,
        Some(Notify::On { success, failure, delay }) => {
            2 | u8::from(success) << 2 | u8::from(failure) << 3 | u8::from(delay) << 4
        }
    };
    out.push(notify | u8::from(recipient.original.is_some()) << 5);
    put_address(out, &recipient.address);
    if let Some(original) = &recipient.original {
        out.put_text(&original.address_type);
        out.put_text(&original.address);
    }
}

fn take_recipient(reader: &mut Reader<'_>) -> Result<Recipient, Malformed> {
    let flags = reader.u8()?;
    let address = Address::parse(reader.text()?).map_err(|_| Malformed("recipient"))?;
    let notify = match flags & 3 {
        0 => None,
        1 => Some(Notify::Never),
        2 => {
            Some(Notify::On { success: flags & 1 << 2 != 0, failure: flags & 1 << 3 != 0, delay: flags & 1 << 4 != 0 })
        }
        _ => return Err(Malformed("notify")),
    };
    let original = if flags & 1 << 5 != 0 {
        Some(OriginalRecipient { address_type: reader.text()?.into(), address: reader.text()?.into() })
    } else {
        None
    };
    Ok(Recipient { address, notify, original })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn sample() -> Meta {
        let mut envelope =
            Envelope::from_sender(ReversePath::Mailbox(Address::parse("\"a b\"@sender.example").unwrap()));
        envelope.envid = Some("QQ314159".into());
        envelope.ret = Some(ReturnContent::Headers);
        envelope.smtputf8 = true;
        envelope.body = BodyKind::EightBitMime;
        envelope.recipients = ["x@one.example", "あ@two.example", "y@one.example"]
            .iter()
            .map(|text| Recipient::new(Address::parse(text).unwrap()))
            .collect();
        envelope.recipients[1].notify = Some(Notify::On { success: true, failure: false, delay: true });
        envelope.recipients[2].notify = Some(Notify::Never);
        envelope.recipients[2].original =
            Some(OriginalRecipient { address_type: "rfc822".into(), address: "z@three.example".into() });
        Meta {
            tenant: TenantId::parse("acme").unwrap(),
            direction: Direction::Outbound,
            origin: Origin {
                ip: "2001:db8::1".parse().unwrap(),
                helo: "client.example".into(),
                listener: "relay".into(),
                protocol: "ESMTPSA".into(),
                received_at: Timestamp::from_millis(1_795_176_451_250),
            },
            envelope,
            size: 5_120,
            kind: Kind::Mail,
            mark: Some(Mark { pool: Pool::Suspect, set: 300 }),
        }
    }

    #[test]
    fn meta_reads_back_and_ignores_what_a_later_version_appends() {
        let meta = sample();
        let mut bytes = Vec::new();
        meta.encode(&mut bytes);
        assert_eq!(Meta::decode(&bytes), Ok(meta.clone()));
        bytes.extend_from_slice(b"a field of the future");
        assert_eq!(Meta::decode(&bytes), Ok(meta));
    }

    #[test]
    fn a_cut_meta_is_malformed() {
        let (mut bytes, mut old) = (Vec::new(), Vec::new());
        sample().encode(&mut bytes);
        Meta { mark: None, ..sample() }.encode(&mut old);
        // An earlier release wrote no mark, not even that there is none.
        let before_the_mark = old.len() - 1;
        for end in (0..bytes.len()).filter(|end| *end != before_the_mark) {
            assert!(Meta::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(Meta::decode(&bytes[..before_the_mark]), Ok(Meta { mark: None, ..sample() }));
    }

    #[test]
    fn outbound_mail_without_a_mark_may_go_nowhere() {
        let unmarked = Meta { mark: None, ..sample() };
        assert_eq!((sample().way().map(crate::spool::Way::pool), unmarked.way()), (Some(Pool::Suspect), None));
        assert!(Meta { kind: Kind::Notice, ..unmarked.clone() }.way().is_some());
        assert_eq!(Meta { direction: Direction::Inbound, ..unmarked }.way(), Some(crate::spool::Way::Inside));
    }

    #[test]
    fn a_mark_of_an_unknown_pool_is_none() {
        let mut bytes = Vec::new();
        sample().encode(&mut bytes);
        let at = bytes.len() - 3;
        assert_eq!(bytes[at], Pool::Suspect.code());
        bytes[at] = 77;
        assert_eq!(Meta::decode(&bytes).unwrap().mark, None);
    }

    #[test]
    fn branches_follow_first_appearance() {
        let meta = sample();
        let branches: Vec<_> = meta.branches().into_iter().map(|(d, r)| (d.to_string(), r)).collect();
        assert_eq!(branches, [("one.example".to_owned(), vec![0, 2]), ("two.example".to_owned(), vec![1])]);
    }

    #[test]
    fn a_long_address_has_a_long_length() {
        let mut meta = sample();
        let long = format!("a@{}.example", ["b"; 60].join("."));
        meta.envelope.sender = ReversePath::Mailbox(Address::parse(&long).unwrap());
        let mut bytes = Vec::new();
        meta.encode(&mut bytes);
        assert_eq!(Meta::decode(&bytes), Ok(meta));
    }
}
