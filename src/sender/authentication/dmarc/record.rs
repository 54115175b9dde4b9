//! The DMARC record (RFC 7489 section 6.3, RFC 9989 with `np`, `psd`, `t`).
//!
//! **Failure**: what does not begin with `v=DMARC1` is no record; one without a policy counts as `p=none` if it asks for
//! reports, else as none at all (RFC 7489 section 6.6.3).
//! **Invariants**: unknown tags and odd values are passed over; nothing is kept that is not used.

use crate::model::authentication::DmarcPolicy;

/// Octets of a record that are read.
pub const LONGEST: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub policy: DmarcPolicy,
    pub subdomains: Option<DmarcPolicy>,
    /// `np`: for names that do not exist (RFC 9989).
    pub missing: Option<DmarcPolicy>,
    pub strict_dkim: bool,
    pub strict_spf: bool,
    /// Per cent (RFC 7489).
    pub percent: u8,
    pub psd: Psd,
    /// `t=y`: one step milder than it says (RFC 9989).
    pub testing: bool,
}

/// `psd` of RFC 9989.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Psd {
    /// A public suffix: the organization is one label below.
    Yes,
    /// The organization itself.
    No,
    #[default]
    Unsaid,
}

impl Record {
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST)?;
        let mut tags = text.split(';').map(|tag| {
            let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
            (name.trim_ascii().to_ascii_lowercase(), value.trim_ascii())
        });
        // The version comes first and is exactly this (section 6.3).
        let (name, version) = tags.next()?;
        if name != "v" || version != "DMARC1" {
            return None;
        }
        let mut record = Self {
            policy: DmarcPolicy::None,
            subdomains: None,
            missing: None,
            strict_dkim: false,
            strict_spf: false,
            percent: 100,
            psd: Psd::Unsaid,
            testing: false,
        };
        let (mut asked, mut reports) = (None, false);
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in tags.take(64) {
            if name.is_empty() || seen.contains(&name) {
                continue;
            }
            match name.as_str() {
                "p" => asked = policy(value),
                "sp" => record.subdomains = policy(value),
                "np" => record.missing = policy(value),
                "adkim" => record.strict_dkim = value.eq_ignore_ascii_case("s"),
                "aspf" => record.strict_spf = value.eq_ignore_ascii_case("s"),
                "pct" => record.percent = value.parse().ok().filter(|percent| *percent <= 100).unwrap_or(100),
                "psd" if value.eq_ignore_ascii_case("y") => record.psd = Psd::Yes,
                "psd" if value.eq_ignore_ascii_case("n") => record.psd = Psd::No,
                "t" => record.testing = value.eq_ignore_ascii_case("y"),
                "rua" => reports = value.to_ascii_lowercase().contains("mailto:"),
                _ => {}
            }
            seen.push(name);
        }
        match asked {
            Some(policy) => record.policy = policy,
            None if reports => {}
            None => return None,
        }
        Some(record)
    }
}

fn policy(value: &str) -> Option<DmarcPolicy> {
    match value.to_ascii_lowercase().as_str() {
        "none" => Some(DmarcPolicy::None),
        "quarantine" => Some(DmarcPolicy::Quarantine),
        "reject" => Some(DmarcPolicy::Reject),
        _ => None,
    }
}

/// One step down: what `pct` leaves out and what `t=y` asks for.
#[must_use]
pub fn milder(policy: DmarcPolicy) -> DmarcPolicy {
    match policy {
        DmarcPolicy::Reject => DmarcPolicy::Quarantine,
        DmarcPolicy::Quarantine | DmarcPolicy::None => DmarcPolicy::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let record =
            Record::parse(b"v=DMARC1; p=Reject; sp=none; adkim=s; pct=5; t=y; psd=n; x=y; rua=mailto:a@b").unwrap();
        assert_eq!((record.policy, record.subdomains), (DmarcPolicy::Reject, Some(DmarcPolicy::None)));
        assert!(record.strict_dkim && !record.strict_spf && record.testing);
        assert_eq!((record.percent, record.psd), (5, Psd::No));
        assert_eq!(Record::parse(b"v=DMARC1;p=none;p=reject").unwrap().policy, DmarcPolicy::None);
        assert_eq!(Record::parse(b"v=DMARC1; rua=mailto:a@b").unwrap().policy, DmarcPolicy::None);
        assert_eq!(Record::parse(b"v=DMARC1; p=odd; rua=mailto:a@b").unwrap().policy, DmarcPolicy::None);
        assert_eq!(Record::parse(b"v=DMARC1; p=quarantine; pct=777").unwrap().percent, 100);
        for none in
            [&b""[..], b"v=DMARC1", b"v=dmarc1; p=none", b"p=none; v=DMARC1", b"v=DMARC12; p=none", b"v=DMARC1; p=odd"]
        {
            assert_eq!(Record::parse(none), None, "{:?}", String::from_utf8_lossy(none));
        }
    }
}
