//! What must hold of TXT records from anywhere: reading SPF, DMARC and DKIM key records never panics; what is read is
//! bounded; an expanded macro is a bounded name.

use sekisho::sender::authentication::dkim::key::Key;
use sekisho::sender::authentication::dmarc::record::Record as Dmarc;
use sekisho::sender::authentication::spf::macros::{DomainSpec, LONGEST_DOMAIN, MacroString, Values};
use sekisho::sender::authentication::spf::record::Record as Spf;

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    if let Ok(record) = Spf::parse(data) {
        assert!(data.iter().all(|byte| matches!(byte, b' '..=b'~')), "an SPF record of odd octets was read");
        assert!(record.directives.len() <= data.len() / 2, "more directives than text");
    }
    if let Some(record) = Dmarc::parse(data) {
        assert!(data.starts_with(b"v") || data.first().is_none_or(|byte| byte.is_ascii_whitespace() || *byte == b'V'));
        assert!(record.percent <= 100);
    }
    let _ = Key::parse(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let values = Values {
        sender_local: "strong-bad",
        sender_domain: "email.example.com",
        domain: text.get(..64).unwrap_or("example.com"),
        helo: text.get(..32).unwrap_or("mail.example.com"),
        ip: std::net::IpAddr::from([192, 0, 2, 3]),
        name: "unknown",
        receiver: "mx.example",
        now: 1,
    };
    if let Some(spec) = DomainSpec::parse(text) {
        assert!(spec.expand(&values).len() <= LONGEST_DOMAIN);
    }
    if let Some(string) = MacroString::parse(text, true) {
        assert!(string.expand(&values).len() <= 64 * 1024 + 64 * data.len());
    }
}
