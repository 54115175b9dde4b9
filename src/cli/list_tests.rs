//! The commands of lists end to end, on a data directory.

use super::*;
use crate::cli::Cli;
use clap::Parser;

const TENANTS: &str = "[[tenant]]\nid='acme'\n[[tenant.domain]]\nname='acme.example'\nnext_hops=['h']\n\
                       [[tenant]]\nid='beta'\n[[tenant.domain]]\nname='beta.example'\nnext_hops=['h']\n";
const PLAIN: Style = Style { json: false, color: false };
const JSON: Style = Style { json: true, color: false };

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteTenants::open(dir.path()).await.unwrap();
        store.apply(&crate::tenant::read("t", TENANTS).unwrap(), Mode::Write).await.unwrap();
        store.close().await;
        Self { dir }
    }

    async fn run_with(&self, words: &[&str], style: Style, stdin: &[u8]) -> (u8, Vec<u8>) {
        let cli = Cli::try_parse_from(["sekisho", "list"].iter().chain(words)).unwrap();
        let crate::cli::Command::List(command) = cli.command else { panic!() };
        let mut out = Vec::new();
        let code = match run(command, self.dir.path(), style, stdin, &mut out).await {
            Ok(code) => code,
            Err(failure) => {
                out.extend(failure.to_string().into_bytes());
                failure.tell(style)
            }
        };
        (code, out)
    }

    /// Words apart by blanks.
    async fn run(&self, words: &str) -> (u8, String) {
        self.feed(words, b"").await
    }

    async fn feed(&self, words: &str, stdin: &[u8]) -> (u8, String) {
        let words: Vec<&str> = words.split(' ').collect();
        let (code, out) = self.run_with(&words, PLAIN, stdin).await;
        (code, String::from_utf8(out).unwrap())
    }

    async fn json(&self, words: &str) -> Vec<serde_json::Value> {
        let words: Vec<&str> = words.split(' ').collect();
        let (code, out) = self.run_with(&words, JSON, b"").await;
        assert_eq!(code, exit::OK);
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn export(&self, words: &str) -> Vec<u8> {
        let words: Vec<&str> = words.split(' ').collect();
        let (code, out) = self.run_with(&words, PLAIN, b"").await;
        assert_eq!(code, exit::OK, "{}", String::from_utf8_lossy(&out));
        out
    }
}

#[tokio::test]
async fn entries_are_added_listed_and_removed() {
    let place = Place::new().await;
    let added = place.run("add block X.example --tenant acme --reason spam --for 30d").await;
    assert_eq!(added, (exit::OK, "+ #1 block domain x.example for tenant acme\n".into()));
    let dry = place.run("add block y.example --operator --reason spam --dry-run").await.1;
    assert!(dry.contains("block domain y.example for operator"), "{dry}");
    place.run("add allow a@x.example --mailbox Taro@acme.example --reason friend --from-network 192.0.2.0/24").await;
    let again = place.run("add block x.example --tenant acme --reason spam").await.1;
    assert!(again.starts_with("~ #1 block domain x.example for tenant acme\n    expires: \"20"), "{again}");
    let shown = place.run("ls --tenant acme").await.1;
    assert!(shown.contains("shadowed by #1: never decides"), "{shown}");
    let shown = place.json("ls --mailbox taro@acme.example").await;
    assert_eq!((shown.len(), &shown[0]["v"], &shown[0]["shadowed_by"]), (1, &1.into(), &1.into()));
    assert_eq!((&shown[0]["from_network"], &shown[0]["tenant"]), (&"192.0.2.0/24".into(), &"acme".into()));
    assert_eq!(place.json("ls --shadowed").await.len(), 1);
    assert_eq!(place.json("ls --value x.example").await.len(), 1);
    assert!(place.json("ls --expired").await.is_empty());

    assert_eq!(place.feed("rm - --dry-run", b"{\"v\":1,\"id\":2}\n#1 x\n").await.0, exit::OK);
    assert_eq!(place.feed("rm - 77", b"{\"v\":1,\"id\":2}\n").await.0, exit::PARTIAL);
    assert_eq!(place.run("rm 2").await.0, exit::NOT_FOUND);
    assert_eq!(place.run("rm x").await.0, exit::USAGE);
    assert_eq!(place.json("ls").await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_added_says_why() {
    let place = Place::new().await;
    for (words, code, text) in [
        ("add block x.example --reason r", exit::USAGE, "for whom?"),
        ("add block *.example --operator --reason r", exit::USAGE, "it includes every domain below"),
        ("add block x.example --operator --reason r --for soon", exit::USAGE, "write 30m, 12h, 30d"),
        ("add block x.example --tenant gamma --reason r", exit::NOT_FOUND, "there is no tenant gamma"),
        ("add block x.example --domain gamma.example --reason r", exit::NOT_FOUND, "no domain of any tenant"),
        (
            "add block x.example --tenant beta --domain acme.example --reason r",
            exit::NOT_FOUND,
            "no domain of tenant beta",
        ),
        ("add block x.example --operator --reason r --from-network 192.0.2.0/24", exit::USAGE, "goes with an allow"),
    ] {
        let (found, out) = place.run(words).await;
        assert_eq!(found, code, "{words}: {out}");
        assert!(out.contains(text), "{words}: {out}");
    }
    for n in 0..100 {
        place.run(&format!("add block d{n}.example --mailbox s@acme.example --reason r")).await;
    }
    let (code, out) = place.run("add block d100.example --mailbox s@acme.example --reason r").await;
    assert_eq!((code, out.contains("has 100 entries, as many as it may have")), (exit::CONFLICT, true), "{out}");
}

const FILE: &str = "action,value,for,reason,from_network\r\n\
    block,x.example,acme.example,'=1+1,\r\n\
    allow,a@y.example,taro@acme.example,\"友, \"\"だち\"\"\",192.0.2.0/24\r\n\
    block,192.0.2.0/24,beta.example,,\r\n";

#[tokio::test]
async fn an_import_tells_the_difference_and_writes_only_without_dry_run() {
    let place = Place::new().await;
    let (code, dry) = place.feed("import - --dry-run", FILE.as_bytes()).await;
    assert_eq!(code, exit::OK);
    assert_eq!(
        dry,
        "+ block domain x.example for domain acme.example\n\
         + allow address a@y.example from 192.0.2.0/24 for mailbox taro@acme.example\n\
         + block network 192.0.2.0/24 for domain beta.example\n\
         3 added, 0 changed, 0 unchanged, 0 bad rows left out; nothing written (dry run)\n"
    );
    assert!(place.json("ls").await.is_empty());
    assert_eq!(place.feed("import - --owner ops", FILE.as_bytes()).await.0, exit::OK);
    let shown = place.json("ls --domain acme.example").await;
    assert_eq!((&shown[0]["reason"], &shown[0]["owner"]), (&"=1+1".into(), &"ops".into()));
    let again = FILE.replace("'=1+1", "other");
    let (_, dry) = place.feed("import - --dry-run --owner ops", again.as_bytes()).await;
    assert!(dry.starts_with("~ #1 block domain x.example for domain acme.example\n    reason: \"=1+1\" -> \"other\"\n0 added, 1 changed, 2 unchanged"), "{dry}");
}

#[tokio::test]
async fn bad_rows_are_left_out_only_as_many_as_allowed() {
    let place = Place::new().await;
    let file = format!("{FILE}block,*.bad,acme.example,,\r\nblock,z.example,nobody.example,,\r\n");
    let (code, out) = place.feed("import -", file.as_bytes()).await;
    assert_eq!((code, out.as_str()), (exit::FAILED, "2 bad rows, at most 0 are left out; nothing written"));
    assert!(place.json("ls").await.is_empty());
    assert_eq!(place.feed("import - --max-errors 1", file.as_bytes()).await.0, exit::FAILED);
    let (code, out) = place.feed("import - --max-errors 2", file.as_bytes()).await;
    assert_eq!((code, out.as_str()), (exit::PARTIAL, "3 added, 0 changed, 0 unchanged, 2 bad rows left out\n"));
    for bad in ["", "action,wert\r\n", "action\r\n"] {
        assert_eq!(place.feed("import -", bad.as_bytes()).await.0, exit::FAILED, "{bad}");
    }
    let open = format!("action,value\r\nblock,\"{}", "x".repeat(300_000));
    let (code, out) = place.feed("import -", open.as_bytes()).await;
    assert_eq!((code, out.contains("a quote that is not closed")), (exit::FAILED, true), "{out}");
}

#[tokio::test]
async fn an_export_comes_back_exactly() {
    let place = Place::new().await;
    place.feed("import -", FILE.as_bytes()).await;
    place.run("add block jp --operator --reason -1 --for 2030-01-01 --owner ＠ops").await;
    for encoding in ["utf-8", "utf-8-bom", "cp932"] {
        let words = format!("export --encoding {encoding}");
        let exported = place.export(&words).await;
        assert_eq!(exported.starts_with(b"\xef\xbb\xbf"), encoding == "utf-8-bom");
        let (code, out) = place.feed_octets("import - --dry-run", &exported).await;
        assert_eq!(
            (code, out.as_str()),
            (exit::OK, "0 added, 0 changed, 4 unchanged, 0 bad rows left out; nothing written (dry run)\n")
        );
        let other = Place::new().await;
        assert_eq!(other.feed_octets("import -", &exported).await.0, exit::OK);
        assert_eq!(other.export(&words).await, exported, "{encoding}");
    }
    let text = String::from_utf8(place.export("export --encoding utf-8").await).unwrap();
    assert!(text.contains(",'=1+1,") && text.contains(",'-1,"), "{text}");
    place.run("add block q.example --operator --reason 😀").await;
    let (code, out) = place.run_with(&["export", "--encoding", "cp932"], PLAIN, b"").await;
    assert_eq!(code, exit::FAILED);
    assert!(String::from_utf8_lossy(&out).contains("which CP932 can't hold"));
}

impl Place {
    async fn feed_octets(&self, words: &str, stdin: &[u8]) -> (u8, String) {
        self.feed(words, stdin).await
    }
}

#[tokio::test]
async fn an_import_that_was_cut_off_goes_on() {
    let place = Place::new().await;
    let mut file = String::from("action,value,tenant\n");
    for n in 0..2_500 {
        file.push_str(&format!("block,d{n}.example,acme\n"));
    }
    let path = place.dir.path().join("lists.csv");
    std::fs::write(&path, &file).unwrap();
    let words = format!("import {} --quiet", path.display());
    // As if it had ended after the first batch.
    let store = SqliteLists::open(place.dir.path()).await.unwrap();
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    hash.update(&[0]);
    hash.update(file.as_bytes());
    let hash: crate::store::FileHash = hash.finish().as_ref().try_into().unwrap();
    store.put(&[], Mode::Write, Some(crate::store::Checkpoint { file: hash, row: 1_000 })).await.unwrap();
    store.close().await;
    let (code, out) = place.run(&words).await;
    assert_eq!((code, out.as_str()), (exit::OK, "1500 added, 0 changed, 0 unchanged, 0 bad rows left out\n"));
    // It came to its end: the next one begins anew.
    let (_, out) = place.run(&words).await;
    assert_eq!(out, "1000 added, 0 changed, 1500 unchanged, 0 bad rows left out\n");
    assert_eq!(place.json("ls").await.len(), 2_500);
}
