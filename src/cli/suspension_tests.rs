//! `sekisho suspension` against a control socket with a table of measures behind it.

use std::sync::{Arc, Mutex};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admin::control::{Control, Ports};
use crate::admin::explain::tests::SaysNothing;
use crate::admin::quarantine::tests::NothingHeld;
use crate::admin::queue::tests::NoQueue;
use crate::admin::reputation::tests::NoRecords;
use crate::admin::suspension::tests::entry;
use crate::admin::suspension::{Filter, Forget, Forgotten, Refusal, SuspensionControl};
use crate::admin::{Answer, Reload};

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    suspension: SuspensionArgs,
}

#[derive(Default)]
struct Table {
    asked: Mutex<Vec<Filter>>,
    added: Mutex<Vec<Add>>,
    lifted: Mutex<Vec<(SuspensionId, Lift)>>,
}

impl SuspensionControl for Table {
    fn list(&self, filter: Filter) -> Answer<'_, Result<Vec<Entry>, String>> {
        self.asked.lock().unwrap().push(filter);
        Box::pin(async { Ok(vec![entry(2), entry(1)]) })
    }
    fn show(&self, id: SuspensionId) -> Answer<'_, Result<Option<Entry>, String>> {
        Box::pin(async move { Ok((id == entry(1).id).then(|| entry(1))) })
    }
    fn add(&self, add: Add) -> Answer<'_, Result<Entry, Refusal>> {
        let missing = add.tenant.as_str() != "acme";
        self.added.lock().unwrap().push(add);
        Box::pin(async move { if missing { Err(Refusal::Missing("no such tenant".into())) } else { Ok(entry(1)) } })
    }
    fn lift(&self, id: SuspensionId, lift: Lift) -> Answer<'_, Result<Entry, Refusal>> {
        self.lifted.lock().unwrap().push((id, lift));
        let known = id == entry(1).id;
        Box::pin(async move { if known { Ok(entry(1)) } else { Err(Refusal::Conflict("lifted already".into())) } })
    }
    fn confirm(&self, confirm: Confirm) -> Answer<'_, Result<Entry, Refusal>> {
        let known = confirm.token == "the-token";
        Box::pin(async move { if known { Ok(entry(1)) } else { Err(Refusal::Missing("not known".into())) } })
    }
    fn forget(&self, _: Forget) -> Answer<'_, Result<Forgotten, String>> {
        Box::pin(async { Ok(Forgotten { measures: 0, records: 0 }) })
    }
}

impl Reload for Table {
    fn reload(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async { Ok(String::new()) })
    }
}

struct Node {
    dir: tempfile::TempDir,
    table: Arc<Table>,
    _stop: CancellationToken,
    _control: Control,
}

fn node() -> Node {
    let (dir, table, stop) = (tempfile::tempdir().unwrap(), Arc::<Table>::default(), CancellationToken::new());
    let ports = Ports {
        queue: Arc::new(NoQueue),
        reload: table.clone(),
        reputation: Arc::new(NoRecords),
        explain: Arc::new(SaysNothing),
        quarantine: Arc::new(NothingHeld),
        suspension: table.clone(),
    };
    let control = Control::start(dir.path(), ports, stop.clone()).unwrap();
    Node { dir, table, _stop: stop, _control: control }
}

impl Node {
    async fn run(&self, words: &[&str]) -> (u8, String) {
        let typed = Typed::try_parse_from([&["suspension"], words].concat()).unwrap();
        let mut out = Vec::new();
        let code = run(typed.suspension, self.dir.path(), &mut out).await;
        (code, String::from_utf8(out).unwrap())
    }
}

#[tokio::test]
async fn a_listing_asks_for_what_was_typed() {
    let node = node();
    let id = entry(1).id.to_string();
    let (code, text) = node.run(&["ls", "--tenant", "acme", "--ended", "--before", &id, "--limit", "5"]).await;
    assert!(code == exit::OK && text.starts_with("ID ") && text.lines().count() == 3, "{text}");
    let asked = node.table.asked.lock().unwrap().remove(0);
    assert_eq!((asked.ended, asked.before, asked.limit), (true, Some(entry(1).id), Some(5)));
    let (_, text) = node.run(&["ls", "--json"]).await;
    assert!(text.lines().all(|line| line.starts_with(r#"{"v":1,"#)) && text.lines().count() == 2);
    assert!(!node.table.asked.lock().unwrap().remove(0).ended);
    let (code, text) = node.run(&["show", &id]).await;
    assert!(code == exit::OK && text.contains("\n  held        2 in the queue\n"), "{text}");
    assert_eq!(node.run(&["show", &entry(7).id.to_string()]).await.0, exit::NOT_FOUND);
}

#[tokio::test]
async fn a_measure_names_whom_it_is_about_and_why() {
    let node = node();
    let why = ["--reason", "ticket 812", "--by", "mika"];
    for (whom, expected) in [
        (&["--sender", "taro@acme.example"][..], "sender taro@acme.example"),
        (&["--client", "::ffff:192.0.2.7"], "client 192.0.2.7"),
        (&["--domain", "ACME.example"], "domain acme.example"),
        (&["--whole-tenant"], "tenant"),
    ] {
        let words = [&["add", "suspend", "--tenant", "acme", "--for", "2d"], whom, &why].concat();
        let (code, text) = node.run(&words).await;
        assert_eq!((code, text), (exit::OK, format!("{}\n", entry(1).id)));
        let add = node.table.added.lock().unwrap().remove(0);
        assert_eq!((add.scope.to_string().as_str(), add.stage, add.seconds), (expected, Stage::Suspend, Some(172_800)));
        assert_eq!((&*add.by, &*add.reason), ("mika", "ticket 812"));
    }
    let words = [&["add", "warn", "--tenant", "beta", "--whole-tenant"][..], &why].concat();
    assert_eq!(node.run(&words).await.0, exit::NOT_FOUND);
    assert_eq!(node.table.added.lock().unwrap().remove(0).seconds, None, "as the settings say");
}

#[tokio::test]
async fn what_was_not_done_is_told_by_the_exit_code() {
    let node = node();
    let lift = |number| {
        let id = entry(number).id.to_string();
        let node = &node;
        async move { node.run(&["lift", &id, "--reason", "x", "--by", "mika", "--json"]).await }
    };
    let (code, text) = lift(1).await;
    assert!(code == exit::OK && text.starts_with(r#"{"v":1,"#), "{text}");
    assert_eq!(lift(2).await.0, exit::CONFLICT);
    assert_eq!(&*node.table.lifted.lock().unwrap()[0].1.by, "mika");
    assert_eq!(node.run(&["lift", &entry(1).id.to_string(), "--reason", " "]).await.0, exit::FAILED);
    assert_eq!(node.run(&["confirm", "the-token", "--reason", "cleaned"]).await.0, exit::OK);
    assert_eq!(node.run(&["confirm", "another", "--reason", "cleaned"]).await.0, exit::NOT_FOUND);
}

#[test]
fn nothing_is_done_by_accident() {
    for words in [
        &["add", "suspend", "--tenant", "acme", "--reason", "x"][..],
        &["add", "suspend", "--sender", "a@b.example", "--reason", "x"],
        &["add", "suspend", "--tenant", "acme", "--sender", "a@b.example"],
        &["add", "suspend", "--tenant", "acme", "--sender", "a@b.example", "--whole-tenant", "--reason", "x"],
        &["add", "forbid", "--tenant", "acme", "--whole-tenant", "--reason", "x"],
        &["lift", "--reason", "x"],
        &["lift", "00000000010000000000000001"],
        &["confirm", "x"],
    ] {
        assert!(Typed::try_parse_from([&["suspension"], words].concat()).is_err(), "{words:?}");
    }
}
