//! AUTH PLAIN and LOGIN on the outbound listener: after TLS only, against an argon2 hash that our own command makes.

use crate::support::gateway::MX_PORT;
use crate::support::tls::client_config;
use crate::support::{Client, FakeMx, Gateway, fake_dns::FakeDns, loopback, message, own};

/// `\0aoi\0s3cret pass` and others, in base 64.
const PLAIN: &str = "AGFvaQBzM2NyZXQgcGFzcw==";
const PLAIN_WRONG: &str = "AGFvaQB3cm9uZw==";
const PLAIN_UNKNOWN: &str = "AG5vYm9keQBzM2NyZXQgcGFzcw==";
const USER: &str = "YW9p";
const PASSWORD: &str = "czNjcmV0IHBhc3M=";
const WRONG: &str = "d3Jvbmc=";

struct World {
    gateway: Gateway,
    dest: FakeMx,
    _acme: FakeMx,
    _dns: FakeDns,
}

fn world() -> World {
    let (acme, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
    let dest = FakeMx::builder().ip(ip).port(MX_PORT).start();
    dns.a("dest.example", &[ip]);
    let mut gateway = Gateway::builder().with_tls().dns(dns.address()).build();
    let hashed = gateway.cli_with_input(&["tenant", "hash-password"], "s3cret pass\n");
    assert!(hashed.status.success(), "{}", String::from_utf8_lossy(&hashed.stderr));
    let hash = String::from_utf8(hashed.stdout).unwrap().trim().to_owned();
    assert!(hash.starts_with("$argon2"), "{hash}");
    gateway.write_tenants(&format!(
        "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\n[[tenant.domain]]\nname = \"acme.example\"\n\
         next_hops = [\"{}\"]\nrecipients = \"any\"\n\
         [[tenant.outbound_client]]\nusername = \"aoi\"\npassword_hash = \"{hash}\"\n",
        acme.address()
    ));
    gateway.apply();
    gateway.serve();
    World { gateway, dest, _acme: acme, _dns: dns }
}

fn auth_line(client: &mut Client) -> Option<String> {
    client.ehlo().lines.into_iter().find(|line| line.starts_with("AUTH"))
}

#[test]
fn plain_and_login_open_the_way_out() {
    let world = world();
    let mut client = Client::greeted(world.gateway.outbound);
    assert_eq!(auth_line(&mut client), None, "AUTH is offered without TLS");
    let refused = client.ask(&format!("AUTH PLAIN {PLAIN}"));
    assert!(refused.permanent(), "{refused:?}");
    assert!(client.ask("MAIL FROM:<aoi@acme.example>").permanent());
    client.starttls(&client_config(None));
    let offered = auth_line(&mut client).expect("AUTH after TLS");
    assert!(offered.contains("PLAIN") && offered.contains("LOGIN"), "{offered}");
    let refused = client.command("MAIL FROM:<aoi@acme.example>", 530);
    assert!(refused.is("5.7.0"), "{refused:?}");
    client.command(&format!("AUTH PLAIN {PLAIN}"), 235);
    client.command(&format!("AUTH PLAIN {PLAIN}"), 503);
    client.mail("aoi@acme.example", &["one@dest.example"], own(&message("plain", "x\r\n")));
    client.quit();

    let mut client = Client::ready_tls(world.gateway.outbound);
    client.command("AUTH LOGIN", 334);
    client.command(USER, 334);
    client.command(PASSWORD, 235);
    client.mail("aoi@acme.example", &["two@dest.example"], own(&message("login", "x\r\n")));
    client.quit();

    let mut client = Client::ready_tls(world.gateway.outbound);
    client.command("AUTH PLAIN", 334);
    client.command(PLAIN, 235);
    client.mail("aoi@acme.example", &["three@dest.example"], own(&message("later", "x\r\n")));
    client.quit();
    world.dest.wait(3);
    world.gateway.assert_settled();
}

#[test]
fn wrong_credentials_are_refused_alike() {
    let world = world();
    let mut client = Client::ready_tls(world.gateway.outbound);
    let wrong = client.command(&format!("AUTH PLAIN {PLAIN_WRONG}"), 535);
    let unknown = client.command(&format!("AUTH PLAIN {PLAIN_UNKNOWN}"), 535);
    assert_eq!(wrong, unknown, "the reply tells which user names there are");
    client.command("AUTH LOGIN", 334);
    client.command(USER, 334);
    client.command(WRONG, 535);
    client.command("AUTH PLAIN", 334);
    client.command("*", 501);
    client.command("AUTH PLAIN !!!!", 501);
    client.command("AUTH CRAM-MD5", 504);
    client.command("MAIL FROM:<aoi@acme.example>", 530);
    client.quit();
    let log = std::fs::read_to_string(world.gateway.mail_log_file()).unwrap();
    assert!(!log.contains("s3cret") && !log.contains(PASSWORD) && !log.contains(PLAIN), "a password in the log");
    assert!(world.gateway.mail_log().iter().any(|line| line["event"] == "auth" && line["code"] == 535));
    assert_eq!(world.dest.count(), 0);
}

#[test]
fn what_was_authenticated_is_forgotten_with_the_connection() {
    let world = world();
    let mut client = Client::ready_tls(world.gateway.outbound);
    client.command(&format!("AUTH PLAIN {PLAIN}"), 235);
    client.quit();
    let mut client = Client::ready_tls(world.gateway.outbound);
    client.command("MAIL FROM:<aoi@acme.example>", 530);
    client.quit();
}

#[test]
fn the_inbound_listener_knows_no_auth() {
    let world = world();
    let mut client = Client::ready_tls(world.gateway.inbound);
    assert_eq!(auth_line(&mut client), None);
    assert!(client.ask(&format!("AUTH PLAIN {PLAIN}")).permanent());
    client.quit();
}
