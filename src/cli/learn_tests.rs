//! Lessons by files, as an operator gives them, and what they do to a scan.

use clap::Parser;

use super::*;
use crate::cli::Cli;
use crate::store::Mode;

const TENANTS: &str = "[[tenant]]\nid='acme'\n[[tenant.domain]]\nname='acme.example'\nnext_hops=['h']\n\
                       [[tenant]]\nid='beta'\n[[tenant.domain]]\nname='beta.example'\nnext_hops=['h']\n";
/// The seed has hardly an opinion of it.
const NEWS: &str = "From: a@club.example\nTo: you@acme.example\nSubject: news\nMessage-ID: <1@club.example>\n\
                    Date: Sun, 22 Nov 2026 10:00:00 +0900\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n\
                    琵琶湖のヨット教室から秋の練習会の報告です。参加した十二艇は南西の風をうけて竹生島を回り、\n\
                    昼には全艇が港に帰着しました。写真は艇庫の掲示板に貼ってあります。来月は帆の繕い方を学びます。\n";

struct Place(tempfile::TempDir);

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteTenants::open(&dir.path().join("var")).await.unwrap();
        store.apply(&crate::tenant::read("t", TENANTS).unwrap(), Mode::Write).await.unwrap();
        store.close().await;
        let place = Self(dir);
        let text = format!(
            "hostname = 'a.example'\ndata_dir = '{}'\n[[listener]]\nname = 'm'\ndirection = 'inbound'\nbind = '127.0.0.1:0'\n",
            place.0.path().join("var").display()
        );
        place.write("sekisho.toml", &text);
        place
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.0.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("sekisho.toml")
    }

    /// Words apart by blanks; DIR is the place.
    async fn run(&self, words: &str) -> (u8, String) {
        let words = words.replace("DIR", self.0.path().to_str().unwrap());
        let cli = Cli::try_parse_from(["sekisho", "learn"].into_iter().chain(words.split(' '))).unwrap();
        let style = Style { json: cli.json, color: false };
        let crate::cli::Command::Learn(command) = cli.command else { panic!() };
        let settings = crate::cli::load(&self.config()).unwrap().settings;
        let mut out = Vec::new();
        let code = match run(command, &settings, style, &mut out).await {
            Ok(code) => code,
            Err(failure) => {
                out.extend(failure.to_string().into_bytes());
                failure.tell(style)
            }
        };
        (code, String::from_utf8(out).unwrap())
    }

    /// Points for spam by what `sekisho scan` says.
    async fn symbols(&self, tenant: &str) -> String {
        let words = ["sekisho", "scan", "--json", "--tenant", tenant];
        let file = self.0.path().join("news.eml");
        let cli = Cli::try_parse_from(words.into_iter().chain([file.to_str().unwrap()])).unwrap();
        let crate::cli::Command::Scan(args) = cli.command else { panic!() };
        let mut out = Vec::new();
        crate::cli::scan::run(args, Some(&self.config()), Style { json: true, color: false }, &mut out).await;
        String::from_utf8(out).unwrap()
    }
}

#[tokio::test]
async fn what_a_tenant_calls_spam_is_spam_to_that_tenant_alone() {
    let place = Place::new().await;
    place.write("news.eml", NEWS);
    for n in 0..5 {
        place.write(&format!("junk/cur/{n}.eml"), NEWS);
    }
    place.write("junk/new/empty.eml", "From: a@b.example\n\n\n");
    place.write("junk/uidlist", "3 V1 N6");
    place.write("junk/.Other/cur/7.eml", NEWS);
    let before = place.symbols("acme").await;
    assert!(!before.contains("CLASSIFIER_SPAM") && !before.contains("CLASSIFIER_SURE"), "{before}");
    let (code, told) = place.run("spam --tenant acme DIR/junk DIR/news.eml").await;
    assert_eq!(code, exit::OK, "{told}");
    assert!(told.starts_with("acme: taught by 6 messages of spam and 0 good ones; "), "{told}");
    let after = place.symbols("acme").await;
    assert!(after.contains("CLASSIFIER_SPAM") || after.contains("CLASSIFIER_SURE"), "{after}");
    assert_eq!(place.symbols("beta").await, before, "nobody else's mail is judged by it");
    let (_, json) = place.run("ham --tenant acme --json DIR/news.eml DIR/junk/new/empty.eml").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["spam"], &json["ham"], &json["learned"]), (&6.into(), &1.into(), &1.into()), "{json}");
    assert_eq!(json["without_words"], 1);
    let (code, told) = place.run("forget --tenant acme").await;
    assert_eq!((code, told.as_str()), (exit::OK, "acme: all that was taught is forgotten\n"));
    assert_eq!(place.symbols("acme").await, before);
    assert_eq!(place.run("forget --tenant acme").await.1, "acme: nothing was taught\n");
    assert!(place.run("show --tenant acme").await.1.starts_with("acme: taught by 0 messages of spam"));
}

#[tokio::test]
async fn what_cannot_be_learned_is_told_and_what_came_before_it_stays() {
    let place = Place::new().await;
    place.write("news.eml", NEWS);
    let (code, told) = place.run("spam --tenant gamma DIR/news.eml").await;
    assert_eq!(code, exit::NOT_FOUND, "{told}");
    place.write("var/classifier/gamma.layer", "of a tenant that is gone");
    assert_eq!(place.run("forget --tenant gamma").await.1, "gamma: all that was taught is forgotten\n");
    let (code, told) = place.run("spam --tenant acme DIR/news.eml DIR/missing.eml DIR/news.eml").await;
    assert_eq!(code, exit::FAILED);
    assert!(told.contains("missing.eml"), "{told}");
    assert!(place.run("show --tenant acme").await.1.contains("by 1 messages of spam"));
    place.write("var/classifier/acme.layer", "no layer");
    let (code, told) = place.run("ham --tenant acme DIR/news.eml").await;
    assert_eq!(code, exit::FAILED);
    assert!(told.contains("acme.layer") && told.contains("sekisho learn forget"), "{told}");
}
