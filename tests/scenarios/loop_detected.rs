//! Mail that has been passed on too often is refused (RTY-06).

use crate::support::{Client, FakeMx, Gateway, eventually, message};

fn with_hops(count: usize) -> String {
    let hop = "Received: from a.example by b.example; Fri, 20 Nov 2026 09:00:00 +0900\r\n";
    hop.repeat(count) + &message("hops", "x\r\n")
}

#[test]
fn too_many_received_fields_are_a_loop() {
    let mx = FakeMx::start();
    let gateway = Gateway::builder().acme(mx.address()).start();
    let mut client = Client::ready(gateway.inbound);
    client.mail("a@sender.example", &["you@acme.example"], with_hops(30));
    client.envelope("a@sender.example", &["you@acme.example"]);
    let refused = client.data(with_hops(120));
    assert!(refused.code == 554 && refused.is("5.4.6"), "{refused:?}");
    client.quit();
    mx.one();
    gateway.assert_settled();
}

#[test]
fn two_gateways_that_pass_mail_to_each_other_are_stopped() {
    let nobody = "127.0.0.1:9".parse().unwrap();
    let mut one = Gateway::builder().acme(nobody).quick_retries().build();
    let mut two = Gateway::builder().acme(nobody).quick_retries().build();
    for (gateway, next) in [(&one, two.inbound), (&two, one.inbound)] {
        gateway.write_tenants(&crate::support::gateway::acme("queued", &[next], "\"any\""));
        gateway.apply();
    }
    one.serve();
    two.serve();
    one.send_inbound("", &["you@acme.example"], &message("ping-pong", "x\r\n"));
    eventually("the end of the loop", || {
        let lines = [one.mail_log(), two.mail_log()].concat();
        lines
            .iter()
            .any(|line| line["event"] == "bounced" && line["reply"].as_str().unwrap_or_default().contains("5.4.6"))
    });
    one.assert_settled();
    two.assert_settled();
    assert!(one.metrics().sum("sekisho_recipients_accepted_total") < 100.0);
}
