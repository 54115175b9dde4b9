//! The operator's Swiss army knife, as an operator would use it.

use std::net::SocketAddr;
use std::process::Command;

use crate::need_tool;
use crate::support::gateway::MX_PORT;
use crate::support::{FakeMx, Gateway, fake_dns::FakeDns, loopback, sha256};

/// Runs swaks; its transcript and exit status.
fn swaks(server: SocketAddr, arguments: &[&str]) -> Option<(String, i32)> {
    let tool = crate::support::tools::find("swaks")?;
    let output = Command::new(tool)
        .args(["--server", &server.ip().to_string(), "--port", &server.port().to_string()])
        .args(["--helo", "swaks.example", "--timeout", "20"])
        .args(arguments)
        .output()
        .expect("run swaks");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some((said, output.status.code().unwrap_or(-1)))
}

#[track_caller]
fn passes(server: SocketAddr, arguments: &[&str]) -> String {
    let (said, status) = swaks(server, arguments).expect("swaks");
    assert_eq!(status, 0, "{said}");
    said
}

/// swaks speaks TLS only with Perl's Net::SSLeay.
fn speaks_tls() -> bool {
    let output = Command::new("swaks").arg("--support").output().expect("run swaks");
    let speaks = String::from_utf8_lossy(&output.stdout).contains("TLS supported");
    assert!(speaks || std::env::var_os("CI").is_none(), "swaks without Net::SSLeay");
    if !speaks {
        println!("SKIPPED: swaks without Net::SSLeay (tests/run installs it)");
    }
    speaks
}

const ENVELOPE: [&str; 4] = ["--from", "a@sender.example", "--to", "you@acme.example"];

#[test]
fn plain_pipelined_and_with_an_attachment() {
    need_tool!("swaks");
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    passes(gateway.inbound, &ENVELOPE);
    passes(gateway.inbound, &[&ENVELOPE[..], &["--pipeline"]].concat());
    let file = gateway.path().join("attachment.bin");
    let content: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    std::fs::write(&file, &content).unwrap();
    let attachment = format!("@{}", file.display());
    passes(
        gateway.inbound,
        &[&ENVELOPE[..], &["--attach-type", "application/octet-stream", "--attach", &attachment]].concat(),
    );
    let received = mx.wait(3);
    let text = received.iter().map(|mail| mail.text()).find(|text| text.contains("base64")).expect("the attachment");
    let encoded = text.split("base64").nth(1).unwrap();
    let encoded: String = encoded
        .lines()
        .skip(1)
        .skip_while(|line| !line.is_empty())
        .skip(1)
        .take_while(|line| !line.starts_with("--"))
        .collect();
    assert_eq!(sha256(&unbase64(&encoded)), sha256(&content));
    gateway.assert_settled();
}

#[test]
fn several_recipients_one_unknown() {
    need_tool!("swaks");
    let mx = FakeMx::start();
    let list = "[\"you@acme.example\"]";
    let gateway = Gateway::builder().tenants(&crate::support::gateway::acme("queued", &[mx.address()], list)).start();
    let (said, status) =
        swaks(gateway.inbound, &["--from", "a@sender.example", "--to", "nobody@acme.example"]).unwrap();
    assert_eq!(status, 24, "swaks' status for a refused recipient: {said}");
    assert!(said.contains("550 5.1.1"), "{said}");
    passes(gateway.inbound, &["--from", "a@sender.example", "--to", "you@acme.example,nobody@acme.example"]);
    assert_eq!(mx.one().recipients(), ["you@acme.example"]);
}

#[test]
fn with_tls_and_auth() {
    need_tool!("swaks");
    if !speaks_tls() {
        return;
    }
    let (acme, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let dest = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    let mut gateway = Gateway::builder().with_tls().dns(dns.address()).build();
    let hash = gateway.cli_with_input(&["tenant", "hash-password"], "s3cret\n");
    let hash = String::from_utf8(hash.stdout).unwrap();
    gateway.write_tenants(&format!(
        "{}[[tenant.outbound_client]]\nusername = \"aoi\"\npassword_hash = \"{}\"\n",
        crate::support::gateway::tenant("acme", "acme.example", "queued", &[acme.address()], "\"any\""),
        hash.trim()
    ));
    gateway.apply();
    gateway.serve();
    let said = passes(gateway.inbound, &[&ENVELOPE[..], &["--tls"]].concat());
    assert!(said.contains("TLS started"), "{said}");
    acme.one();
    let envelope = ["--from", "aoi@acme.example", "--to", "you@dest.example", "--tls", "--auth-user", "aoi"];
    for method in ["PLAIN", "LOGIN"] {
        passes(gateway.outbound, &[&envelope[..], &["--auth-password", "s3cret", "--auth", method]].concat());
    }
    let (said, status) =
        swaks(gateway.outbound, &[&envelope[..], &["--auth-password", "wrong", "--auth", "PLAIN"]].concat()).unwrap();
    assert_eq!(status, 28, "swaks' status for refused credentials: {said}");
    assert!(said.contains("535 5.7.8"), "{said}");
    dest.wait(2);
    gateway.assert_settled();
}

#[test]
fn through_a_proxy_header_and_xclient() {
    need_tool!("swaks");
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .acme(mx.address())
        .inbound("proxy_protocol = \"required\"")
        .inbound("trusted_proxies = [\"127.0.0.1/32\"]")
        .start();
    for version in ["1", "2"] {
        let proxy = ["--proxy-version", version, "--proxy-family", if version == "1" { "TCP4" } else { "AF_INET" }];
        let more = [
            "--proxy-source",
            "203.0.113.5",
            "--proxy-source-port",
            "4711",
            "--proxy-dest",
            "127.0.0.1",
            "--proxy-dest-port",
            "25",
        ];
        passes(gateway.inbound, &[&ENVELOPE[..], &proxy, &more].concat());
    }
    for received in mx.wait(2) {
        assert!(received.header("Received").unwrap().contains("203.0.113.5"));
    }
}

/// RFC 4648, for well-formed input.
fn unbase64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'=' && !byte.is_ascii_whitespace()).collect();
    let mut out = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().enumerate().fold(0u32, |bits, (at, &digit)| bits | value(digit) << (18 - 6 * at));
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    out
}
