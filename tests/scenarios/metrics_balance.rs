//! The conservation law at every scrape: accepted + recovered = delivered + bounced + expired + discarded + held + queued,
//! while mail comes, goes, bounces and is removed.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Answer, Client, FakeMx, Gateway, message};

#[test]
fn it_holds_at_every_scrape_under_load() {
    let mx = FakeMx::builder()
        .on_rcpt(|rcpt| match (rcpt.address.as_bytes()[4] % 4, rcpt.nth) {
            (0, 1) => Answer::reply("450 4.7.1 greylisted"),
            (1, _) => Answer::reply("550 5.1.1 gone"),
            _ => Answer::Accept,
        })
        .start();
    let gateway = Gateway::builder().acme(mx.address()).quick_retries().start();
    let done = AtomicBool::new(false);
    let scrapes = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut client = Client::ready(gateway.inbound);
                    for n in 0..50 {
                        let to: Vec<String> = (0..4).map(|r| format!("user{r}{sender}x{n}@acme.example")).collect();
                        let to: Vec<&str> = to.iter().map(String::as_str).collect();
                        client.mail("", &to, message("load", "x\r\n"));
                    }
                    client.quit();
                })
            })
            .collect();
        let scraper = scope.spawn(|| {
            let mut scrapes = 0;
            while !done.load(Ordering::SeqCst) {
                gateway.assert_balanced();
                scrapes += 1;
            }
            scrapes
        });
        let results: Vec<_> = senders.into_iter().map(|sender| sender.join()).collect();
        if results.iter().all(Result::is_ok) {
            gateway.assert_settled();
        }
        done.store(true, Ordering::SeqCst);
        let scrapes = scraper.join().expect("the scraper");
        results.into_iter().for_each(|result| result.expect("a sender"));
        scrapes
    });
    assert!(scrapes > 10, "{scrapes}");
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("sekisho_recipients_accepted_total"), 800.0);
    assert_eq!(metrics.sum("sekisho_recipients_delivered_total"), 600.0);
    assert_eq!(metrics.sum("sekisho_recipients_bounced_total"), 200.0);
}

#[test]
fn the_endpoints_answer() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    assert_eq!(gateway.get("/livez").0, 200);
    assert_eq!(gateway.get("/readyz").0, 200);
    assert_eq!(gateway.get("/nothing").0, 404);
    let (status, text) = gateway.get("/metrics");
    assert_eq!(status, 200);
    for name in [
        "sekisho_recipients_accepted_total",
        "sekisho_recipients_recovered_total",
        "sekisho_recipients_delivered_total",
        "sekisho_recipients_bounced_total",
        "sekisho_recipients_expired_total",
        "sekisho_recipients_discarded_total",
        "sekisho_recipients_queued",
        "sekisho_recipients_held",
        "sekisho_recipients_quarantined",
        "sekisho_recipients_released_total",
        "sekisho_balance_recipients",
    ] {
        assert!(text.contains(&format!("# TYPE {name} ")), "no {name}");
    }
    let typed = |line: &str| line.starts_with("sekisho_") || line.starts_with("process_") || line.starts_with('#');
    assert!(text.lines().all(typed), "every series has our prefix");
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series < 1000, "{series} series on an idle node");
}
