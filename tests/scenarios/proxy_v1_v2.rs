//! Behind a balancer: the PROXY header names the client, from trusted peers only, and never by guessing.

use std::time::Duration;

use crate::support::{Client, FakeMx, Gateway, Received, message};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend_from_slice(&[command, family]);
    header.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend_from_slice(body);
    header
}

fn world(trusted: &str) -> (FakeMx, Gateway) {
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .acme(mx.address())
        .inbound("proxy_protocol = \"required\"")
        .inbound(&format!("trusted_proxies = [\"{trusted}\"]"))
        .set("smtp", "handshake_timeout = \"1s\"")
        .start();
    (mx, gateway)
}

#[test]
fn the_client_is_who_the_header_says() {
    let (mx, gateway) = world("127.0.0.0/8");
    let mut v6 = [0u8; 36];
    v6[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    let mut with_tlv = vec![203, 0, 113, 9, 127, 0, 0, 1, 0x30, 0x39, 0, 25];
    with_tlv.extend_from_slice(&[0x04, 0, 3, 1, 2, 3]);
    let headers: [(Vec<u8>, &str); 7] = [
        (b"PROXY TCP4 203.0.113.5 127.0.0.1 56324 25\r\n".to_vec(), "203.0.113.5"),
        (b"PROXY TCP6 2001:db8::5 ::1 56324 25\r\n".to_vec(), "2001:db8::5"),
        (b"PROXY UNKNOWN ffff:f...f whatever\r\n".to_vec(), "127.0.0.1"),
        (v2(0x21, 0x11, &[203, 0, 113, 6, 127, 0, 0, 1, 0x30, 0x39, 0, 25]), "203.0.113.6"),
        (v2(0x21, 0x21, &v6), "2001:db8::7"),
        (v2(0x21, 0x11, &with_tlv), "203.0.113.9"),
        (v2(0x20, 0x00, &[]), "127.0.0.1"),
    ];
    for (header, ip) in &headers {
        let mut client = Client::connect(gateway.inbound);
        client.send(header);
        client.expect(220);
        client.ehlo();
        client.mail("a@sender.example", &["you@acme.example"], message("proxied", "x\r\n"));
        client.quit();
        gateway.logged("queued", |line| line["ip"] == *ip);
    }
    let received = mx.wait(headers.len());
    assert!(received.iter().any(|mail| mail.header("Received").unwrap().contains("203.0.113.5")));
    // Who isn't told is not the proxy.
    let trace = |mail: &&Received| mail.header("Received").unwrap().contains(" (unknown)");
    assert_eq!(received.iter().filter(trace).count(), 2);
    assert!(received.iter().all(|mail| !mail.header("Received").unwrap().contains("[127.0.0.1]")));
    gateway.assert_settled();
}

#[test]
fn anything_else_is_cut_off_without_a_greeting() {
    let (_mx, gateway) = world("127.0.0.0/8");
    let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200)).into_bytes();
    let bad: [&[u8]; 9] = [
        b"EHLO client.example\r\n",
        b"PROXY TCP4 203.0.113.5 127.0.0.1 56324\r\n",
        b"PROXY TCP4 203.0.113.5 127.0.0.1 99999 25\r\n",
        b"PROXY TCP4 2001:db8::5 ::1 56324 25\r\n",
        b"PROXY TCP4 203.0.113.5 127.0.0.1 56324 25\n",
        &long,
        &v2(0x31, 0x11, &[0; 12]),
        &v2(0x22, 0x11, &[0; 12]),
        &v2(0x21, 0x11, &[0; 4]),
    ];
    for header in bad {
        let mut client = Client::connect(gateway.inbound);
        client.send(header);
        assert_eq!(client.closed(), [], "{}", header.escape_ascii());
    }
    // Nothing, or half a header, and then silence.
    for half in [&b""[..], b"PROXY TCP4 203.0", &SIGNATURE[..7]] {
        let mut client = Client::connect(gateway.inbound);
        client.send(half);
        client.set_read_timeout(Duration::from_secs(20));
        assert_eq!(client.closed(), []);
    }
}

#[test]
fn a_stranger_is_not_believed() {
    let (_mx, gateway) = world("192.0.2.0/24");
    let mut client = Client::connect(gateway.inbound);
    let _ = client.try_send("PROXY TCP4 203.0.113.5 127.0.0.1 56324 25\r\n");
    let replies = client.closed();
    assert!(replies.iter().all(|reply| reply.code >= 421), "{replies:?}");
}

#[test]
fn without_the_setting_a_header_is_only_a_bad_command() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::greeted(gateway.inbound);
    client.send("PROXY TCP4 203.0.113.5 127.0.0.1 56324 25\r\n");
    assert!(client.reply().permanent());
    assert!(!gateway.mail_log().iter().any(|line| line["ip"] == "203.0.113.5"));
}

#[test]
fn a_client_the_proxy_does_not_name_is_not_the_proxy() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .acme(mx.address())
        .outbound("proxy_protocol = \"required\"")
        .outbound("trusted_proxies = [\"127.0.0.1/32\"]")
        .start();
    for (header, accepted) in [
        (&b"PROXY TCP4 127.0.0.1 127.0.0.1 56324 587\r\n"[..], true),
        (b"PROXY UNKNOWN\r\n", false),
        (&v2(0x20, 0x00, &[]), false),
    ] {
        let mut client = Client::connect(gateway.outbound);
        client.send(header);
        client.expect(220);
        client.ehlo();
        assert_eq!(client.ask("MAIL FROM:<you@acme.example>").code == 250, accepted, "{}", header.escape_ascii());
        client.quit();
    }
}

#[test]
fn the_limit_for_one_address_is_the_clients_not_the_proxys() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder()
        .acme(mx.address())
        .inbound("proxy_protocol = \"required\"")
        .inbound("trusted_proxies = [\"127.0.0.0/8\"]")
        .inbound("max_connections_per_ip = 2")
        .start();
    let come = |ip: &str| {
        let mut client = Client::connect(gateway.inbound);
        client.send(format!("PROXY TCP4 {ip} 127.0.0.1 56324 25\r\n"));
        let code = client.reply().code;
        (client, code)
    };
    let held: Vec<_> = ["203.0.113.1", "203.0.113.2", "203.0.113.1", "203.0.113.3"].map(come).into();
    assert!(held.iter().all(|(_, code)| *code == 220));
    assert_eq!(come("203.0.113.1").1, 421);
    assert_eq!(come("203.0.113.2").1, 220);
    gateway.logged("connect", |line| line["ip"] == "203.0.113.1" && line["code"] == 421);
    drop(held);
    crate::support::eventually("a free place", || come("203.0.113.1").1 == 220);
}
