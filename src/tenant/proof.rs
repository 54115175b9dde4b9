//! A field by which a tenant's mail is known in a network that many tenants share: the addresses of a cloud prove nothing.
//!
//! **Invariants**: of the secret only its SHA-256 is kept, so it must not be guessable ([`SHORTEST`]); it is compared in constant
//! time and shows nowhere.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::TenantId;

use super::spec::{ClientSpec, TenantSpec};

/// Octets of a secret, at least.
pub const SHORTEST: usize = 16;
const LONGEST: usize = 200;

/// Networks, the name of a field, and the hash of its value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderProof {
    pub networks: Vec<IpNet>,
    pub header: Box<str>,
    /// SHA-256, lower-case hex.
    value_hash: Box<str>,
}

/// What a message showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Right,
    Wrong,
    /// The field is not there.
    Nothing,
}

impl HeaderProof {
    /// # Errors
    /// A sentence; the secret itself is not in it.
    pub fn new(networks: Vec<IpNet>, header: Box<str>, value: &str) -> Result<Self, &'static str> {
        let fits = (SHORTEST..=LONGEST).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err("16 to 200 printable characters without blanks, better random ones");
        }
        Ok(Self { networks, header, value_hash: hash(value.as_bytes()) })
    }

    /// The hash: what no other tenant may have.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.value_hash
    }

    #[must_use]
    pub fn covers(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// What the header of `message` shows. Every field of this name must bear the secret: one that doesn't was put in by somebody
    /// who hoped that we look at another.
    #[must_use]
    pub fn shown_by(&self, message: &[u8]) -> Shown {
        let mut shown = Shown::Nothing;
        for range in fields_named(message, &self.header) {
            let field = message.get(range).unwrap_or_default();
            let value = field.iter().position(|byte| *byte == b':').and_then(|at| field.get(at + 1..));
            let own = hash(value.unwrap_or_default().trim_ascii());
            if verify_slices_are_equal(own.as_bytes(), self.value_hash.as_bytes()).is_err() {
                return Shown::Wrong;
            }
            shown = Shown::Right;
        }
        shown
    }
}

/// Where the fields of this name stand in a header, with their CRLF; rising, apart from each other.
#[must_use]
pub fn fields_named(message: &[u8], name: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = message.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(b"\r\n") || rest.starts_with(b"\n") {
            break;
        }
        let mut end = line_end(rest);
        while matches!(rest.get(end), Some(b' ' | b'\t')) {
            end += line_end(rest.get(end..).unwrap_or_default());
        }
        let colon = rest.iter().take(end).position(|byte| *byte == b':');
        let own = colon.and_then(|colon| rest.get(..colon)).map(<[u8]>::trim_ascii_end);
        if own.is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes())) {
            found.push(at..at + end);
        }
        at += end;
    }
    found
}

fn line_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1)
}

fn hash(value: &[u8]) -> Box<str> {
    use std::fmt::Write as _;
    digest(&SHA256, value)
        .as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
        .into()
}

impl fmt::Debug for HeaderProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderProof")
            .field("networks", &self.networks)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// A network that one tenant claims for itself and another as shared: owner, sharer, network.
#[must_use]
pub fn claimed_both_ways(specs: &[TenantSpec]) -> Option<(&TenantId, &TenantId, IpNet)> {
    let clients = || specs.iter().flat_map(|spec| spec.outbound_clients.iter().map(move |client| (&spec.id, client)));
    let alone: std::collections::HashMap<IpNet, &TenantId> = clients()
        .filter_map(|(id, client)| if let ClientSpec::Network(network) = client { Some((*network, id)) } else { None })
        .collect();
    clients().find_map(|(sharer, client)| {
        let ClientSpec::Header(proof) = client else { return None };
        proof.networks.iter().find_map(|network| alone.get(network).map(|owner| (*owner, sharer, *network)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> HeaderProof {
        let networks = vec!["192.0.2.0/24".parse().unwrap()];
        HeaderProof::new(networks, "X-Acme-Tenant".into(), "0123456789abcdef").unwrap()
    }

    #[test]
    fn the_secret_must_stand_in_every_field_of_the_name() {
        for (header, shown) in [
            ("x-acme-tenant : 0123456789abcdef\r\n", Shown::Right),
            ("A: b\r\nX-Acme-Tenant:\r\n\t0123456789abcdef\r\n", Shown::Right),
            ("X-Acme-Tenant: 0123456789abcdef\r\nX-Acme-Tenant: 0123456789abcdeg\r\n", Shown::Wrong),
            ("X-Acme-Tenant: 0123456789abcde\r\n", Shown::Wrong),
            ("X-Acme-Tenant:\r\n", Shown::Wrong),
            ("X-Other: 0123456789abcdef\r\n", Shown::Nothing),
            ("\r\nX-Acme-Tenant: 0123456789abcdef\r\n", Shown::Nothing),
        ] {
            assert_eq!(proof().shown_by(header.as_bytes()), shown, "{header}");
        }
    }

    #[test]
    fn a_secret_is_never_shown_and_never_short() {
        let proof = proof();
        assert!(!format!("{proof:?}").contains("012345"), "{proof:?}");
        assert!(!format!("{proof:?}").contains(proof.secret()), "{proof:?}");
        assert!(!serde_json::to_string(&proof).unwrap().contains("0123456789abcdef\""));
        assert!(HeaderProof::new(Vec::new(), "X".into(), "short").is_err());
        assert!(proof.covers("192.0.2.9".parse().unwrap()) && !proof.covers("192.0.3.9".parse().unwrap()));
        assert!(proof.covers("::ffff:192.0.2.9".parse().unwrap()));
    }
}
