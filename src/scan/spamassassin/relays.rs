//! The way of a message, as its Received fields tell it, in the form that rules on `X-Spam-Relays-…` read.
//!
//! **Failure**: a field that tells of no server is passed over; one that can't be read is counted.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::LazyLock;

use regex::Regex;

/// One hop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relay {
    pub ip: String,
    pub rdns: String,
    pub helo: String,
    pub by: String,
    pub ident: String,
    pub envelope: String,
    pub id: String,
    pub auth: String,
    pub private: bool,
}

/// All hops, the latest first.
#[derive(Debug, Default)]
pub struct Relays {
    pub trusted: Vec<Relay>,
    pub untrusted: Vec<Relay>,
    pub unparseable: usize,
}

/// Most fields that are read.
const MAX_RELAYS: usize = 60;

macro_rules! pattern {
    ($name:ident, $source:literal) => {
        #[allow(clippy::unwrap_used, reason = "a constant, which the tests compile")]
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($source).unwrap());
    };
}

pattern!(BY, r"(?:^|\s)by\s+(\[?[A-Za-z0-9._:-]+\]?)");
pattern!(ID, r"(?:^|\s)id\s+<?([^\s<>;]+)>?");
pattern!(WITH, r"(?:^|\s)with\s+([A-Za-z0-9_.-]+)");
pattern!(ENVELOPE, r"(?i)envelope-(?:sender|from)\s+<?([^\s<>)]+)>?");
pattern!(AUTHENTICATED, r"(?i)\((?:Authenticated sender|authenticated bits|authenticated)");
// from HELO (RDNS [IP]) and its relatives
pattern!(USUAL, r"(?i)^from\s+(\S+)\s+\(([^\s()@\[]+@)?([^\s()\[\]]*)\s*\[(?:IPv6:)?([0-9a-f.:]+)\][^)]*\)");
// from NAME ([IP]:port "EHLO name" …)
pattern!(QUOTED, r#"(?i)^from\s+(\S+)\s+\(\[(?:IPv6:)?([0-9a-f.:]+)\](?::\d+)?\s+"(?:EHLO|HELO)\s+([^"\s]+)""#);
pattern!(
    EXIM_BARE,
    r"(?i)^from\s+\[(?:IPv6:)?([0-9a-f.:]+)\](?::\d+)?(?:\s+\((?:[^)]*?\bhelo=(\[?[^\s)\]]+\]?))?[^)]*\))?"
);
pattern!(
    EXIM_NAMED,
    r"(?i)^from\s+(\S+)\s+\(\[(?:IPv6:)?([0-9a-f.:]+)\](?::\d+)?(?:\s+(?:helo=(\[?[^\s)\]]+\]?)|[^)]*?))?[^)]*\)"
);
pattern!(QMAIL, r"(?i)^from\s+(\S+)\s+\(HELO\s+(\S+)\)\s+\((?:(\S+)@)?\[?([0-9a-f.:]+)\]?\)");
pattern!(QMAIL_BARE, r"(?i)^from\s+(\S+)\s+\((?:(\S+)@)?\[?([0-9a-f.:]+)\]?\)");
pattern!(HELO_ONLY, r"(?i)^from\s+(\S+)\s+\(\[?([0-9a-f.:]+)\]?\s*\((?:[^)]*)\)\)");
pattern!(BARE_IP, r"(?i)^from\s+\[?([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)\]?\s+by\s");

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || matches!(ip.octets(), [0, ..] | [100, 64..=127, ..])
        }
        IpAddr::V6(ip) => ip.is_loopback() || matches!(ip.segments()[0], 0xfc00..=0xfdff | 0xfe80..=0xfebf),
    }
}

/// One field, unfolded; `None` if it tells of no server.
#[must_use]
pub fn parse(field: &str) -> Option<Relay> {
    let field = field.trim();
    if !field.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("from ")) {
        return None;
    }
    let group = |found: &regex::Captures<'_>, index: usize| {
        found.get(index).map_or(String::new(), |group| group.as_str().to_owned())
    };
    let mut relay = Relay::default();
    if let Some(found) = QUOTED.captures(field) {
        relay = Relay { ip: group(&found, 2), helo: group(&found, 3), ..relay };
    } else if let Some(found) = QMAIL.captures(field) {
        relay = Relay {
            rdns: group(&found, 1),
            helo: group(&found, 2),
            ident: group(&found, 3),
            ip: group(&found, 4),
            ..relay
        };
    } else if let Some(found) = EXIM_NAMED.captures(field) {
        relay.ip = group(&found, 2);
        let helo = group(&found, 3);
        if helo.is_empty() {
            relay.helo = group(&found, 1);
        } else {
            relay.rdns = group(&found, 1);
            relay.helo = helo;
        }
    } else if let Some(found) = USUAL.captures(field) {
        relay = Relay {
            helo: group(&found, 1),
            ident: group(&found, 2).trim_end_matches('@').to_owned(),
            rdns: group(&found, 3),
            ip: group(&found, 4),
            ..relay
        };
    } else if let Some(found) = EXIM_BARE.captures(field) {
        relay.ip = group(&found, 1);
        relay.helo = group(&found, 2);
    } else if let Some(found) = HELO_ONLY.captures(field) {
        relay.helo = group(&found, 1);
        relay.ip = group(&found, 2);
    } else if let Some(found) = QMAIL_BARE.captures(field) {
        let name = group(&found, 1);
        let known = name.contains('.') && !name.starts_with('[');
        relay = Relay {
            rdns: if known { name.clone() } else { String::new() },
            helo: name,
            ident: group(&found, 2),
            ip: group(&found, 3),
            ..relay
        };
    } else {
        let found = BARE_IP.captures(field)?;
        relay.ip = group(&found, 1);
    }
    let ip: IpAddr = relay.ip.parse().ok()?;
    let ip = match ip {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    };
    relay.ip = ip.to_string();
    relay.private = is_private(ip);
    let trim = |text: &str| text.trim_matches(['[', ']', '(', ')']).trim_start_matches("IPv6:").to_owned();
    relay.helo = relay.helo.trim_matches(['(', ')']).to_owned();
    if relay.helo.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() && relay.helo.starts_with('[') {
        relay.helo = format!("!{}!", trim(&relay.helo));
    }
    if relay.rdns.eq_ignore_ascii_case("unknown") || relay.rdns.starts_with('[') {
        relay.rdns.clear();
    }
    relay.rdns = relay.rdns.trim_end_matches('.').to_owned();
    let after = field;
    let named = |pattern: &Regex| pattern.captures(after).map_or(String::new(), |found| group(&found, 1));
    relay.by = named(&BY);
    relay.id = named(&ID).trim_end_matches([')', ';', ',']).to_owned();
    relay.envelope = named(&ENVELOPE);
    let with = named(&WITH);
    if matches!(with.to_ascii_lowercase().as_str(), "esmtpa" | "esmtpsa" | "asmtp" | "lmtpa" | "utf8smtpa") {
        relay.auth = with;
    } else if AUTHENTICATED.is_match(field) {
        relay.auth = if field.contains("Authenticated sender") { "Postfix".into() } else { "Sendmail".into() };
    }
    Some(relay)
}

impl Relays {
    /// Of all Received fields, the latest first, and the addresses that other fields name as the origin.
    #[must_use]
    pub fn read<'f>(received: impl Iterator<Item = &'f str>, origins: impl Iterator<Item = &'f str>) -> Self {
        let mut relays = Self::default();
        let mut trusting = true;
        for field in received.take(MAX_RELAYS) {
            // Fetched from a mailbox: what stands before happened behind it.
            if field.contains("(fetchmail") {
                relays.trusted.clear();
                relays.untrusted.clear();
                trusting = true;
                continue;
            }
            match parse(field) {
                Some(relay) => {
                    trusting &= relay.private || !relay.auth.is_empty();
                    if trusting { relays.trusted.push(relay) } else { relays.untrusted.push(relay) }
                }
                None => {
                    let hop = field.starts_with("from ")
                        && field.contains(" by ")
                        && field.contains('[')
                        && !field.contains("[127.");
                    relays.unparseable += usize::from(hop && !field.contains(" with local"));
                }
            }
        }
        for origin in origins.take(10) {
            let bare = origin.trim().trim_matches(['[', ']']);
            if let Ok(ip) = bare.parse::<IpAddr>() {
                relays.untrusted.push(Relay { ip: ip.to_string(), private: is_private(ip), ..Relay::default() });
            }
        }
        relays
    }

    /// As the rules read them.
    #[must_use]
    pub fn written(relays: &[Relay], internal: bool) -> String {
        let mut out = String::new();
        for relay in relays {
            if !out.is_empty() {
                out.push(' ');
            }
            let _ = write!(
                out,
                "[ ip={} rdns={} helo={} by={} ident={} envfrom={} intl={} id={} auth={} msa=0 ]",
                relay.ip,
                relay.rdns,
                relay.helo,
                relay.by,
                relay.ident,
                relay.envelope,
                u8::from(internal),
                relay.id,
                relay.auth
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expressions_are_some() {
        for pattern in [
            &BY,
            &ID,
            &WITH,
            &ENVELOPE,
            &AUTHENTICATED,
            &QUOTED,
            &USUAL,
            &EXIM_BARE,
            &EXIM_NAMED,
            &QMAIL,
            &QMAIL_BARE,
            &HELO_ONLY,
            &BARE_IP,
        ] {
            assert!(!pattern.is_match("\n"));
        }
    }

    #[test]
    fn usual_forms_are_read() {
        for (field, ip, rdns, helo, by) in [
            (
                "from mail.a.example (host.a.example [192.0.2.7]) by mx.b.example (Postfix) with ESMTP id AB1",
                "192.0.2.7",
                "host.a.example",
                "mail.a.example",
                "mx.b.example",
            ),
            (
                "from [10.0.0.5] (helo=pc) by mail.a.example with esmtpa (Exim 4.9) id 1abc",
                "10.0.0.5",
                "",
                "pc",
                "mail.a.example",
            ),
            (
                "from host.a.example ([192.0.2.7] helo=x) by mx.b.example with smtp (Exim)",
                "192.0.2.7",
                "host.a.example",
                "x",
                "mx.b.example",
            ),
            ("from unknown (HELO me) (192.0.2.9) by mx.b.example with SMTP", "192.0.2.9", "", "me", "mx.b.example"),
            ("from me ([192.0.2.9]) by mx.b.example with SMTP", "192.0.2.9", "", "me", "mx.b.example"),
        ] {
            let relay = parse(field).unwrap();
            assert_eq!((&*relay.ip, &*relay.rdns, &*relay.helo, &*relay.by), (ip, rdns, helo, by), "{field}");
        }
        assert_eq!(parse("by mx.b.example (Postfix, from userid 1) id X"), None);
    }
}
