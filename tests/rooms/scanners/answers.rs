//! Every way in which a scanner can answer, or not, through real sockets: an error is never clean.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sekisho::model::finding::{Class, Detector, Reason, Score, Verdict};
use sekisho::scan::external::{Answer, Config, Endpoint, External, Question, Service};

use crate::support::FakeScanner;
use crate::support::fake_scanner::VIRUS;

fn service(detector: Detector, places: &[String]) -> Service {
    let endpoints = places.iter().map(|place| Endpoint::parse(place).unwrap()).collect();
    Service { timeout: Duration::from_secs(5), ..Service::usual(detector, endpoints).unwrap() }
}

fn external(detector: Detector, service: Service) -> External {
    let mut config = Config::default();
    match detector {
        Detector::Clamd => config.clamd = Some(service),
        Detector::Icap => config.icap = Some(service),
        Detector::Rspamd => config.rspamd = Some(service),
        _ => config.spamd = Some(service),
    }
    External::new(config)
}

fn question(text: &str) -> Question {
    let message = Bytes::from(format!("Subject: x\r\n\r\n{text}\r\n"));
    Question {
        message,
        from: "a@sender.example".into(),
        recipients: vec!["b@acme.example".into()],
        ..Question::default()
    }
}

/// What one fake's answer is taken for.
async fn ask(detector: Detector, fake: &FakeScanner, question: &Question) -> Answer {
    one(external(detector, service(detector, &[fake.endpoint()])), question).await
}

async fn one(external: External, question: &Question) -> Answer {
    let mut answers = external.ask(question).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

#[track_caller]
fn is_clean(answer: &Answer) {
    assert!(answer.findings.is_empty() && answer.unchecked.is_empty() && answer.unavailable.is_none(), "{answer:?}");
}

#[track_caller]
fn is_unavailable(answer: &Answer, why: &str) {
    let reason = &answer.unavailable.as_ref().unwrap_or_else(|| panic!("taken for an answer: {answer:?}")).reason;
    assert!(reason.contains(why), "{reason}");
    assert!(answer.findings.is_empty());
}

#[tokio::test]
async fn clamd_sees_the_whole_message_and_finds() {
    let fake = FakeScanner::clamd();
    let large = question(&"0123456789abcde\r\n".repeat(20_000));
    is_clean(&ask(Detector::Clamd, &fake, &large).await);
    assert_eq!(fake.seen(), [large.message.to_vec()]);
    let answer = ask(Detector::Clamd, &fake, &question(VIRUS)).await;
    assert_eq!((answer.findings[0].class, &*answer.findings[0].symbol), (Class::Malware, "Test.Virus"));
}

#[tokio::test]
async fn nothing_but_a_clean_answer_of_clamd_is_clean() {
    let large = question(&"x\r\n".repeat(2_000_000));
    for (what, fake, why) in [
        ("error", FakeScanner::clamd_saying(|_| b"stream: Can't allocate memory ERROR\0".to_vec()), "allocate memory"),
        ("unknown", FakeScanner::clamd_saying(|_| b"stream: MAYBE\0".to_vec()), "not understood"),
        ("cut", FakeScanner::clamd_saying(|_| b"stream: OK".to_vec()), "closed without an answer"),
        ("closed", FakeScanner::clamd_saying(|_| Vec::new()), "closed without an answer"),
        ("endless", FakeScanner::clamd_saying(|_| vec![b'x'; 100_000]), "not understood"),
        ("hasty", FakeScanner::hasty_clamd(b"stream: OK\0"), ""),
        ("rude", FakeScanner::rude(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ""),
    ] {
        let answer = ask(Detector::Clamd, &fake, &large).await;
        assert!(answer.unavailable.as_ref().is_some_and(|told| told.reason.contains(why)), "{what}: {answer:?}");
    }
    let limit = ask(Detector::Clamd, &FakeScanner::hasty_clamd(b"INSTREAM size limit exceeded. ERROR\0"), &large).await;
    assert!(limit.unavailable.is_some() || limit.findings[0].class == Class::Unscannable, "{limit:?}");
    let silent = FakeScanner::silent();
    let short = Service { timeout: Duration::from_millis(300), ..service(Detector::Clamd, &[silent.endpoint()]) };
    is_unavailable(&one(external(Detector::Clamd, short), &question("x")).await, "no answer in time");
}

#[tokio::test]
async fn the_second_clamd_answers_for_the_first() {
    let (silent, good) = (FakeScanner::silent(), FakeScanner::clamd());
    let dead = "127.0.0.1:1".to_owned();
    let places = [dead, silent.endpoint(), good.endpoint()];
    let service = Service { timeout: Duration::from_secs(3), ..service(Detector::Clamd, &places) };
    let external = external(Detector::Clamd, service);
    let begun = Instant::now();
    let answers = external.ask(&question(VIRUS)).await;
    assert_eq!(answers[0].findings[0].class, Class::Malware, "{answers:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_message_too_large_for_who_must_see_it_is_unscannable_and_others_say_that_they_were_not_asked() {
    let fake = FakeScanner::clamd();
    let cases = [
        (Detector::Clamd, false, true),
        (Detector::Icap, false, true),
        (Detector::Spamd, true, true),
        (Detector::Spamd, false, false),
        (Detector::Rspamd, true, true),
    ];
    for (detector, required, class) in cases {
        let small = Service { max_size: 10, required, ..service(detector, &[fake.endpoint()]) };
        let answer = one(external(detector, small), &question("x")).await;
        assert_eq!(answer.findings.first().is_some_and(|found| found.class == Class::Unscannable), class, "{answer:?}");
        assert_eq!(answer.unchecked.iter().any(|left| left.reason == Reason::Bytes), class);
        let told = answer.unavailable.as_ref().is_some_and(|away| away.reason.contains("larger than"));
        assert_eq!(told, !class, "never in silence: {answer:?}");
    }
    assert!(fake.seen().is_empty());
}

const USUAL: &str = "Methods: RESPMOD\r\nAllow: 204\r\nISTag: \"t\"\r\n";
const PREVIEW: &str = "Methods: RESPMOD\r\nAllow: 204\r\nPreview: 20\r\n";
const OLD: &str = "Methods: RESPMOD\r\n";

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: message/rfc822\r\n\r\n");
    let icap = format!("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body={}\r\n\r\n{head}", head.len());
    let mut all = icap.into_bytes();
    for chunk in body.chunks(7) {
        all.extend(format!("{:x}\r\n", chunk.len()).bytes());
        all.extend(chunk);
        all.extend(b"\r\n");
    }
    all.extend(b"0\r\n\r\n");
    all
}

#[tokio::test]
async fn icap_says_unmodified_or_sends_back_the_same() {
    let large = question(&"0123456789abcde\r\n".repeat(20_000));
    for (options, text) in [(USUAL, "204"), (PREVIEW, "204"), (OLD, "echo")] {
        let fake = FakeScanner::icap(options, move |message| match text {
            "204" => b"ICAP/1.0 204 No Content\r\nConnection: close\r\n\r\n".to_vec(),
            _ => http("200 OK", message),
        });
        for question in [&large, &question("x")] {
            is_clean(&ask(Detector::Icap, &fake, question).await);
            assert_eq!(fake.seen().last(), Some(&question.message.to_vec()), "{options}");
        }
    }
}

#[tokio::test]
async fn icap_finds_however_it_says_so() {
    for (options, answer, class) in [
        (USUAL, "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n\r\n", Class::Malware),
        (USUAL, "ICAP/1.0 204 No\r\nX-Virus-Name: Eicar\r\n\r\n", Class::Malware),
        (PREVIEW, "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=2; Threat=bomb;\r\n\r\n", Class::Unscannable),
        (USUAL, "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=1; Threat=rule;\r\n\r\n", Class::RiskyFile),
        (OLD, "403 Forbidden", Class::Malware),
        (OLD, "307 Elsewhere", Class::Malware),
        (OLD, "200 OK", Class::Malware),
    ] {
        let fake = FakeScanner::icap(options, move |_| match answer.starts_with("ICAP") {
            true => answer.as_bytes().to_vec(),
            false => http(answer, b"<html>blocked</html>"),
        });
        let found = ask(Detector::Icap, &fake, &question("x")).await;
        assert_eq!(found.findings.first().map(|found| found.class), Some(class), "{answer:?}: {found:?}");
    }
}

#[tokio::test]
async fn nothing_but_a_clean_answer_of_icap_is_clean() {
    for (answer, why) in [
        ("ICAP/1.0 539 Aborted - No AV scanning license\r\n\r\n", "539"),
        ("ICAP/1.0 404 Service not found\r\n\r\n", "404"),
        ("ICAP/1.0 500 Server error\r\n\r\n", "500"),
        ("ICAP/1.0 206 Partial\r\n\r\n", "206"),
        ("ICAP/1.0 200 OK\r\n\r\n", "not understood"),
        ("ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\n\r\n", "not understood"),
        ("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=9, res-body=1\r\n\r\n", "not understood"),
        ("ICAP/1.0 204", "closed before"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "not understood"),
        ("", "closed before"),
    ] {
        let fake = FakeScanner::icap(USUAL, move |_| answer.as_bytes().to_vec());
        is_unavailable(&ask(Detector::Icap, &fake, &question("x")).await, why);
    }
    let no_respmod = FakeScanner::icap("Methods: REQMOD\r\n", |_| Vec::new());
    is_unavailable(&ask(Detector::Icap, &no_respmod, &question("x")).await, "RESPMOD");
    let cut = FakeScanner::icap(OLD, |message| {
        let mut answer = http("200 OK", message);
        answer.truncate(answer.len() - 3);
        answer
    });
    is_unavailable(&ask(Detector::Icap, &cut, &question("x")).await, "closed before");
    let less = FakeScanner::icap(OLD, |message| http("200 OK", &message[..message.len() - 1]));
    assert_eq!(
        ask(Detector::Icap, &less, &question("x")).await.findings[0].class,
        Class::Malware,
        "not octet for octet"
    );
}

#[tokio::test]
async fn spamd_is_told_the_message_and_understood() {
    let fake = FakeScanner::spamd("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 12.0 / 6.0\r\n\r\nGTUBE,BAYES_99\r\n");
    let answer = ask(Detector::Spamd, &fake, &question("x")).await;
    assert_eq!((answer.findings[0].class, answer.findings[0].score), (Class::Spam, Score(10_000)));
    assert!(answer.findings[0].evidence.contains("GTUBE BAYES_99"), "{answer:?}");
    let sent = String::from_utf8(fake.seen().remove(0)).unwrap();
    assert_eq!(sent, "SYMBOLS SPAMC/1.5\r\nContent-length: 17\r\n\r\nSubject: x\r\n\r\nx\r\n");
    for (answer, why) in [
        ("SPAMD/1.0 79 Timeout: (30 second timeout)\r\n\r\n", "79 Timeout"),
        ("SPAMD/1.1 0 EX_OK\r\n\r\n", "not understood"),
        ("", "closed without"),
    ] {
        is_unavailable(&ask(Detector::Spamd, &FakeScanner::spamd(answer), &question("x")).await, why);
    }
}

#[tokio::test]
async fn rspamd_is_told_the_envelope_and_understood() {
    let body =
        r#"{"score":12.0,"action":"add header","thresholds":{"add header":6.0},"symbols":{"GTUBE":{"score":12.0}}}"#;
    let fake = FakeScanner::rspamd("200 OK", body);
    let question = Question { ip: Some("192.0.2.7".parse().unwrap()), ..question("x") };
    let answer = ask(Detector::Rspamd, &fake, &question).await;
    assert_eq!((answer.findings[0].class, answer.findings[0].score), (Class::Spam, Score(10_000)));
    let sent = String::from_utf8(fake.seen().remove(0)).unwrap().to_ascii_lowercase();
    for told in ["\r\nip: 192.0.2.7\r\n", "\r\nfrom: a@sender.example\r\n", "\r\nrcpt: b@acme.example\r\n"] {
        assert!(sent.contains(told), "{sent}");
    }
    for (status, body, why) in [
        ("500 Internal", r#"{"error":"no memory"}"#, "no memory"),
        ("200 OK", r#"{"error":"no memory"}"#, "no memory"),
        ("404 Not found", "", "404"),
        ("200 OK", "<html>", "not understood"),
        ("200 OK", r#"{"score":0,"action":"soft reject"}"#, "soft reject"),
    ] {
        is_unavailable(&ask(Detector::Rspamd, &FakeScanner::rspamd(status, body), &question).await, why);
    }
    let huge = FakeScanner::rspamd("200 OK", format!("{{\"x\":\"{}\"}}", "y".repeat(5 << 20)));
    assert!(ask(Detector::Rspamd, &huge, &question).await.unavailable.is_some());
}

#[tokio::test]
async fn all_are_asked_at_once_and_all_are_told() {
    let (clamd, spamd) = (FakeScanner::clamd(), FakeScanner::silent());
    let wait = Duration::from_millis(500);
    let external = External::new(Config {
        clamd: Some(service(Detector::Clamd, &[clamd.endpoint()])),
        rspamd: Some(Service { timeout: wait, ..service(Detector::Rspamd, &[spamd.endpoint()]) }),
        spamd: Some(Service { timeout: wait, ..service(Detector::Spamd, &[spamd.endpoint()]) }),
        icap: None,
    });
    assert_eq!(external.required(), [Detector::Clamd]);
    let begun = Instant::now();
    let mut verdict = Verdict::new(1);
    external.ask(&question(VIRUS)).await.into_iter().for_each(|answer| answer.tell(&mut verdict));
    assert!(begun.elapsed() < 2 * wait, "one after the other: {:?}", begun.elapsed());
    assert!(verdict.has(Class::Malware));
    let away: Vec<_> = verdict.unavailable.iter().map(|away| away.detector).collect();
    assert_eq!(away, [Detector::Rspamd, Detector::Spamd]);
}

#[tokio::test]
async fn no_more_connections_than_there_may_be() {
    let fake = FakeScanner::clamd();
    let few = Service { connections: 2, ..service(Detector::Clamd, &[fake.endpoint()]) };
    let external = std::sync::Arc::new(external(Detector::Clamd, few));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let external = std::sync::Arc::clone(&external);
        tasks.spawn(async move { external.ask(&question(VIRUS)).await });
    }
    for answers in tasks.join_all().await {
        assert_eq!(answers[0].findings[0].class, Class::Malware);
    }
    assert_eq!(fake.seen().len(), 40);
}
