//! XCLIENT (Postfix XCLIENT_README): a trusted proxy tells who the client really is.
//!
//! **Invariants**: values are xtext, decoded, without control characters; addresses are IP addresses.
//! **Failure**: `None`, answered 501; nothing of a bad command is used.

use std::net::IpAddr;

use super::command::is_helo_name;
use super::xtext;

/// What EHLO offers to a trusted proxy.
pub const OFFER: &str = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

/// One attribute: not mentioned, said to be unknown, or given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Attribute<T> {
    #[default]
    Unmentioned,
    Unavailable,
    Value(T),
}

impl<T> Attribute<T> {
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unmentioned | Self::Unavailable => None,
        }
    }
}

/// The attributes of one XCLIENT command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub name: Attribute<Box<str>>,
    pub addr: Attribute<IpAddr>,
    pub port: Attribute<u16>,
    pub proto: Attribute<Box<str>>,
    pub helo: Attribute<Box<str>>,
    pub login: Attribute<Box<str>>,
    pub dest_addr: Attribute<IpAddr>,
    pub dest_port: Attribute<u16>,
}

/// Reads `NAME=value ...`; at least one attribute, each once.
#[must_use]
pub fn parse(argument: &str) -> Option<Attributes> {
    let mut attributes = Attributes::default();
    for word in argument.split(' ').filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').filter(|(_, value)| value.len() <= 255)?;
        match name.to_ascii_uppercase().as_str() {
            "NAME" => set(&mut attributes.name, value, text)?,
            "ADDR" => set(&mut attributes.addr, value, address)?,
            "PORT" => set(&mut attributes.port, value, port)?,
            "PROTO" => set(&mut attributes.proto, value, proto)?,
            "HELO" => set(&mut attributes.helo, value, |v| text(v).filter(|name| is_helo_name(name)))?,
            "LOGIN" => set(&mut attributes.login, value, text)?,
            "DESTADDR" => set(&mut attributes.dest_addr, value, address)?,
            "DESTPORT" => set(&mut attributes.dest_port, value, port)?,
            _ => return None,
        }
    }
    (attributes != Attributes::default()).then_some(attributes)
}

fn set<T>(attribute: &mut Attribute<T>, value: &str, read: impl Fn(&str) -> Option<T>) -> Option<()> {
    if !matches!(attribute, Attribute::Unmentioned) {
        return None;
    }
    let unknown = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|word| value.eq_ignore_ascii_case(word));
    *attribute = if unknown { Attribute::Unavailable } else { Attribute::Value(read(value)?) };
    Some(())
}

/// Old proxies send values unencoded; a `+` that is no xtext is refused all the same.
fn text(value: &str) -> Option<Box<str>> {
    xtext::decode(value).filter(|decoded| !decoded.is_empty())
}

fn address(value: &str) -> Option<IpAddr> {
    let decoded = text(value)?;
    let v6 = decoded.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPV6:")).and_then(|_| decoded.get(5..));
    v6.unwrap_or(&decoded).parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn port(value: &str) -> Option<u16> {
    super::command::digits(value).and_then(|port| u16::try_from(port).ok())
}

fn proto(value: &str) -> Option<Box<str>> {
    let upper = value.to_ascii_uppercase();
    matches!(upper.as_str(), "SMTP" | "ESMTP").then(|| upper.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_decoded() {
        let got = parse("NAME=[TEMPUNAVAIL] ADDR=IPV6:2001:db8::1 PORT=25 HELO=a+2Eb login=u+40x PROTO=esmtp").unwrap();
        assert_eq!(got.name, Attribute::Unavailable);
        assert_eq!(got.addr.value(), Some(&"2001:db8::1".parse().unwrap()));
        assert_eq!(got.helo.value().map(|h| &**h), Some("a.b"));
        assert_eq!(got.login.value().map(|l| &**l), Some("u@x"));
        assert_eq!(got.dest_addr, Attribute::Unmentioned);
        assert_eq!(parse("ADDR=::ffff:192.0.2.1").unwrap().addr.value(), Some(&"192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn bad_attributes_are_refused() {
        for bad in ["", "ADDR", "ADDR=x", "PORT=99999", "NAME=a NAME=b", "FOO=1", "HELO=a+0D+0A", "PROTO=LMTP", "NAME="]
        {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
