//! `sekisho queue` against a control socket with a queue of tables behind it.

use std::sync::{Arc, Mutex};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admin::control::{Control, Ports};
use crate::admin::explain::tests::SaysNothing;
use crate::admin::quarantine::tests::NothingHeld;
use crate::admin::queue::tests::entry;
use crate::admin::queue::{QueueControl, QueueError};
use crate::admin::reputation::tests::NoRecords;
use crate::admin::suspension::tests::NoSuspensions;
use crate::admin::{Answer, Reload};

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    queue: QueueArgs,
}

#[derive(Default)]
struct Table {
    asked: Mutex<Vec<Filter>>,
    changes: Mutex<Vec<Change>>,
}

impl QueueControl for Table {
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, QueueError>> {
        self.asked.lock().unwrap().push(filter);
        Box::pin(async { Ok(vec![entry(1), entry(2)]) })
    }
    fn summary(&self, _: Filter) -> Answer<'_, Result<Vec<Destination>, QueueError>> {
        Box::pin(async { Err(QueueError::Unavailable("wedged".into())) })
    }
    fn show(&self, id: MessageId) -> Answer<'_, Result<Option<Entry>, QueueError>> {
        Box::pin(async move { Ok((id == MessageId::new(1, 0)).then(|| entry(1))) })
    }
    fn change(&self, change: Change) -> Answer<'_, Result<Changed, QueueError>> {
        self.changes.lock().unwrap().push(change);
        Box::pin(async { Ok(Changed { changed: 1, unchanged: 0, missing: vec![MessageId::new(9, 0)] }) })
    }
}

impl Reload for Table {
    fn reload(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async { Err("line 3: unknown key".into()) })
    }
}

struct Node {
    dir: tempfile::TempDir,
    table: Arc<Table>,
    stop: CancellationToken,
    control: Control,
}

fn node() -> Node {
    let (dir, table, stop) = (tempfile::tempdir().unwrap(), Arc::<Table>::default(), CancellationToken::new());
    let ports = Ports {
        queue: table.clone(),
        reload: table.clone(),
        reputation: Arc::new(NoRecords),
        explain: Arc::new(SaysNothing),
        quarantine: Arc::new(NothingHeld),
        suspension: Arc::new(NoSuspensions),
    };
    let control = Control::start(dir.path(), ports, stop.clone()).unwrap();
    Node { dir, table, stop, control }
}

impl Node {
    async fn run(&self, words: &[&str], stdin: &str) -> (u8, String) {
        let typed = Typed::try_parse_from([&["queue"], words].concat()).unwrap();
        let mut out = Vec::new();
        let code = run(typed.queue, self.dir.path(), stdin.as_bytes(), &mut out).await;
        (code, String::from_utf8(out).unwrap())
    }
}

#[tokio::test]
async fn a_listing_is_a_table_or_ndjson_and_the_filter_arrives() {
    let node = node();
    let (code, text) = node.run(&["ls", "--tenant", "acme", "--domain", "acme.example", "--held"], "").await;
    assert_eq!((code, text.lines().count()), (0, 3), "{text}");
    let asked = node.table.asked.lock().unwrap().pop().unwrap();
    assert_eq!(asked.tenant, Some(TenantId::parse("acme").unwrap()));
    assert_eq!((asked.held, asked.limit, asked.direction), (Some(true), Some(USUAL_LIMIT), None));
    let (code, text) = node.run(&["ls", "--json", "--direction", "inbound"], "").await;
    assert_eq!(code, 0);
    assert!(text.lines().count() == 2 && text.lines().all(|line| line.starts_with(r#"{"v":1,"#)), "{text}");
}

#[tokio::test]
async fn ids_come_from_stdin_as_a_listing_prints_them() {
    let node = node();
    let (_, listing) = node.run(&["ls", "--json"], "").await;
    let (code, _) = node.run(&["release", "-", "--reason", "checked"], &listing).await;
    assert_eq!(code, exit::NOT_FOUND, "one id was missing");
    let change = node.table.changes.lock().unwrap().pop().unwrap();
    let selection = Selection::Ids(vec![MessageId::new(1, 0), MessageId::new(2, 0)]);
    assert_eq!(change, Change { verb: Verb::Release, selection, reason: "checked".into() });
}

#[tokio::test]
async fn exit_codes_say_what_was_wrong() {
    let node = node();
    let one = MessageId::new(1, 0).to_string();
    assert_eq!(node.run(&["show", &one], "").await.0, exit::OK);
    assert_eq!(node.run(&["show", &MessageId::new(5, 0).to_string()], "").await.0, exit::NOT_FOUND);
    assert_eq!(node.run(&["summary"], "").await.0, exit::UNAVAILABLE);
    assert_eq!(node.run(&["retry", "no-id"], "").await.0, exit::USAGE);
    assert_eq!(node.run(&["hold", &one, "--reason", " "], "").await.0, exit::FAILED);
    node.stop.cancel();
    node.control.ended().await;
    let typed = Typed::try_parse_from(["queue", "ls"]).unwrap();
    assert_eq!(run(typed.queue, node.dir.path(), &b""[..], &mut Vec::new()).await, exit::UNAVAILABLE);
}

/// A selection of no ids must never become one of all.
#[tokio::test]
async fn no_ids_select_nothing() {
    let node = node();
    let body = br#"{"verb":"remove","selection":{"ids":[]},"reason":"x"}"#.to_vec();
    assert!(matches!(ask(node.dir.path(), Method::POST, "/queue", body).await, Err(ClientError::Refused(_))));
    assert_eq!(node.run(&["rm", "-", "--reason", "x"], "\n").await.0, exit::OK);
    assert!(node.table.changes.lock().unwrap().is_empty());
}

#[test]
fn nothing_is_changed_by_accident() {
    for words in [
        &["rm", "00000000010000000000000001"][..],
        &["rm", "--reason", "x"],
        &["hold", "--all"],
        &["retry"],
        &["retry", "--all", "--domain", "acme.example"],
    ] {
        assert!(Typed::try_parse_from([&["queue"], words].concat()).is_err(), "{words:?}");
    }
}

#[tokio::test]
async fn a_refused_reload_says_why() {
    let node = node();
    let error = ask(node.dir.path(), Method::POST, "/reload", Vec::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(text) if text == "line 3: unknown key"));
}
