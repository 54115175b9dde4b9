//! A virus and the test text for spam never leave, whatever the operator and the tenant have written: the real binary under many
//! settings, with a mail exchanger that would take them.

use serde_json::Value;

use crate::support::fake_dns::FakeDns;
use crate::support::gateway::{GatewayBuilder, MX_PORT, acme};
use crate::support::{Client, FakeMx, Gateway, eventually, loopback};

/// The test texts of the trade, in pieces, so that this file is none.
fn gtube() -> String {
    ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE", "-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"].concat()
}

fn eicar() -> String {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

const HEAD: &str = "From: Aoi <aoi@acme.example>\r\nTo: you@partner.example\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\
                    MIME-Version: 1.0\r\n";

fn with_file(number: usize, name: &str, content: &str) -> String {
    format!(
        "{HEAD}Message-ID: <{number}@acme.example>\r\nSubject: a file\r\n\
         Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         See the attached file.\r\n--b\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{content}\r\n--b--\r\n"
    )
}

fn plain(number: usize, more: &str, text: &str) -> String {
    format!(
        "{HEAD}{more}Message-ID: <{number}@acme.example>\r\nSubject: hello\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
}

fn bad() -> Vec<String> {
    let trusted = "Received: from a.example by b.example; Fri, 20 Nov 2026 09:00:00 +0900\r\nX-Spam-Flag: NO\r\n";
    vec![
        with_file(1, "a.bin", &eicar()),
        with_file(2, "invoice.pdf", &eicar()),
        with_file(3, "a.js", &eicar()),
        plain(4, "", &gtube()),
        plain(5, "List-Id: <x.acme.example>\r\nPrecedence: bulk\r\n", &gtube()),
        plain(6, trusted, &gtube()),
        with_file(7, "a.js", "x()").replace("See the attached file.", gtube().trim()),
    ]
}

struct World {
    gateway: Gateway,
    /// The internet.
    sink: FakeMx,
    /// The tenant's own next hop: notices go there.
    home: FakeMx,
    _dns: FakeDns,
}

fn world(tenant: &str, more: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> World {
    let (home, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let sink = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.mx("partner.example", &[(10, "mx.partner.example")]);
    dns.a("mx.partner.example", &[ip]);
    let tenants = acme("queued", &[home.address()], "\"any\"") + tenant;
    let gateway = more(Gateway::builder().tenants(&tenants).dns(dns.address()).quick_retries()).start();
    World { gateway, sink, home, _dns: dns }
}

/// The first refusal, or the answer to the whole message.
fn reply(gateway: &Gateway, text: &str) -> u16 {
    let mut client = Client::ready(gateway.outbound);
    let code = match client.ask("MAIL FROM:<aoi@acme.example>").code {
        250 => match client.ask("RCPT TO:<you@partner.example>").code {
            250 => client.data(text).code,
            refused => refused,
        },
        refused => refused,
    };
    client.quit();
    code
}

fn held(gateway: &Gateway) -> Vec<Value> {
    let listed = gateway.cli_ok(&["quarantine", "ls", "--json"]);
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const OFF: &str = "off = [\"hashes\", \"rules\", \"feeds\", \"yara\", \"spamassassin\", \"classifier\", \"impersonation\", \"bulk\", \"files\"]";
const EVERYTHING: &str = "malware = \"quarantine\"\nrisky-file = \"deliver\"\nambiguous = \"deliver\"\nunscannable = \"deliver\"\n\
                          encrypted = \"deliver\"\nimpersonation = \"deliver\"\nsuspected = \"deliver\"\nbulk = \"deliver\"\n";

/// What the operator writes: section and line.
const NODES: &[&[(&str, &str)]] = &[
    &[],
    &[("scan", OFF)],
    &[("scan", "time = \"1ms\"")],
    &[("scan", OFF), ("scan", "files = 10"), ("scan", "layers = 2"), ("scan", "parts = 10"), ("scan", "depth = 4")],
    &[("outbound", "spam = \"reject\""), ("scan", OFF)],
    &[
        ("outbound", "spam = \"suspect-pool\""),
        ("[egress]", "pool = \"suspect\""),
        ("[egress]", "source = [\"127.0.0.1\"]"),
        ("scan", OFF),
    ],
    &[("clamd", "servers = [\"127.0.0.1:9\"]"), ("clamd", "timeout = \"1s\"")],
    &[("clamd", "servers = [\"127.0.0.1:9\"]"), ("clamd", "required = false"), ("clamd", "timeout = \"1s\"")],
];

/// What the tenant writes behind its domain.
fn tenants() -> Vec<String> {
    let actions = |of: &str| format!("[tenant.content.outbound.actions]\n{of}");
    let thresholds = "[tenant.content.outbound.thresholds]\nspam = 1000.0\nphishing = 1000.0\nsuspected = 1000.0\n";
    vec![
        String::new(),
        actions(EVERYTHING),
        format!("[tenant.content.outbound]\nlevel = \"low\"\nheaders = true\n{thresholds}{}", actions(EVERYTHING)),
        format!(
            "{}{thresholds}",
            actions("risky-file = \"discard\"\nbulk = \"discard\"\nsuspected = \"discard\"\nspam = \"reject\"\n")
        ),
    ]
}

/// Under settings of the node and of the tenant, with a list that allows everything.
fn under(node: usize, tenant: usize) {
    let node = NODES[node];
    let told = format!("{node:?}, tenant {tenant}");
    let more = |builder| node.iter().fold(builder, |builder: GatewayBuilder, (key, line)| builder.set(key, line));
    let world = world(&tenants()[tenant], more);
    let gateway = &world.gateway;
    let allow = ["list", "add", "allow", "acme.example", "--tenant", "acme", "--from-network", "127.0.0.0/8"];
    gateway.cli(&[allow.as_slice(), &["--reason", "ours"]].concat());
    let mut kept = 0;
    // Again: what can't be inspected is put off first.
    for round in 0..2 {
        for (at, text) in bad().iter().enumerate() {
            let code = reply(gateway, text);
            assert!(matches!(code, 250 | 400..=599), "{told}, round {round}, message {at}: {code}");
            kept += usize::from(code == 250);
        }
    }
    let all = held(gateway);
    assert!(all.len() == kept && all.iter().all(|one| one["direction"] == "outbound"), "{told}: {kept}: {all:?}");
    // Nobody can let it go.
    let ids: Vec<&str> = all.iter().map(|one| one["id"].as_str().unwrap()).collect();
    if !ids.is_empty() {
        let released = gateway.cli(&[&["quarantine", "release"], &*ids, &["--reason", "they insist"]].concat());
        assert!(!released.status.success(), "{told}");
        assert_eq!(held(gateway).len(), kept, "{told}");
    }
    // That the way is open: honest mail leaves, unless nobody can look at it.
    let honest = reply(gateway, &plain(9, "", "See you tomorrow at nine."));
    let is_blind = node.iter().any(|(_, line)| line.contains("127.0.0.1:9") || line.contains("1ms"));
    assert!(honest == 250 || is_blind, "{told}: {honest}");
    if honest == 250 {
        assert!(world.sink.one().text().contains("See you tomorrow"), "{told}");
    }
    gateway.assert_settled();
    assert_eq!(world.sink.count(), usize::from(honest == 250), "{told}");
}

macro_rules! drills {
    ($($name:ident: $node:literal;)*) => {
        $(mod $name {
            #[test]
            fn of_a_tenant_without_a_word() {
                super::under($node, 0);
            }

            #[test]
            fn of_a_tenant_that_delivers_everything() {
                super::under($node, 1);
            }

            #[test]
            fn of_a_tenant_that_finds_nothing_to_be_spam() {
                super::under($node, 2);
            }

            #[test]
            fn of_a_tenant_that_throws_away() {
                super::under($node, 3);
            }
        })*
    };
}

drills! {
    under_the_defaults: 0;
    with_everything_switched_off: 1;
    without_time_to_scan: 2;
    with_the_smallest_budgets: 3;
    where_spam_is_refused: 4;
    where_spam_may_leave_by_its_own_addresses: 5;
    without_the_antivirus_that_must_answer: 6;
    without_the_antivirus_that_need_not_answer: 7;
}

/// Nobody was named to be told: the postmaster of the tenant's domain is.
#[test]
fn a_virus_is_told_to_the_tenant() {
    let world = world("", |builder| builder);
    assert_eq!(reply(&world.gateway, &bad()[0]), 250);
    let notice = world.home.one();
    assert_eq!((notice.recipients(), &*notice.from), (vec!["postmaster@acme.example"], ""));
    world.gateway.assert_settled();
    assert_eq!(world.sink.count(), 0);
}

/// A notice of a server's has no sender: the administrators are told, and not for each of a flood.
#[test]
fn a_virus_without_a_sender_is_told_to_the_administrators_once() {
    let world = world("", |builder| builder);
    let tenants = std::fs::read_to_string(world.gateway.tenants_file()).unwrap();
    world.gateway.write_tenants(&tenants.replacen(
        "id = \"acme\"",
        "id = \"acme\"\nadministrators = [\"it@acme.example\"]",
        1,
    ));
    world.gateway.apply();
    // The node looks for changes once in a while.
    eventually("the administrators to be known", || world.gateway.stderr().contains("tenants or lists changed"));
    for _ in 0..3 {
        let mut client = Client::ready(world.gateway.outbound);
        client.envelope("", &["you@partner.example"]);
        assert_eq!(client.data(&bad()[0]).code, 250);
        client.quit();
    }
    let notice = world.home.one();
    assert_eq!((notice.recipients(), &*notice.from), (vec!["it@acme.example"], ""));
    assert_eq!(held(&world.gateway).len(), 3);
    world.gateway.assert_settled();
    assert_eq!((world.home.count(), world.sink.count()), (1, 0));
}

/// An operator's release overrides the tenant's own rule, after another look.
#[test]
fn what_only_the_tenant_kept_back_can_be_released() {
    let world = world("", |builder| builder);
    let script = with_file(1, "a.js", "WScript.Echo('hello');");
    assert_eq!(reply(&world.gateway, &script), 250);
    let held = held(&world.gateway);
    assert_eq!((held.len(), &held[0]["class"]), (1, &"risky-file".into()));
    let id = held[0]["id"].as_str().unwrap();
    world.gateway.cli_ok(&["quarantine", "release", id, "--reason", "they know each other"]);
    assert!(world.sink.one().text().contains("WScript"));
    world.gateway.assert_settled();
}

/// Spam that the operator lets out, unless the tenant is stricter.
#[test]
fn spam_leaves_by_the_addresses_for_it_and_says_their_name() {
    let spam = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/spam/en-casino.eml")).unwrap();
    let spam = spam.replace("\r\n", "\n").replace('\n', "\r\n");
    let spam: String = spam
        .split_inclusive("\r\n")
        .map(|line| if line.starts_with("From:") { "From: Aoi <aoi@acme.example>\r\n" } else { line })
        .collect();
    let ip = loopback::fresh_ip();
    let let_out = |builder: GatewayBuilder| {
        builder
            .set("[egress]", "pool = \"suspect\"")
            .set("[egress]", &format!("source = [\"{ip}\"]"))
            .set("[egress]", "hostname = \"suspect.gateway.example\"")
    };
    // Where it is kept the operator may let one go that is none, over those addresses or not at all.
    for (pool, leaves) in [(false, 0), (true, 1)] {
        let kept =
            world("", |builder| if pool { let_out(builder).set("outbound", "spam = \"quarantine\"") } else { builder });
        assert_eq!(reply(&kept.gateway, &spam), 250);
        let all = held(&kept.gateway);
        let id = all[0]["id"].as_str().unwrap();
        let released = kept.gateway.cli(&["quarantine", "release", id, "--reason", "a newsletter of theirs"]);
        assert_eq!(released.status.success(), pool);
        let told = String::from_utf8_lossy(&released.stderr).into_owned() + &String::from_utf8_lossy(&released.stdout);
        assert!(pool || told.contains("pool = \"suspect\""), "{told}");
        assert_eq!(held(&kept.gateway).len(), 1 - leaves);
        kept.gateway.assert_settled();
        assert_eq!(kept.sink.count(), leaves);
        assert!(kept.sink.wait(leaves).iter().all(|mail| mail.client == Some(ip)));
    }
    let usual = world("", |builder| let_out(builder).set("outbound", "spam = \"suspect-pool\""));
    assert_eq!(reply(&usual.gateway, &spam), 250);
    assert_eq!(reply(&usual.gateway, &plain(9, "", "See you tomorrow.")), 250);
    for received in usual.sink.wait(2) {
        let is_spam = !received.text().contains("See you tomorrow");
        let (client, helo) = (received.client == Some(ip), received.helo.as_str());
        assert_eq!((client, helo == "suspect.gateway.example"), (is_spam, is_spam), "{}", received.headers());
    }
    usual.gateway.assert_settled();
    let stricter = world("[tenant.content.outbound.actions]\nspam = \"quarantine\"\n", |builder| {
        let_out(builder).set("outbound", "spam = \"suspect-pool\"")
    });
    assert_eq!(reply(&stricter.gateway, &spam), 250);
    assert_eq!(held(&stricter.gateway).len(), 1);
    stricter.gateway.assert_settled();
    assert_eq!(stricter.sink.count(), 0);
}
