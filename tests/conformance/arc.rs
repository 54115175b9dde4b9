//! The ARC suite: 171 chains to validate, 17 messages to seal.

use std::sync::Arc as Shared;

use mail_auth::common::crypto::Algorithm;
use sekisho::dns::{Answer, MemoryResolver};
use sekisho::model::authentication::ArcResult;
use sekisho::sender::authentication::arc;
use sekisho::sender::authentication::block::Block;
use sekisho::sender::authentication::budget::Budget;
use sekisho::sender::authentication::dkim::Bodies;
use sekisho::sender::authentication::dkim::key::Key;
use sekisho::sender::authentication::dkim::tags::Tags;
use sekisho::sender::authentication::keys::{KeyFileError, Sign};
use sekisho::sender::authentication::results;
use sekisho::sender::authentication::sign::{self, Layout, SignError, Signer};
use yaml_rust2::{Yaml, YamlLoader};

use crate::{Tally, corpora};

#[tokio::test]
async fn validation() {
    let Some(folder) = corpora("auth/arc_test_suite/tests") else { return };
    let text = std::fs::read_to_string(folder.join("arc-draft-validation-tests.yml")).unwrap();
    let mut tally = Tally::default();
    for scenario in YamlLoader::load_from_str(&unique_names(&text)).unwrap() {
        let dns = zone(&scenario);
        for (case, facts) in scenario["tests"].as_hash().unwrap() {
            let (judged, why) = validate(&message(facts), &dns).await;
            // Where the suite leaves the result open, a seal says cv=fail.
            let wanted = match facts["cv"].as_str() {
                Some("None") => ArcResult::None,
                Some("Pass") => ArcResult::Pass,
                _ => ArcResult::Fail,
            };
            let outcome =
                if judged == wanted { Ok(()) } else { Err(format!("{judged:?} instead of {wanted:?}: {why:?}")) };
            tally.note(case.as_str().unwrap(), outcome);
        }
    }
    // 171 names; four of them come twice.
    tally.settle("ARC, validate", 175, &[(
        "ams_fields_c_na",
        "without c= the suite's signer took relaxed/relaxed; RFC 8617 section 4.1.2 leaves the default of RFC 6376, simple/simple",
    )]);
}

#[tokio::test]
async fn sealing() {
    let Some(folder) = corpora("auth/arc_test_suite/tests") else { return };
    let text = std::fs::read_to_string(folder.join("arc-draft-sign-tests.yml")).unwrap();
    let mut tally = Tally::default();
    for scenario in YamlLoader::load_from_str(&text).unwrap() {
        let dns = zone(&scenario);
        for (case, facts) in scenario["tests"].as_hash().unwrap() {
            let outcome = seal(facts, &scenario, &dns).await;
            tally.note(case.as_str().unwrap(), outcome);
        }
    }
    tally.settle("ARC, sign", 17, &[]);
}

/// Names of cases that come twice in one scenario get a number, so that both run.
fn unique_names(text: &str) -> String {
    let (mut out, mut seen) = (String::new(), Vec::new());
    for line in text.lines() {
        if line.starts_with("---") {
            seen.clear();
        }
        match line.strip_prefix("  ").filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())) {
            Some(name) if name.ends_with(':') && seen.contains(&name.to_owned()) => {
                out.push_str(&format!("  {}_2:\n", name.trim_end_matches(':')));
            }
            Some(name) if name.ends_with(':') => {
                seen.push(name.to_owned());
                out.push_str(&format!("{line}\n"));
            }
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

fn zone(scenario: &Yaml) -> Shared<MemoryResolver> {
    let resolver = MemoryResolver::default();
    if let Some(records) = scenario["txt-records"].as_hash() {
        for (name, text) in records {
            let text: String = text.as_str().unwrap().to_owned();
            resolver.set_txt(name.as_str().unwrap(), Answer::Found(vec![text.as_bytes().into()]));
        }
    }
    Shared::new(resolver)
}

fn message(facts: &Yaml) -> Vec<u8> {
    facts["message"].as_str().unwrap().replace('\n', "\r\n").into_bytes()
}

async fn validate(message: &[u8], dns: &Shared<MemoryResolver>) -> (ArcResult, Option<Box<str>>) {
    let block = Block::read(message);
    let budget = Budget::new(dns.clone());
    let judged = arc::verify(&block, &Bodies::new(block.body), &budget, 20_000).await;
    (judged.result, judged.why)
}

/// The suite's key has 1024 bits, with which the crypto library verifies but does not sign. Its signatures have one form
/// only (PKCS#1 v1.5), so "would have made this one" is "this one verifies over the data to be signed".
#[derive(Debug)]
struct Expected {
    public: Key,
    signatures: Vec<Vec<u8>>,
}

impl Expected {
    fn new(facts: &Yaml, scenario: &Yaml) -> Self {
        let record = scenario["txt-records"].as_hash().unwrap().values().next().unwrap().as_str().unwrap();
        let signature = |key: &str| {
            let text = facts[key].as_str().unwrap_or_default();
            Tags::parse(text).ok().and_then(|tags| tags.base64("b"))
        };
        let signatures = ["AS", "AMS"].into_iter().filter_map(signature).collect();
        Self { public: Key::parse(record.as_bytes()).unwrap(), signatures }
    }
}

impl Sign for Expected {
    fn algorithm(&self) -> &'static str {
        "rsa-sha256"
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, KeyFileError> {
        let made_of =
            |signature: &&Vec<u8>| self.public.verifying.verify_bytes(data, signature, Algorithm::RsaSha256).is_ok();
        Ok(self.signatures.iter().find(made_of).cloned().unwrap_or_else(|| b"another".to_vec()))
    }
}

async fn seal(facts: &Yaml, scenario: &Yaml, dns: &Shared<MemoryResolver>) -> Result<(), String> {
    let message = message(facts);
    let (chain, _) = validate(&message, dns).await;
    let text = |key: &str| facts[key].as_str().unwrap_or_default().trim().to_owned();
    let names: Vec<String> = text("sig-headers").split(':').map(|name| name.trim().to_lowercase()).collect();
    let authserv_id = text("srv-id");
    let payload = results::merged(&message, &authserv_id).ok_or("no results of this server")?;
    let key = Expected::new(facts, scenario);
    let signer = Signer {
        key: &key,
        domain: scenario["domain"].as_str().unwrap(),
        selector: scenario["sel"].as_str().unwrap(),
        now: facts["t"].as_i64().map_or(0, |t| u64::try_from(t).unwrap()),
        layout: Layout::OnePiece,
    };
    let made = match sign::seal(&message, chain, &payload, Some(&names), &signer) {
        Ok(made) => made,
        Err(SignError::NoMoreSets) if text("AS").is_empty() => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let mut block = made.clone();
    block.extend_from_slice(b"\r\n");
    let block = Block::read(&block);
    for (name, key) in [("ARC-Seal", "AS"), ("ARC-Message-Signature", "AMS"), ("ARC-Authentication-Results", "AAR")] {
        let field = block.named(name).next().ok_or("a field is missing")?;
        let (got, wanted) = (plain(&String::from_utf8_lossy(field.value)), plain(&text(key)));
        if got != wanted {
            return Err(format!("{key}\n    {got}\n    instead of\n    {wanted}"));
        }
    }
    Ok(())
}

/// All white space gone.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
