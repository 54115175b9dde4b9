//! Contracts and accounts with the real binary: phases, new accounts beyond the number, notices, restart, usage, purge.

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::support::gateway::tenant;
use crate::support::{Client, FakeMx, Gateway, eventually, message};

/// The day so many days from today, in UTC.
fn day(days: i64) -> String {
    let day = (OffsetDateTime::now_utc() + Duration::days(days)).date();
    format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day())
}

/// A tenant `ID` with `ID.example`, its local clients, and a contract.
fn contract(id: &str, mx: &FakeMx, lines: &str) -> String {
    let text = tenant(id, &format!("{id}.example"), "queued", &[mx.address()], "\"any\"");
    let table = format!(
        "administrators = [\"admin@{id}.example\"]\n[tenant.contract]\nstart = {}\ntime_zone = \"UTC\"\n{lines}\n[tenant.sender]",
        day(-400)
    );
    text.replace("[tenant.sender]", &table)
}

fn rcpt(gateway: &Gateway, to: &str) -> u16 {
    let mut client = Client::ready(gateway.inbound);
    client.command("MAIL FROM:<a@sender.example>", 250);
    let code = client.ask(&format!("RCPT TO:<{to}>")).code;
    client.quit();
    code
}

/// Code and rule of what `explain smtp` says of RCPT.
fn explained(gateway: &Gateway, to: &str) -> (u64, String) {
    let words = [
        &["explain", "smtp", "--ip", "192.0.2.7", "--helo", "mail.sender.example", "--from", "a@sender.example"][..],
        &["--rcpt", to, "--json"],
    ];
    let told = gateway.cli(&words.concat()).stdout;
    let told: Value = serde_json::from_slice(&told).unwrap();
    let said = told["said"].as_array().unwrap().iter().find(|said| said["at"] == "rcpt").unwrap();
    (said["code"].as_u64().unwrap(), said["rule"].as_str().unwrap().to_owned())
}

#[test]
fn a_contract_that_ends_takes_mail_then_puts_it_off_then_refuses_it() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .tenants(&contract("active", &mx, &format!("end = {}", day(5))))
        .tenants(&contract("grace", &mx, &format!("end = {}", day(-10))))
        .tenants(&contract("deferred", &mx, &format!("end = {}", day(-40))))
        .tenants(&contract("refused", &mx, &format!("end = {}", day(-55))))
        .tenants(&contract("ended", &mx, &format!("end = {}", day(-70))))
        .start();
    for (id, code) in [("active", 250), ("grace", 250), ("deferred", 451), ("refused", 550), ("ended", 550)] {
        assert_eq!(rcpt(&gateway, &format!("you@{id}.example")), code, "{id}");
    }
    for (id, code, rule) in
        [("grace", 250, "nothing-against"), ("deferred", 451, "contract"), ("ended", 550, "contract")]
    {
        assert_eq!(explained(&gateway, &format!("you@{id}.example")), (code, rule.to_owned()), "{id}");
    }
    let line = gateway.logged("contract", |line| line["tenant"] == "grace");
    assert_eq!(line["reason"], "the contract is in phase grace");
    let notices = mx.wait(4);
    let told = |id: &str| notices.iter().filter(|one| one.recipients() == [format!("admin@{id}.example")]).count();
    assert_eq!(["active", "grace", "deferred", "refused", "ended"].map(told), [0, 1, 1, 1, 1]);
    assert!(notices.iter().all(|one| one.from.is_empty()));
    assert_eq!(gateway.metrics().sum("sekisho_contract_refused_total"), 3.0);
}

#[test]
fn a_frozen_tenants_own_mail_stays_as_well() {
    for (days, code) in [(-40, 451), (-70, 550)] {
        let mx = FakeMx::start();
        let own = contract("acme", &mx, &format!("end = {}", day(days)));
        let gateway = Gateway::builder()
            .tenants(&format!("{own}[[tenant.outbound_client]]\nnetwork = \"127.0.0.1/32\"\n"))
            .start();
        let mut client = Client::ready(gateway.outbound);
        assert_eq!(client.ask("MAIL FROM:<a@acme.example>").code, code);
        client.quit();
    }
}

#[test]
fn new_accounts_beyond_the_number_are_put_off_and_the_others_never() {
    let mx = FakeMx::start();
    let own = contract("acme", &mx, "accounts = 2\nover = \"refuse-new\"");
    let mut gateway = Gateway::builder()
        .tenants(&format!("{own}[[tenant.outbound_client]]\nnetwork = \"127.0.0.1/32\"\n"))
        .set("accounts", "write_every = \"1s\"")
        .start();
    for to in ["one@acme.example", "Two+shop@acme.example"] {
        gateway.send_inbound("a@sender.example", &[to], &message("hello", "x\r\n"));
    }
    gateway.logged("contract", |line| line["reason"] == "2 of 2 accounts are used: 100 percent reached");
    for (to, code) in [("three@acme.example", 450), ("TWO@acme.example", 250), ("postmaster@acme.example", 250)] {
        assert_eq!(rcpt(&gateway, to), code, "{to}");
    }
    let line = gateway.logged("rcpt", |line| line["recipient"] == "three@acme.example");
    assert_eq!(line["reason"], "accounts");
    assert_eq!(explained(&gateway, "three@acme.example"), (450, "accounts".into()));
    assert_eq!(explained(&gateway, "two@acme.example").0, 250);
    let mut client = Client::ready(gateway.outbound);
    assert_eq!(client.ask("MAIL FROM:<three@acme.example>").code, 450);
    assert_eq!(client.ask("MAIL FROM:<one+x@acme.example>").code, 250);
    client.quit();
    // What was told survives a kill.
    gateway.kill();
    gateway.serve();
    assert_eq!((rcpt(&gateway, "one@acme.example"), rcpt(&gateway, "three@acme.example")), (250, 450));
    let shown: Value = serde_json::from_str(&gateway.cli_ok(&["accounts", "ls", "--json"])).unwrap();
    assert_eq!((&shown["accounts"], &shown["contracted"], &shown["phase"]), (&2.into(), &2.into(), &"active".into()));
    let listed = gateway.cli_ok(&["accounts", "ls", "--tenant", "acme"]);
    assert!(listed.starts_with("one@acme.example") && listed.contains("two@acme.example"), "{listed}");
    assert!(gateway.get("/metrics").1.contains("sekisho_tenant_accounts{tenant=\"acme\"} 2"));
    // The number is raised while mail flows.
    gateway.write_tenants(&own.replace("accounts = 2", "accounts = 3"));
    gateway.apply();
    eventually("the new number", || rcpt(&gateway, "three@acme.example") == 250);
}

#[test]
fn senders_and_registered_accounts_count_and_a_purge_leaves_nothing_but_its_record() {
    let mx = FakeMx::start();
    let own = contract("acme", &mx, &format!("accounts = 50\nend = {}", day(3)));
    let gateway = Gateway::builder()
        .tenants(&format!("{own}[[tenant.outbound_client]]\nnetwork = \"127.0.0.1/32\"\n"))
        .tenants(&tenant("beta", "beta.example", "inline", &[mx.address()], "\"any\""))
        .set("accounts", "write_every = \"1s\"")
        .start();
    let file = "address,alias_of\r\nsales@acme.example,\r\ninfo@acme.example,sales@acme.example\r\n";
    gateway.cli_with_input(&["accounts", "import", "-"], file);
    gateway.send_outbound("taro@acme.example", &["you@beta.example"], &message("to beta", "x\r\n"));
    gateway.send_inbound("a@sender.example", &["info@acme.example"], &message("to an alias", "x\r\n"));
    gateway.send_inbound("a@sender.example", &["hanako@beta.example"], &message("inline", "x\r\n"));
    let numbers = |tenant: &str| {
        let all = gateway.cli_ok(&["accounts", "ls", "--json"]);
        let mut lines = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let own = lines.find(|line| line["tenant"] == tenant).unwrap();
        [&own["accounts"], &own["registered"], &own["observed"]].map(|number| number.as_u64().unwrap())
    };
    eventually("taro and sales of acme", || numbers("acme") == [2, 1, 2]);
    eventually("hanako of beta, handed on inline, and you, of acme", || numbers("beta") == [2, 0, 2]);
    gateway.cli_ok(&["list", "add", "block", "x.example", "--tenant", "acme", "--reason", "test"]);
    assert_eq!(gateway.cli(&["tenant", "purge", "acme", "--yes"]).status.code(), Some(5), "it has not ended");
    assert_eq!(gateway.cli(&["tenant", "purge", "acme", "--early"]).status.code(), Some(2), "not without --yes");
    let purged = gateway.cli_ok(&["tenant", "purge", "acme", "--early", "--yes", "--json"]);
    let purged: Value = serde_json::from_str(&purged).unwrap();
    let erased = &purged["record"]["erased"];
    assert_eq!((&erased["accounts"], &erased["aliases"], &erased["list_entries"]), (&2.into(), &1.into(), &1.into()));
    assert!(!gateway.cli_ok(&["tenant", "ls"]).contains("acme"));
    assert_eq!(rcpt(&gateway, "taro@acme.example"), 550);
    let records = gateway.cli_ok(&["tenant", "purges"]);
    assert_eq!(serde_json::from_str::<Value>(&records).unwrap(), purged);
}
