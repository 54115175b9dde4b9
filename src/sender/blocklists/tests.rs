//! Lists that work, refuse, lie and fall silent.

use super::*;
use crate::dns::{Asking, MemoryResolver, Mx};
use crate::model::answer::AnswerPattern;
use crate::model::sender::Listed;

const CLIENT: &str = "192.0.2.7";

fn list(name: &str) -> List {
    List::new(name, Zone::parse(&format!("{name}.example")).unwrap(), Kind::Ip)
        .code("127.0.0.2".parse().unwrap(), "spam", 100)
        .code("127.0.0.10-11".parse().unwrap(), "dynamic", 50)
}

fn answers(dns: &MemoryResolver, name: &str, codes: &[&str]) {
    let codes = codes.iter().map(|code| code.parse().unwrap()).collect();
    dns.set_ip(name, Answer::Found(codes));
}

struct Scene {
    dns: Arc<MemoryResolver>,
    metrics: Arc<Metrics>,
    lists: Arc<Blocklists>,
}

/// Lists that pass their self-test.
fn scene(lists: Vec<List>) -> Scene {
    let (dns, metrics) = (Arc::new(MemoryResolver::default()), Metrics::new());
    for list in &lists {
        answers(&dns, &format!("2.0.0.127.{}", list.zone.reveal()), &["127.0.0.2"]);
        answers(&dns, &format!("test.{}", list.zone.reveal()), &["127.0.1.2"]);
    }
    let lists = Blocklists::build(lists, Arc::clone(&dns) as Arc<_>, Arc::clone(&metrics));
    Scene { dns, metrics, lists: Arc::new(lists) }
}

impl Scene {
    async fn ask(&self) -> Vec<Listed> {
        self.lists.ask_ip(CLIENT.parse().unwrap()).await.into_iter().map(|answer| answer.answer).collect()
    }

    fn alarm(&self) -> i64 {
        self.metrics.sender.lists_degraded.get()
    }

    fn counted(&self, answer: ListAnswer) -> u64 {
        self.metrics.sender.list_answers.of(answer).get()
    }
}

fn yes(reason: &str, weight: i32) -> Listed {
    Listed::Yes { reason: reason.into(), weight }
}

fn is_degraded(listed: &Listed) -> bool {
    matches!(listed, Listed::Degraded { .. })
}

#[tokio::test]
async fn a_listed_client_gets_the_strongest_reason_and_another_gets_none() {
    let scene = scene(vec![list("one"), list("two")]);
    answers(&scene.dns, "7.2.0.192.one.example", &["127.0.0.10", "127.0.0.2"]);
    assert!(scene.lists.test().await);
    assert_eq!(scene.ask().await, [yes("spam", 100), Listed::No]);
    assert_eq!((scene.alarm(), scene.counted(ListAnswer::Listed), scene.counted(ListAnswer::NotListed)), (0, 1, 1));
}

#[tokio::test]
async fn nothing_is_believed_before_the_self_test() {
    let scene = scene(vec![list("one")]);
    answers(&scene.dns, "7.2.0.192.one.example", &["127.0.0.2"]);
    assert!(is_degraded(&scene.ask().await[0]));
    assert_eq!((scene.alarm(), scene.counted(ListAnswer::NotAsked)), (1, 1));
    scene.lists.test().await;
    assert_eq!((scene.ask().await, scene.alarm()), (vec![yes("spam", 100)], 0));
}

#[tokio::test]
async fn an_error_code_lists_nobody_and_raises_the_alarm_until_a_test_passes() {
    let scene = scene(vec![list("one")]);
    scene.lists.test().await;
    for (round, code) in ["127.255.255.254", "127.0.0.1", "203.0.113.80"].into_iter().enumerate() {
        answers(&scene.dns, "7.2.0.192.one.example", &[code, "127.0.0.2"]);
        assert!(is_degraded(&scene.ask().await[0]), "{code}");
        assert_eq!((scene.alarm(), scene.counted(ListAnswer::Refused)), (1, round as u64 + 1));
        scene.dns.set_ip("7.2.0.192.one.example", Answer::NoSuchDomain);
        let asked_no_more = is_degraded(&scene.ask().await[0]);
        assert_eq!(asked_no_more, code == "127.255.255.254", "{code}: only this one speaks of who asks");
        assert!(scene.lists.test().await);
        assert_eq!((scene.ask().await, scene.alarm()), (vec![Listed::No], 0));
    }
}

/// As the Spamhaus DBL: addresses are answered with an error code.
fn domains() -> List {
    List::new("domains", Zone::parse("d.example").unwrap(), Kind::Domain)
        .code("127.0.1.2".parse().unwrap(), "spam", 100)
        .error("127.0.1.255".parse().unwrap())
}

async fn ask_domain(scene: &Scene, name: &str) -> Vec<Listed> {
    let answers = scene.lists.ask_domain(&Domain::parse(name).unwrap()).await;
    answers.into_iter().map(|answer| answer.answer).collect()
}

#[tokio::test]
async fn a_list_of_domains_is_never_asked_for_an_address() {
    let scene = scene(vec![domains()]);
    scene.lists.test().await;
    for name in ["1.2.3.4", "4.3.2.1", "a.b.0", "1", "[192.0.2.7]", "[IPv6:2001:db8::1]"] {
        answers(&scene.dns, &format!("{name}.d.example"), &["127.0.1.255"]);
        assert!(ask_domain(&scene, name).await.is_empty(), "{name}");
    }
    assert_eq!((scene.alarm(), scene.counted(ListAnswer::Refused)), (0, 0));
    assert_eq!(ask_domain(&scene, "4.example").await, [Listed::No]);
}

#[tokio::test(start_paused = true)]
async fn no_sender_can_take_a_list_of_domains_out_of_service() {
    let scene = scene(vec![domains()]);
    answers(&scene.dns, "bad.example.d.example", &["127.0.1.2"]);
    let watch = tokio::spawn(Arc::clone(&scene.lists).watch(CancellationToken::new()));
    tokio::time::sleep(Duration::from_secs(600)).await;
    for (round, code) in ["127.0.1.255", "127.255.255.254", "127.0.0.1"].into_iter().enumerate() {
        answers(&scene.dns, "odd.example.d.example", &[code]);
        assert!(is_degraded(&ask_domain(&scene, "odd.example").await[0]), "{code}");
        assert_eq!((scene.alarm(), scene.counted(ListAnswer::Refused)), (1, round as u64 + 1));
        assert_eq!(ask_domain(&scene, "bad.example").await, [yes("spam", 100)], "{code}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.metrics.sender.list_tests.of(Worked::Yes).get(), 2, "tested at once, and once only");
    assert_eq!(scene.alarm(), 1, "can be seen");
    tokio::time::sleep(RETEST_INTERVAL * 2).await;
    assert_eq!(scene.alarm(), 0);
    watch.abort();
}

#[tokio::test(start_paused = true)]
async fn a_list_of_domains_that_refuses_us_is_out_once_its_test_confirms_it_and_soon_back() {
    let scene = scene(vec![domains()]);
    let watch = tokio::spawn(Arc::clone(&scene.lists).watch(CancellationToken::new()));
    tokio::time::sleep(Duration::from_secs(600)).await;
    for name in ["test.d.example", "odd.example.d.example"] {
        answers(&scene.dns, name, &["127.255.255.254"]);
    }
    ask_domain(&scene, "odd.example").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(is_degraded(&ask_domain(&scene, "other.example").await[0]));
    assert_eq!((scene.alarm(), scene.counted(ListAnswer::NotAsked)), (1, 1));
    answers(&scene.dns, "test.d.example", &["127.0.1.2"]);
    tokio::time::sleep(RETEST_INTERVAL).await;
    assert_eq!((ask_domain(&scene, "other.example").await, scene.alarm()), (vec![Listed::No], 0));
    watch.abort();
}

#[tokio::test]
async fn an_unknown_code_is_neither_listed_nor_clean() {
    let scene = scene(vec![list("one")]);
    scene.lists.test().await;
    answers(&scene.dns, "7.2.0.192.one.example", &["127.0.0.77"]);
    let listed = scene.ask().await;
    assert_eq!(listed, [Listed::Degraded { why: "unknown code 127.0.0.77".into() }]);
    assert_eq!((scene.alarm(), scene.counted(ListAnswer::UnknownCode)), (1, 1));
    answers(&scene.dns, "7.2.0.192.one.example", &["127.0.0.77", "127.0.0.11"]);
    assert_eq!(scene.ask().await, [yes("dynamic", 50)], "what is known beside it counts");
}

#[tokio::test]
async fn a_zone_that_lists_the_world_or_nothing_fails_its_test() {
    let scene = scene(vec![list("world"), list("empty"), list("refusing"), list("good")]);
    answers(&scene.dns, "1.0.0.127.world.example", &["127.0.0.2"]);
    scene.dns.set_ip("2.0.0.127.empty.example", Answer::NoSuchDomain);
    answers(&scene.dns, "2.0.0.127.refusing.example", &["127.255.255.254"]);
    for zone in ["world", "refusing"] {
        answers(&scene.dns, &format!("7.2.0.192.{zone}.example"), &["127.0.0.2"]);
    }
    assert!(!scene.lists.test().await);
    let listed = scene.ask().await;
    assert!(listed[..3].iter().all(is_degraded) && listed[3] == Listed::No, "{listed:?}");
    assert_eq!((scene.alarm(), scene.metrics.sender.list_tests.of(Worked::No).get()), (3, 3));
}

#[tokio::test]
async fn lists_of_domains_of_good_clients_and_of_ipv6() {
    let domains = List::new("domains", Zone::parse("d.example").unwrap(), Kind::Domain)
        .code("bit 8".parse().unwrap(), "phish", 100)
        .code("bit 64".parse().unwrap(), "abuse", 10)
        .error("bit 1".parse().unwrap());
    let good = List::new("good", Zone::parse("g.example").unwrap(), Kind::Allow).code(
        "127.0.0.0/16".parse().unwrap(),
        "known",
        10,
    );
    let v4_only = List { ipv6: false, ..list("four") };
    let scene = scene(vec![domains, good, list("six"), v4_only]);
    assert!(scene.lists.test().await);
    answers(&scene.dns, "bad.example.d.example", &["127.0.0.72"]);
    answers(&scene.dns, "blocked.example.d.example", &["127.0.0.9"]);
    let asked = async |name: &str| scene.lists.ask_domain(&Domain::parse(name).unwrap()).await.remove(0).answer;
    assert_eq!(asked("bad.example").await, yes("phish", 100));
    assert_eq!(asked("other.example").await, Listed::No);
    assert!(is_degraded(&asked("blocked.example").await));
    assert!(scene.lists.ask_domain(&Domain::parse("[192.0.2.7]").unwrap()).await.is_empty());
    answers(&scene.dns, "7.2.0.192.g.example", &["127.0.5.2"]);
    assert_eq!(scene.ask().await, [yes("known", -10), Listed::No, Listed::No]);
    let nibbles = "8.b.d.0.1.0.0.2.six.example";
    answers(&scene.dns, &format!("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.{nibbles}"), &["127.0.0.2"]);
    let v6 = scene.lists.ask_ip("2001:db8::1".parse().unwrap()).await;
    assert_eq!(v6.len(), 2, "the third asks for IPv4 only: {v6:?}");
    assert_eq!(v6[1].answer, yes("spam", 100));
    assert!(scene.lists.ask_ip("10.0.0.1".parse().unwrap()).await.is_empty(), "inner addresses are not told");
}

/// Answers the self-test, and nothing else ever.
#[derive(Debug)]
struct Silent;

impl Resolver for Silent {
    fn a<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<Ipv4Addr>> {
        let name = name.to_owned();
        Box::pin(async move {
            match name.split_once(".0.0.127.") {
                Some(("2", _)) => Answer::Found(vec![Ipv4Addr::new(127, 0, 0, 2)]),
                Some(_) => Answer::NoSuchDomain,
                None => std::future::pending().await,
            }
        })
    }
    fn mx<'a>(&'a self, _: &'a str) -> Asking<'a, Vec<Mx>> {
        Box::pin(std::future::pending())
    }
    fn ip<'a>(&'a self, _: &'a str) -> Asking<'a, Vec<IpAddr>> {
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
async fn silent_lists_cost_one_time_out_together_and_are_asked_no_more() {
    let metrics = Metrics::new();
    let lists = Blocklists::build(vec![list("one"), list("two")], Arc::new(Silent), Arc::clone(&metrics));
    assert!(lists.test().await);
    let ip = CLIENT.parse().unwrap();
    for round in 0..7 {
        let begun = Instant::now();
        assert!(lists.ask_ip(ip).await.iter().all(|answer| is_degraded(&answer.answer)));
        let expected = if round < 5 { Duration::from_secs(3) } else { Duration::ZERO };
        assert!(begun.elapsed() < expected + Duration::from_millis(50), "round {round}: {:?}", begun.elapsed());
    }
    assert_eq!(metrics.sender.lists_degraded.get(), 2);
    assert_eq!(metrics.sender.list_answers.of(ListAnswer::NoAnswer).get(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_hiccup_takes_no_list_out_and_a_list_that_was_silent_is_tested_at_once() {
    let metrics = Metrics::new();
    let lists = Arc::new(Blocklists::build(vec![list("one")], Arc::new(Silent), Arc::clone(&metrics)));
    let watch = tokio::spawn(Arc::clone(&lists).watch(CancellationToken::new()));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let ip: IpAddr = CLIENT.parse().unwrap();
    let crowd = async || together((0..50).map(|_| lists.ask_ip(ip))).await;
    crowd().await;
    crowd().await;
    let not_asked = || metrics.sender.list_answers.of(ListAnswer::NotAsked).get();
    crowd().await;
    assert_eq!((metrics.sender.lists_degraded.get(), not_asked()), (0, 0), "6 s of silence");
    crowd().await;
    crowd().await;
    assert_eq!(metrics.sender.lists_degraded.get(), 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(metrics.sender.list_tests.of(Worked::Yes).get(), 2);
    lists.ask_ip(ip).await;
    assert_eq!(not_asked(), 0, "its test passed, so that it is asked again");
    watch.abort();
}

#[tokio::test(start_paused = true)]
async fn the_watch_brings_a_list_back() {
    let scene = scene(vec![list("one")]);
    answers(&scene.dns, "2.0.0.127.one.example", &["127.255.255.254"]);
    let stop = CancellationToken::new();
    let watch = tokio::spawn(Arc::clone(&scene.lists).watch(stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.alarm(), 1);
    answers(&scene.dns, "2.0.0.127.one.example", &["127.0.0.2"]);
    tokio::time::sleep(RETEST_INTERVAL).await;
    assert_eq!(scene.alarm(), 0);
    stop.cancel();
    watch.await.unwrap();
}

#[tokio::test]
async fn the_zone_is_in_no_text() {
    let secret = List { zone: Zone::parse("k3y.zen.dq.example").unwrap(), ..list("paid") };
    let scene = scene(vec![secret.clone()]);
    let mut texts = vec![format!("{secret:?}"), format!("{:?}", scene.lists.lists)];
    scene.lists.test().await;
    for answer in [
        Answer::Temporary("SERVFAIL for 7.2.0.192.k3y.zen.dq.example".to_owned()),
        Answer::Found(vec!["127.255.255.254".parse().unwrap()]),
        Answer::Found(vec!["127.0.0.99".parse().unwrap()]),
    ] {
        scene.dns.set_ip("7.2.0.192.k3y.zen.dq.example", answer);
        texts.push(format!("{:?}", scene.lists.ask_ip(CLIENT.parse().unwrap()).await));
        scene.lists.test().await;
    }
    texts.push(Zone::parse("k3y..dq.example").unwrap_err().to_string());
    texts.push(serde_json::from_str::<Zone>("\"k3y..dq\"").unwrap_err().to_string());
    assert!(texts.iter().all(|text| !text.contains("k3y")), "{texts:#?}");
}

#[test]
fn patterns_are_read_and_told_apart() {
    let matches = |pattern: &str, code: &str| AnswerPattern::parse(pattern).unwrap().matches(code.parse().unwrap());
    assert!(matches("127.0.0.4-7", "127.0.0.7") && !matches("127.0.0.4-7", "127.0.0.8"));
    assert!(matches("127.0.0.4-127.0.1.2", "127.0.1.0") && matches("127.0.0.0/16", "127.0.9.9"));
    assert!(matches("bit 64", "127.0.0.72") && !matches("bit 64", "127.0.0.8") && !matches("bit 64", "127.1.0.64"));
    for bad in ["", "127.0.0", "127.0.0.7-4", "bit 0", "bit 256", "127.0.0.0/33", "x-y"] {
        assert!(AnswerPattern::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_examples_are_whole_and_ask_nobody() {
    let examples = examples();
    assert_eq!(examples.len(), 5);
    assert_eq!(examples.iter().map(|list| list.codes.len()).collect::<Vec<_>>(), [5, 5, 5, 3, 1]);
    assert!(Blocklists::build(examples, Arc::new(Silent), Metrics::new()).is_empty());
    let toml = "name = 'x'\nzone = 'x.example'\nkind = 'ip'\ntimeout = 5\nself-test = 'rfc5782'\n\
                codes = [{ when = '127.0.0.2', reason = 'spam', weight = 100 }]\nerrors = ['127.0.0.255']\n";
    let list: List = toml::from_str(toml).unwrap();
    assert_eq!((list.timeout, list.enabled, list.codes.len()), (Duration::from_secs(5), true, 1));
}
