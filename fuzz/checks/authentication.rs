//! What must hold of a message from anywhere: reading its fields, signatures, chain and Authentication-Results never
//! panics; nobody unknown is ever authenticated; questions stay within the budget; our own field stays one field, and
//! without the forged ones nothing claims to be ours.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sekisho::clock::Clock;
use sekisho::dns::MemoryResolver;
use sekisho::model::Timestamp;
use sekisho::model::authentication::{ArcResult, DkimResult, DmarcResult};
use sekisho::sender::authentication::block::Block;
use sekisho::sender::authentication::results::{Smtp, forged, make, merged};
use sekisho::sender::authentication::{Authenticator, Config};

const OURS: &str = "mx.example";

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let resolver = MemoryResolver::default()
        .with_txt("s._domainkey.example.com", &["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="])
        .with_txt("_dmarc.example.com", &["v=DMARC1; p=reject"]);
    let clock = Clock::manual(Timestamp::from_millis(1_000_000));
    let config = Config { authserv_id: OURS.into(), ..Config::default() };
    let authenticator = Authenticator::build(config, Arc::new(resolver), clock);
    let budget = authenticator.budget();
    let found = now(authenticator.message(data, &[], &budget));
    assert!(budget.spent() <= 64 && budget.asked().len() <= 64);
    assert!(found.dkim.len() <= 5, "{} signatures", found.dkim.len());
    // The only key in this world signs nothing that a fuzzer can make.
    assert!(found.dkim.iter().all(|dkim| dkim.result != DkimResult::Pass));
    assert_ne!(found.arc.result, ArcResult::Pass);
    assert_ne!(found.dmarc.result, DmarcResult::Pass);

    let text = String::from_utf8_lossy(data.get(..200.min(data.len())).unwrap_or_default()).into_owned();
    let field = make(OURS, &found, Smtp { helo: &text, mail_from: &text }, &[]);
    let block = Block::read(field.as_bytes());
    assert!(block.fields.len() == 1 && block.odd_line.is_none() && block.body.is_empty(), "{field:?}");
    assert!(field.is_ascii() && field.split("\r\n").all(|line| line.len() <= 998), "{field:?}");

    let ranges = forged(data, OURS);
    let mut left = data.to_vec();
    for range in ranges.iter().rev() {
        left.drain(range.clone());
    }
    assert!(forged(&left, OURS).is_empty(), "something claims to be ours still");
    assert!(merged(&left, OURS).is_none());
}

/// Nothing in memory ever waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a question to memory waited"),
    }
}
