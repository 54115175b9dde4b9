//! `apply` makes the store equal to the file and says what that changes; `--dry-run` only says it.

use crate::support::gateway::{acme, tenant};
use crate::support::{FakeMx, Gateway};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ids(gateway: &Gateway) -> String {
    gateway.cli_ok(&["tenant", "ls"])
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let hop = "127.0.0.1:9".parse().unwrap();
    let gateway = Gateway::builder().tenants(&acme("queued", &[hop], "\"any\"")).build();
    let file = gateway.tenants_file();
    let file = file.to_str().unwrap();
    let dry = gateway.cli_ok(&["apply", "--dry-run", file]);
    assert!(dry.contains("acme"), "{dry}");
    assert!(!ids(&gateway).contains("acme"));
    let applied = gateway.apply();
    assert!(applied.contains("acme"), "{applied}");
    assert!(ids(&gateway).contains("acme"));
    let shown = gateway.cli_ok(&["tenant", "show", "acme"]);
    assert!(shown.contains("acme.example") && shown.contains("127.0.0.1:9"), "{shown}");
    assert_eq!(gateway.cli(&["tenant", "show", "nobody"]).status.code(), Some(3));

    // Again: nothing to do. Changed: named, old and new. Left out: removed.
    let again = gateway.apply();
    assert!(!again.contains("custody"), "{again}");
    gateway.write_tenants(&acme("inline", &[hop], "\"any\""));
    let changed = gateway.apply();
    assert!(changed.contains("custody") && changed.contains("queued") && changed.contains("inline"), "{changed}");
    gateway.write_tenants(&tenant("beta", "beta.example", "queued", &[hop], "\"any\""));
    let replaced = gateway.apply();
    assert!(replaced.contains("acme") && replaced.contains("beta"), "{replaced}");
    let left = ids(&gateway);
    assert!(left.contains("beta") && !left.contains("acme"), "{left}");
}

#[test]
fn a_bad_file_changes_nothing_and_says_where() {
    let hop = "127.0.0.1:9".parse().unwrap();
    let good = acme("queued", &[hop], "\"any\"");
    let gateway = Gateway::builder().tenants(&good).build();
    gateway.apply();
    let file = gateway.tenants_file();
    let cases = [
        (good.replace("next_hops", "next_hopes"), vec!["next_hopes", "next_hops", "tenants.toml"]),
        (good.replace("\"queued\"", "\"inlined\""), vec!["inlined"]),
        (good.replace("acme.example", "-acme"), vec!["-acme"]),
        (good.replace("127.0.0.1/32", "127.0.0.1/99"), vec!["127.0.0.1/99"]),
        (
            format!("{good}{}", tenant("beta", "acme.example", "queued", &[hop], "\"any\"")),
            vec!["acme.example", "beta"],
        ),
        (format!("{good}{good}"), vec!["acme"]),
        ("[[tenant]\n".to_owned(), vec!["tenants.toml"]),
    ];
    for (bad, words) in cases {
        gateway.write_tenants(&bad);
        let output = gateway.cli(&["apply", file.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 78)), "{:?}: {said}", output.status);
        for word in words {
            assert!(said.contains(word), "no {word:?} in: {said}");
        }
        assert!(gateway.cli_ok(&["tenant", "show", "acme"]).contains("queued"));
    }
}

#[test]
fn a_password_hash_is_never_shown() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).build();
    let made = gateway.cli_with_input(&["tenant", "hash-password"], "s3cret\n");
    let hash = text(&made.stdout).trim().to_owned();
    let base = tenant("acme", "acme.example", "queued", &[mx.address()], "\"any\"");
    let with = format!("{base}[[tenant.outbound_client]]\nusername = \"aoi\"\npassword_hash = \"{hash}\"\n");
    gateway.write_tenants(&with);
    let added = gateway.apply();
    let shown = gateway.cli_ok(&["tenant", "show", "acme"]);
    assert!(!added.contains(&hash) && !shown.contains(&hash), "{added}{shown}");
    assert!(shown.contains("aoi"), "{shown}");
}
