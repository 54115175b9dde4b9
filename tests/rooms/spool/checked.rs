//! Outbound mail in the spool: only with its check, only these octets, and the mark stays with it.

use bytes::Bytes;
use sekisho::model::Direction;
use sekisho::model::egress::Pool;
use sekisho::spool::{Body, NewMessage, SpoolError, Way};

use super::bench::{about, config, far, id, open};
use crate::checked::{SPAM, checked};

const TEXT: &[u8] = b"Subject: x\r\n\r\nhello\r\n";

fn memory(head: &'static str, rest: &[u8]) -> Body {
    Body::Memory { head: Bytes::from_static(head.as_bytes()), rest: Bytes::copy_from_slice(rest) }
}

#[tokio::test]
async fn the_mark_names_the_pool_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let spam = format!("Subject: x\r\n\r\n{SPAM}\r\n").into_bytes();
    for (number, text) in [(1, TEXT), (2, &*spam)] {
        let (check, about) = (checked(text).await, about(&["a@one.example"]));
        let message = NewMessage::outbound(check, id(number), about, memory("Received: x\r\n", text));
        assert_eq!(message.meta().direction, Direction::Outbound);
        bench.spool.commit(vec![message]).await.unwrap();
    }
    let pools = |bench: &super::bench::Bench| {
        let mut leases = bench.spool.take_due(far(), 10);
        leases.sort_by_key(sekisho::spool::Lease::id);
        assert!(leases.iter().all(|lease| matches!(lease.way(), Way::Out(_))));
        leases.iter().map(|lease| lease.way().pool()).collect::<Vec<_>>()
    };
    assert_eq!(pools(&bench), [Pool::Normal, Pool::Suspect]);
    drop(bench);
    let bench = open(config(dir.path()));
    assert_eq!((bench.report.unchecked, bench.report.held, bench.report.queued), (0, 0, 2));
    assert_eq!(pools(&bench), [Pool::Normal, Pool::Suspect]);
}

#[tokio::test]
async fn what_was_not_checked_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let large = b"0123456789abcdef".repeat(70_000);
    let mut draft = bench.spool.draft().unwrap();
    draft.append(&large).unwrap();
    let other = [TEXT, b"and more\r\n"].concat();
    let same_length: Vec<u8> = TEXT.iter().map(|octet| if *octet == b'h' { b'H' } else { *octet }).collect();
    for (number, body) in (1..).zip([
        memory("", &other),
        memory("", &same_length),
        memory("", &large),
        memory("Received: x\r\n\r\nanother message\r\n", TEXT),
        memory("\r\n", TEXT),
        memory("Received: x", TEXT),
        Body::File { head: Bytes::new(), draft },
    ]) {
        let message = NewMessage::outbound(checked(TEXT).await, id(number), about(&["a@one.example"]), body);
        let refused = bench.spool.commit(vec![message]).await;
        assert!(matches!(refused, Err(SpoolError::Unchecked(..))), "{number}: {refused:?}");
    }
    assert!(bench.spool.is_empty());
    for place in ["large", "drafts"] {
        assert_eq!(std::fs::read_dir(dir.path().join(place)).unwrap().count(), 0, "{place}");
    }
}

#[tokio::test]
async fn a_large_message_is_held_against_its_check_too() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let large = [TEXT, &b"0123456789abcdef\r\n".repeat(70_000)].concat();
    let mut draft = bench.spool.draft().unwrap();
    draft.append(&large).unwrap();
    let check = checked(&large).await;
    let to = || about(&["a@one.example"]);
    let file = NewMessage::outbound(check.clone(), id(1), to(), Body::File { head: Bytes::new(), draft });
    let spilled = NewMessage::outbound(check, id(2), to(), memory("Received: x\r\n", &large));
    bench.spool.commit(vec![file, spilled]).await.unwrap();
    assert_eq!(bench.spool.take_due(far(), 10).len(), 2);
}

/// What is inbound stays inside, whatever it says of itself.
#[tokio::test]
async fn inbound_mail_and_notices_to_tenants_have_no_exit() {
    let dir = tempfile::tempdir().unwrap();
    let bench = open(config(dir.path()));
    let to = || about(&["a@far.example"]);
    let messages =
        vec![NewMessage::inbound(id(1), to(), memory("", TEXT)), NewMessage::notice(id(2), to(), memory("", TEXT))];
    assert!(messages[1].meta().envelope.sender.address().is_none(), "a notice is from nobody");
    bench.spool.commit(messages).await.unwrap();
    let leases = bench.spool.take_due(far(), 10);
    assert_eq!(leases.iter().map(|lease| lease.way()).collect::<Vec<_>>(), [Way::Inside, Way::Inside]);
}
