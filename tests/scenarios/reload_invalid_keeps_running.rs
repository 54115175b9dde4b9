//! SIGHUP: good settings come into force without losing a connection, bad ones are refused with a reason.

use rustix::process::Signal;

use crate::support::{Client, FakeMx, Gateway, eventually, message};

fn size_offered(gateway: &Gateway) -> String {
    let mut client = Client::greeted(gateway.inbound);
    let ehlo = client.ehlo();
    client.quit();
    ehlo.lines.into_iter().find(|line| line.starts_with("SIZE ")).expect("SIZE")
}

#[test]
fn bad_settings_are_refused_and_good_ones_taken() {
    let mx = FakeMx::start();
    let mut gateway = Gateway::builder().acme(mx.address()).set("smtp", "message_size = \"1MiB\"").start();
    let mut client = Client::ready(gateway.inbound);
    assert_eq!(size_offered(&gateway), "SIZE 1048576");

    gateway.change("smtp", &["message_size = \"2MiB\"", "mesage_size = \"3MiB\""]);
    gateway.signal(Signal::HUP);
    eventually("the refusal on stderr", || {
        let said = gateway.stderr();
        said.contains("mesage_size") && said.contains("message_size") && said.contains("sekisho.toml")
    });
    eventually("the refusal among the metrics", || {
        gateway.metrics().sum("sekisho_config_last_reload_successful") == 0.0
    });
    assert!(gateway.is_running());
    assert_eq!(size_offered(&gateway), "SIZE 1048576");

    std::fs::write(gateway.settings_file(), "this is = = not TOML").unwrap();
    gateway.signal(Signal::HUP);
    eventually("two refusals", || gateway.metrics().sum("sekisho_config_reloads_total") >= 2.0);
    assert_eq!(size_offered(&gateway), "SIZE 1048576");

    gateway.change("smtp", &["message_size = \"2MiB\""]);
    gateway.signal(Signal::HUP);
    eventually("the new size", || size_offered(&gateway) == "SIZE 2097152");
    assert_eq!(gateway.metrics().sum("sekisho_config_last_reload_successful"), 1.0);

    // The connection from before has seen all that.
    client.mail("a@sender.example", &["you@acme.example"], message("still here", "x\r\n"));
    client.quit();
    mx.one();
    gateway.assert_settled();
}

#[test]
fn a_certificate_is_renewed_without_restart() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).with_tls().start();
    let mut before = Client::ready_tls(gateway.inbound);
    let first = before.peer_certificate();
    crate::support::tls::Identity::create(gateway.path(), "mx.gateway.example");
    gateway.signal(Signal::HUP);
    eventually("the new certificate", || {
        let mut client = Client::ready_tls(gateway.inbound);
        let now = client.peer_certificate();
        client.ask("QUIT");
        now != first
    });
    before.mail("a@sender.example", &["you@acme.example"], message("old session", "x\r\n"));
    before.quit();
    mx.one();
}
