//! Pools of addresses: what leaves by one is never seen from another, and has its own connections.

use std::net::IpAddr;

use sekisho::delivery::Egress;
use sekisho::model::Direction;
use sekisho::model::egress::Pool;

use super::bench::{Bench, Builder, TEXT, acme, envelope};
use crate::checked::SPAM;
use crate::support::{FakeMx, loopback};

fn egress(pool: Pool, source: &[IpAddr], hostname: &str) -> Egress {
    Egress { pool, source: source.to_vec(), hostname: hostname.into() }
}

async fn queue(bench: &Bench, number: u64, to: &str, text: &str) {
    bench.queue_body(number, Direction::Outbound, envelope("", &[to]), text.as_bytes()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pool_has_its_addresses_its_name_and_its_connections() {
    let far = FakeMx::builder().start();
    let home = FakeMx::builder().start();
    let (normal, suspect) = (loopback::fresh_ip(), loopback::fresh_ip());
    let bench = Builder::new(acme(&[home.address()], ""))
        .set(|config| {
            config.mx_port = far.address().port();
            config.egress = vec![
                egress(Pool::Normal, &[normal], "out.example"),
                egress(Pool::Suspect, &[suspect], "suspect.example"),
            ];
        })
        .ip("far.example", &[far.address().ip()])
        .start();
    let spam = format!("Subject: spam\r\n\r\n{SPAM}\r\n");
    for number in 0..3 {
        queue(&bench, number * 2, "x@far.example", TEXT).await;
        queue(&bench, number * 2 + 1, "x@far.example", &spam).await;
    }
    queue(&bench, 10, "you@acme.example", &spam).await;
    bench.empty().await;
    let received = far.wait(6);
    for one in &received {
        let is_spam = one.text().contains(SPAM);
        let (ip, name) = if is_spam { (suspect, "suspect.example") } else { (normal, "out.example") };
        assert_eq!((one.client, &*one.helo), (Some(ip), name), "{}", one.headers());
    }
    let connections = |is_spam: bool| -> Vec<usize> {
        received.iter().filter(|one| one.text().contains(SPAM) == is_spam).map(|one| one.connection).collect()
    };
    assert!(connections(true).iter().all(|one| !connections(false).contains(one)), "no connection serves two pools");
    // A tenant's next hop knows us by one address, whatever comes.
    let inside = home.one();
    assert_eq!(inside.helo, "gateway.example");
    assert!(inside.client != Some(suspect) && inside.client != Some(normal));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspect_mail_without_addresses_of_its_own_waits() {
    let far = FakeMx::builder().start();
    let bench = Builder::new(String::new())
        .set(|config| config.mx_port = far.address().port())
        .ip("far.example", &[far.address().ip()])
        .start();
    queue(&bench, 1, "x@far.example", &format!("Subject: spam\r\n\r\n{SPAM}\r\n")).await;
    bench.until("a deferral", |bench| !bench.logged("deferred").is_empty()).await;
    assert!(bench.logged("deferred")[0].contains("451 4.3.5"), "{:?}", bench.logged("deferred"));
    // The destination rests for that pool alone.
    queue(&bench, 2, "x@far.example", TEXT).await;
    assert_eq!(far.wait_for_at_least(1).len(), 1);
    assert!(!far.one().text().contains(SPAM));
    bench.stop().await;
}
