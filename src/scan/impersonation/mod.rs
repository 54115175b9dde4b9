//! Detector `impersonation`: somebody claims to be another. Names, domains that look alike, answers that go elsewhere, links that
//! don't lead where they say, and pages that ask for what no mail may ask for.
//!
//! Each symbol is found once in a message, with the first thing that shows it. Most are weak: honest newsletters send links
//! through their counters, too. It takes several to make phishing.
//!
//! **Invariants**: linear in links and text; at most [`MAX_HOSTS`] different hosts are compared with the names.

mod author;
mod brands;
mod claims;
mod links;
mod lookalike;
mod page;
mod services;

use crate::message::fold::fold;
use crate::message::links::registrable;
use crate::message::specimen::{Mailbox, Specimen};
use crate::model::finding::{Detector, Finding, Verdict};
use crate::model::{Address, Domain, Person};

use super::symbols::{Symbol, find};

/// Different hosts of one message that are compared with well-known ones.
pub const MAX_HOSTS: usize = 200;

/// What is known besides the message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The tenant's, for inbound mail.
    pub own_domains: &'a [Domain],
    pub recipients: &'a [Address],
    /// Whether the author's domain is proven; `None`: nobody asked.
    pub authenticated: Option<bool>,
    /// The author never wrote to this tenant before.
    pub first_contact: bool,
    /// People whose names are borrowed.
    pub protected: &'a [Person],
}

/// Looks for deception; each symbol is found at most once.
pub fn detect(specimen: &Specimen, known: &Known<'_>, verdict: &mut Verdict) {
    let scene = Scene::new(specimen, known);
    let mut found = Found::default();
    author::look(&scene, &mut found);
    links::look(&scene, &mut found);
    page::look(&scene, &mut found);
    for finding in found.findings {
        verdict.find(finding);
    }
}

/// A symbol's description in both languages: English, Japanese.
#[must_use]
pub fn description(name: &str) -> Option<(&'static str, &'static str)> {
    find(name).filter(|symbol| symbol.detector == Detector::Impersonation).map(|symbol| (symbol.en, symbol.ja))
}

/// What the parts of the detector ask for.
struct Scene<'a> {
    specimen: &'a Specimen,
    known: &'a Known<'a>,
    from: Mailbox,
    /// The host of the author's address, in lower case.
    host: String,
    /// Its registrable domain, or the host.
    domain: String,
    /// The author's name, folded.
    name: String,
    /// It came by a mailing list, which writes names and addresses anew.
    is_list: bool,
    /// It answers something.
    is_answer: bool,
}

impl<'a> Scene<'a> {
    fn new(specimen: &'a Specimen, known: &'a Known<'a>) -> Self {
        let from = author(specimen.from());
        let host = host_of(&from.address);
        let domain = registrable(&host).unwrap_or(&host).to_owned();
        let name = fold(&from.name);
        // An identifier alone is no list: newsletters have one, too.
        let is_list = ["List-Post", "Mailing-List", "X-Mailing-List", "X-BeenThere", "X-Mailman-Version"]
            .iter()
            .any(|field| specimen.field(field).is_some());
        let is_answer = specimen.field("In-Reply-To").is_some() || specimen.field("References").is_some();
        Self { specimen, known, from, host, domain, name, is_list, is_answer }
    }

    /// The own domain that a host belongs to.
    fn own(&self, host: &str) -> Option<&Domain> {
        self.known.own_domains.iter().find(|own| lookalike::is_below(host, own.as_str()))
    }
}

/// What a reader takes for the author: names without an address belong to the first address behind them, as `A, b <c@d>` is
/// shown by many programs.
fn author(mailboxes: Vec<Mailbox>) -> Mailbox {
    let mut name = String::new();
    for mailbox in mailboxes.into_iter().take(8) {
        let whole = mailbox.address.contains('@');
        let pieces: &[&str] = if whole { &[&mailbox.name] } else { &[&mailbox.name, &mailbox.address] };
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(piece);
        }
        if whole {
            return Mailbox { name: name.into(), address: mailbox.address };
        }
    }
    Mailbox { name: name.into(), address: "".into() }
}

/// What stands behind the `@`, in lower case; in ASCII if it can be.
fn host_of(address: &str) -> String {
    let host = address.rsplit_once('@').map_or("", |(_, host)| host).trim_matches(['>', ' ', '.', '"']);
    let host = host.to_lowercase();
    if host.is_ascii() { host } else { idna::domain_to_ascii(&host).unwrap_or(host) }
}

#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
}

impl Found {
    fn add(&mut self, symbol: &Symbol, evidence: &str) {
        if !self.has(symbol) {
            self.findings.push(symbol.found(evidence));
        }
    }

    fn has(&self, symbol: &Symbol) -> bool {
        self.findings.iter().any(|finding| *finding.symbol == *symbol.name)
    }
}

#[cfg(test)]
mod tests;
