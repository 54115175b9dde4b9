//! The openspf suites: RFC 7208 (203 cases) and RFC 4408 (191 cases, judged by the rules of RFC 7208, which we follow).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use sekisho::dns::{Answer, Asking, Mx, Resolver, reverse_name};
use sekisho::sender::authentication::budget::Budget;
use sekisho::sender::authentication::spf::{Question, check_host};
use yaml_rust2::{Yaml, YamlLoader};

use crate::{Tally, corpora};

/// Cases of the older suite that RFC 7208 decides otherwise.
const CHANGED_BY_RFC_7208: &[(&str, &str)] = &[];

#[tokio::test]
async fn rfc_7208() {
    suite("rfc7208-tests.yml", "SPF, RFC 7208", 203, &[]).await;
}

#[tokio::test]
async fn rfc_4408() {
    suite("rfc4408-tests.yml", "SPF, RFC 4408", 191, CHANGED_BY_RFC_7208).await;
}

async fn suite(file: &str, name: &str, cases: usize, exceptions: &[(&str, &str)]) {
    let Some(folder) = corpora("auth/pyspf-openspf-tests/test") else { return };
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let mut tally = Tally::default();
    for scenario in YamlLoader::load_from_str(&text).unwrap() {
        let zone = Arc::new(Zone::read(&scenario["zonedata"]));
        for (case, facts) in scenario["tests"].as_hash().unwrap() {
            let outcome = run(facts, &zone).await;
            tally.note(case.as_str().unwrap(), outcome);
        }
    }
    tally.settle(name, cases, exceptions);
}

async fn run(facts: &Yaml, zone: &Arc<Zone>) -> Result<(), String> {
    let text = |key: &str| facts[key].as_str().unwrap_or_default().to_owned();
    let (helo, sender) = (text("helo"), text("mailfrom"));
    let (local, domain) = match sender.rsplit_once('@') {
        Some((local, domain)) => (local, domain),
        None if sender.is_empty() => ("postmaster", helo.as_str()),
        None => ("postmaster", sender.as_str()),
    };
    let budget = Budget::new(zone.clone());
    let ip: IpAddr = text("host").parse().unwrap();
    let question = Question {
        ip,
        domain,
        sender_local: local,
        sender_domain: domain,
        helo: &helo,
        receiver: "receiver.example",
        now: 1_700_000_000,
    };
    let checked = check_host(&budget, &question).await;
    let result = format!("{:?}", checked.result).to_lowercase();
    let wanted: Vec<&str> = match &facts["result"] {
        Yaml::Array(any) => any.iter().map(|one| one.as_str().unwrap()).collect(),
        one => vec![one.as_str().unwrap()],
    };
    if !wanted.contains(&result.as_str()) {
        return Err(format!("{result} instead of {wanted:?}: {:?}", checked.why));
    }
    let Some(wanted) = facts["explanation"].as_str() else { return Ok(()) };
    match checked.explanation.as_deref().unwrap_or("DEFAULT") {
        got if got == wanted => Ok(()),
        got => Err(format!("explanation {got:?} instead of {wanted:?}")),
    }
}

/// The records of one scenario.
#[derive(Debug, Default)]
struct Zone(HashMap<String, Name>);

#[derive(Debug, Default)]
struct Name {
    records: Vec<(String, Yaml)>,
    /// Questions for types that are not there get no answer.
    timeout: bool,
}

impl Zone {
    fn read(zone: &Yaml) -> Self {
        let mut names: HashMap<String, Name> = HashMap::new();
        for (owner, records) in zone.as_hash().unwrap() {
            let owner = owner.as_str().map_or_else(|| format!("{owner:?}"), str::to_owned);
            let name = names.entry(owner.to_lowercase()).or_default();
            for record in records.as_vec().unwrap() {
                if record.as_str() == Some("TIMEOUT") {
                    name.timeout = true;
                } else {
                    for (kind, data) in record.as_hash().unwrap() {
                        name.records.push((kind.as_str().unwrap().to_owned(), data.clone()));
                    }
                }
            }
            // "Auto-magic duplication of SPF to TXT records", unless the zone says what TXT holds.
            if !name.records.iter().any(|(kind, _)| kind == "TXT") {
                let copies: Vec<_> = name.records.iter().filter(|(kind, _)| kind == "SPF").cloned().collect();
                name.records.extend(copies.into_iter().map(|(_, data)| ("TXT".to_owned(), data)));
            }
            name.records.retain(|(kind, data)| kind != "TXT" || data.as_str() != Some("NONE"));
        }
        Self(names)
    }

    fn look<T>(&self, name: &str, kind: &str, read: impl Fn(&Yaml) -> T) -> Answer<Vec<T>> {
        let mut owner = name.trim_end_matches('.').to_lowercase();
        for _ in 0..8 {
            let Some(found) = self.0.get(&owner) else { return Answer::NoSuchDomain };
            let records: Vec<T> = found.records.iter().filter(|(k, _)| k == kind).map(|(_, data)| read(data)).collect();
            if !records.is_empty() {
                return Answer::Found(records);
            }
            match found.records.iter().find(|(k, _)| k == "CNAME") {
                Some((_, to)) => owner = to.as_str().unwrap().to_lowercase(),
                None if found.timeout => return Answer::Temporary("time-out".into()),
                None => return Answer::NoRecords,
            }
        }
        Answer::Temporary("CNAME loop".into())
    }

    fn addresses<T: std::str::FromStr>(&self, name: &str, kind: &str) -> Answer<Vec<T>> {
        self.look(name, kind, |data| data.as_str().and_then(|text| text.parse().ok()))
            .map(|all| all.into_iter().flatten().collect())
    }
}

/// The suite writes octets as characters below 256.
fn octets(data: &Yaml) -> Box<[u8]> {
    match data {
        Yaml::Array(pieces) => pieces.iter().flat_map(|piece| octets(piece).into_vec()).collect(),
        one => one.as_str().unwrap_or_default().chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
    }
}

impl Resolver for Zone {
    fn mx<'a>(&'a self, domain: &'a str) -> Asking<'a, Vec<Mx>> {
        let read = |data: &Yaml| Mx {
            preference: u16::try_from(data[0].as_i64().unwrap()).unwrap(),
            exchange: data[1].as_str().unwrap().into(),
        };
        Box::pin(std::future::ready(self.look(domain, "MX", read)))
    }

    fn ip<'a>(&'a self, _: &'a str) -> Asking<'a, Vec<IpAddr>> {
        unreachable!("SPF asks for A or AAAA")
    }

    fn a<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv4Addr>> {
        Box::pin(std::future::ready(self.addresses(name, "A")))
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv6Addr>> {
        Box::pin(std::future::ready(self.addresses(name, "AAAA")))
    }

    fn txt<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Box<[u8]>>> {
        Box::pin(std::future::ready(self.look(name, "TXT", octets)))
    }

    fn ptr(&self, ip: IpAddr) -> Asking<'_, Vec<Box<str>>> {
        Box::pin(std::future::ready(self.look(&reverse_name(ip), "PTR", |data| data.as_str().unwrap().into())))
    }
}
