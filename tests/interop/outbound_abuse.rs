//! A tenant whose own Postfix sends through us, with many accounts: what measures against one of them do to it and to the others.

use crate::need_postfix;
use crate::postfix::Postfix;
use crate::support::fake_dns::FakeDns;
use crate::support::gateway::MX_PORT;
use crate::support::{Client, FakeMx, Gateway, GatewayBuilder, eventually, loopback, message};

/// A company: its Postfix relays all that its accounts send to the gateway, and the gateway to the destination.
pub struct Company {
    pub gateway: Gateway,
    pub postfix: Postfix,
    /// The company's own mailboxes: notices come here.
    pub own: FakeMx,
    pub dest: FakeMx,
    _dns: FakeDns,
}

impl Company {
    /// `settings` are those of the gateway.
    pub fn open(settings: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let (own, dns, ip) = (FakeMx::start(), FakeDns::start(), loopback::fresh_ip());
        let dest = FakeMx::builder().ip(ip).port(MX_PORT).hashes_only().start();
        dns.a("dest.example", &[ip]);
        let tenants = format!(
            "[[tenant]]\nid = \"acme\"\nadministrators = [\"admin@acme.example\"]\n\
             [[tenant.domain]]\nname = \"acme.example\"\nnext_hops = [{:?}]\nrecipients = \"any\"\n\
             [[tenant.outbound_client]]\nnetwork = \"127.0.0.0/8\"\n",
            own.address().to_string()
        );
        let gateway = settings(Gateway::builder().tenants(&tenants).dns(dns.address()).quick_retries()).start();
        let postfix = Postfix::start(gateway.outbound, &["initial_destination_concurrency = 20"]);
        Self { gateway, postfix, own, dest, _dns: dns }
    }

    /// `account` hands one message for one recipient to its server.
    pub fn send(&self, account: &str, recipient: &str, subject: &str, body: &str) {
        let mut client = Client::ready(self.postfix.address);
        let from = format!("{account}@acme.example");
        let text = message(subject, body).replace("Aoi <aoi@sender.example>", &from);
        client.mail(&from, &[recipient], text);
        client.quit();
    }

    /// Messages of an account that reached the destination.
    pub fn left(&self, account: &str) -> usize {
        let from = format!("{account}@acme.example");
        self.dest.accepted().iter().filter(|mail| mail.from == from).count()
    }

    /// Stage of the one measure about an account; `None`: there is none.
    pub fn stage(&self, account: &str) -> Option<String> {
        let listed = self.gateway.cli_ok(&["suspension", "ls", "--json"]);
        let of = |line: &&str| line.contains(&format!("\"sender\":\"{account}@acme.example\""));
        let line: serde_json::Value = serde_json::from_str(listed.lines().find(of)?).expect("JSON");
        line["stage"].as_str().map(ToOwned::to_owned)
    }
}

#[test]
fn a_suspended_account_waits_in_postfix_and_its_colleagues_mail_goes() {
    need_postfix!();
    let company = Company::open(|builder| builder);
    let add = ["suspension", "add", "suspend", "--tenant", "acme", "--sender", "taro@acme.example", "--reason", "x"];
    let id = company.gateway.cli_ok(&add).trim().to_owned();
    for n in 0..10 {
        company.send("taro", "you@dest.example", &format!("taro {n}"), "x\r\n");
        company.send(&format!("colleague{n}"), "you@dest.example", &format!("colleague {n}"), "x\r\n");
    }
    company.dest.wait(10);
    eventually("Postfix is told to wait", || {
        let log = company.postfix.log();
        log.lines().any(|line| line.contains("status=deferred") && line.contains(&id))
    });
    assert_eq!((company.left("taro"), company.stage("taro").as_deref()), (0, Some("suspend")));
    assert_eq!(company.own.one().recipients(), ["admin@acme.example"], "the administrator is told");
    company.gateway.cli_ok(&["suspension", "lift", &id, "--reason", "cleaned"]);
    company.dest.wait(20);
    assert_eq!((company.dest.count(), company.stage("taro")), (20, None), "each once");
    company.gateway.assert_settled();
}
