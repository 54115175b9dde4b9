//! From `[outbound]` and `[[egress]]` tables to [`OutboundSettings`].

use std::collections::HashMap;
use std::net::IpAddr;

use crate::model::Domain;
use crate::model::egress::{OutboundSpam, Pool};
use crate::model::written::{Problem, Problems};

use super::merge::{Entry, Merged};
use super::settings::{EgressSettings, OutboundSettings};
use super::take::Taker;

const TABLE: &str = "egress";

pub(super) fn fill(merged: &Merged, hostname: Option<&Domain>, problems: &mut Problems) -> OutboundSettings {
    let mut egress: Vec<EgressSettings> = Vec::new();
    let mut owners: HashMap<IpAddr, Pool> = HashMap::new();
    for entry in merged.entries(TABLE) {
        let Some(settings) = one(merged, entry, hostname, problems) else { continue };
        if egress.iter().any(|other| other.pool == settings.pool) {
            let what = format!("a second egress is for the pool {}", settings.pool);
            problems.push(Problem::new(entry.place("egress.pool"), what).help("name all its addresses in one source"));
        }
        for ip in &settings.source {
            let owner = *owners.entry(*ip).or_insert(settings.pool);
            if owner != settings.pool {
                let what = format!("egress.source: {ip} is of the pool {owner} already");
                let problem = Problem::new(entry.place("egress.source"), what);
                problems.push(problem.help("what leaves by one pool would harm the other"));
            }
        }
        egress.push(settings);
    }
    let mut take = Taker { merged, entry: None, problems };
    let spam = take.text("outbound.spam").and_then(|word| OutboundSpam::parse(&word)).unwrap_or_default();
    if spam == OutboundSpam::SuspectPool && !egress.iter().any(|one| one.pool == Pool::Suspect) {
        let what = "outbound.spam: spam may leave by addresses of its own alone, and there are none";
        take.wrong("outbound.spam", what, "write [[egress]] with pool = \"suspect\" and source");
    }
    OutboundSettings { spam, egress }
}

fn one(merged: &Merged, entry: &Entry, hostname: Option<&Domain>, problems: &mut Problems) -> Option<EgressSettings> {
    entry.require(&["pool", "source"], merged, problems);
    let mut take = Taker { merged, entry: Some(entry), problems };
    let pool = take.text("egress.pool").and_then(|word| Pool::parse(&word));
    let source = take.ips("egress.source");
    if let Some(ip) = source.iter().find(|ip| ip.is_unspecified() || ip.is_multicast()) {
        take.wrong("egress.source", format!("egress.source: nothing comes from {ip}"), "an address of this machine");
    }
    let hostname = take.text("egress.hostname").and_then(|name| Domain::parse(&name).ok()).or(hostname.cloned());
    if source.is_empty() {
        // Told already if it isn't written.
        if take.is_written("egress.source") {
            take.wrong("egress.source", "egress.source: a pool without an address", "name one at least");
        }
        return None;
    }
    Some(EgressSettings { pool: pool?, source, hostname: hostname? })
}

/// One address.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    let parsed = text.parse::<IpAddr>().map(|ip| ip.to_canonical());
    parsed.map_err(|_| format!("{text:?} is no IP address; write 192.0.2.1 or 2001:db8::1"))
}
