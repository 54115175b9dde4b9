//! What must hold of a session for any input: no panic; replies are whole lines; a message is asked about only with a sound,
//! canonical body; what it buffers is bounded by what it was given; how the input was cut doesn't matter.
//!
//! The first octet picks the settings and how questions are answered, the second how the input is cut; the rest is what the
//! client sends. Mostly a cut falls after a line whose reply must be awaited, else few talks would come past EHLO.

use std::sync::Arc;

use bytes::BytesMut;
use sekisho::model::{AcceptedReply, Decision, Direction, Enhanced, MessageId, Receipt, Reply};
use sekisho::smtp::{AuthOffer, MessageReply, Question, Session, SessionConfig, Start, Step};

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let [settings, cut, client @ ..] = data else { return };
    let cut = usize::from(*cut % 31) + 1;
    let in_pieces = talk(*settings, client, cut);
    // the same, sent line by line: only what is out of step may differ
    if !in_pieces.closed_early {
        let by_octets = talk(*settings, client, 1);
        assert!(
            by_octets.said == in_pieces.said && by_octets.taken == in_pieces.taken,
            "cuts matter: {:?} against {:?}",
            String::from_utf8_lossy(&by_octets.said),
            String::from_utf8_lossy(&in_pieces.said)
        );
    }
}

/// What a talk came to.
struct Talk {
    said: Vec<u8>,
    taken: Vec<u8>,
    /// Closed, or TLS begun, with octets unread: where exactly depends on the cuts.
    closed_early: bool,
}

fn config(settings: u8) -> (SessionConfig, Start) {
    let mut config = SessionConfig::new("mx.example", Direction::Inbound);
    config.starttls = settings & 1 != 0;
    config.auth = AuthOffer::AfterTls;
    config.require_tls = settings & 2 != 0;
    config.limits.errors = 50;
    config.limits.command_line = 200;
    config.limits.data_line = 100;
    config.limits.header_count = 5;
    config.limits.message_size = 2000;
    config.limits.discard = 4000;
    (config, Start { tls: settings & 4 != 0, xclient_trusted: settings & 8 != 0 })
}

fn talk(settings: u8, client: &[u8], cut: usize) -> Talk {
    let (config, start) = config(settings);
    let limits = config.limits.clone();
    let mut session = Session::new(Arc::new(config), start);
    let (mut input, mut out, mut body) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    let mut talk = Talk { said: Vec::new(), taken: Vec::new(), closed_early: false };
    // a small generator of answers, the same for every cut
    let mut answers = u32::from(settings) | 1;
    session.greet(Decision::Accept, &mut out);
    for piece in pieces(client, cut, settings & 64 == 0) {
        input.extend_from_slice(piece);
        loop {
            let step = session.step(&mut input, &mut out, &mut body);
            assert_whole_lines(&out);
            talk.said.extend_from_slice(&out.split());
            assert!(body.len() as u64 <= limits.message_size + 2, "{} octets of body", body.len());
            match step {
                Step::Read => break,
                Step::Ask(question) => {
                    answer(question, &mut session, &mut talk, &mut out, &mut body, &mut answers, settings)
                }
                Step::StartTls => {
                    body.clear();
                    talk.closed_early = true;
                    session.tls_established();
                    assert!(input.is_empty(), "plaintext was kept over STARTTLS");
                }
                Step::RcptRefused(_) => {}
                Step::Reset | Step::Refused(_) => body.clear(),
                Step::Close(_) => {
                    talk.closed_early = true;
                    return talk;
                }
            }
        }
        assert!(input.len() <= limits.command_line + 2, "{} octets of input were left", input.len());
    }
    talk
}

/// Pieces of at most `cut` octets; with `patient` none reaches beyond a line whose reply must be awaited.
fn pieces(client: &[u8], cut: usize, patient: bool) -> Vec<&[u8]> {
    let must_wait = |line: &[u8]| {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        patient && matches!(&*verb, b"AUTH" | b"DATA" | b"EHLO" | b"HELO" | b"XCLI")
    };
    let (mut pieces, mut group_start, mut end) = (Vec::new(), 0, 0);
    for line in client.split_inclusive(|&b| b == b'\n') {
        end += line.len();
        if must_wait(line) || end == client.len() {
            pieces.extend(client[group_start..end].chunks(cut));
            group_start = end;
        }
    }
    pieces
}

fn answer(
    question: Question,
    session: &mut Session,
    talk: &mut Talk,
    out: &mut BytesMut,
    body: &mut BytesMut,
    answers: &mut u32,
    settings: u8,
) {
    *answers = answers.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let no = Reply::new(450, Enhanced(4, 7, 1), "later");
    let decision = match *answers >> 28 {
        0 if settings & 16 != 0 => Decision::Defer(no.clone()),
        1 if settings & 16 != 0 => Decision::Reject(no.clone()),
        2 if settings & 32 != 0 => Decision::Disconnect(no.clone()),
        _ => Decision::Accept,
    };
    match question {
        Question::Helo(q) => {
            body.clear();
            q.answer(session, decision, out);
        }
        Question::Auth(q) => q.answer(session, decision, out),
        Question::Xclient(q) => q.answer(session, decision, out),
        Question::Mail(q) => q.answer(session, decision, out),
        Question::Rcpt(q) => q.answer(session, decision, out),
        Question::Data(q) => {
            body.clear();
            q.answer(session, decision, out);
        }
        Question::Message(q) => {
            assert_eq!(q.size(), body.len() as u64);
            assert!(!q.envelope().recipients.is_empty(), "a message for nobody");
            assert_sound(body);
            talk.taken.extend_from_slice(&body.split());
            let id = MessageId::new(1, 1);
            let reply = match (decision, AcceptedReply::from_receipts(&[Receipt::spooled(id, 1)], 1, id)) {
                (Decision::Accept, Some(accepted)) => MessageReply::Accepted(accepted),
                (Decision::Disconnect(_), _) => MessageReply::Disconnect(no),
                _ => MessageReply::Refused(no),
            };
            q.answer(session, reply, out);
        }
    }
}

/// Every line `ddd[ -]text CRLF`, nothing else.
fn assert_whole_lines(out: &[u8]) {
    assert!(out.is_empty() || out.ends_with(b"\r\n"), "half a line: {:?}", String::from_utf8_lossy(out));
    let text = out.strip_suffix(b"\r\n").unwrap_or_default();
    if out.is_empty() {
        return;
    }
    for line in text.split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let code = line.len() >= 4 && line[..3].iter().all(u8::is_ascii_digit) && matches!(line[3], b' ' | b'-');
        assert!(code && !line.iter().any(|b| b.is_ascii_control()), "{:?}", String::from_utf8_lossy(line));
    }
}

fn assert_sound(body: &[u8]) {
    assert!(body.is_empty() || body.ends_with(b"\r\n"), "no CRLF at the end");
    for (at, &byte) in body.iter().enumerate() {
        let sound = match byte {
            0 => false,
            b'\r' => body.get(at + 1) == Some(&b'\n'),
            b'\n' => at > 0 && body[at - 1] == b'\r',
            _ => true,
        };
        assert!(sound, "octet {byte} at {at}");
    }
}
