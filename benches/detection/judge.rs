//! Judges a message as the gateway does with no settings.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho::message::specimen::{Limits, Specimen};
use sekisho::model::disposition::Category;
use sekisho::model::egress::OutboundSpam;
use sekisho::model::finding::Verdict;
use sekisho::model::rule::Skips;
use sekisho::model::{Address, Direction, Disposition, Domain, ReversePath};
use sekisho::policy::content::{Author, Facts, Points, Signed, dispose};
use sekisho::scan::{self, Request, Scanner};
use sekisho::signatures::model::{Model, Opinion, Tokens};
use sekisho::signatures::sets::Sets;
use sekisho::signatures::{Pack, SignatureSet};
use sekisho::telemetry::Metrics;
use sekisho::tenant::ContentPolicy;
use tokio::runtime::Runtime;

use crate::corpus::Mail;

pub struct Judge {
    scanner: Scanner,
    runtime: Runtime,
    model: Model,
}

pub struct Judged {
    /// Why it does not reach the inbox.
    pub held: Option<Category>,
    /// All that it counts as.
    pub categories: Vec<Category>,
    pub points: Points,
    pub verdict: Verdict,
    /// The classifier's, before it is bounded.
    pub opinion: Opinion,
    pub took: Duration,
}

impl Judged {
    /// Kept back as unwanted.
    pub fn is_caught(&self) -> bool {
        matches!(self.held, Some(Category::Spam | Category::Phishing | Category::Malware | Category::Impersonation))
    }

    /// Delivered with a word of warning.
    pub fn is_marked(&self) -> bool {
        let warns = |category: &Category| matches!(category, Category::Suspected | Category::Impersonation);
        self.held.is_none() && self.categories.iter().any(warns)
    }
}

impl Judge {
    pub fn new(home: &Path, model: Model) -> Self {
        let faults = |faults: Vec<sekisho::signatures::Fault>| -> ! {
            faults.iter().for_each(|fault| println!("{fault}"));
            panic!("the pack has faults");
        };
        let packs = Pack::read_all(&home.join("signatures")).unwrap_or_else(|found| faults(found));
        let mut set = SignatureSet::compile(1, &packs).unwrap_or_else(|found| faults(found));
        set.model = model.clone();
        let none = scan::external::Config::default();
        let scanner =
            Scanner::build(scan::Config::default(), Arc::new(Sets::fixed(set)), none, Metrics::new(), "mx.example");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { scanner, runtime, model }
    }

    pub fn judge(&self, mail: &Mail) -> Judged {
        let recipient = Address::parse(recipient(mail)).unwrap();
        let request = Request {
            octets: mail.raw.clone(),
            number: 1,
            direction: Direction::Inbound,
            tenant: None,
            client: None,
            helo: "mail.example.net".into(),
            sender: ReversePath::Null,
            own_domains: vec![Domain::parse(recipient.domain().as_str()).unwrap()],
            protected: Arc::default(),
            recipients: vec![recipient],
            authentication: None,
            is_relayed: false,
            first_contact: false,
        };
        let started = Instant::now();
        let scanned = self.runtime.block_on(self.scanner.scan(request)).unwrap();
        let took = started.elapsed();
        let facts = Facts {
            direction: Direction::Inbound,
            verdict: Some(scanned.verdict()),
            policy: ContentPolicy::default_ref(Direction::Inbound),
            skips: Skips::NONE,
            author: Author::Unproven,
            marks: &[],
            mandatory: self.scanner.mandatory(Direction::Inbound),
            tries: 0,
            signed: Signed::No,
            spam: OutboundSpam::default(),
        };
        let ruling = dispose(&facts);
        let held = match ruling.disposition {
            Disposition::Deliver(_) => None,
            Disposition::Quarantine { category } => Some(category),
            other => panic!("{}: {other:?}", mail.path.display()),
        };
        let verdict = scanned.verdict().clone();
        let specimen = Specimen::parse(mail.raw.clone(), &Limits::default(), &|| false);
        let opinion = self.model.judge(&Tokens::of(&specimen), None);
        Judged { held, categories: ruling.categories, points: ruling.points, verdict, opinion, took }
    }
}

/// To whom it came: where the corpora name nobody, somebody whom it doesn't name.
fn recipient(mail: &Mail) -> &'static str {
    match mail.corpus {
        "own" => "office@tenant.example",
        "phish" => "recipient@example.com",
        _ => "somebody@recipient.example",
    }
}
