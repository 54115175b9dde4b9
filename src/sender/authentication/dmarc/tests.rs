//! Discovery, alignment and policy of both ways, as tables.

use super::*;
use crate::dns::MemoryResolver;

fn spf(domain: &str, result: SpfResult) -> Spf {
    Spf { identity: SpfIdentity::MailFrom, result, domain: domain.into(), why: None }
}

fn dkim(domain: &str, result: DkimResult) -> Dkim {
    Dkim { domain: domain.into(), selector: "s".into(), result, why: None }
}

/// Both evaluations of a message.
async fn both(zone: &[(&str, &[&str])], from: &str, spf: &[Spf], dkim: &[Dkim], roll: u8) -> (Dmarc, Dmarc) {
    let mut resolver = MemoryResolver::default();
    for (name, texts) in zone {
        resolver = resolver.with_txt(name, texts);
    }
    let from = Domain::parse(from).unwrap();
    let roll = || roll;
    let facts = Facts { from: &from, spf, dkim, roll: &roll };
    (by_list(&resolver, &facts).await, by_walk(&resolver, &facts).await)
}

#[tokio::test]
async fn alignment() {
    use DmarcResult::{Fail, Pass, TempError};
    let pass = DkimResult::Pass;
    let relaxed = "v=DMARC1; p=reject";
    let strict = "v=DMARC1; p=reject; adkim=s; aspf=s";
    for (record, from, spfs, dkims, result) in [
        (relaxed, "example.com", vec![spf("example.com", SpfResult::Pass)], vec![], Pass),
        (relaxed, "example.com", vec![spf("bounce.example.com", SpfResult::Pass)], vec![], Pass),
        (relaxed, "a.example.com", vec![spf("b.example.com", SpfResult::Pass)], vec![], Pass),
        (relaxed, "example.com", vec![spf("example.com", SpfResult::SoftFail)], vec![], Fail),
        (relaxed, "example.com", vec![spf("example.net", SpfResult::Pass)], vec![], Fail),
        (relaxed, "example.com", vec![spf("badexample.com", SpfResult::Pass)], vec![], Fail),
        (relaxed, "example.com", vec![spf("example.com.evil.example", SpfResult::Pass)], vec![], Fail),
        (relaxed, "example.com", vec![], vec![dkim("mail.example.com", pass)], Pass),
        (relaxed, "example.com", vec![], vec![dkim("com", pass)], Fail),
        (relaxed, "example.com", vec![], vec![dkim("evil.example", pass), dkim("example.com", pass)], Pass),
        (relaxed, "example.com", vec![], vec![dkim("example.com", DkimResult::Policy)], Fail),
        (relaxed, "example.com", vec![], vec![dkim("example.com", DkimResult::TempError)], TempError),
        (relaxed, "example.com", vec![], vec![dkim("evil.example", DkimResult::TempError)], Fail),
        (relaxed, "example.com", vec![spf("example.com", SpfResult::TempError)], vec![dkim("example.com", pass)], Pass),
        (strict, "example.com", vec![spf("example.com", SpfResult::Pass)], vec![], Pass),
        (strict, "example.com", vec![spf("a.example.com", SpfResult::Pass)], vec![], Fail),
        (strict, "example.com", vec![], vec![dkim("a.example.com", pass)], Fail),
        (strict, "a.example.com", vec![], vec![dkim("example.com", pass)], Fail),
    ] {
        let zone: &[(&str, &[&str])] = &[("_dmarc.example.com", &[record])];
        let (list, walk) = both(zone, from, &spfs, &dkims, 0).await;
        assert_eq!(list.result, result, "by list: {record} {from} {spfs:?} {dkims:?}");
        assert_eq!(walk.result, result, "by walk: {record} {from} {spfs:?} {dkims:?}");
    }
}

#[tokio::test]
async fn helo_speaks_for_the_null_sender() {
    let zone: &[(&str, &[&str])] = &[("_dmarc.example.com", &["v=DMARC1; p=reject"])];
    let helo = Spf { identity: SpfIdentity::Helo, ..spf("mail.example.com", SpfResult::Pass) };
    let (list, walk) = both(zone, "example.com", std::slice::from_ref(&helo), &[], 0).await;
    assert_eq!((list.result, walk.result), (DmarcResult::Pass, DmarcResult::Pass));
    let (list, _) = both(zone, "example.com", &[helo, spf("other.example", SpfResult::Pass)], &[], 0).await;
    assert_eq!(list.result, DmarcResult::Fail, "with a sender, HELO does not count");
}

#[tokio::test]
async fn policy_of_the_record_and_its_exceptions() {
    use DmarcPolicy::{None, Quarantine, Reject};
    // record, From, dice, by list, by walk
    for (record, from, roll, list, walk) in [
        ("v=DMARC1; p=reject", "example.com", 0, Reject, Reject),
        ("v=DMARC1; p=reject", "a.example.com", 0, Reject, Reject),
        ("v=DMARC1; p=reject; sp=none", "a.example.com", 0, None, None),
        ("v=DMARC1; p=none; sp=reject", "example.com", 0, None, None),
        ("v=DMARC1; p=reject; pct=10", "example.com", 9, Reject, Reject),
        ("v=DMARC1; p=reject; pct=10", "example.com", 10, Quarantine, Reject),
        ("v=DMARC1; p=quarantine; pct=0", "example.com", 0, None, Quarantine),
        ("v=DMARC1; p=reject; t=y", "example.com", 0, Reject, Quarantine),
        ("v=DMARC1; p=quarantine; t=y", "example.com", 0, Quarantine, None),
        ("v=DMARC1; p=none; np=reject", "ghost.example.com", 0, None, Reject),
        ("v=DMARC1; p=none; np=reject", "real.example.com", 0, None, None),
        ("v=DMARC1; p=none; sp=quarantine; np=reject", "ghost.example.com", 0, Quarantine, Reject),
    ] {
        let zone: &[(&str, &[&str])] = &[("_dmarc.example.com", &[record]), ("real.example.com", &["x"])];
        let (by_list, by_walk) = both(zone, from, &[], &[], roll).await;
        assert_eq!((by_list.policy, by_walk.policy), (list, walk), "{record} {from} {roll}");
        assert_eq!(by_list.result, DmarcResult::Fail);
    }
}

#[tokio::test]
async fn where_the_record_is_found() {
    // zone, From, found by list, organization by list, found by walk, organization by walk
    let p = "v=DMARC1; p=reject";
    for (zone, from, list, list_organization, walk, walk_organization) in [
        (vec![], "a.example.com", None, "example.com", None, "a.example.com"),
        (
            vec![("_dmarc.a.example.com", p)],
            "a.example.com",
            Some("a.example.com"),
            "example.com",
            Some("a.example.com"),
            "a.example.com",
        ),
        (
            vec![("_dmarc.example.com", p)],
            "x.y.example.com",
            Some("example.com"),
            "example.com",
            Some("example.com"),
            "example.com",
        ),
        // Between the name and the organization the walk sees records that the list does not.
        (
            vec![("_dmarc.y.example.com", p)],
            "x.y.example.com",
            None,
            "example.com",
            Some("y.example.com"),
            "y.example.com",
        ),
        (
            vec![("_dmarc.y.example.com", "v=DMARC1; p=none; psd=n"), ("_dmarc.example.com", p)],
            "x.y.example.com",
            Some("example.com"),
            "example.com",
            Some("y.example.com"),
            "y.example.com",
        ),
        (
            vec![("_dmarc.com", "v=DMARC1; p=reject; psd=y")],
            "a.example.com",
            None,
            "example.com",
            Some("com"),
            "example.com",
        ),
        (
            vec![("_dmarc.com", "v=DMARC1; p=reject; psd=y"), ("_dmarc.example.com", p)],
            "a.example.com",
            Some("example.com"),
            "example.com",
            Some("example.com"),
            "example.com",
        ),
    ] {
        let texts: Vec<(&str, [&str; 1])> = zone.iter().map(|(name, text)| (*name, [*text])).collect();
        let zone: Vec<(&str, &[&str])> = texts.iter().map(|(name, text)| (*name, text.as_slice())).collect();
        let (by_list, by_walk) = both(&zone, from, &[], &[], 0).await;
        assert_eq!(by_list.record_at.as_deref(), list, "{zone:?} {from}");
        assert_eq!(by_list.organization.as_deref(), Some(list_organization), "{zone:?} {from}");
        assert_eq!(by_walk.record_at.as_deref(), walk, "{zone:?} {from}");
        assert_eq!(by_walk.organization.as_deref(), Some(walk_organization), "{zone:?} {from}");
        let none = if list.is_some() { DmarcResult::Fail } else { DmarcResult::None };
        assert_eq!(by_list.result, none);
    }
}

#[tokio::test]
async fn two_records_are_none() {
    let zone: &[(&str, &[&str])] = &[("_dmarc.example.com", &["v=DMARC1; p=reject", "v=DMARC1; p=none"])];
    let (list, walk) = both(zone, "example.com", &[], &[], 0).await;
    assert_eq!((list.result, walk.result), (DmarcResult::None, DmarcResult::None));
    let zone: &[(&str, &[&str])] = &[("_dmarc.example.com", &["v=DMARC1; p=reject", "something else"])];
    assert_eq!(both(zone, "example.com", &[], &[], 0).await.0.result, DmarcResult::Fail);
}

#[tokio::test]
async fn a_long_name_is_walked_in_eight_questions() {
    let budget = crate::sender::authentication::budget::Budget::new(std::sync::Arc::new(MemoryResolver::default()));
    let from = Domain::parse("a.b.c.d.e.f.g.h.i.j.mail.example.com").unwrap();
    let facts = Facts { from: &from, spf: &[], dkim: &[], roll: &|| 0 };
    assert_eq!(by_walk(&budget, &facts).await.result, DmarcResult::None);
    let asked: Vec<String> = budget.asked().iter().map(|asked| asked.name.to_string()).collect();
    assert_eq!(asked.len(), WALK, "{asked:?}");
    assert_eq!(asked[1], "_dmarc.g.h.i.j.mail.example.com");
    assert_eq!(asked[7], "_dmarc.com");
}
