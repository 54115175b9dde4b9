//! What the foreign suites leave out: limits in both directions, time, and answers that never come.

use super::*;
use crate::dns::{Asking, MemoryResolver, Mx};

fn question(domain: &str) -> Question<'_> {
    Question {
        ip: "192.0.2.1".parse().unwrap(),
        domain,
        sender_local: "a",
        sender_domain: domain,
        helo: "mail.example.com",
        receiver: "mx.example",
        now: 1,
    }
}

async fn check(resolver: &dyn Resolver, domain: &str) -> SpfResult {
    check_host(resolver, &question(domain)).await.result
}

#[tokio::test]
async fn the_tenth_look_up_is_allowed_and_the_eleventh_is_not() {
    for (includes, result) in [(10, SpfResult::Pass), (11, SpfResult::PermError)] {
        let mut resolver = MemoryResolver::default();
        let mut record = "v=spf1".to_owned();
        for n in 0..includes {
            record.push_str(&format!(" include:i{n}.example"));
            resolver = resolver.with_txt(&format!("i{n}.example"), &["v=spf1 -all"]);
        }
        record.push_str(" ip4:192.0.2.1 -all");
        let resolver = resolver.with_txt("d.example", &[&record]);
        assert_eq!(check(&resolver, "d.example").await, result, "{includes} includes");
    }
}

#[tokio::test]
async fn the_third_void_answer_is_one_too_many() {
    let resolver = MemoryResolver::default()
        .with_txt("two.example", &["v=spf1 a:x1.example a:x2.example ip4:192.0.2.1 -all"])
        .with_txt("three.example", &["v=spf1 a:x1.example a:x2.example exists:x3.example ip4:192.0.2.1 -all"]);
    assert_eq!(check(&resolver, "two.example").await, SpfResult::Pass);
    assert_eq!(check(&resolver, "three.example").await, SpfResult::PermError);
}

#[tokio::test]
async fn a_record_that_asks_too_much_is_wrong() {
    // One TXT, and an MX with eight hosts each: 19 questions, then 28.
    let mut resolver = MemoryResolver::default();
    for (mx, hosts) in [(0, 8), (1, 8), (2, 8)] {
        let names: Vec<String> = (0..hosts).map(|n| format!("h{n}.m{mx}.example")).collect();
        for name in &names {
            resolver = resolver.with_ip(name, &["198.51.100.1".parse().unwrap()]);
        }
        let mxs: Vec<(u16, &str)> = names.iter().map(|name| (10, name.as_str())).collect();
        resolver = resolver.with_mx(&format!("m{mx}.example"), &mxs);
    }
    let resolver = resolver
        .with_txt("two.example", &["v=spf1 mx:m0.example mx:m1.example ip4:192.0.2.1 -all"])
        .with_txt("three.example", &["v=spf1 mx:m0.example mx:m1.example mx:m2.example ip4:192.0.2.1 -all"]);
    assert_eq!(check(&resolver, "two.example").await, SpfResult::Pass);
    let checked = check_host(&resolver, &question("three.example")).await;
    assert_eq!(checked.result, SpfResult::PermError);
    assert_eq!(checked.why.as_deref(), Some("more than 20 questions to the DNS"));
}

#[tokio::test]
async fn a_loop_of_includes_ends() {
    let resolver = MemoryResolver::default()
        .with_txt("a.example", &["v=spf1 include:b.example -all"])
        .with_txt("b.example", &["v=spf1 redirect=a.example"]);
    assert_eq!(check(&resolver, "a.example").await, SpfResult::PermError);
}

/// Answers nothing, ever.
#[derive(Debug)]
struct Silent;

impl Resolver for Silent {
    fn mx<'a>(&'a self, _: &'a str) -> Asking<'a, Vec<Mx>> {
        Box::pin(std::future::pending())
    }
    fn ip<'a>(&'a self, _: &'a str) -> Asking<'a, Vec<IpAddr>> {
        Box::pin(std::future::pending())
    }
    fn a<'a>(&'a self, _: &'a str) -> Asking<'a, Vec<std::net::Ipv4Addr>> {
        Box::pin(std::future::pending())
    }
    fn aaaa<'a>(&'a self, _: &'a str) -> Asking<'a, Vec<std::net::Ipv6Addr>> {
        Box::pin(std::future::pending())
    }
    fn txt<'a>(&'a self, _: &'a str) -> Asking<'a, Vec<Box<[u8]>>> {
        Box::pin(std::future::pending())
    }
    fn ptr(&self, _: IpAddr) -> Asking<'_, Vec<Box<str>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_seconds_and_no_more() {
    let began = tokio::time::Instant::now();
    assert_eq!(check(&Silent, "a.example").await, SpfResult::TempError);
    assert_eq!(began.elapsed(), DEADLINE);
}

#[tokio::test]
async fn the_decision_names_the_mechanism() {
    let resolver = MemoryResolver::default().with_txt("a.example", &["v=spf1 ip4:192.0.2.0/24 -all"]);
    let checked = check_host(&resolver, &question("a.example")).await;
    assert_eq!(checked.why.as_deref(), Some("ip4:192.0.2.0/24 of a.example"));
}
