//! Plain feeds: lists of domains, addresses on the web, networks and hashes of files, each named in its `pack.toml`.
//!
//! One entry a line. What stands behind a blank, and lines that begin with `#`, `!` or `;`, are comments. Understood as well:
//! lines of hosts files (`0.0.0.0 bad.example`) and of ad blockers (`||bad.example^`). A domain stands for all below it. An address matches
//! itself with any query behind it; one that names only a host counts as a domain. Networks are single addresses or CIDR.
//! Hashes are MD5, SHA-1 or SHA-256.
//!
//! **Failure**: a line that is none is skipped and told. **Invariants**: 8 octets and a number for each domain or address, in
//! sorted tables; two different ones have the same 64 bits of SHA-256 once in 10^19 pairs.

use std::net::IpAddr;

use aws_lc_rs::digest;
use ipnet::IpNet;

use super::clamav::hashes::Hashes;
use super::fault::Faults;
use super::pack::{FeedEntry, FeedKind};
use super::rules::RuleInfo;
use crate::model::finding::Score;

/// Labels of a host name that are looked at, from the right.
const MAX_LABELS: usize = 12;

/// All feeds of a set.
#[derive(Debug, Default)]
pub struct Feeds {
    infos: Vec<RuleInfo>,
    domains: Table,
    urls: Table,
    /// First and last address, and whose it is; IPv4 as mapped into IPv6.
    networks: Vec<(u128, u128, u32)>,
    hashes: Hashes,
}

/// Sorted hashes with their owners.
#[derive(Debug, Default)]
struct Table(Vec<(u64, u32)>);

impl Table {
    fn find(&self, text: &str) -> Option<u32> {
        let hash = short_hash(text);
        let place = self.0.partition_point(|(entry, _)| *entry < hash);
        self.0.get(place).filter(|(entry, _)| *entry == hash).map(|(_, owner)| *owner)
    }

    fn sort(&mut self) {
        self.0.sort_unstable();
        self.0.dedup_by_key(|(hash, _)| *hash);
        self.0.shrink_to_fit();
    }
}

fn short_hash(text: &str) -> u64 {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().first_chunk().map_or(0, |octets| u64::from_le_bytes(*octets))
}

impl Feeds {
    /// Takes the lines of a feed.
    pub fn add(&mut self, pack: &str, entry: &FeedEntry, octets: &[u8], faults: &mut Faults) {
        let shown = format!("{pack}/{}", entry.file);
        let owner = u32::try_from(self.infos.len()).unwrap_or(u32::MAX);
        self.infos.push(RuleInfo {
            name: entry.symbol.clone(),
            class: entry.class,
            score: Some(Score::from_points(entry.score)),
            en: entry.en.clone(),
            ja: entry.ja.clone(),
            pack: pack.into(),
        });
        for (line, number) in octets.split(|octet| *octet == b'\n').zip(1..) {
            let Ok(line) = std::str::from_utf8(line) else {
                faults.skip(&shown, number, "is not UTF-8");
                continue;
            };
            let Some(item) = item(line) else { continue };
            if let Err(reason) = self.item(entry.kind, item, owner) {
                faults.skip(&shown, number, reason);
            }
        }
    }

    fn item(&mut self, kind: FeedKind, item: &str, owner: u32) -> Result<(), String> {
        let item = item.trim_start_matches("||");
        // What ad blockers write behind the address.
        let item = item.split(['^', '$']).next().unwrap_or(item);
        match kind {
            FeedKind::Hashes => self.hashes.add(item, None, owner),
            FeedKind::Networks => {
                let network = item.parse::<IpNet>().or_else(|_| item.parse::<IpAddr>().map(IpNet::from));
                let network = network.map_err(|_| format!("{item:.80?} is no network"))?;
                self.networks.push((number(network.network()), number(network.broadcast()), owner));
                Ok(())
            }
            FeedKind::Domains => {
                let domain = item.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
                let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_' | b':');
                if domain.is_empty() || domain.len() > 253 || !domain.bytes().all(fits) {
                    return Err(format!("{item:.80?} is no domain"));
                }
                self.domains.0.push((short_hash(&domain), owner));
                Ok(())
            }
            // Lists of literals are part of the rules.
            FeedKind::Literals => Ok(()),
            FeedKind::Urls => {
                let url = canonical(item).ok_or_else(|| format!("{item:.80?} is no address"))?;
                match url.split_once('/') {
                    Some((_, path)) if !path.is_empty() => self.urls.0.push((short_hash(&url), owner)),
                    _ => self.domains.0.push((short_hash(url.trim_end_matches('/')), owner)),
                }
                Ok(())
            }
        }
    }

    /// To be called when all is added.
    pub fn finish(&mut self) {
        self.domains.sort();
        self.urls.sort();
        self.hashes.sort();
        self.networks = flat(std::mem::take(&mut self.networks));
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.domains.0.len() + self.urls.0.len() + self.networks.len() + self.hashes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn infos(&self) -> impl Iterator<Item = &RuleInfo> {
        self.infos.iter()
    }

    fn info(&self, owner: u32) -> Option<&RuleInfo> {
        self.infos.get(owner as usize)
    }

    /// A feed that has the host or a domain above it; the host in ASCII.
    #[must_use]
    pub fn domain(&self, host: &str) -> Option<&RuleInfo> {
        if self.domains.0.is_empty() {
            return None;
        }
        let host = host.trim_matches('.').to_ascii_lowercase();
        let dots = host.rmatch_indices('.').map(|(at, _)| at + 1).take(MAX_LABELS);
        let above = dots.filter_map(|at| host.get(at..));
        let found = above.chain([&*host]).find_map(|name| self.domains.find(name));
        found.and_then(|owner| self.info(owner))
    }

    /// A feed that has the address, as it is or without what stands behind `?`.
    #[must_use]
    pub fn url(&self, url: &str) -> Option<&RuleInfo> {
        if self.urls.0.is_empty() {
            return None;
        }
        let url = canonical(url)?;
        let without = url.split_once('?').map(|(path, _)| path);
        let found = self.urls.find(&url).or_else(|| without.and_then(|path| self.urls.find(path)));
        found.and_then(|owner| self.info(owner))
    }

    #[must_use]
    pub fn network(&self, address: IpAddr) -> Option<&RuleInfo> {
        let wanted = number(address);
        let behind = self.networks.partition_point(|(first, ..)| *first <= wanted);
        let (_, last, owner) = self.networks.get(behind.checked_sub(1)?)?;
        if wanted <= *last { self.info(*owner) } else { None }
    }

    /// A feed that has the hash of a file.
    #[must_use]
    pub fn file(&self, octets: &[u8], sha256: Option<&[u8; 32]>) -> Option<&RuleInfo> {
        self.hashes.find(octets, sha256).and_then(|owner| self.info(owner))
    }
}

/// Networks lie in each other or apart: cut into ranges that lie apart, the inner ones first.
fn flat(mut networks: Vec<(u128, u128, u32)>) -> Vec<(u128, u128, u32)> {
    networks.sort_unstable_by_key(|(first, last, owner)| (*first, std::cmp::Reverse(*last), *owner));
    let mut ranges = Vec::with_capacity(networks.len());
    let mut open: Vec<(u128, u32)> = Vec::new();
    let mut from = 0_u128;
    let close = |open: &mut Vec<(u128, u32)>, from: &mut u128, before: Option<u128>, ranges: &mut Vec<_>| {
        while let Some((last, owner)) = open.last().copied() {
            if before.is_some_and(|before| last >= before) {
                break;
            }
            if *from <= last {
                ranges.push((*from, last, owner));
            }
            *from = last.saturating_add(1);
            open.pop();
        }
    };
    for (first, last, owner) in networks {
        close(&mut open, &mut from, Some(first), &mut ranges);
        if let Some((_, around)) = open.last()
            && from < first
        {
            ranges.push((from, first - 1, *around));
        }
        from = first;
        open.push((last, owner));
    }
    close(&mut open, &mut from, None, &mut ranges);
    ranges
}

/// What a line names; of a hosts file, the second word.
fn item(line: &str) -> Option<&str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', '!', ';']) {
        return None;
    }
    let mut words = line.split_ascii_whitespace();
    match words.next()? {
        "0.0.0.0" | "127.0.0.1" | "::" | "::1" => words.next().or(Some(line)),
        first => Some(first),
    }
}

/// Without scheme, fragment, standard port and last slash; the host in lower case.
fn canonical(url: &str) -> Option<String> {
    let url = url.split('#').next().unwrap_or(url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).unwrap_or(host);
    let host = host.trim_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then(|| format!("{host}{}", path.trim_end_matches('/')))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Class;

    fn feeds(kind: FeedKind, lines: &str) -> (Feeds, Faults) {
        let entry = FeedEntry {
            file: "list.txt".into(),
            kind,
            symbol: "FEED".into(),
            class: Class::Phishing,
            score: 4.0,
            en: "".into(),
            ja: "".into(),
            fields: Vec::new(),
        };
        let (mut feeds, mut faults) = (Feeds::default(), Faults::default());
        feeds.add("test", &entry, lines.as_bytes(), &mut faults);
        feeds.finish();
        (feeds, faults)
    }

    #[test]
    fn a_domain_stands_for_all_below_it() {
        let lines =
            "# comment\nbad.example\n0.0.0.0 hosts.example\n||adblock.example^\n*.star.example\nno domain!\nx/y\n";
        let (feeds, faults) = feeds(FeedKind::Domains, lines);
        for host in ["bad.example", "www.BAD.example", "a.b.hosts.example", "adblock.example", "x.star.example"] {
            assert!(feeds.domain(host).is_some(), "{host}");
        }
        for host in ["example", "notbad.example", "bad.example.org", ""] {
            assert!(feeds.domain(host).is_none(), "{host}");
        }
        assert_eq!(faults.skipped.iter().map(|fault| fault.line).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn addresses_match_with_any_query() {
        let (feeds, _) = feeds(FeedKind::Urls, "http://Bad.example:80/Login/\nonly.example/\n");
        for url in ["https://bad.example/Login", "http://bad.example/Login?id=1", "http://u@bad.example/Login#x"] {
            assert!(feeds.url(url).is_some(), "{url}");
        }
        assert!(feeds.url("https://bad.example/login").is_none());
        assert!(feeds.url("https://bad.example/").is_none());
        assert!(feeds.domain("www.only.example").is_some());
    }

    #[test]
    fn networks_hold_their_addresses() {
        let (feeds, faults) = feeds(
            FeedKind::Networks,
            "192.0.2.0/24\n192.0.2.8/30\n192.0.2.8\n198.51.100.7\n2001:db8::/32\n300.1.1.1\n",
        );
        for (address, expected) in [
            ("192.0.2.255", true),
            ("192.0.2.0", true),
            ("192.0.2.8", true),
            ("192.0.2.10", true),
            ("192.0.1.255", false),
            ("192.0.3.0", false),
            ("198.51.100.7", true),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(feeds.network(address.parse().unwrap()).is_some(), expected, "{address}");
        }
        assert_eq!(faults.skipped.len(), 1);
    }
}
