//! SMTP smuggling, in and out: only CRLF.CRLF ends DATA, no line end but CRLF comes in, and what goes out means the same
//! to a strict and to a lenient next hop. Messages at either sink = transactions answered 250.

use crate::support::gateway::{acme, tenant};
use crate::support::{Client, FakeMx, Gateway, message, show};

const ENDS: &[&str] =
    &["\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\0", "\0\r\n", "\r\0\n", "\n\n", "\r\r", " \r\n", "\u{85}"];

const SMUGGLED: &str = "MAIL FROM:<smuggler@evil.example>\r\nRCPT TO:<victim@acme.example>\r\nDATA\r\n\
    From: smuggler@evil.example\r\nSubject: smuggled\r\n\r\nboo\r\n.\r\n";

struct World {
    gateway: Gateway,
    strict: FakeMx,
    lenient: FakeMx,
}

impl World {
    fn new(capabilities: &[&str]) -> Self {
        let strict = FakeMx::builder().capabilities(capabilities).start();
        let lenient = FakeMx::builder().lenient().capabilities(capabilities).start();
        let gateway = Gateway::builder()
            .tenants(&acme("queued", &[strict.address()], "\"any\""))
            .tenants(&tenant("beta", "beta.example", "queued", &[lenient.address()], "\"any\""))
            .with_tls()
            .start();
        Self { gateway, strict, lenient }
    }

    fn client(&self) -> Client {
        let mut client = Client::ready(self.gateway.inbound);
        client.envelope("aoi@sender.example", &["you@acme.example", "you@beta.example"]);
        client
    }

    /// Both sinks hold exactly the accepted ones, each once.
    fn assert_equal_counts(&self, accepted: &[String]) {
        self.gateway.assert_settled();
        for (name, sink) in [("strict", &self.strict), ("lenient", &self.lenient)] {
            let mut subjects: Vec<String> =
                sink.seen().iter().map(|mail| mail.header("Subject").unwrap_or_default()).collect();
            let mut expected = accepted.to_vec();
            subjects.sort();
            expected.sort();
            assert_eq!(subjects, expected, "the {name} sink");
            assert!(sink.seen().iter().all(|mail| mail.from == "aoi@sender.example"), "smuggled at the {name} sink");
        }
        let taken = self.gateway.metrics().sum("sekisho_recipients_accepted_total");
        assert_eq!(taken, 2.0 * accepted.len() as f64);
    }
}

fn variants() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = ENDS.iter().flat_map(|before| ENDS.iter().map(move |after| (*before, *after)));
    // CRLF.CRLF itself is the one true end.
    all.filter(|(before, after)| !(before.ends_with("\r\n") && after.starts_with("\r\n")))
}

/// Harmless: no bare CR, LF or NUL, so the dot is text.
fn harmless(text: &str) -> bool {
    let text = text.replace("\r\n", "");
    !text.contains(['\r', '\n', '\0'])
}

#[test]
fn no_odd_end_of_data_ends_it() {
    let world = World::new(&["PIPELINING", "8BITMIME"]);
    let mut accepted = Vec::new();
    for (number, (before, after)) in variants().enumerate() {
        let subject = format!("variant {number}");
        let middle = format!("first{before}.{after}");
        let mail = message(&subject, &format!("{middle}{SMUGGLED}"));
        // SMUGGLED ends in CRLF.CRLF: the true end. Everything before it is one message.
        let mut client = world.client();
        client.raw_data(&mail);
        let replies = client.closed_after_quit();
        if replies[0].code == 250 {
            assert!(harmless(&middle), "{} was taken", show(middle.as_bytes()));
            accepted.push(subject);
        } else {
            assert!(replies[0].permanent(), "{}: {replies:?}", show(middle.as_bytes()));
        }
        assert_eq!(replies.len(), 2, "{}: {replies:?}", show(middle.as_bytes()));
        assert_eq!(replies[1].code, 221);
    }
    assert!(!accepted.is_empty(), "some variants hold no bare CR or LF and must pass");
    world.assert_equal_counts(&accepted);
}

#[test]
fn wherever_the_bytes_are_cut() {
    let world = World::new(&["PIPELINING"]);
    let mut accepted = Vec::new();
    for (before, after) in
        [("\n", "\n"), ("\r", "\r"), ("\r\n", "\n"), ("\n", "\r\n"), ("\r\n", "\r"), ("\r\r\n", "\r\n")]
    {
        let subject = "cut";
        let mail = message(subject, &format!("first{before}.{after}{SMUGGLED}"));
        let dot = mail.find(&format!("{before}.{after}")).unwrap();
        for cut in dot..dot + before.len() + after.len() + 2 {
            let mut client = world.client();
            client.command("DATA", 354);
            client.send(&mail[..cut]);
            client.send(&mail[cut..]);
            let replies = client.closed_after_quit();
            assert!(replies[0].permanent(), "{replies:?}");
        }
        // The true end at every cut, for comparison.
        let good = message("good", "body\r\n.\r\n");
        let at = good.len() - 5;
        for cut in at..good.len() {
            let mut client = world.client();
            client.command("DATA", 354);
            client.send(&good[..cut]);
            client.send(&good[cut..]);
            assert_eq!(client.closed_after_quit()[0].code, 250);
            accepted.push("good".to_owned());
        }
    }
    world.assert_equal_counts(&accepted);
}

/// As [`variants`], in BDAT, where no dot ends anything: odd ones are refused for what they hold, and what is taken goes
/// out over DATA with its dots stuffed.
#[test]
fn in_bdat_a_dot_is_only_a_dot() {
    let world = World::new(&["PIPELINING", "8BITMIME"]);
    let mut accepted = Vec::new();
    let pairs = ENDS.iter().flat_map(|before| ENDS.iter().map(move |after| (*before, *after)));
    for (number, (before, after)) in pairs.enumerate() {
        let subject = format!("bdat {number}");
        let middle = format!("first{before}.{after}");
        let mail = message(&subject, &format!("{middle}{SMUGGLED}"));
        // One chunk; two chunks cut just behind the first byte of the line end; the empty last chunk.
        let cut = mail.find("first").unwrap() + "first".len() + usize::from(number % 3 == 1);
        let mut client = world.client();
        let reply = match number % 3 {
            0 => client.bdat(&mail, true),
            1 => {
                client.bdat(&mail.as_bytes()[..cut], false);
                client.bdat(&mail.as_bytes()[cut..], true)
            }
            _ => {
                client.bdat(&mail.as_bytes()[..cut], false);
                client.bdat(&mail.as_bytes()[cut..], false);
                client.bdat("", true)
            }
        };
        if reply.code == 250 {
            assert!(harmless(&middle), "{} was taken", show(middle.as_bytes()));
            accepted.push(subject);
        } else {
            assert!(!harmless(&middle), "{} was refused: {reply:?}", show(middle.as_bytes()));
            assert!(reply.permanent(), "{reply:?}");
        }
        client.command("QUIT", 221);
    }
    assert!(accepted.len() >= 4, "{accepted:?}");
    world.assert_equal_counts(&accepted);
    for sink in [&world.strict, &world.lenient] {
        assert!(sink.seen().iter().all(|mail| !mail.bdat && mail.text().contains("Subject: smuggled")));
    }
}

#[test]
fn bdat_goes_out_as_bdat_whole() {
    let world = World::new(&["PIPELINING", "CHUNKING", "8BITMIME"]);
    let mail = message("chunk", &format!("first\r\n.\r\n{SMUGGLED}"));
    let mut client = world.client();
    assert_eq!(client.bdat(&mail, true).code, 250);
    client.quit();
    world.assert_equal_counts(&["chunk".to_owned()]);
    assert!(world.strict.one().text().ends_with(&mail));
}

#[test]
fn bdat_and_data_do_not_mix() {
    let world = World::new(&["PIPELINING"]);
    let mut client = world.client();
    assert_eq!(client.bdat("Subject: x\r\n\r\n", false).code, 250);
    let refused = client.ask("DATA");
    assert!(refused.permanent(), "{refused:?}");
    client.ask("RSET");
    client.envelope("aoi@sender.example", &["you@acme.example"]);
    // A chunk whose claim is longer than what a command line may promise, and garbage for a size.
    for bad in ["BDAT", "BDAT x", "BDAT -1", "BDAT 99999999999999999999 LAST", "BDAT 1 FIRST"] {
        let mut client = world.client();
        let refused = client.ask(bad);
        assert!(refused.permanent(), "{bad}: {refused:?}");
    }
    client.ask("RSET");
    client.quit();
    // BDAT without MAIL: refused, and its bytes are no commands.
    let mut client = Client::ready(world.gateway.inbound);
    let reply = client.bdat("MAIL FROM:<smuggler@evil.example>\r\n", true);
    assert!(reply.permanent(), "{reply:?}");
    client.quit();
    world.assert_equal_counts(&[]);
}

#[test]
fn bare_line_ends_and_nul_in_headers_are_refused() {
    let world = World::new(&["PIPELINING"]);
    for bad in [
        "Subject: a\rb\r\n\r\nx\r\n",
        "Subject: a\nb\r\n\r\nx\r\n",
        "Subject: a\0b\r\n\r\nx\r\n",
        "Subject: a\r\r\n\r\nx\r\n",
        "Subject: a\r\n\nx\r\n",
        "\nSubject: a\r\n\r\nx\r\n",
        "Subject: a\r\n\r\nx\r\n\r\r\n",
    ] {
        let mut client = world.client();
        assert!(client.data(bad).permanent(), "{} was taken by DATA", show(bad.as_bytes()));
        client.command("DATA", 503);
        client.envelope("aoi@sender.example", &["you@acme.example", "you@beta.example"]);
        assert!(client.bdat(bad, true).permanent(), "{} was taken by BDAT", show(bad.as_bytes()));
        client.quit();
    }
    world.assert_equal_counts(&[]);
}

#[test]
fn nothing_is_exempt_not_even_a_tenants_own_server_nor_tls() {
    let world = World::new(&["PIPELINING"]);
    let mut over_tls = Client::ready_tls(world.gateway.inbound);
    let mut own = Client::ready(world.gateway.outbound);
    for client in [&mut over_tls, &mut own] {
        client.envelope("aoi@acme.example", &["you@beta.example"]);
        client.raw_data(message("own", &format!("first\n.\n{SMUGGLED}")));
        let reply = client.reply();
        assert!(reply.permanent(), "{reply:?}");
        client.command("QUIT", 221);
    }
    world.assert_equal_counts(&[]);
}
