//! `sekisho explain` against a control socket with a made-up answer behind it.

use std::sync::{Arc, Mutex};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admin::control::{Control, Ports};
use crate::admin::explain::ExplainControl;
use crate::admin::quarantine::tests::NothingHeld;
use crate::admin::queue::tests::NoQueue;
use crate::admin::reputation::tests::NoRecords;
use crate::admin::suspension::tests::NoSuspensions;
use crate::admin::{Answer as Boxed, Reload};
use crate::model::explanation::{ClientSeen, Moment, Versions};
use crate::model::{Decision, Enhanced, Reply, Timestamp};
use crate::policy::explain::plain_judgement;

#[derive(Parser)]
struct Typed {
    #[command(subcommand)]
    explain: ExplainCommand,
}

/// Refuses every recipient that is not `you@`.
#[derive(Default)]
struct Strict(Mutex<Vec<Question>>);

impl ExplainControl for Strict {
    fn smtp(&self, question: Question) -> Boxed<'_, Told> {
        let client =
            ClientSeen { ip: question.ip, helo: question.helo.clone(), tls: None, country: None, reverse: None };
        let mut explanation =
            Explanation::new(Timestamp::from_millis(0), Versions::default(), client, question.sender.clone());
        let mut said = vec![Said { at: At::Connect, recipient: None, code: 220, reply: None, rule: None }];
        for recipient in &question.recipients {
            let refusal = Reply::new(550, Enhanced(5, 1, 1), "No such recipient");
            let (decision, rule) = match recipient.local() {
                "you" => (Decision::Accept, Rule::NothingAgainst),
                _ => (Decision::Reject(refusal.clone()), Rule::Recipient),
            };
            let refused = decision != Decision::Accept;
            said.push(Said {
                at: At::Rcpt,
                recipient: Some(recipient.clone()),
                code: if refused { 550 } else { 250 },
                reply: refused.then(|| refusal.to_string().into()),
                rule: Some(rule.name().into()),
            });
            explanation.judge(plain_judgement(Moment::Rcpt, Some(recipient), &decision, rule));
        }
        self.0.lock().unwrap().push(question);
        Box::pin(async { Told { v: 1, said, explanation: Some(explanation) } })
    }
}

impl Reload for Strict {
    fn reload(&self) -> Boxed<'_, Result<String, String>> {
        Box::pin(async { Ok(String::new()) })
    }
}

struct Node {
    dir: tempfile::TempDir,
    asked: Arc<Strict>,
    stop: CancellationToken,
    control: Control,
}

fn node() -> Node {
    let (dir, asked, stop) = (tempfile::tempdir().unwrap(), Arc::<Strict>::default(), CancellationToken::new());
    let ports = Ports {
        queue: Arc::new(NoQueue),
        reload: asked.clone(),
        reputation: Arc::new(NoRecords),
        explain: asked.clone(),
        quarantine: Arc::new(NothingHeld),
        suspension: Arc::new(NoSuspensions),
    };
    let control = Control::start(dir.path(), ports, stop.clone()).unwrap();
    Node { dir, asked, stop, control }
}

const USUAL: &[&str] = &["--ip", "192.0.2.7", "--helo", "mail.sender.example", "--from", "a@sender.example"];

impl Node {
    async fn run(&self, words: &[&str], json: bool) -> (u8, String) {
        let typed = Typed::try_parse_from([&["explain", "smtp"], USUAL, words].concat()).unwrap();
        let mut out = Vec::new();
        let code = run(typed.explain, self.dir.path(), Style { json, color: false }, &mut out).await;
        (code, String::from_utf8(out).unwrap())
    }
}

#[tokio::test]
async fn each_stage_has_its_line_and_the_explanation_follows_in_the_language_asked_for() {
    let node = node();
    let (code, english) = node.run(&["--rcpt", "you@acme.example", "--rcpt", "no@acme.example"], false).await;
    assert_eq!(code, exit::OK, "one recipient is one");
    for expected in [
        "connect from 192.0.2.7 => 220\n",
        "RCPT TO:<you@acme.example> => 250 (nothing-against)\n",
        "RCPT TO:<no@acme.example> => 550 5.1.1 No such recipient (recipient)\n",
        "Accepted: nothing speaks against it.",
    ] {
        assert!(english.contains(expected), "{expected:?} is not in\n{english}");
    }
    let (_, japanese) = node.run(&["--rcpt", "you@acme.example", "--lang", "ja"], false).await;
    assert!(japanese.contains("接続元: 192.0.2.7"), "{japanese}");
    let (_, json) = node.run(&["--rcpt", "you@acme.example", "--header-from", "b@other.example", "--tls"], true).await;
    assert_eq!(serde_json::from_str::<Told>(&json).unwrap().said.len(), 2);
    let asked = node.asked.0.lock().unwrap().last().cloned().unwrap();
    assert!(asked.tls && asked.author.is_some_and(|author| author.to_string() == "b@other.example"));
}

#[tokio::test]
async fn recipients_that_are_none_have_their_exit_code() {
    let node = node();
    assert_eq!(node.run(&["--rcpt", "no@acme.example"], false).await.0, exit::NOT_FOUND);
    let many: Vec<&str> = std::iter::repeat_n(["--rcpt", "you@acme.example"], 33).flatten().collect();
    assert_eq!(node.run(&many, false).await.0, exit::USAGE);
}

#[tokio::test]
async fn without_a_node_the_exit_code_says_so() {
    let node = node();
    std::fs::remove_file(node.dir.path().join("control.sock")).unwrap();
    assert_eq!(node.run(&["--rcpt", "you@acme.example"], false).await.0, exit::UNAVAILABLE);
    node.stop.cancel();
    node.control.ended().await;
}

#[test]
fn what_is_no_address_is_said_before_anybody_is_asked() {
    let parse = |words: &[&str]| Typed::try_parse_from([&["explain", "smtp"], words].concat()).map(|_| ());
    let (ip, helo, from, rcpt) =
        (["--ip", "192.0.2.7"], ["--helo", "a.example"], ["--from", ""], ["--rcpt", "you@acme.example"]);
    assert!(parse(&[ip, helo, from, rcpt].concat()).is_ok());
    assert!(parse(&[ip, helo, ["--from", "<>"], rcpt].concat()).is_ok());
    for wrong in [
        [["--ip", "192.0.2"], helo, from, rcpt],
        [ip, ["--helo", "a b"], from, rcpt],
        [ip, ["--helo", ""], from, rcpt],
        [ip, helo, ["--from", "nobody"], rcpt],
        [ip, helo, from, ["--rcpt", ""]],
        [ip, helo, from, ["--lang", "en"]],
    ] {
        assert!(parse(&wrong.concat()).is_err(), "{wrong:?}");
    }
}
