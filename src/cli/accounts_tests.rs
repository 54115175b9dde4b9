//! The commands of accounts end to end, on a data directory.

use clap::Parser;

use super::*;
use crate::accounts::{Batch, DayRow, Seen};
use crate::cli::Cli;
use crate::model::Timestamp;
use crate::store::Mode;

const TENANTS: &str = "[[tenant]]\nid='acme'\n[tenant.contract]\naccounts=3\nstart=2026-04-01\n[[tenant.domain]]\nname='acme.example'\n\
                       next_hops=['h']\n[[tenant]]\nid='beta'\n[[tenant.domain]]\nname='beta.example'\nnext_hops=['h']\n";

struct Place(tempfile::TempDir);

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteTenants::open(dir.path()).await.unwrap();
        store.apply(&crate::tenant::read("t", TENANTS).unwrap(), Mode::Write).await.unwrap();
        store.close().await;
        Self(dir)
    }

    async fn run(&self, words: &str, stdin: &[u8]) -> (u8, Vec<u8>) {
        let cli = Cli::try_parse_from(["sekisho", "accounts"].into_iter().chain(words.split(' '))).unwrap();
        let style = Style { json: cli.json, color: false };
        let crate::cli::Command::Accounts(command) = cli.command else { panic!() };
        let mut out = Vec::new();
        let code = match run(command, self.0.path(), style, stdin, &mut out).await {
            Ok(code) => code,
            Err(failure) => {
                out.extend(failure.to_string().into_bytes());
                failure.tell(style)
            }
        };
        (code, out)
    }

    async fn text(&self, words: &str, stdin: &str) -> (u8, String) {
        let (code, out) = self.run(words, stdin.as_bytes()).await;
        (code, String::from_utf8(out).unwrap())
    }

    async fn store(&self) -> SqliteAccounts {
        SqliteAccounts::open(self.0.path()).await.unwrap()
    }
}

const FILE: &str = "address,alias_of\nTaro@acme.example,\nhanako+x@acme.example,\ninfo@acme.example,taro@acme.example\n\
                    =odd@acme.example,\nwho@beta.example,\n";

#[tokio::test]
async fn what_is_imported_is_exported_and_imported_again() {
    let place = Place::new().await;
    let (code, told) = place.text("import - --dry-run", FILE).await;
    assert_eq!(code, exit::OK);
    assert!(told.starts_with("4 accounts and 1 aliases registered") && told.contains("dry run"), "{told}");
    assert_eq!(place.text("export", "").await.1, "tenant,address,alias_of\r\n");
    place.text("import -", FILE).await;
    let (_, exported) = place.text("export", "").await;
    assert_eq!(
        exported,
        "tenant,address,alias_of\r\nacme,'=odd@acme.example,\r\nacme,hanako@acme.example,\r\nacme,taro@acme.example,\r\n\
         acme,info@acme.example,taro@acme.example\r\nbeta,who@beta.example,\r\n"
    );
    let (_, told) = place.text("import -", &exported).await;
    assert!(told.starts_with("0 accounts and 0 aliases registered, 0 removed, 5 unchanged"), "{told}");
    let (_, told) = place.text("import - --tenant acme --replace", "address\ntaro@acme.example\n").await;
    assert!(told.starts_with("0 accounts and 0 aliases registered, 3 removed"), "{told}");
    let (_, numbers) = place.text("ls", "").await;
    let lines: Vec<&str> = numbers.lines().collect();
    assert!(lines[0].starts_with("acme") && lines[0].contains(" 1 of 3") && lines[0].ends_with("active"), "{numbers}");
    assert!(lines[1].starts_with("beta") && lines[1].ends_with("no contract"), "{numbers}");
}

#[tokio::test]
async fn japanese_files_are_read_in_their_encoding() {
    let place = Place::new().await;
    let file = "address,alias_of\r\n太郎@acme.example,\r\nｔａｒｏ＠ａｃｍｅ．ｅｘａｍｐｌｅ,太郎@acme.example\r\n";
    let (octets, _, _) = encoding_rs::SHIFT_JIS.encode(file);
    assert_eq!(place.run("import -", &octets).await.0, exit::OK);
    let (_, out) = place.run("export --encoding cp932", b"").await;
    let (text, _, _) = encoding_rs::SHIFT_JIS.decode(&out);
    assert_eq!(
        text,
        "tenant,address,alias_of\r\nacme,太郎@acme.example,\r\nacme,taro@acme.example,太郎@acme.example\r\n"
    );
}

#[tokio::test]
async fn a_file_with_a_bad_row_changes_nothing() {
    let place = Place::new().await;
    for (file, complaint) in [
        ("", "empty"),
        ("mail\nx@acme.example\n", "no column \"mail\""),
        ("tenant\nacme\n", "no column address"),
        ("address\nx@acme.example\nnonsense\n", "1 bad rows"),
        ("address\nx@other.example\n", "1 bad rows"),
        ("address\npostmaster@acme.example\n", "1 bad rows"),
        ("address,tenant\nx@acme.example,beta\n", "1 bad rows"),
        ("address,alias_of\nx@acme.example,y@beta.example\n", "1 bad rows"),
        ("address,alias_of\nx@acme.example,X+1@acme.example\n", "1 bad rows"),
    ] {
        let (code, told) = place.text("import -", file).await;
        assert!(code == exit::FAILED && told.contains(complaint), "{file:?}: {code} {told}");
    }
    assert_eq!(place.text("import - --tenant nobody", "address\n").await.0, exit::NOT_FOUND);
    assert_eq!(place.text("ls --tenant nobody", "").await.0, exit::NOT_FOUND);
    assert_eq!(place.text("export", "").await.1, "tenant,address,alias_of\r\n");
}

#[tokio::test]
async fn accounts_and_usage_are_told() {
    let place = Place::new().await;
    place.text("import -", FILE).await;
    let acme = TenantId::parse("acme").unwrap();
    let day = |text: &str| Day::parse(text).unwrap();
    let row = |date: &str, accounts| DayRow {
        tenant: acme.clone(),
        day: day(date),
        accounts,
        registered: 3,
        observed: 1,
        contracted: Some(3),
    };
    let batch = Batch {
        seen: vec![Seen { tenant: acme.clone(), account: "taro@acme.example".into(), day: day("2026-11-03") }],
        closed: vec![row("2026-11-29", 4), row("2026-11-30", 3), row("2026-12-01", 9)],
        told: Vec::new(),
        at: Timestamp::from_millis(0),
    };
    place.store().await.write(&batch).await.unwrap();
    let (_, listed) = place.text("ls --tenant acme --json", "").await;
    let taro: serde_json::Value = serde_json::from_str(listed.lines().nth(2).unwrap()).unwrap();
    let expected = json!({
        "v": 1, "tenant": "acme", "address": "taro@acme.example", "registered": true, "first": "2026-11-03",
        "last": "2026-11-03", "aliases": ["info@acme.example"],
    });
    assert_eq!(taro, expected);
    let (_, csv) = place.text("usage --month 2026-11 --format csv", "").await;
    assert_eq!(
        csv,
        "tenant,month,accounts,peak,peak_day,registered,observed,contracted,first_day,last_day,days,closed\r\n\
                     acme,2026-11,3,4,2026-11-29,3,1,3,2026-11-29,2026-11-30,2,true\r\n"
    );
    let (_, ndjson) = place.text("usage --month 2026-12 --tenant acme --format json", "").await;
    let december: serde_json::Value = serde_json::from_str(&ndjson).unwrap();
    assert_eq!(
        (&december["peak"], &december["closed"], &december["month"]),
        (&json!(9), &json!(false), &json!("2026-12"))
    );
    assert!(Cli::try_parse_from(["sekisho", "accounts", "usage", "--month", "2026-13"]).is_err());
}
