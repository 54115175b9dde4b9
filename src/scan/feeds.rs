//! Detector `feeds`: addresses of the message, looked up in the feeds of its signature set. Links and the hosts they lead to, the
//! authors' domains, the client.
//!
//! **Invariants**: each feed is found at most once in a message; no question leaves this machine.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::message::specimen::{LinkSource, Specimen};
use crate::model::finding::{Detector, Finding, Verdict};
use crate::signatures::Feeds;
use crate::signatures::rules::RuleInfo;

/// Different hosts and addresses of one message that are looked up.
const MAX_LOOKUPS: usize = 10_000;

/// Looks up what the message names. `client`: who handed it over; `sender_host`: of the envelope.
pub fn detect(
    feeds: &Feeds,
    specimen: &Specimen,
    client: Option<IpAddr>,
    sender_host: Option<&str>,
    verdict: &mut Verdict,
) {
    if feeds.is_empty() {
        return;
    }
    let mut found = HashSet::new();
    let mut find = |info: Option<&RuleInfo>, evidence: &str| {
        if let Some(info) = info
            && let Some(score) = info.score
            && found.insert(info.name.clone())
        {
            verdict.find(Finding::new(Detector::Feeds, &info.name, info.class, score, evidence));
        }
    };
    let mut seen: HashSet<&str> = HashSet::new();
    for link in &specimen.links {
        if seen.len() >= MAX_LOOKUPS {
            break;
        }
        if link.host.is_empty() {
            continue;
        }
        if seen.insert(&link.host) {
            find(feeds.domain(&link.host), &link.host);
            if let Ok(address) = link.host.parse() {
                find(feeds.network(address), &link.host);
            }
        }
        if link.source != LinkSource::Image && seen.insert(&link.url) {
            find(feeds.url(&link.url), &link.url);
        }
    }
    let authors = specimen.from().into_iter().chain(specimen.reply_to());
    for mailbox in authors.take(8) {
        let host = mailbox.address.rsplit_once('@').map_or("", |(_, host)| host).trim_matches(['>', ' ', '.']);
        if !host.is_empty() {
            find(feeds.domain(host), host);
        }
    }
    if let Some(host) = sender_host {
        find(feeds.domain(host), host);
    }
    if let Some(address) = client {
        find(feeds.network(address), &address.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::specimen::Limits;
    use crate::model::finding::Class;
    use crate::signatures::fault::Faults;
    use crate::signatures::pack::{FeedEntry, FeedKind};

    fn feeds() -> Feeds {
        let mut feeds = Feeds::default();
        let mut faults = Faults::default();
        let lines: [(FeedKind, &str, &[u8]); 3] = [
            (FeedKind::Domains, "BAD_DOMAIN", b"evil.example.net\n"),
            (FeedKind::Urls, "BAD_URL", b"https://shared.example.org/bad/page\n"),
            (FeedKind::Networks, "BAD_NETWORK", b"192.0.2.0/24\n"),
        ];
        for (kind, symbol, octets) in lines {
            let entry = FeedEntry {
                file: "f".into(),
                kind,
                symbol: symbol.into(),
                class: Class::Phishing,
                score: 4.0,
                en: "".into(),
                ja: "".into(),
                fields: Vec::new(),
            };
            feeds.add("test", &entry, octets, &mut faults);
        }
        feeds.finish();
        assert!(faults.refused.is_empty() && faults.skipped.is_empty());
        feeds
    }

    fn symbols(text: &str, client: Option<IpAddr>) -> Vec<String> {
        let specimen = Specimen::parse(text.replace('\n', "\r\n").into(), &Limits::default(), &|| false);
        let mut verdict = Verdict::new(1);
        detect(&feeds(), &specimen, client, None, &mut verdict);
        verdict.findings.iter().map(|finding| finding.symbol.to_string()).collect()
    }

    #[test]
    fn what_a_message_names_is_looked_up() {
        let head = "From: A <a@company.example>\n";
        assert_eq!(
            symbols(&format!("{head}\nsee http://www.evil.example.net/ and http://evil.example.net/x\n"), None),
            ["BAD_DOMAIN"]
        );
        assert_eq!(symbols(&format!("{head}\nhttps://shared.example.org/bad/page?id=1\n"), None), ["BAD_URL"]);
        assert_eq!(symbols(&format!("{head}\nhttp://3221225985/\n"), None), ["BAD_NETWORK"]);
        assert_eq!(symbols("From: A <a@evil.example.net>\n\nx\n", None), ["BAD_DOMAIN"]);
        assert_eq!(symbols(&format!("{head}\nx\n"), Some([192, 0, 2, 9].into())), ["BAD_NETWORK"]);
        let wrapped = "https://www.google.com/url?q=https%3A%2F%2Fevil.example.net%2F";
        assert_eq!(symbols(&format!("{head}\n{wrapped}\n"), None), ["BAD_DOMAIN"]);
        assert_eq!(
            symbols(&format!("{head}\nhttps://shared.example.org/good\n"), Some([198, 51, 100, 1].into())),
            [""; 0]
        );
    }
}
