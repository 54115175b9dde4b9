//! The shortest settings and tenants files there are, in an empty directory, with relative paths: apply, serve, one mail.

use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait::within;
use crate::support::{Client, FakeMx, loopback, message, metrics};

#[test]
fn the_first_steps_work_in_an_empty_directory() {
    let mx = FakeMx::start();
    let dir = tempfile::tempdir().unwrap();
    let ip = loopback::fresh_ip();
    let (inbound, outbound, observe) = (loopback::free_port(ip), loopback::free_port(ip), loopback::free_port(ip));
    let settings = format!(
        "hostname = \"mx.gateway.example\"\ndata_dir = \"./var\"\n\
         [[listener]]\nname = \"mx\"\ndirection = \"inbound\"\nbind = \"{inbound}\"\n\
         [[listener]]\nname = \"relay\"\ndirection = \"outbound\"\nbind = \"{outbound}\"\n\
         [observe]\nbind = \"{observe}\"\n[dns]\nservers = [\"127.0.0.1:5353\"]\n"
    );
    let tenants = format!(
        "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\n[[tenant.domain]]\nname = \"acme.example\"\n\
         next_hops = [\"{}\"]\nrecipients = \"any\"\n[[tenant.outbound_client]]\nnetwork = \"127.0.0.1/32\"\n",
        mx.address()
    );
    std::fs::write(dir.path().join("sekisho.toml"), settings).unwrap();
    std::fs::write(dir.path().join("tenants.toml"), tenants).unwrap();
    let sekisho = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
        command.args(["--config", "sekisho.toml"]).args(arguments).current_dir(dir.path()).stdin(Stdio::null());
        command
    };
    let applied = sekisho(&["apply", "tenants.toml"]).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let log = std::fs::File::create(dir.path().join("stderr.log")).unwrap();
    let mut serving = sekisho(&["serve"]).stderr(log).spawn().unwrap();
    let minute = std::time::Duration::from_secs(60);
    within(minute, "ready", || matches!(metrics::get(observe, "/readyz"), Ok((200, _))).then_some(()));
    Client::ready(inbound).mail("a@sender.example", &["you@acme.example"], message("first", "x\r\n"));
    mx.one();
    let listed = sekisho(&["queue", "ls"]).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    kill_process(Pid::from_raw(i32::try_from(serving.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    let status = within(minute, "its end", || serving.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(dir.path().join(name)).map(|file| file.permissions().mode() & 0o077)
    };
    assert_eq!(mode("var").unwrap(), 0, "the data directory, mail and password hashes in it, is nobody else's");
}
