//! What must hold of scanners' answers for any octets: no panic; an answer without a finding is one of the few that say clean;
//! what comes out is bounded and holds no control character; how a body was cut doesn't matter.
//!
//! The first octet chooses the scanner, the second how the input is cut.

use sekisho::model::finding::MAX_EVIDENCE;
use sekisho::scan::external::icap_reply::{Chunks, encapsulated, options, read_head, verdict};
use sekisho::scan::external::{Answer, TalkError, clamd, icap, rspamd, spamd};

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let [which, cut, octets @ ..] = data else { return };
    match which % 5 {
        0 => {
            let reply = clamd::read(octets);
            if reply == Ok(clamd::Reply::Clean) {
                assert_eq!(octets.trim_ascii_end(), b"stream: OK");
            }
            bounded(reply.map(|reply| clamd::judge(&reply)));
        }
        1 => {
            let reply = spamd::read(octets);
            if let Ok(reply) = &reply {
                assert!(octets.starts_with(b"SPAMD/1.") && reply.score.is_finite() && reply.required.is_finite());
            }
            bounded(reply.map(|reply| spamd::judge(&reply)));
        }
        2 => bounded(rspamd::read(200, octets).map(|reply| rspamd::judge(&reply))),
        3 => head(octets),
        _ => assert_eq!(body(octets, usize::from(*cut % 31) + 1), body(octets, octets.len().max(1)), "cuts matter"),
    }
}

fn bounded(answer: Result<Answer, TalkError>) {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let text = error.to_string();
            assert!(text.chars().count() < 200 && !text.contains(char::is_control), "{text:?}");
            return;
        }
    };
    for finding in &answer.findings {
        assert!(finding.evidence.chars().count() <= MAX_EVIDENCE && finding.symbol.chars().count() <= 120);
        assert!(!finding.evidence.contains(char::is_control) && !finding.symbol.contains(char::is_control));
        assert!((-2_000..=12_000).contains(&finding.score.0), "{finding:?}");
    }
    assert!(answer.findings.len() < 10_000);
}

fn head(octets: &[u8]) {
    let Ok(Some((head, length))) = read_head(octets, "ICAP") else { return };
    assert!(length <= octets.len() && (100..600).contains(&head.status));
    let _ = options(&head);
    if let Ok((Some(length), _)) = encapsulated(&head) {
        assert!(length <= 64 << 10);
    }
    if let Some(reply) = verdict(&head) {
        let answer = icap::judge(&reply);
        assert!(!answer.findings.is_empty(), "a field that names a threat: {head:?}");
        bounded(Ok(answer));
    }
}

fn body(octets: &[u8], cut: usize) -> (Vec<u8>, Option<Result<bool, ()>>) {
    let (mut chunks, mut out, mut last) = (Chunks::default(), Vec::new(), None);
    for piece in octets.chunks(cut) {
        let done = chunks.push(piece, |data| out.extend_from_slice(data)).map_err(|_| ());
        last = Some(done);
        if done != Ok(false) {
            break;
        }
    }
    // What stands before a fault may have been handed out in part.
    if matches!(last, Some(Err(()))) { (Vec::new(), last) } else { (out, last) }
}
