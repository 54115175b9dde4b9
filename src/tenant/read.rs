//! Reads `tenants.toml`: everything that is wrong is told in one run, with file and line.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

use ipnet::IpNet;
use toml::de::{DeTable, DeValue};

use crate::model::rates::{Limited, OutboundRates, Windows};
use crate::model::written::{Problem, Problems, Section, Source};
use crate::model::{Address, Domain, TenantId};

use super::content::ContentSpec;
use super::proof::{HeaderProof, claimed_both_ways};
use super::read_content;
use super::read_contract;
use super::read_people;
use super::read_sender;
use super::spec::{
    Claim, ClientSpec, Custody, DomainSpec, Forwards, Host, NextHop, PasswordHash, RecipientsSpec, SignPolicy,
    TenantSpec, TenantState, TlsPolicy,
};

const TENANT_KEYS: &[&str] = &[
    "id",
    "name",
    "state",
    "custody",
    "domain",
    "outbound_client",
    "sender",
    "content",
    "sign",
    "forwards",
    "rates",
    "administrators",
    "person",
    "contract",
];
const DOMAIN_KEYS: &[&str] = &["name", "next_hops", "tls", "recipients", "sender", "content"];
const CLIENT_KEYS: &[&str] = &["network", "username", "password_hash", "certificate", "header", "value"];
const HOP_KEYS: &[&str] = &["host", "port", "priority"];
/// Wider networks than these are a slip that would make an open relay of the gateway.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;
/// Long files are read in pieces of at least this many bytes.
const PIECE: usize = 64 << 10;

/// Reads the text of a tenants file.
///
/// # Errors
/// Every problem there is.
pub fn read(file: &str, text: &str) -> Result<Vec<TenantSpec>, Problems> {
    match read_in_pieces(text, PIECE) {
        Some(specs) => Ok(specs),
        None => read_whole(file, text),
    }
}

/// A long file without problems, read piece by piece, because the tree of a whole one takes long to build and is large.
/// A piece begins at a line `[[tenant]]`. Should that line stand inside a text or list of several lines, the piece
/// before it has no end of that text or list: a problem. On any problem the file is read as a whole, to tell it.
fn read_in_pieces(text: &str, least: usize) -> Option<Vec<TenantSpec>> {
    let mut specs = Vec::new();
    let mut start = 0;
    let cuts = text.match_indices("\n[[tenant]]").map(|(at, _)| at + 1).chain([text.len()]);
    for cut in cuts {
        if cut == text.len() || cut - start >= least {
            let mut problems = Problems::default();
            let piece = read_document(&Source::new("", text.get(start..cut)?), &mut problems);
            if !problems.is_empty() {
                return None;
            }
            specs.extend(piece.into_iter().map(|(spec, _)| spec));
            start = cut;
        }
    }
    let mut ids = HashSet::with_capacity(specs.len());
    let mut claims = HashSet::with_capacity(specs.len() * 2);
    let alone = specs.iter().all(|spec| ids.insert(&spec.id) && spec.claims().all(|claim| claims.insert(claim)));
    let alone = alone && claimed_both_ways(&specs).is_none() && {
        let known = ids_of(&specs);
        specs.iter().all(|spec| group_trouble(spec, &known).is_none())
    };
    alone.then_some(specs)
}

fn read_whole(file: &str, text: &str) -> Result<Vec<TenantSpec>, Problems> {
    let mut problems = Problems::default();
    let source = Source::new(file, text);
    let (specs, places): (Vec<_>, Vec<_>) = read_document(&source, &mut problems).into_iter().unzip();
    check_claims(&source, &specs, &places, &mut problems);
    problems.or(Some(specs))
}

fn read_document(source: &Source<'_>, problems: &mut Problems) -> Vec<(TenantSpec, Places)> {
    let Some(document) = source.parse(problems) else { return Vec::new() };
    let root = Section::open(source, (document.get_ref(), 0..0), "the file", &["tenant"], problems);
    let tables = root.tables("tenant", problems);
    let read = tables.into_iter().filter_map(|table| {
        let at = table.1.clone();
        let mut reader = Reader { source, problems, places: Vec::new() };
        reader.tenant(table).map(|spec| (spec, (at, reader.places)))
    });
    read.collect()
}

/// Where a tenant stands, and each of its claims in the order of [`TenantSpec::claims`].
type Places = (Range<usize>, Vec<Range<usize>>);

/// Notes what two tenants claim, at the second of them.
fn check_claims(source: &Source<'_>, specs: &[TenantSpec], places: &[Places], problems: &mut Problems) {
    let mut ids: HashMap<&str, &Range<usize>> = HashMap::with_capacity(specs.len());
    let mut owners: HashMap<Claim<'_>, (&TenantId, &Range<usize>)> = HashMap::with_capacity(specs.len() * 2);
    for (spec, (at, claims)) in specs.iter().zip(places) {
        if let Some(first) = ids.insert(spec.id.as_str(), at) {
            let help = format!("the first one is on line {}", source.place(first.start).line);
            problems.push(source.problem(at, format!("a second tenant {}", spec.id)).help(help));
        }
        for (claim, at) in spec.claims().zip(claims) {
            let Some((owner, first)) = owners.insert(claim, (&spec.id, at)) else { continue };
            let what = if *owner == spec.id {
                format!("{claim} stands twice in tenant {owner}")
            } else {
                format!("{claim} of tenant {} belongs to tenant {owner} already", spec.id)
            };
            let help = format!("see line {}", source.place(first.start).line);
            problems.push(source.problem(at, what).help(help));
        }
    }
    if let Some((owner, sharer, network)) = claimed_both_ways(specs) {
        let what = format!("network {network} is shared for tenant {sharer} and belongs to tenant {owner} alone");
        let at = specs.iter().zip(places).find(|(spec, _)| spec.id == *sharer).map_or(0..0, |(_, (at, _))| at.clone());
        problems.push(source.problem(&at, what).help("in a shared network every tenant needs header and value"));
    }
    let known = ids_of(specs);
    for (spec, (at, _)) in specs.iter().zip(places) {
        if let Some(what) = group_trouble(spec, &known) {
            problems.push(source.problem(at, what));
        }
    }
}

/// Every tenant, and whether it is a member of a group.
fn ids_of(specs: &[TenantSpec]) -> HashMap<&TenantId, bool> {
    let grouped = |spec: &TenantSpec| spec.contract.as_ref().is_some_and(|contract| contract.group.is_some());
    specs.iter().map(|spec| (&spec.id, grouped(spec))).collect()
}

/// A group is named by a tenant that there is and that has a number of its own to share.
fn group_trouble(spec: &TenantSpec, known: &HashMap<&TenantId, bool>) -> Option<String> {
    let group = spec.contract.as_ref()?.group.as_ref()?;
    match known.get(group) {
        None => Some(format!("the group of tenant {} is {group}, and there is no such tenant", spec.id)),
        Some(true) => Some(format!("the group of tenant {} is {group}, which is itself in a group", spec.id)),
        Some(false) => None,
    }
}

struct Reader<'a, 'i> {
    source: &'a Source<'i>,
    problems: &'a mut Problems,
    /// Of the claims of the tenant being read.
    places: Vec<Range<usize>>,
}

type Table<'a, 'i> = (&'a DeTable<'i>, Range<usize>);

impl<'a, 'i> Reader<'a, 'i> {
    fn tenant(&mut self, table: Table<'a, 'i>) -> Option<TenantSpec> {
        let before = self.problems.0.len();
        let section = Section::open(self.source, table, "[[tenant]]", TENANT_KEYS, self.problems);
        let id = section.required("id", self.problems, TenantId::parse);
        let name = section.text("name", self.problems, plain_text);
        let states = [("active", TenantState::Active), ("suspended", TenantState::Suspended)];
        let state = section.word("state", &states, self.problems).unwrap_or_default();
        let custodies = [("queued", Custody::Queued), ("inline", Custody::Inline)];
        let custody = section.word("custody", &custodies, self.problems).unwrap_or_default();
        let signs = [("possible", SignPolicy::Possible), ("required", SignPolicy::Required)];
        let sign = section.word("sign", &signs, self.problems).unwrap_or_default();
        let ways = [("refuse", Forwards::Refuse), ("srs", Forwards::Srs)];
        let forwards = section.word("forwards", &ways, self.problems).unwrap_or_default();
        let sender = read_sender::sender(self.source, &section, &read_sender::TENANT, self.problems);
        let content = read_content::content(self.source, &section, &read_content::TENANT, self.problems);
        let contract = read_contract::contract(self.source, &section, id.as_ref(), self.problems);
        let domains = section.tables("domain", self.problems);
        let domains: Vec<_> = domains.into_iter().filter_map(|table| self.domain(table)).collect();
        let clients = section.tables("outbound_client", self.problems);
        let clients: Vec<_> = clients.into_iter().filter_map(|table| self.client(table)).collect();
        let rates = self.rates(&section);
        self.check_content(&section, content.as_ref(), &domains);
        let administrators = self.administrators(&section, &domains);
        let people = read_people::people(self.source, &section, self.problems);
        let id = id?;
        let name = name.unwrap_or_else(|| id.as_str().into());
        // A tenant with problems is read no further: its claims would be told as conflicts of half a tenant.
        (self.problems.0.len() == before).then_some(TenantSpec {
            id,
            name,
            state,
            custody,
            domains,
            outbound_clients: clients,
            sender: sender.map(Box::new),
            content: content.map(Box::new),
            sign,
            forwards,
            rates,
            administrators,
            people,
            contract: contract.map(Box::new),
        })
    }

    /// Notices go the inbound way: their addresses are at the tenant's own domains.
    fn administrators(&mut self, section: &Section<'a, 'i>, domains: &[DomainSpec]) -> Vec<Address> {
        let mut addresses = Vec::new();
        for (value, at) in section.list("administrators", self.problems).unwrap_or_default() {
            let read = match value {
                DeValue::String(text) => Address::parse(text).map_err(|error| format!("{text:?}: {error}")),
                _ => Err("a list of addresses in quotes belongs here".into()),
            };
            match read {
                Ok(address) if !domains.iter().any(|domain| domain.name == *address.domain()) => {
                    let what = format!("{address} is at none of the tenant's domains");
                    section.wrong(&at, "administrators", what, self.problems);
                }
                Ok(address) => addresses.push(address),
                Err(what) => section.wrong(&at, "administrators", what, self.problems),
            }
        }
        addresses
    }

    /// `[tenant.rates]`: limits of outbound mail.
    fn rates(&mut self, section: &Section<'a, 'i>) -> OutboundRates {
        let mut rates = OutboundRates::default();
        let Some(table) = section.table("rates", self.problems) else { return rates };
        let section = Section::open(self.source, table, "[tenant.rates]", &Limited::NAMES, self.problems);
        for limited in Limited::ALL {
            if let Some(windows) = section.text(limited.as_str(), self.problems, Windows::parse) {
                rates.set(limited, windows);
            }
        }
        rates
    }

    /// What a tenant's and its domains' tables on content ask for together.
    fn check_content(&mut self, section: &Section<'a, 'i>, content: Option<&ContentSpec>, domains: &[DomainSpec]) {
        let names: Vec<&Domain> = domains.iter().map(|domain| &domain.name).collect();
        let before = self.problems.0.len();
        if let Some(content) = content {
            read_content::check(section, content, &names, self.problems);
        }
        if self.problems.0.len() > before {
            // The domains inherit it, and it would be told for each of them.
            return;
        }
        for own in domains.iter().filter_map(|domain| domain.content.as_deref()) {
            let merged = own.clone().over(content.cloned().unwrap_or_default());
            read_content::check(section, &merged, &names, self.problems);
        }
    }

    fn domain(&mut self, table: Table<'a, 'i>) -> Option<DomainSpec> {
        let section = Section::open(self.source, table, "[[tenant.domain]]", DOMAIN_KEYS, self.problems);
        let name = section.required("name", self.problems, mail_domain);
        let policies = [
            ("none", TlsPolicy::None),
            ("opportunistic", TlsPolicy::Opportunistic),
            ("required", TlsPolicy::Required),
            ("verified", TlsPolicy::Verified),
        ];
        let tls = section.word("tls", &policies, self.problems).unwrap_or_default();
        let next_hops = self.next_hops(&section);
        let recipients = self.recipients(&section, name.as_ref());
        let sender = read_sender::sender(self.source, &section, &read_sender::DOMAIN, self.problems);
        let content = read_content::content(self.source, &section, &read_content::DOMAIN, self.problems);
        self.places.push(section.item("name").map_or(section.span(), |(_, at)| at));
        Some(DomainSpec {
            name: name?,
            next_hops,
            tls,
            recipients: recipients?,
            sender: sender.map(Box::new),
            content: content.map(Box::new),
        })
    }

    fn next_hops(&mut self, section: &Section<'a, 'i>) -> Vec<NextHop> {
        if section.item("next_hops").is_none() {
            section.missing("next_hops", self.problems);
        }
        let Some(list) = section.list("next_hops", self.problems) else { return Vec::new() };
        if list.is_empty() {
            let at = section.item("next_hops").map_or(section.span(), |(_, at)| at);
            section.wrong(&at, "next_hops", "at least one is needed", self.problems);
        }
        let mut hops = Vec::with_capacity(list.len());
        for (value, at) in list {
            match value {
                DeValue::String(text) => match hop_of_text(text) {
                    Ok(hop) => hops.push(hop),
                    Err(what) => section.wrong(&at, "next_hops", what, self.problems),
                },
                DeValue::Table(table) => hops.extend(self.hop_of_table((table, at))),
                _ => section.wrong(&at, "next_hops", "write \"host:port\" or { host = .., port = .. }", self.problems),
            }
        }
        hops
    }

    fn hop_of_table(&mut self, table: Table<'a, 'i>) -> Option<NextHop> {
        let section = Section::open(self.source, table, "a next hop", HOP_KEYS, self.problems);
        let host = section.required("host", self.problems, Host::parse);
        let port = section.integer("port", 1..=65535, self.problems).unwrap_or(25);
        let priority = section.integer("priority", 0..=65535, self.problems).unwrap_or(0);
        let small = |n: i64| u16::try_from(n).unwrap_or_default();
        Some(NextHop { host: host?, port: small(port), priority: small(priority) })
    }

    fn recipients(&mut self, section: &Section<'a, 'i>, domain: Option<&Domain>) -> Option<RecipientsSpec> {
        let Some((value, at)) = section.item("recipients") else { return Some(RecipientsSpec::default()) };
        match value {
            DeValue::Array(list) => {
                let mut addresses = Vec::with_capacity(list.len());
                for item in list.iter() {
                    let address = match item.get_ref() {
                        DeValue::String(text) => listed_address(text, domain),
                        _ => Err("a list of addresses in quotes belongs here".into()),
                    };
                    match address {
                        Ok(address) => addresses.push(address),
                        Err(what) => section.wrong(&item.span(), "recipients", what, self.problems),
                    }
                }
                Some(RecipientsSpec::List(addresses))
            }
            DeValue::String(_) => section.text("recipients", self.problems, |written| match written {
                "any" => Ok(RecipientsSpec::Any),
                "call-ahead" => Ok(RecipientsSpec::CallAhead),
                other => Err(format!("{other:?} is none of any, call-ahead and a list of addresses")),
            }),
            _ => {
                section.wrong(&at, "recipients", "write \"any\", \"call-ahead\" or a list of addresses", self.problems);
                None
            }
        }
    }

    fn client(&mut self, table: Table<'a, 'i>) -> Option<ClientSpec> {
        let section = Section::open(self.source, table, "[[tenant.outbound_client]]", CLIENT_KEYS, self.problems);
        self.places.push(section.span());
        let written = |key| section.item(key).is_some();
        if written("header") || written("value") {
            return self.shared_client(&section);
        }
        let network = section.text("network", self.problems, client_network);
        let username = section.text("username", self.problems, login_name);
        let password = section.text("password_hash", self.problems, PasswordHash::parse);
        let certificate = section.text("certificate", self.problems, fingerprint);
        match (written("network"), written("username") || written("password_hash"), written("certificate")) {
            (true, false, false) => network.map(ClientSpec::Network),
            (false, false, true) => certificate.map(ClientSpec::Certificate),
            (false, true, false) if written("username") && written("password_hash") => {
                Some(ClientSpec::Login { username: username?, password_hash: password? })
            }
            _ => {
                let problem = Problem::new(
                    Some(self.source.place(section.span().start)),
                    "an outbound client is known by exactly one of network, username and certificate",
                );
                self.problems.push(problem.help("username goes together with password_hash"));
                None
            }
        }
    }

    /// `{ network = "..." or [..], header = "X-...", value = "..." }`: one network or several, and the field that tells the
    /// tenant's mail from others' there.
    fn shared_client(&mut self, section: &Section<'a, 'i>) -> Option<ClientSpec> {
        let before = self.problems.0.len();
        for key in ["username", "password_hash", "certificate"] {
            if let Some((_, at)) = section.item(key) {
                section.wrong(&at, key, "header and value go together with network alone", self.problems);
            }
        }
        let mut networks = Vec::new();
        match section.item("network") {
            Some((DeValue::Array(_), _)) => {
                for (value, at) in section.list("network", self.problems).unwrap_or_default() {
                    let network = match value {
                        DeValue::String(text) => client_network(text),
                        _ => Err("a list of networks in quotes belongs here".into()),
                    };
                    match network {
                        Ok(network) => networks.push(network),
                        Err(what) => section.wrong(&at, "network", what, self.problems),
                    }
                }
                if networks.is_empty() {
                    section.missing("network", self.problems);
                }
            }
            _ => networks.extend(section.required("network", self.problems, client_network)),
        }
        let header = section.required("header", self.problems, field_name);
        let proof = section.required("value", self.problems, |value| {
            HeaderProof::new(networks.clone(), header.clone().unwrap_or_default(), value)
        });
        (self.problems.0.len() == before).then_some(ClientSpec::Header(proof?))
    }
}

/// The name of a field that is nobody else's.
fn field_name(text: &str) -> Result<Box<str>, &'static str> {
    let fits = text.len() <= 60 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let own = text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-")) && text.len() > 2;
    if fits && own {
        Ok(text.into())
    } else {
        Err("a field's name that begins with X- belongs here: letters, digits, -")
    }
}

fn plain_text(text: &str) -> Result<Box<str>, &'static str> {
    let fits = text.chars().count() <= 200 && !text.chars().any(char::is_control);
    if fits { Ok(text.into()) } else { Err("at most 200 characters, none of them a control character") }
}

fn login_name(text: &str) -> Result<Box<str>, &'static str> {
    let fits = (1..=255).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits { Ok(text.into()) } else { Err("a user name has 1 to 255 characters and no blanks") }
}

fn mail_domain(text: &str) -> Result<Domain, String> {
    match Domain::parse(text) {
        Ok(domain) if domain.as_ip().is_none() => Ok(domain),
        Ok(_) => Err(format!("{text:?} is an address literal, a tenant has domains")),
        Err(error) => Err(format!("{text:?}: {error}")),
    }
}

fn listed_address(text: &str, domain: Option<&Domain>) -> Result<Address, String> {
    let address = Address::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
    match domain {
        Some(domain) if address.domain() != domain => Err(format!("{text} is not in domain {domain}")),
        _ => Ok(address),
    }
}

/// `host`, `host:port`, `[v6]:port`, `v6`.
fn hop_of_text(text: &str) -> Result<NextHop, String> {
    let bad_port = || format!("{text:?} has no usable port; write host:port");
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']').ok_or_else(|| format!("{text:?} lacks a closing ]"))?;
        host.parse::<Ipv6Addr>().map_err(|_| format!("{host:?} in brackets is no IPv6 address"))?;
        (host, if tail.is_empty() { None } else { Some(tail.strip_prefix(':').ok_or_else(bad_port)?) })
    } else if text.parse::<IpAddr>().is_ok() {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let port = port.map_or(Ok(25), |port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad_port))?;
    Ok(NextHop { host: Host::parse(host)?, port, priority: 0 })
}

fn client_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip.to_canonical()),
        Err(_) => text.parse().map_err(|_| format!("{text:?} is no network; write 192.0.2.0/24 or 2001:db8::/32"))?,
    };
    if network.trunc() != network {
        return Err(format!("{text} has bits behind its prefix; write {}", network.trunc()));
    }
    if matches!(network, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some()) {
        return Err(format!("{text} is an IPv4-mapped network; write it as IPv4"));
    }
    let widest = if network.addr().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
    if network.prefix_len() < widest {
        return Err(format!("{text} is too wide for one tenant's mail servers; /{widest} is the widest"));
    }
    Ok(network)
}

fn fingerprint(text: &str) -> Result<Box<str>, &'static str> {
    let hex: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(hex.into())
    } else {
        Err("write the certificate's SHA-256 as 64 hex digits")
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
