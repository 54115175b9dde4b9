//! The operator's word on a source: set, shown, kept over a restart and a kill, forgotten.

use serde_json::Value;

use crate::support::{FakeMx, Gateway};

fn at_default_level(gateway: &Gateway, source: &str) -> (String, String) {
    let shown: Value = serde_json::from_str(&gateway.cli_ok(&["reputation", "show", source, "--json"])).unwrap();
    let level = &shown["levels"][2];
    (level["standing"].as_str().unwrap().to_owned(), level["why"].as_str().unwrap().to_owned())
}

#[test]
fn what_is_set_outlives_a_restart_and_a_kill_until_it_is_forgotten() {
    let mx = FakeMx::builder().start_down();
    let mut gateway = Gateway::builder().acme(mx.address()).start();
    assert_eq!(at_default_level(&gateway, "192.0.2.7"), ("unknown".into(), "nothing".into()));
    gateway.cli_ok(&["reputation", "set", "192.0.2.7", "delayed", "--for", "7d", "--reason", "ticket 812"]);
    gateway.cli_ok(&["reputation", "set", "spam.example", "refused", "--reason", "ticket 813"]);
    for kill in [false, true] {
        if kill {
            gateway.kill();
        } else {
            assert_eq!(gateway.terminate().code(), Some(0));
        }
        gateway.serve();
        assert_eq!(at_default_level(&gateway, "192.0.2.7"), ("delayed".into(), "operator".into()));
        assert_eq!(at_default_level(&gateway, "spam.example"), ("refused".into(), "operator".into()));
        assert!(gateway.cli_ok(&["reputation", "show", "192.0.2.7"]).contains("ticket 812"));
    }
    gateway.cli_ok(&["reputation", "forget", "192.0.2.7"]);
    assert_eq!(at_default_level(&gateway, "192.0.2.7"), ("unknown".into(), "nothing".into()));
    assert_eq!(gateway.cli(&["reputation", "forget", "192.0.2.7"]).status.code(), Some(3));
    assert_eq!(gateway.cli(&["reputation", "show", "192.0.2"]).status.code(), Some(2));
}
