//! One message through all methods.

use super::*;
use crate::dns::{Answer, MemoryResolver};
use crate::model::Timestamp;
use crate::model::authentication::{ArcResult, DkimResult};
use keys::SigningKey;
use sign::{Layout, Signer};

const MESSAGE: &[u8] = b"From: A <a@news.example.com>\r\nTo: b@example.net\r\nSubject: x\r\n\r\nHello\r\n";

fn world(key: &SigningKey) -> Arc<MemoryResolver> {
    Arc::new(
        MemoryResolver::default()
            .with_txt("s1._domainkey.example.com", &[&key.record()])
            .with_txt("_dmarc.example.com", &["v=DMARC1; p=reject; sp=quarantine"])
            .with_txt("example.com", &["v=spf1 ip4:192.0.2.1 -all"])
            .with_txt("helo.example.com", &["v=spf1 a -all"])
            .with_ip("helo.example.com", &["192.0.2.1".parse().unwrap()]),
    )
}

fn authenticator(resolver: Arc<MemoryResolver>) -> Authenticator {
    let config = Config { authserv_id: "mx.example".into(), ..Config::default() };
    Authenticator::build(config, resolver, Clock::manual(Timestamp::from_millis(5_000_000)))
}

fn signed(key: &SigningKey) -> Vec<u8> {
    let signer = Signer { key, domain: "example.com", selector: "s1", now: 4_900, layout: Layout::Folded };
    let mut message = sign::dkim(MESSAGE, &signer, None).unwrap();
    message.extend_from_slice(MESSAGE);
    message
}

fn key() -> SigningKey {
    SigningKey::read(&SigningKey::generate_ed25519().unwrap()).unwrap()
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

#[tokio::test]
async fn a_signed_message_from_its_own_server_passes_everything() {
    let key = key();
    let authenticator = authenticator(world(&key));
    let budget = authenticator.budget();
    let sender = Address::parse("bounce@example.com").unwrap();
    let spf = authenticator.spf("192.0.2.1".parse().unwrap(), "helo.example.com", Some(&sender), &budget).await;
    let results: Vec<_> = spf.iter().map(|spf| (spf.identity, spf.result)).collect();
    assert_eq!(results, [(SpfIdentity::Helo, SpfResult::Pass), (SpfIdentity::MailFrom, SpfResult::Pass)]);
    let found = authenticator.message(&signed(&key), &spf, &budget).await;
    assert_eq!(found.from, Some(domain("news.example.com")));
    assert_eq!(found.dkim[0].result, DkimResult::Pass, "{:?}", found.dkim);
    assert_eq!(found.arc.result, ArcResult::None);
    for dmarc in [&found.dmarc, &found.dmarc_tree_walk] {
        assert_eq!((dmarc.result, dmarc.policy), (DmarcResult::Pass, DmarcPolicy::Quarantine), "{dmarc:?}");
        assert!(dmarc.spf_aligned && dmarc.dkim_aligned);
        assert_eq!(dmarc.record_at.as_deref(), Some("example.com"));
    }
    assert!(found.authenticates(&domain("news.example.com")));
    assert!(found.authenticates(&domain("example.com")), "an entry for the organization is met by its own signature");
    assert!(!found.authenticates(&domain("example.net")));
    let asked = budget.asked();
    assert!(asked.iter().any(|asked| &*asked.name == "_dmarc.example.com" && asked.answer.contains("p=reject")));
    assert!(asked.iter().any(|asked| &*asked.name == "_dmarc.news.example.com" && &*asked.answer == "no such domain"));
}

#[tokio::test]
async fn a_spoofed_one_fails_and_authenticates_nobody() {
    let key = key();
    let authenticator = authenticator(world(&key));
    let budget = authenticator.budget();
    let sender = Address::parse("x@evil.example").unwrap();
    let spf = authenticator.spf("198.51.100.1".parse().unwrap(), "evil.example", Some(&sender), &budget).await;
    let found = authenticator.message(MESSAGE, &spf, &budget).await;
    assert_eq!((found.dmarc.result, found.dmarc.policy), (DmarcResult::Fail, DmarcPolicy::Quarantine));
    assert!(!found.authenticates(&domain("news.example.com")) && !found.authenticates(&domain("evil.example")));
}

#[tokio::test]
async fn two_from_fields_authenticate_nobody() {
    let key = key();
    let authenticator = authenticator(world(&key));
    let budget = authenticator.budget();
    let mut message = b"From: b@example.com\r\n".to_vec();
    message.extend_from_slice(&signed(&key));
    let found = authenticator.message(&message, &[], &budget).await;
    assert_eq!((found.from.clone(), found.dmarc.result), (None, DmarcResult::PermError));
    assert_eq!(found.dmarc.policy, dmarc::UNASKED, "readers see somebody");
    assert!(!found.authenticates(&domain("example.com")));
    let found = authenticator.message(b"From: MAILER-DAEMON\r\n\r\nx\r\n", &[], &budget).await;
    assert_eq!((found.from, found.dmarc.result), (None, DmarcResult::PermError));
    assert_eq!(found.dmarc.policy, DmarcPolicy::None, "and here nobody");
}

#[tokio::test]
async fn a_resolver_in_trouble_is_never_a_pass_nor_a_fail() {
    let key = key();
    let world = world(&key);
    world.set_txt("s1._domainkey.example.com", Answer::Temporary("time-out".into()));
    world.set_txt("example.com", Answer::Temporary("time-out".into()));
    let authenticator = authenticator(world);
    let budget = authenticator.budget();
    let sender = Address::parse("x@example.com").unwrap();
    let spf = authenticator.spf("192.0.2.1".parse().unwrap(), "h", Some(&sender), &budget).await;
    let found = authenticator.message(&signed(&key), &spf, &budget).await;
    assert_eq!(found.spf[1].result, SpfResult::TempError);
    assert_eq!(found.dkim[0].result, DkimResult::TempError);
    assert_eq!(found.dmarc.result, DmarcResult::TempError);
    assert_eq!(found.dmarc_tree_walk.result, DmarcResult::TempError);
}

#[tokio::test]
async fn a_flood_of_signatures_costs_five_keys() {
    let key = key();
    let authenticator = authenticator(world(&key));
    let budget = authenticator.budget();
    let good = signed(&key);
    let mut message = Vec::new();
    for n in 0..300 {
        let own =
            Signer { key: &key, domain: "evil.example", selector: &format!("s{n}"), now: 1, layout: Layout::Folded };
        message.extend_from_slice(&sign::dkim(MESSAGE, &own, None).unwrap());
    }
    let end = good.len() - MESSAGE.len();
    message.splice(0..0, good[..end].to_vec());
    message.extend_from_slice(MESSAGE);
    let found = authenticator.message(&message, &[], &budget).await;
    assert_eq!(found.dkim.len(), dkim::SIGNATURES);
    assert_eq!(found.dkim[0].result, DkimResult::Pass, "those of the From domain come first");
    assert!(budget.spent() <= 12, "{} questions", budget.spent());
}

#[tokio::test]
async fn an_exhausted_budget_is_temperror() {
    let key = key();
    let config = Config { authserv_id: "mx.example".into(), questions: 1 };
    let authenticator = Authenticator::build(config, world(&key), Clock::manual(Timestamp::from_millis(5_000_000)));
    let budget = authenticator.budget();
    let found = authenticator.message(&signed(&key), &[], &budget).await;
    assert_eq!(found.dkim[0].result, DkimResult::Pass);
    assert_eq!(found.dmarc.result, DmarcResult::TempError);
    let unasked = (found.dmarc.policy, found.dmarc.record_at.as_deref());
    assert_eq!(unasked, (dmarc::UNASKED, None), "what we did not ask for counts as the severest");
}

#[tokio::test]
async fn a_record_that_can_t_be_had_from_the_dns_says_nothing() {
    let key = key();
    let world = world(&key);
    world.set_txt("_dmarc.news.example.com", Answer::Temporary("time-out".into()));
    let authenticator = authenticator(world);
    let found = authenticator.message(MESSAGE, &[], &authenticator.budget()).await;
    assert_eq!((found.dmarc.result, found.dmarc.policy), (DmarcResult::TempError, DmarcPolicy::None));
}

#[tokio::test]
async fn a_policy_whose_aligned_answer_is_missing_is_told() {
    let key = key();
    let world = world(&key);
    world.set_txt("s1._domainkey.example.com", Answer::Temporary("SERVFAIL".into()));
    let authenticator = authenticator(world);
    let found = authenticator.message(&signed(&key), &[], &authenticator.budget()).await;
    assert_eq!((found.dmarc.result, found.dmarc.policy), (DmarcResult::TempError, DmarcPolicy::Quarantine));
    assert_eq!(found.dmarc.record_at.as_deref(), Some("example.com"));
}

/// SPF of a stranger's domain, ten MX of ten hosts each, for HELO and for MAIL FROM.
#[tokio::test]
async fn a_record_that_spends_all_questions_leaves_dmarc_its_own() {
    let mut resolver = MemoryResolver::default().with_txt("_dmarc.bank.example", &["v=DMARC1; p=reject"]);
    for domain in ["evil.example", "helo.evil.example"] {
        let mxs: Vec<String> = (0..10).map(|n| format!("mx:m{n}.{domain}")).collect();
        resolver = resolver.with_txt(domain, &[&format!("v=spf1 {} -all", mxs.join(" "))]);
        for n in 0..10 {
            let hosts: Vec<String> = (0..10).map(|h| format!("h{h}.m{n}.{domain}")).collect();
            for host in &hosts {
                resolver = resolver.with_ip(host, &["203.0.113.1".parse().unwrap()]);
            }
            let hosts: Vec<(u16, &str)> = hosts.iter().map(|host| (10, host.as_str())).collect();
            resolver = resolver.with_mx(&format!("m{n}.{domain}"), &hosts);
        }
    }
    let authenticator = authenticator(Arc::new(resolver));
    let budget = authenticator.budget();
    let sender = Address::parse("x@evil.example").unwrap();
    let spf = authenticator.spf("192.0.2.1".parse().unwrap(), "helo.evil.example", Some(&sender), &budget).await;
    assert!(spf.iter().all(|spf| spf.result == SpfResult::PermError), "{spf:?}");
    assert!(budget.spent() <= 2 * spf::QUESTIONS, "{} questions", budget.spent());
    // And if something else had spent the rest:
    for n in 0..budget::QUESTIONS {
        let _ = budget.a(&format!("x{n}.evil.example")).await;
    }
    let found = authenticator.message(b"From: a@bank.example\r\n\r\nx\r\n", &spf, &budget).await;
    assert_eq!((found.dmarc.result, found.dmarc.policy), (DmarcResult::Fail, DmarcPolicy::Reject), "{:?}", found.dmarc);
}

#[tokio::test]
async fn by_itself_a_message_proves_what_its_signature_proves() {
    let key = key();
    let authenticator = authenticator(world(&key));
    let found = authenticator.signatures(&signed(&key), &authenticator.budget()).await;
    assert_eq!((found.dmarc.result, found.spf.len()), (DmarcResult::Pass, 0));
    assert!(found.authenticates(&domain("news.example.com")));
    let budget = authenticator.budget();
    let unsigned = authenticator.signatures(MESSAGE, &budget).await;
    assert_eq!((unsigned.dmarc.result, unsigned.dmarc.policy), (DmarcResult::None, DmarcPolicy::None));
    assert!(budget.asked().is_empty(), "there is nothing to prove");
    let authors = b"From: <a@example.com>, <b@example.net>\r\n\r\nx\r\n";
    let found = authenticator.signatures(authors, &authenticator.budget()).await;
    assert_eq!((found.from, found.dmarc.policy), (None, dmarc::UNASKED), "readers see somebody");
}
