//! The Received field we prepend (RFC 5321 section 4.4, keywords of RFC 3848 and RFC 6531 section 4.3).
//!
//! **Invariants**: ends with CRLF, lines below 998 octets, no control character from outside can get in: every value was
//! checked where it was parsed, and is filtered once more here.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::model::{Address, MessageId, Origin, TlsFacts};

/// What the trace line says.
#[derive(Debug, Clone)]
pub struct Trace<'a> {
    pub hostname: &'a str,
    pub origin: &'a Origin,
    pub tls: Option<&'a TlsFacts>,
    pub id: MessageId,
    /// Named only if there is exactly one recipient: the others' addresses are nobody's business.
    pub only_recipient: Option<&'a Address>,
}

/// The `with` keyword.
#[must_use]
pub fn protocol(esmtp: bool, tls: bool, authenticated: bool, smtputf8: bool) -> &'static str {
    match (smtputf8, esmtp, tls, authenticated) {
        (true, _, false, false) => "UTF8SMTP",
        (true, _, true, false) => "UTF8SMTPS",
        (true, _, false, true) => "UTF8SMTPA",
        (true, _, true, true) => "UTF8SMTPSA",
        (false, false, ..) => "SMTP",
        (false, true, false, false) => "ESMTP",
        (false, true, true, false) => "ESMTPS",
        (false, true, false, true) => "ESMTPA",
        (false, true, true, true) => "ESMTPSA",
    }
}

/// Writes the field.
#[must_use]
pub fn received(trace: &Trace<'_>) -> String {
    let mut field = String::with_capacity(320);
    let origin = trace.origin;
    field.push_str("Received: from ");
    push_clean(&mut field, if origin.helo.is_empty() { "unknown" } else { &origin.helo });
    let _ = match origin.client().map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => write!(field, " ([{ip}])"),
        Some(IpAddr::V6(ip)) => write!(field, " ([IPv6:{ip}])"),
        // No address is a literal (RFC 5321 section 4.4); a wrong one would be believed.
        None => write!(field, " (unknown)"),
    };
    let _ = write!(field, "\r\n\tby {} (Sekisho) with {} id {}", trace.hostname, origin.protocol, trace.id);
    if let Some(tls) = trace.tls {
        let _ = write!(field, "\r\n\t(using {} with cipher {})", tls.version, tls.cipher);
    }
    if let Some(recipient) = trace.only_recipient {
        let _ = write!(field, "\r\n\tfor <{recipient}>");
    }
    let _ = write!(field, ";\r\n\t{}\r\n", origin.received_at.rfc5322());
    field
}

fn push_clean(field: &mut String, text: &str) {
    field.extend(
        text.chars()
            .take(255)
            .map(|c| if c.is_control() || c.is_whitespace() || "()<>\\".contains(c) { '?' } else { c }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn it_reads_like_the_standard() {
        let origin = Origin {
            ip: "::ffff:192.0.2.7".parse().unwrap(),
            helo: "client (x\r\ny".into(),
            listener: "mx".into(),
            protocol: "ESMTPS".into(),
            received_at: Timestamp::from_millis(1_795_176_451_250),
        };
        let to = Address::parse("a@acme.example").unwrap();
        let tls =
            TlsFacts { version: "TLSv1.3".into(), cipher: "TLS13_AES_256_GCM_SHA384".into(), client_certificate: None };
        let id = MessageId::new(0, 0);
        let field = received(&Trace {
            hostname: "mx.example",
            origin: &origin,
            tls: Some(&tls),
            id,
            only_recipient: Some(&to),
        });
        assert_eq!(
            field,
            "Received: from client??x??y ([192.0.2.7])\r\n\tby mx.example (Sekisho) with ESMTPS id 00000000000000000000000000\
             \r\n\t(using TLSv1.3 with cipher TLS13_AES_256_GCM_SHA384)\r\n\tfor <a@acme.example>;\
             \r\n\tFri, 20 Nov 2026 12:07:31 +0000\r\n"
        );
    }
}
