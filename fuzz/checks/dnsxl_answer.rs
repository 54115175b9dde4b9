//! What must hold of any answer to a question to a known-source list: no panic; an error code, an answer from outside 127/8 or none at
//! all is neither listed nor clean; "listed" has a reason of the settings; nothing told holds the zone.
//!
//! The first octet chooses the list, the second what kind of answer comes; the rest are the answer's addresses, four octets each,
//! or the words of a failure.

use std::net::Ipv4Addr;

use sekisho::dns::Answer;
use sekisho::model::sender::Listed;
use sekisho::sender::blocklists::answer::interpret;
use sekisho::sender::blocklists::{Kind, List, Zone, examples};
use sekisho::telemetry::metrics::ListAnswer;

const SECRET: &str = "k3y1234.zone.example";

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let [choice, kind, rest @ ..] = data else { return };
    let lists = lists();
    let list = &lists[usize::from(*choice) % lists.len()];
    let answer = match kind % 6 {
        0 => Answer::NoSuchDomain,
        1 => Answer::NoRecords,
        2 => Answer::Temporary(format!("{} {SECRET}", String::from_utf8_lossy(rest))),
        _ => Answer::Found(rest.chunks_exact(4).map(|c| Ipv4Addr::new(c[0], c[1], c[2], c[3])).collect()),
    };
    let said = interpret(list, &answer);
    assert!(!format!("{said:?}").contains("k3y1234"), "{said:?}");
    assert_eq!(said, interpret(list, &answer), "the same answer means the same");
    match &said.listed {
        Listed::Yes { reason, weight } => {
            assert_eq!(said.counted, ListAnswer::Listed);
            let known = list.codes.iter().any(|code| code.reason == *reason && code.weight.abs() == weight.abs());
            assert!(known && (list.kind != Kind::Allow || *weight <= 0), "{said:?}");
        }
        Listed::No => assert_eq!(said.counted, ListAnswer::NotListed),
        Listed::Degraded { why } => {
            assert!(matches!(said.counted, ListAnswer::Refused | ListAnswer::UnknownCode | ListAnswer::NoAnswer));
            assert!(why.len() < 100);
        }
    }
    if let Answer::Found(codes) = &answer {
        // An answer is read up to 32 addresses.
        let wrong = |code: &Ipv4Addr| code.octets()[0] != 127 || code.octets()[..3] == [127, 255, 255];
        if codes.iter().take(32).any(wrong) {
            assert_eq!(said.counted, ListAnswer::Refused, "{codes:?}");
        }
        assert_eq!(said.listed == Listed::No, codes.is_empty(), "{codes:?} came to {said:?}");
    }
}

fn lists() -> Vec<List> {
    let zone = Zone::parse(SECRET).expect("a domain");
    let mut lists: Vec<List> = examples().into_iter().map(|list| List { zone: zone.clone(), ..list }).collect();
    lists.push(List::new("bare", zone, Kind::Ip));
    lists
}
