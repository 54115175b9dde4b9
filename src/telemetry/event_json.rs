//! Writes an [`Event`] as one line of JSON, by hand: a line costs well under a microsecond on the caller.
//!
//! **Invariants**: a line holds no LF but its last byte, no control character and no bidirectional override, whatever a
//! client said (they are written as `\uXXXX`, so nothing is lost and a terminal is not fooled); every text is cut at
//! [`MAX_TEXT`] characters.

use std::fmt::{self, Write};
use std::net::IpAddr;

use super::event::{Event, deceives};
use crate::model::{Address, Remote, Reply, ReversePath, TenantId, Timestamp, TlsFacts};

/// Longest text of one member, in characters; a longer one ends in `…`.
pub(super) const MAX_TEXT: usize = 512;

/// Appends the line and its LF.
pub(super) fn write(event: &Event<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"v\":1,\"ts\":\"");
    timestamp(event.at, out);
    out.extend_from_slice(b"\",\"event\":\"");
    out.extend_from_slice(event.name.as_str().as_bytes());
    out.push(b'"');
    let mut line = Line(out);
    line.number("connection", event.connection.map(|id| id.0));
    line.text("message", event.message.as_ref());
    line.string("tenant", event.tenant.map(TenantId::as_str));
    line.plain("direction", event.direction.map(|direction| direction.as_str()));
    line.string("listener", event.listener);
    line.ip("ip", event.ip);
    line.string("helo", event.helo);
    match event.sender {
        Some(ReversePath::Null) => line.plain("sender", Some("")),
        sender => line.address("sender", sender.and_then(ReversePath::address)),
    }
    line.address("recipient", event.recipient);
    line.reply(event.reply);
    line.remote(event.remote);
    line.number("size", event.size);
    line.number("recipients", event.recipients.map(u64::from));
    line.number("attempt", event.attempt.map(u64::from));
    line.time("next_attempt", event.next_attempt);
    line.string("reason", event.reason.filter(|reason| !reason.is_empty()));
    line.tls(event.tls);
    line.number("duration_ms", event.duration_ms);
    if let Some(explanation) = event.explanation.filter(|json| !json.is_empty()) {
        line.name("explanation");
        json(explanation, out);
    }
    out.extend_from_slice(b"}\n");
}

struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    /// `,"name":`, or `"name":` as the first member of an object.
    fn name(&mut self, name: &str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn text<T: fmt::Display + ?Sized>(&mut self, name: &str, value: Option<&T>) {
        let Some(value) = value else { return };
        self.name(name);
        self.0.push(b'"');
        // Writing to memory can't fail; a text cut short stops the formatting early, which is the other case of Err.
        let _ = write!(Escaped { out: self.0, left: MAX_TEXT }, "{value}");
        self.0.push(b'"');
    }

    /// The same without the formatter.
    fn string(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.name(name);
        self.0.push(b'"');
        // An error is a text cut short.
        let _ = Escaped { out: self.0, left: MAX_TEXT }.write_str(value);
        self.0.push(b'"');
    }

    fn address(&mut self, name: &str, value: Option<&Address>) {
        let Some(value) = value else { return };
        self.name(name);
        self.0.push(b'"');
        // Never cut short: it is no longer than `MAX_TEXT`.
        let _ = value.write_to(&mut Escaped { out: self.0, left: MAX_TEXT });
        self.0.push(b'"');
    }

    /// A word of ours, with nothing in it to escape.
    fn plain(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    /// In nearly every line, so not by the formatter.
    fn ip(&mut self, name: &str, value: Option<IpAddr>) {
        match value {
            Some(IpAddr::V4(ip)) => {
                self.name(name);
                let mut before = b'"';
                for octet in ip.octets() {
                    self.0.push(before);
                    decimal(u64::from(octet), self.0);
                    before = b'.';
                }
                self.0.push(b'"');
            }
            other => self.text(name, other.as_ref()),
        }
    }

    fn number(&mut self, name: &str, value: Option<u64>) {
        let Some(value) = value else { return };
        self.name(name);
        decimal(value, self.0);
    }

    fn time(&mut self, name: &str, value: Option<Timestamp>) {
        let Some(value) = value else { return };
        self.name(name);
        self.0.push(b'"');
        timestamp(value, self.0);
        self.0.push(b'"');
    }

    fn reply(&mut self, reply: Option<&Reply>) {
        let Some(reply) = reply else { return };
        self.number("code", Some(u64::from(reply.code())));
        self.text("reply", Some(reply));
    }

    fn remote(&mut self, remote: Option<&Remote>) {
        let Some(remote) = remote else { return };
        self.name("remote");
        self.0.push(b'{');
        self.string("host", Some(&remote.host));
        self.ip("ip", Some(remote.ip));
        self.number("port", Some(u64::from(remote.port)));
        self.0.push(b'}');
    }

    fn tls(&mut self, tls: Option<&TlsFacts>) {
        let Some(tls) = tls else { return };
        self.name("tls");
        self.0.push(b'{');
        self.string("version", Some(&tls.version));
        self.string("cipher", Some(&tls.cipher));
        self.string("client_certificate", tls.client_certificate.as_deref());
        self.0.push(b'}');
    }
}

/// JSON string content, bounded.
struct Escaped<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // All octets are looked at, many at a time.
        let plain = |b: u8| (0x20..0x7f).contains(&b) & (b != b'"') & (b != b'\\');
        if text.len() <= self.left && text.bytes().fold(true, |all, b| all & plain(b)) {
            self.left -= text.len();
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for c in text.chars() {
            if self.left == 0 {
                self.out.extend_from_slice("…".as_bytes());
                return Err(fmt::Error);
            }
            self.left -= 1;
            match c {
                '"' => self.out.extend_from_slice(b"\\\""),
                '\\' => self.out.extend_from_slice(b"\\\\"),
                c if deceives(c) => unicode_escape(c, self.out),
                c => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(())
    }
}

/// JSON that is made already. An address in it may hold what deceives; that stands within a string, where it may be escaped.
fn json(text: &str, out: &mut Vec<u8>) {
    let octets = text.as_bytes();
    // What these characters begin with; few others do, even in Japanese.
    let may_deceive = memchr::memchr3(0xc2, 0xd8, 0xe2, octets).is_some()
        || memchr::memchr(0x7f, octets).is_some()
        || memchr::memmem::find(octets, "\u{feff}".as_bytes()).is_some();
    if !may_deceive {
        return out.extend_from_slice(octets);
    }
    for c in text.chars() {
        if deceives(c) {
            unicode_escape(c, out);
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn unicode_escape(c: char, out: &mut Vec<u8>) {
    let mut units = [0u16; 2];
    for unit in c.encode_utf16(&mut units) {
        out.extend_from_slice(b"\\u");
        for shift in [12, 8, 4, 0] {
            let digit = char::from_digit(u32::from(*unit >> shift & 15), 16).unwrap_or('0');
            out.push(u8::try_from(digit).unwrap_or(b'0'));
        }
    }
}

fn decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// The last digits of `value`.
fn padded<const WIDTH: usize>(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits);
}

/// RFC 3339 in UTC with milliseconds. The civil calendar from a day count after H. Hinnant's `civil_from_days`.
fn timestamp(at: Timestamp, out: &mut Vec<u8>) {
    let millis = at.as_millis().min(253_402_300_799_999);
    let (days, of_day) = (millis / 86_400_000, millis % 86_400_000);
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    padded::<4>(year, out);
    for (separator, value) in [(b'-', month), (b'-', day), (b'T', of_day / 3_600_000)] {
        out.push(separator);
        padded::<2>(value, out);
    }
    for value in [of_day / 60_000 % 60, of_day / 1000 % 60] {
        out.push(b':');
        padded::<2>(value, out);
    }
    out.push(b'.');
    padded::<3>(of_day % 1000, out);
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{ConnectionId, Direction, Enhanced, MessageId};
    use crate::telemetry::event::EventName;

    fn line(event: &Event<'_>) -> String {
        let mut out = Vec::new();
        write(event, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_full_line_reads_as_documented() {
        let tenant = TenantId::parse("acme").unwrap();
        let sender = ReversePath::Null;
        let recipient = Address::parse("taro@acme.example").unwrap();
        let reply = Reply::new(550, Enhanced(5, 1, 1), "No such recipient here");
        let remote = Remote { host: "mx1".into(), ip: "192.0.2.9".parse().unwrap(), port: 25 };
        let tls =
            TlsFacts { version: "TLSv1.3".into(), cipher: "TLS_AES_128_GCM_SHA256".into(), client_certificate: None };
        let event = Event {
            connection: Some(ConnectionId(7)),
            message: Some(MessageId::new(1, 2)),
            tenant: Some(&tenant),
            direction: Some(Direction::Inbound),
            listener: Some("mx"),
            ip: Some("2001:db8::1".parse().unwrap()),
            helo: Some("client.example"),
            sender: Some(&sender),
            recipient: Some(&recipient),
            reply: Some(&reply),
            remote: Some(&remote),
            size: Some(0),
            attempt: Some(3),
            next_attempt: Some(Timestamp::from_millis(1_795_176_451_250)),
            reason: Some("recipient-unknown"),
            tls: Some(&tls),
            duration_ms: Some(u64::MAX),
            recipients: Some(2),
            ..Event::new(EventName::Rcpt, Timestamp::from_millis(1_795_176_451_250))
        };
        assert_eq!(
            line(&event),
            concat!(
                r#"{"v":1,"ts":"2026-11-20T12:07:31.250Z","event":"rcpt","connection":7,"#,
                r#""message":"00000000010000000000000002","tenant":"acme","direction":"inbound","listener":"mx","#,
                r#""ip":"2001:db8::1","helo":"client.example","sender":"","recipient":"taro@acme.example","#,
                r#""code":550,"reply":"550 5.1.1 No such recipient here","#,
                r#""remote":{"host":"mx1","ip":"192.0.2.9","port":25},"size":0,"recipients":2,"attempt":3,"#,
                r#""next_attempt":"2026-11-20T12:07:31.250Z","reason":"recipient-unknown","#,
                r#""tls":{"version":"TLSv1.3","cipher":"TLS_AES_128_GCM_SHA256"},"duration_ms":18446744073709551615}"#,
                "\n"
            )
        );
        assert!(serde_json::from_str::<serde_json::Value>(&line(&event)).is_ok());
    }

    #[test]
    fn every_member_is_bounded() {
        let long = "あ".repeat(10_000);
        let event = Event { helo: Some(&long), ..Event::new(EventName::Connect, Timestamp::from_millis(0)) };
        let value: serde_json::Value = serde_json::from_str(&line(&event)).unwrap();
        let helo = value["helo"].as_str().unwrap();
        assert_eq!(helo.chars().count(), MAX_TEXT + 1);
        assert!(helo.ends_with('…'));
    }

    #[test]
    fn what_deceives_is_escaped_in_an_explanation_too() {
        for c in ['\u{7f}', '\u{85}', '\u{61c}', '\u{200f}', '\u{2028}', '\u{202e}', '\u{2069}', '\u{feff}'] {
            let explanation = format!("{{\"sender\":\"a{c}日本語：b@x.example\"}}");
            let event =
                Event { explanation: Some(&explanation), ..Event::new(EventName::Judged, Timestamp::from_millis(0)) };
            let line = line(&event);
            assert!(!line.trim_end().chars().any(deceives), "{c:?}");
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["explanation"]["sender"], format!("a{c}日本語：b@x.example"));
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back_and_fools_no_terminal(text in any::<String>()) {
            let event = Event { reason: Some(&text), ..Event::new(EventName::Alert, Timestamp::from_millis(0)) };
            let line = line(&event);
            let raw = line.strip_suffix('\n').unwrap();
            prop_assert!(!raw.chars().any(deceives));
            let value: serde_json::Value = serde_json::from_str(raw).unwrap();
            let read = value["reason"].as_str().unwrap_or_default();
            if text.chars().count() <= MAX_TEXT {
                prop_assert_eq!(read, &text);
            } else {
                prop_assert_eq!(read.chars().count(), MAX_TEXT + 1);
            }
        }

        #[test]
        fn the_calendar_agrees_with_the_library(millis in 0u64..253_402_300_799_999) {
            let mut out = Vec::new();
            timestamp(Timestamp::from_millis(millis), &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), Timestamp::from_millis(millis).rfc3339());
        }
    }
}
