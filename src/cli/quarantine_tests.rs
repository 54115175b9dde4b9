//! `sekisho quarantine` against a control socket with a quarantine of tables behind it.

use std::sync::{Arc, Mutex};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admin::control::{Control, Ports};
use crate::admin::explain::tests::SaysNothing;
use crate::admin::quarantine::tests::entry;
use crate::admin::quarantine::{Away, Failed, Filter, QuarantineControl};
use crate::admin::queue::tests::NoQueue;
use crate::admin::reputation::tests::NoRecords;
use crate::admin::suspension::tests::NoSuspensions;
use crate::admin::{Answer, Reload};
use crate::cli::control_client::ClientError;

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    quarantine: QuarantineArgs,
}

#[derive(Default)]
struct Held {
    asked: Mutex<Vec<Filter>>,
    changes: Mutex<Vec<Change>>,
    answer: Mutex<Changed>,
}

impl QuarantineControl for Held {
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, Away>> {
        self.asked.lock().unwrap().push(filter);
        Box::pin(async { Ok(vec![entry(2), entry(1)]) })
    }
    fn show(&self, id: MessageId) -> Answer<'_, Result<Option<Entry>, Away>> {
        Box::pin(async move { Ok((id == MessageId::new(1, 0)).then(|| entry(1))) })
    }
    fn change(&self, change: Change) -> Answer<'_, Result<Changed, Away>> {
        self.changes.lock().unwrap().push(change);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async { Ok(answer) })
    }
}

impl Reload for Held {
    fn reload(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async { Ok(String::new()) })
    }
}

struct Node {
    dir: tempfile::TempDir,
    held: Arc<Held>,
    stop: CancellationToken,
    control: Control,
}

fn node() -> Node {
    let (dir, held, stop) = (tempfile::tempdir().unwrap(), Arc::<Held>::default(), CancellationToken::new());
    let ports = Ports {
        queue: Arc::new(NoQueue),
        reload: held.clone(),
        reputation: Arc::new(NoRecords),
        explain: Arc::new(SaysNothing),
        quarantine: held.clone(),
        suspension: Arc::new(NoSuspensions),
    };
    let control = Control::start(dir.path(), ports, stop.clone()).unwrap();
    Node { dir, held, stop, control }
}

impl Node {
    async fn run(&self, words: &[&str], stdin: &str) -> (u8, String) {
        let typed = Typed::try_parse_from([&["quarantine"], words].concat()).unwrap();
        let mut out = Vec::new();
        let code = run(typed.quarantine, self.dir.path(), stdin.as_bytes(), &mut out).await;
        (code, String::from_utf8(out).unwrap())
    }
}

#[tokio::test]
async fn a_listing_asks_for_what_was_typed_and_feeds_a_change() {
    let node = node();
    let words =
        ["ls", "--tenant", "acme", "--class", "risky-file", "--recipient", "ta+ro@acme.example", "--limit", "5"];
    let (code, text) = node.run(&[&words[..], &["--json"]].concat(), "").await;
    assert_eq!((code, text.lines().count()), (exit::OK, 2));
    let asked = node.held.asked.lock().unwrap().remove(0);
    assert_eq!(asked.class, Some(Class::RiskyFile));
    assert_eq!((asked.recipient.unwrap().to_string(), asked.limit), ("ta+ro@acme.example".to_owned(), Some(5)));
    let since = ["ls", "--since", "2d", "--before", "00000000010000000000000001"];
    assert!(node.run(&since, "").await.1.starts_with("ID "));
    assert!(node.held.asked.lock().unwrap()[0].since.is_some());

    *node.held.answer.lock().unwrap() = Changed { changed: 2, recipients: 4, ..Changed::default() };
    let (code, _) = node.run(&["release", "-", "--reason", "ticket 812"], &text).await;
    assert_eq!(code, exit::OK);
    let change = node.held.changes.lock().unwrap().remove(0);
    assert_eq!((change.verb, change.ids), (Verb::Release, vec![MessageId::new(2, 0), MessageId::new(1, 0)]));
    assert_eq!((change.recipients, change.reason), (None, "ticket 812".to_owned()));
}

#[tokio::test]
async fn what_was_not_done_is_told_by_the_exit_code() {
    let node = node();
    let id = MessageId::new(1, 0);
    let words = ["rm", &id.to_string(), "--to", "taro@acme.example", "--reason", "x"];
    let failed = Failed { id, why: "busy".into() };
    for (answer, code) in [
        (Changed { changed: 1, recipients: 1, ..Changed::default() }, exit::OK),
        (Changed { missing: vec![id], ..Changed::default() }, exit::NOT_FOUND),
        (Changed { failed: vec![failed.clone()], ..Changed::default() }, exit::FAILED),
        (Changed { changed: 1, failed: vec![failed], ..Changed::default() }, exit::PARTIAL),
    ] {
        *node.held.answer.lock().unwrap() = answer;
        assert_eq!(node.run(&words, "").await.0, code);
    }
    let change = node.held.changes.lock().unwrap().remove(0);
    assert_eq!(change.recipients.unwrap()[0].to_string(), "taro@acme.example");
}

#[tokio::test]
async fn one_message_is_shown_and_a_missing_one_is_told() {
    let node = node();
    let (code, text) = node.run(&["show", &MessageId::new(1, 0).to_string()], "").await;
    assert!(code == exit::OK && text.contains("  class       risky-file\n"), "{text}");
    assert_eq!(node.run(&["show", &MessageId::new(7, 0).to_string()], "").await.0, exit::NOT_FOUND);
    let Node { dir, stop, control, .. } = node;
    stop.cancel();
    control.ended().await;
    let typed = Typed::try_parse_from(["quarantine", "ls"]).unwrap();
    assert_eq!(run(typed.quarantine, dir.path(), &b""[..], &mut Vec::new()).await, exit::UNAVAILABLE);
}

#[tokio::test]
async fn the_node_refuses_a_change_without_ids_recipients_or_reason() {
    let node = node();
    for body in [
        r#"{"verb":"remove","ids":[],"reason":"x"}"#,
        r#"{"verb":"remove","ids":["00000000010000000000000001"],"reason":" "}"#,
        r#"{"verb":"remove","ids":["00000000010000000000000001"],"recipients":[],"reason":"x"}"#,
        r#"{"verb":"release","ids":["00000000010000000000000001","00000000020000000000000001"],"recipients":["a@b.example"],"reason":"x"}"#,
    ] {
        let answer = ask(node.dir.path(), Method::POST, "/quarantine", body.into()).await;
        assert!(matches!(answer, Err(ClientError::Refused(_))), "{body}");
    }
    assert!(node.held.changes.lock().unwrap().is_empty());
    assert_eq!(node.run(&["rm", "-", "--reason", "x"], "\n").await.0, exit::OK, "nothing is not everything");
}

#[test]
fn nothing_is_changed_by_accident() {
    for words in [
        &["rm", "00000000010000000000000001"][..],
        &["rm", "--reason", "x"],
        &["release", "--reason", "x"],
        &["ls", "--class", "everything"],
    ] {
        assert!(Typed::try_parse_from([&["quarantine"], words].concat()).is_err(), "{words:?}");
    }
}
