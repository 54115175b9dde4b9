//! What must hold of Received fields: any is read without a panic; what is read has no line break; the one we write is one field
//! whatever the client called itself.

use sekisho::message::received::{Trace, received};
use sekisho::model::{MessageId, Origin, Timestamp, TlsFacts};
use sekisho::scan::spamassassin::relays::{Relays, parse};

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let fields: Vec<&str> = text.split('\n').collect();
    for field in &fields {
        let _ = parse(field);
    }
    let relays = Relays::read(fields.iter().copied(), fields.iter().copied());
    assert!(relays.trusted.len() + relays.untrusted.len() + relays.unparseable <= fields.len());
    let _ = (Relays::written(&relays.trusted, true), Relays::written(&relays.untrusted, false));

    let helo: String = text.chars().take(300).collect();
    let tls = TlsFacts { version: "TLSv1.3".into(), cipher: "x".into(), client_certificate: None };
    let origin = Origin {
        ip: [192, 0, 2, 1].into(),
        helo: helo.into(),
        listener: "inbound".into(),
        protocol: "ESMTPS".into(),
        received_at: Timestamp::from_millis(1_795_176_451_000),
    };
    let trace = Trace {
        hostname: "mx.example",
        origin: &origin,
        tls: Some(&tls),
        id: MessageId::new(1, 2),
        only_recipient: None,
    };
    let field = received(&trace);
    assert!(field.ends_with("\r\n") && field.starts_with("Received: from "));
    let lines: Vec<&str> = field.trim_end_matches("\r\n").split("\r\n").collect();
    assert!(
        lines.iter().all(|line| line.len() <= 998 && !line.chars().any(|c| c.is_control() && c != '\t')),
        "{field:?}"
    );
    assert!(lines.iter().skip(1).all(|line| line.starts_with('\t')), "{field:?}");
}
