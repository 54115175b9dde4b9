//! Wrong settings: all of them named at once, with file, line and what was probably meant; exit status 78, nothing bound.

use std::fs;

use crate::support::Gateway;

fn world() -> Gateway {
    Gateway::builder().acme("127.0.0.1:9".parse().unwrap()).build()
}

fn refused(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = gateway.cli(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{arguments:?}: {said}");
    said
}

#[test]
fn every_mistake_is_named_with_its_line_and_a_suggestion() {
    let gateway = world();
    let text = fs::read_to_string(gateway.settings_file()).unwrap();
    let wrong = text.replace("hostname =", "hostnam =").replace("direction = \"outbound\"", "direction = \"upward\"")
        + "[smtp]\nmesage_size = \"1MiB\"\nerrors = \"many\"\n[delivry]\nretry_first = \"1s\"\n";
    fs::write(gateway.settings_file(), &wrong).unwrap();
    let line_of = |word: &str| 1 + wrong.lines().position(|line| line.contains(word)).unwrap();
    for command in [&["config", "check"][..], &["serve"], &["tenant", "ls"]] {
        let said = refused(&gateway, command);
        for word in ["hostnam", "hostname", "upward", "mesage_size", "message_size", "errors", "delivry", "delivery"] {
            assert!(said.contains(word), "{command:?}: no {word:?} in: {said}");
        }
        for word in ["mesage_size", "upward", "hostnam"] {
            let place = format!("sekisho.toml:{}", line_of(word));
            assert!(said.contains(&place), "{command:?}: no {place} in: {said}");
        }
    }
    assert!(std::net::TcpStream::connect(gateway.inbound).is_err());
}

#[test]
fn broken_toml_and_a_missing_file_are_named() {
    let gateway = world();
    fs::write(gateway.settings_file(), "hostname = \"x\n").unwrap();
    assert!(refused(&gateway, &["config", "check"]).contains("sekisho.toml"));
    fs::remove_file(gateway.settings_file()).unwrap();
    assert!(refused(&gateway, &["config", "check"]).contains("sekisho.toml"));
}

#[test]
fn check_show_and_explain_speak_of_the_settings() {
    let gateway = world();
    fs::create_dir(gateway.path().join("conf.d")).unwrap();
    fs::write(gateway.path().join("conf.d/10-size.toml"), "[smtp]\nmessage_size = \"7MiB\"\n").unwrap();
    gateway.cli_ok(&["config", "check"]);
    let shown = gateway.cli_ok(&["config", "show", "--origin"]);
    let size = shown.lines().find(|line| line.contains("message_size")).expect("smtp.message_size");
    assert!(size.contains('7') && size.contains("10-size.toml"), "{size}");
    let explained = gateway.cli_ok(&["config", "explain", "smtp.message_size"]);
    assert!(explained.contains("largest message") || explained.contains("SIZE"), "{explained}");
    assert!(!gateway.cli(&["config", "explain", "smtp.mesage_size"]).status.success());
}

#[test]
fn the_environment_overrides_the_file() {
    let gateway =
        Gateway::builder().acme("127.0.0.1:9".parse().unwrap()).env("SEKISHO__SMTP__MESSAGE_SIZE", "9MiB").build();
    let shown = gateway.cli_ok(&["config", "show", "--origin"]);
    let size = shown.lines().find(|line| line.contains("message_size")).expect("smtp.message_size");
    assert!(size.contains('9') && size.contains("SEKISHO__SMTP__MESSAGE_SIZE"), "{size}");
}

#[test]
fn a_port_in_use_is_named() {
    let mut gateway = world();
    gateway.apply();
    let _taken = std::net::TcpListener::bind(gateway.inbound).unwrap();
    gateway.spawn();
    let status = gateway.wait_exit();
    assert!(!status.success() && status.code().is_some(), "{status}");
    assert!(gateway.stderr().contains(&gateway.inbound.to_string()), "{}", gateway.stderr());
    assert!(!gateway.stderr().contains("panicked"), "{}", gateway.stderr());
}
