//! Connections beyond the limit wait or get 421; none is left hanging, and the others never notice.

use std::time::Duration;

use crate::support::{Client, FakeMx, Gateway, eventually, message};

/// Opens `count` connections; those greeted, and those still without a word or sent off.
fn crowd(gateway: &Gateway, count: usize) -> (Vec<Client>, usize) {
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(gateway.inbound)).collect();
    let mut greeted = Vec::new();
    let mut refused = 0;
    for mut client in clients.drain(..) {
        client.set_read_timeout(Duration::from_secs(5));
        match client.try_reply() {
            Ok(Some(reply)) if reply.code == 220 => greeted.push(client),
            Ok(Some(reply)) => {
                assert_eq!(reply.code, 421, "{reply:?}");
                assert!(client.closed().is_empty());
                refused += 1;
            }
            Ok(None) => panic!("closed without a word"),
            Err(error) => panic!("left hanging: {error}"),
        }
    }
    (greeted, refused)
}

fn check(limit: &str, reason: &str) {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).inbound(limit).start();
    let (mut greeted, refused) = crowd(&gateway, 15);
    assert_eq!((greeted.len(), refused), (10, 5));
    assert!(gateway.metrics().sum(&format!("sekisho_smtp_connections_refused_total{{reason=\"{reason}\"}}")) >= 0.0);
    assert!(gateway.metrics().sum("sekisho_smtp_connections_refused_total") >= 5.0);
    // Those inside are served, and their places are free once they leave.
    for client in &mut greeted {
        client.ehlo();
        client.mail("a@sender.example", &["you@acme.example"], message("inside", "x\r\n"));
    }
    greeted.into_iter().for_each(Client::quit);
    eventually("a free place", || {
        let mut client = Client::connect(gateway.inbound);
        client.reply().code == 220
    });
    eventually("all places free", || {
        let (greeted, refused) = crowd(&gateway, 10);
        drop(greeted);
        refused == 0
    });
    mx.wait(10);
    gateway.assert_settled();
}

#[test]
fn of_a_listener() {
    check("max_connections = 10", "listener_full");
}

#[test]
fn of_one_address() {
    check("max_connections_per_ip = 10", "ip_full");
}

#[test]
fn another_address_and_the_other_listener_are_not_concerned() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).inbound("max_connections_per_ip = 2").start();
    let (held, refused) = crowd(&gateway, 4);
    assert_eq!((held.len(), refused), (2, 2));
    let mut other = Client::connect_from("127.0.0.77".parse().unwrap(), gateway.inbound);
    other.expect(220);
    Client::greeted(gateway.outbound).quit();
}

#[test]
fn a_thousand_idle_ones_hurt_nobody() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).set("limits", "max_connections_per_ip = 5000").start();
    let idle: Vec<Client> = (0..1000).map(|_| Client::greeted(gateway.inbound)).collect();
    gateway.send_inbound("a@sender.example", &["you@acme.example"], &message("in the crowd", "x\r\n"));
    mx.one();
    drop(idle);
    eventually("all gone", || gateway.metrics().sum("sekisho_smtp_connections_open") == 0.0);
}
