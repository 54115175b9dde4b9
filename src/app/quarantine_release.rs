//! What a held message goes on as when it is released: as it would have been handed on at once.
//!
//! It is kept as it came, behind our own fields: for inbound mail what we found of its sender, and the trace field. What
//! others wrote under our names goes when it leaves.
//!
//! **Failure**: none. **Invariants**: octets of the body stay as they are.

use bytes::Bytes;

use crate::message::edit;
use crate::model::Direction;
use crate::model::disposition::Field;
use crate::quarantine::Held;
use crate::scan::kept;
use crate::sender::authentication::results;

/// Without fields that only we write. Inbound also without results that claim to be ours; what an outbound message says of such is
/// its sender's word, and stays.
pub(super) fn as_accepted(held: &Bytes, direction: Direction, authserv_id: &str) -> Bytes {
    match direction {
        Direction::Inbound => without_forged(held, authserv_id),
        Direction::Outbound => edit::without_reserved(held),
    }
}

fn without_forged(held: &Bytes, authserv_id: &str) -> Bytes {
    let message = behind_our_fields(held);
    let forged = results::forged(held.get(message..).unwrap_or_default(), authserv_id);
    let forged: Vec<_> = forged.into_iter().map(|range| range.start + message..range.end + message).collect();
    let held = if forged.is_empty() { held.clone() } else { kept(held, &forged).into() };
    edit::without_reserved(&held)
}

/// Where the message begins as it came: behind the first trace field, which is ours, as is all before it.
fn behind_our_fields(held: &[u8]) -> usize {
    let mut begin = 0;
    let mut in_trace = false;
    for line in held.split_inclusive(|octet| *octet == b'\n') {
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        if line == b"\r\n" || (in_trace && !folded) {
            break;
        }
        in_trace |= line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"received:"));
        begin += line.len();
    }
    if in_trace { begin } else { 0 }
}

/// What it counts as, and that somebody released it.
pub(super) fn verdict_field(held: &Held) -> String {
    let value = format!("{}; released", held.reason);
    edit::fields(&[Field { name: "X-Sekisho-Verdict".into(), value: value.into() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "Authentication-Results: mx.example; spf=pass smtp.mailfrom=a.example\r\n\
         Received: from a ([192.0.2.1])\r\n\tby mx.example (Sekisho) with ESMTP id 1;\r\n\tnow\r\n";

    fn released(message: &str) -> String {
        let held = Bytes::from(format!("{OURS}{message}"));
        let octets = as_accepted(&held, Direction::Inbound, "mx.example");
        let text = String::from_utf8(octets.to_vec()).unwrap();
        text.strip_prefix(OURS).expect("our own fields stay").to_owned()
    }

    #[test]
    fn what_others_wrote_under_our_names_goes_and_nothing_else() {
        let body = "\r\nX-Sekisho-Verdict: in the body\r\nAuthentication-Results: mx.example; dkim=pass\r\n";
        let honest = format!(
            "Received: from b\r\nAuthentication-Results: other.example; spf=fail\r\nFrom: a@a.example\r\n{body}"
        );
        assert_eq!(released(&honest), honest);
        let forged =
            "authentication-results: MX.example;\r\n\tdmarc=pass\r\nX-Spam-Flag: NO\r\nx-sekisho-verdict: clean\r\n";
        assert_eq!(released(&format!("{forged}{honest}")), honest);
        assert_eq!(released(body), body, "no header");
    }

    #[test]
    fn outbound_mail_loses_only_what_we_alone_write() {
        let trace = "Received: from a ([192.0.2.1])\r\n\tby mx.example (Sekisho) with ESMTP id 1;\r\n\tnow\r\n";
        let rest = "Authentication-Results: mx.example; spf=pass\r\nFrom: a@a.example\r\n\r\nx\r\n";
        let held = format!("{trace}X-Sekisho-Verdict: clean\r\n{rest}").into();
        assert_eq!(as_accepted(&held, Direction::Outbound, "mx.example"), format!("{trace}{rest}"));
        assert_eq!(without_forged(&Bytes::from_static(b"no trace"), "mx.example"), "no trace");
    }
}
