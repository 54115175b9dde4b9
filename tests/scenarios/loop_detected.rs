//! Mail that has been passed on too often is refused (RTY-06).

use crate::support::{Client, FakeMx, Gateway, message};

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
fn a_next_hop_that_sends_everything_back_is_stopped() {
    // acme.example's next hop is the gateway itself.
    let mut gateway = Gateway::builder().acme("127.0.0.1:9".parse().unwrap()).quick_retries().build();
    gateway.write_tenants(&crate::support::gateway::acme("queued", &[gateway.inbound], "\"any\""));
    gateway.apply();
    gateway.serve();
    gateway.send_inbound("", &["you@acme.example"], &message("boomerang", "x\r\n"));
    let line = gateway.logged("bounced", |line| line["recipient"] == "you@acme.example");
    assert!(line["reply"].as_str().unwrap_or_default().contains("5.4.6"), "{line}");
    gateway.assert_settled();
    assert!(gateway.metrics().sum("sekisho_recipients_accepted_total") < 150.0);
}
