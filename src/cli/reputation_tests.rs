//! `sekisho reputation` against a control socket with a table behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admin::control::{Control, Ports};
use crate::admin::explain::tests::SaysNothing;
use crate::admin::quarantine::tests::NothingHeld;
use crate::admin::queue::tests::NoQueue;
use crate::admin::reputation::{AtLevel, Held, ReputationControl};
use crate::admin::suspension::tests::NoSuspensions;
use crate::admin::{Answer, Reload};
use crate::model::Timestamp;

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    reputation: ReputationArgs,
}

#[derive(Default)]
struct Table(Mutex<HashMap<Subject, Set>>);

impl Table {
    fn shown(&self, subject: &Subject) -> Shown {
        let set = self.0.lock().unwrap().get(subject).cloned();
        let standing = set.as_ref().map_or(Standing::Unknown, |set| set.standing);
        let until = set.as_ref().and_then(|set| set.seconds).map(|seconds| Timestamp::from_millis(seconds * 1000));
        let held = |set: Set| Held { standing, reason: set.reason, since: Timestamp::from_millis(0), until };
        let own = Sums { ham: 1.0, spam: 2.5, unknown_recipients: 0.0, malformed: 0.0, last_offence: None };
        let level = AtLevel { level: 2, standing, why: "operator".into(), until };
        Shown {
            v: 1,
            subject: subject.to_string().into(),
            own: Some(own),
            network: None,
            set: set.map(held),
            levels: vec![level],
        }
    }
}

impl ReputationControl for Table {
    fn show(&self, subject: Subject) -> Answer<'_, Shown> {
        Box::pin(async move { self.shown(&subject) })
    }
    fn set(&self, subject: Subject, change: Set) -> Answer<'_, Result<Shown, String>> {
        self.0.lock().unwrap().insert(subject.clone(), change);
        Box::pin(async move { Ok(self.shown(&subject)) })
    }
    fn forget(&self, subject: Subject) -> Answer<'_, Result<bool, String>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().remove(&subject).is_some()) })
    }
}

impl Reload for Table {
    fn reload(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async { Ok(String::new()) })
    }
}

struct Node {
    dir: tempfile::TempDir,
    stop: CancellationToken,
    control: Control,
}

fn node() -> Node {
    let (dir, table, stop) = (tempfile::tempdir().unwrap(), Arc::<Table>::default(), CancellationToken::new());
    let ports = Ports {
        queue: Arc::new(NoQueue),
        reload: table.clone(),
        reputation: table,
        explain: Arc::new(SaysNothing),
        quarantine: Arc::new(NothingHeld),
        suspension: Arc::new(NoSuspensions),
    };
    let control = Control::start(dir.path(), ports, stop.clone()).unwrap();
    Node { dir, stop, control }
}

impl Node {
    async fn run(&self, words: &[&str]) -> (u8, String) {
        let typed = Typed::try_parse_from([&["reputation"], words].concat()).unwrap();
        let mut out = Vec::new();
        let code = run(typed.reputation, self.dir.path(), &mut out).await;
        (code, String::from_utf8(out).unwrap())
    }
}

#[tokio::test]
async fn a_source_is_shown_set_and_forgotten() {
    let node = node();
    let set = ["set", "2001:db8::1", "good", "--for", "24h", "--reason", "ticket \u{1b}812"];
    assert_eq!(node.run(&set).await, (0, String::new()));
    let (code, text) = node.run(&["show", "2001:db8::1"]).await;
    assert_eq!(code, 0);
    for expected in [
        "2001:db8::1\n  own      ham 1.00, spam 2.50",
        "set      good at 1970-01-01T00:00:00.000Z until 1970-01-02T00:00:00.000Z: ticket 812\n",
        "level 2  good for its setting until 1970-01-02",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    let (_, json) = node.run(&["show", "2001:db8::1", "--json"]).await;
    assert_eq!(serde_json::from_str::<Shown>(&json).unwrap().v, 1);
    assert_eq!(node.run(&["forget", "2001:db8::1"]).await.0, 0);
    assert_eq!(node.run(&["forget", "2001:db8::1"]).await.0, exit::NOT_FOUND);
    assert!(node.run(&["show", "mail.example"]).await.1.starts_with("mail.example\n"));
}

#[tokio::test]
async fn without_a_node_the_exit_code_says_so() {
    let node = node();
    std::fs::remove_file(node.dir.path().join("control.sock")).unwrap();
    assert_eq!(node.run(&["show", "192.0.2.1"]).await.0, exit::UNAVAILABLE);
    node.stop.cancel();
    node.control.ended().await;
}

#[tokio::test]
async fn a_change_needs_a_reason_that_is_one() {
    let node = node();
    for reason in ["  ", &"x".repeat(300)] {
        assert_eq!(node.run(&["set", "192.0.2.1", "refused", "--reason", reason]).await.0, exit::FAILED);
    }
    for words in
        [&["set", "192.0.2.1", "good"][..], &["set", "192.0.2.1", "unknown", "--reason", "x"], &["show", "192.0.2"]]
    {
        assert!(Typed::try_parse_from([&["reputation"], words].concat()).is_err(), "{words:?}");
    }
}
