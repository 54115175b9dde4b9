//! The commands of keys end to end, on a data directory and names in memory.

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};
use crate::dns::{Answer, MemoryResolver};
use crate::store::SqliteKeys;

const NOW: Timestamp = Timestamp(1_795_176_451_250);
const PLAIN: Style = Style { json: false, color: false };
const JSON: Style = Style { json: true, color: false };

struct Place {
    dir: tempfile::TempDir,
    dns: Arc<MemoryResolver>,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), dns: Arc::default() }
    }

    async fn styled(&self, words: &str, style: Style) -> (u8, String) {
        let cli = Cli::try_parse_from(["sekisho", "dkim"].into_iter().chain(words.split(' '))).unwrap();
        let Command::Dkim(command) = cli.command else { panic!() };
        let store = SqliteKeys::open(self.dir.path()).await.unwrap();
        let resolver = || Ok(Arc::clone(&self.dns) as Arc<dyn Resolver>);
        let mut out = Vec::new();
        let done = run(command, &store, &resolver, (NOW, style), &mut out).await;
        let (_, active) = store.active().await.unwrap();
        store.close().await;
        let mut out = String::from_utf8(out).unwrap();
        let code = done.unwrap_or_else(|failure| {
            out.push_str(&failure.to_string());
            failure.tell(style)
        });
        for key in active {
            use base64::Engine as _;
            let secret = base64::engine::general_purpose::STANDARD.encode(key.private.reveal());
            assert!(!out.contains(&secret) && !out.contains(&format!("{:?}", key.private.reveal())), "{out}");
        }
        (code, out)
    }

    async fn run(&self, words: &str) -> (u8, String) {
        self.styled(words, PLAIN).await
    }

    async fn json(&self, words: &str) -> Vec<Value> {
        let (code, out) = self.styled(words, JSON).await;
        assert_eq!(code, exit::OK, "{out}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Publishes what a command said.
    fn publish(&self, key: &Value) {
        let record = key["record"].as_str().unwrap().as_bytes().into();
        self.dns.set_txt(key["name"].as_str().unwrap(), Answer::Found(vec![record]));
    }

    async fn states(&self) -> Vec<String> {
        let keys = self.json("ls").await;
        keys.iter()
            .map(|key| format!("{} {}", key["selector"].as_str().unwrap(), key["state"].as_str().unwrap()))
            .collect()
    }
}

#[tokio::test]
async fn a_key_is_made_published_activated_rotated_and_retired() {
    let place = Place::new();
    let made = place.json("generate X.example").await.remove(0);
    assert_eq!((&made["v"], &made["domain"], &made["algorithm"]), (&1.into(), &"x.example".into(), &"rsa-2048".into()));
    assert_eq!((&made["name"], &made["state"]), (&"20261120r._domainkey.x.example".into(), &"new".into()));

    let (code, said) = place.run("activate x.example").await;
    assert_eq!(code, exit::CONFLICT);
    assert!(said.contains("nothing is published at 20261120r._domainkey.x.example"), "{said}");
    place.dns.set_txt("20261120r._domainkey.x.example", Answer::Temporary("time-out".into()));
    assert_eq!(place.run("activate x.example").await.0, exit::TEMPORARY);
    place.publish(&made);
    let active = place.json("activate x.example").await.remove(0);
    assert_eq!((&active["state"], &active["replaced"]), (&"active".into(), &Value::Null));
    assert_eq!(place.run("activate x.example --selector 20261120r").await.0, exit::CONFLICT);

    let checked = place.json("check x.example").await.remove(0);
    assert_eq!((&checked["published"], &checked["wrong"]), (&true.into(), &Value::Null));

    let next = place.json("rotate x.example").await.remove(0);
    let (code, said) = place.run("check x.example").await;
    assert_eq!(code, exit::CONFLICT, "the next one is not there yet");
    assert!(said.contains("active: published") && said.contains("nothing is published"), "{said}");
    assert_eq!((&next["selector"], &next["state"]), (&"20261120r-2".into(), &"new".into()));
    assert_eq!(place.run("rotate x.example").await.0, exit::CONFLICT, "one waits already");
    assert_eq!(place.states().await, ["20261120r active", "20261120r-2 new"]);
    place.dns.set_txt(
        "20261120r-2._domainkey.x.example",
        Answer::Found(vec![made["record"].as_str().unwrap().as_bytes().into()]),
    );
    let (code, said) = place.run("activate x.example").await;
    assert!(code == exit::CONFLICT && said.contains("another key is published"), "{said}");
    place.publish(&next);
    let active = place.json("activate x.example").await.remove(0);
    assert_eq!((&active["selector"], &active["replaced"]["selector"]), (&"20261120r-2".into(), &"20261120r".into()));
    assert_eq!(place.states().await, ["20261120r replaced", "20261120r-2 active"]);

    assert_eq!(place.run("rm x.example --selector 20261120r").await.0, exit::CONFLICT);
    assert_eq!(place.run("retire x.example --selector 20261120r-2").await.0, exit::CONFLICT);
    assert_eq!(place.run("retire x.example").await.0, exit::OK);
    assert_eq!(place.run("retire x.example").await.0, exit::NOT_FOUND, "nothing is replaced any more");
    assert_eq!(place.run("rm x.example --selector 20261120r").await.0, exit::OK);
    assert_eq!(place.run("retire x.example --selector 20261120r-2 --stop-signing").await.0, exit::OK);
    assert_eq!(place.states().await, ["20261120r-2 retired"]);
}

#[tokio::test]
async fn what_is_left_out_must_leave_one_key() {
    let place = Place::new();
    assert_eq!(place.run("show x.example").await.0, exit::NOT_FOUND);
    assert_eq!(place.run("rotate x.example").await.0, exit::NOT_FOUND);
    assert_eq!(place.run("rm x.example --selector s1").await.0, exit::NOT_FOUND);
    assert_eq!(place.run("generate [192.0.2.1]").await.0, exit::USAGE);
    for words in ["generate x.example --selector s1", "generate x.example --selector s2 --algorithm ed25519"] {
        let (code, line) = place.run(words).await;
        assert_eq!(code, exit::OK);
        assert!(line.contains("._domainkey.x.example. IN TXT \"v=DKIM1; k="), "{line}");
    }
    assert_eq!(place.run("generate x.example --selector S1").await.0, exit::CONFLICT, "taken");
    let (code, said) = place.run("activate x.example --unchecked").await;
    assert!(code == exit::USAGE && said.contains("which of s1, s2?"), "{said}");
    assert_eq!(place.run("activate x.example --unchecked --algorithm ed25519").await.0, exit::OK);
    assert_eq!(place.run("activate x.example --unchecked").await.0, exit::OK, "one new key is left");
    assert_eq!(place.states().await, ["s1 active", "s2 active"]);
    assert_eq!(place.run("rotate x.example --selector both").await.0, exit::USAGE);
    let made = place.json("rotate x.example").await;
    let made: Vec<&str> = made.iter().map(|key| key["selector"].as_str().unwrap()).collect();
    assert_eq!(made, ["20261120r", "20261120e"]);
}

#[tokio::test]
async fn keys_are_shown_with_their_records_and_without_their_private_parts() {
    let place = Place::new();
    place.run("generate x.example --selector s1 --algorithm ed25519").await;
    place.run("activate x.example --unchecked").await;
    let (_, shown) = place.run("show x.example").await;
    let mut lines = shown.lines();
    assert_eq!(
        lines.next(),
        Some("; x.example s1 ed25519 active created 2026-11-20T12:07:31.250Z activated 2026-11-20T12:07:31.250Z")
    );
    assert!(lines.next().unwrap().starts_with("s1._domainkey.x.example. IN TXT \"v=DKIM1; k=ed25519; p="), "{shown}");
    assert!(place.run("ls x.example").await.1.starts_with("x.example s1 ed25519 active "));
    assert_eq!(place.run("ls y.example").await, (exit::OK, String::new()));
    let shown = place.json("show x.example --selector s1").await.remove(0);
    let mut members: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    let known = ["activated", "algorithm", "created", "domain", "name", "record", "retired", "selector", "state", "v"];
    assert_eq!(members, known);
}
