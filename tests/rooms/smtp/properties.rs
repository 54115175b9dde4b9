//! What must hold for every input: cuts don't matter, odd ends of data don't end a message, and what the session takes is what
//! a naive reading of RFC 5321 takes.

use super::talk::{Asked, Say, Talk, accept_all};
use proptest::prelude::*;
use sekisho::model::{Decision, Direction, Enhanced, Reply};
use sekisho::smtp::{CloseReason, Question, SessionConfig, Start};

const ENVELOPE: &[u8] = b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@acme.example>\r\n";

fn config() -> SessionConfig {
    let mut config = SessionConfig::new("mx.gateway.example", Direction::Inbound);
    config.starttls = true;
    config.limits.data_line = 40;
    config.limits.header_count = 6;
    config.limits.message_size = 300;
    config.limits.discard = 2000;
    config.limits.errors = 1000;
    config
}

/// What a talk came to.
#[derive(Debug, PartialEq, Eq)]
struct Result {
    said: Vec<u8>,
    messages: Vec<Asked>,
    refused: Vec<u16>,
    closed: Option<CloseReason>,
}

/// Sends the parts in order, each in the cuts given, waiting for the replies in between.
fn talk(config: &SessionConfig, parts: &[Vec<u8>], cuts: &mut dyn FnMut() -> usize) -> Result {
    let mut talk = Talk::new(config.clone(), Start::default(), accept_all);
    for part in parts {
        let mut rest = part.as_slice();
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(cuts().clamp(1, rest.len()));
            talk.send(piece);
            rest = tail;
        }
    }
    Result { said: talk.said(), messages: talk.messages, refused: talk.refused, closed: talk.closed }
}

fn whole(config: &SessionConfig, parts: &[Vec<u8>]) -> Result {
    talk(config, parts, &mut || usize::MAX)
}

/// Octets with everything that may confuse a reader.
fn hostile(max: usize) -> impl Strategy<Value = Vec<u8>> {
    let atom = prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        2 => Just(b".".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\0".to_vec()),
        1 => Just(b"\r\n.".to_vec()),
        1 => Just(b"\r\n..\r\n".to_vec()),
        1 => Just(b"QUIT\r\n".to_vec()),
        2 => Just(b"h: v\r\n".to_vec()),
        4 => "[a-z ]{1,30}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..8),
    ];
    proptest::collection::vec(atom, 0..max).prop_map(|atoms| atoms.concat())
}

/// Mostly sound, so that the good path is met often enough.
fn sound(max: usize) -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![Just(String::new()), "[a-z.: ]{1,38}".boxed()];
    proptest::collection::vec(line, 0..max)
        .prop_map(|lines| lines.iter().flat_map(|l| [l.as_bytes(), b"\r\n"].concat()).collect())
}

/// A client that waits where it must: parts between which the replies are awaited.
fn any_talk() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let command = prop_oneof![
        Just(b"NOOP\r\n".to_vec()),
        Just(b"RSET\r\n".to_vec()),
        Just(b"VRFY x\n".to_vec()),
        Just(b"MAIL FROM:<>\r\n".to_vec()),
        Just(b"RCPT TO:<b@acme.example>\r\n".to_vec()),
        Just(b"FROB \r x\r\n".to_vec()),
        (hostile(6), any::<bool>()).prop_map(|(octets, last)| {
            let mut chunk = format!("BDAT {}{}\r\n", octets.len(), if last { " LAST" } else { "" }).into_bytes();
            chunk.extend(octets);
            chunk
        }),
        Just(ENVELOPE.to_vec()),
    ];
    let part = prop_oneof![
        2 => proptest::collection::vec(command, 1..5).prop_map(|commands| vec![commands.concat()]),
        1 => Just(vec![b"EHLO c\r\n".to_vec()]),
        1 => Just(vec![b"DATA\r\n".to_vec()]),
        3 => prop_oneof![hostile(20), sound(12)].prop_map(|mut body| {
            body.extend(b"\r\n.\r\nNOOP\r\n");
            vec![b"RSET\r\n".to_vec(), [ENVELOPE, b"DATA\r\n"].concat(), body]
        }),
    ];
    proptest::collection::vec(part, 1..8).prop_map(|parts| {
        let mut all = vec![b"HELO c\r\n".to_vec()];
        all.extend(parts.into_iter().flatten());
        all
    })
}

/// The naive reading: the message before the first line that is a lone dot, and whether it is sound.
fn naive(octets: &[u8], config: &SessionConfig) -> Option<std::result::Result<Vec<u8>, ()>> {
    let framed = [b"\r\n", octets].concat();
    let end = framed.windows(5).position(|window| window == b"\r\n.\r\n")?;
    let wire = octets.get(..end).unwrap_or_default();
    let limits = &config.limits;
    let (mut message, mut fields, mut in_header, mut sound) = (Vec::new(), 0, true, true);
    let mut rest = wire;
    while !rest.is_empty() {
        let length = rest.windows(2).position(|window| window == b"\r\n").expect("a whole line");
        let line = &rest[..length];
        rest = &rest[length + 2..];
        let line = line.strip_prefix(b".").unwrap_or(line);
        sound &= line.len() <= limits.data_line && !line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0));
        fields += u32::from(in_header && line.first().is_some_and(|b| !matches!(b, b' ' | b'\t')));
        in_header &= !line.is_empty();
        message.extend_from_slice(line);
        message.extend_from_slice(b"\r\n");
    }
    sound &= fields <= limits.header_count && message.len() as u64 <= limits.message_size;
    Some(if sound { Ok(message) } else { Err(()) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_do_not_matter(parts in any_talk(), cuts in proptest::collection::vec(1usize..20, 1..50)) {
        let want = whole(&config(), &parts);
        let mut next = cuts.iter().copied().cycle();
        prop_assert_eq!(&talk(&config(), &parts, &mut || next.next().unwrap()), &want);
        prop_assert_eq!(&talk(&config(), &parts, &mut || 1), &want);
    }

    #[test]
    fn data_is_read_as_the_standard_says(body in prop_oneof![hostile(20), sound(12)]) {
        let config = config();
        let wire = [&body, b"\r\n.\r\n".as_slice()].concat();
        let head = [b"HELO c\r\n".to_vec(), [ENVELOPE, b"DATA\r\n"].concat()];
        let got = whole(&config, &[&head[..], std::slice::from_ref(&wire)].concat());
        match naive(&wire, &config).expect("it has an end") {
            Ok(message) => {
                prop_assert_eq!(&got.messages[0].body, &message);
            }
            Err(()) => {
                prop_assert!(!got.refused.is_empty());
                prop_assert!(got.messages.is_empty());
            }
        }
    }

    #[test]
    fn chunks_are_one_message(body in prop_oneof![hostile(12), sound(12)], cuts in proptest::collection::vec(0usize..30, 1..20)) {
        let config = config();
        let mut wire = [b"HELO c\r\n".to_vec(), ENVELOPE.to_vec()];
        let mut rest = body.as_slice();
        for cut in cuts {
            let (chunk, tail) = rest.split_at(cut.min(rest.len()));
            wire[1].extend(format!("BDAT {}\r\n", chunk.len()).into_bytes());
            wire[1].extend(chunk);
            rest = tail;
        }
        wire[1].extend(format!("BDAT {} LAST\r\n", rest.len()).into_bytes());
        wire[1].extend(rest);
        let got = whole(&config, &wire);
        // the same octets by DATA, if they can be sent that way at all
        let mut stuffed: Vec<u8> = body.split_inclusive(|&b| b == b'\n').flat_map(|line| {
            if line.first() == Some(&b'.') { [b".", line].concat() } else { line.to_vec() }
        }).collect();
        stuffed.extend(if body.is_empty() || body.ends_with(b"\r\n") { b".\r\n".as_slice() } else { b"\r\n.\r\n" });
        let ends_in_cr = body.ends_with(b"\r");
        match naive(&stuffed, &config) {
            Some(Ok(message)) if !ends_in_cr => prop_assert_eq!(&got.messages[0].body, &message),
            _ => prop_assert!(got.messages.is_empty() && !got.refused.is_empty()),
        }
    }
}

const VARIANTS: [&[u8]; 7] = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0", b"\r\0\n"];

#[test]
fn no_odd_end_of_data_ends_a_message() {
    let config = SessionConfig::new("mx.gateway.example", Direction::Inbound);
    let smuggled = b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<b@acme.example>\r\nDATA\r\nspoofed\r\n";
    for before in VARIANTS {
        for after in VARIANTS {
            let odd = [before, b".", after].concat();
            let ends =
                [b"\r\n", odd.as_slice()].concat().windows(5).any(|w| w == b"\r\n.\r\n") && before.ends_with(b"\r\n");
            let body = [b"Subject: x\r\n\r\ntext", odd.as_slice(), smuggled, b"\r\n.\r\n"].concat();
            let head = [b"HELO c\r\n".to_vec(), [ENVELOPE, b"DATA\r\n"].concat()];
            if ends {
                // a true end: DATA with octets behind it in one write is out of step, so the rest can't be smuggled either
                let got = whole(&config, &[&head[..], std::slice::from_ref(&body)].concat());
                assert!(got.messages.len() <= 1, "{odd:?}");
                assert_eq!(got.closed, Some(CloseReason::OutOfStep), "{odd:?}");
                continue;
            }
            for cut in 1..body.len() {
                let (a, b) = body.split_at(cut);
                let parts = [&head[..], &[a.to_vec(), b.to_vec()]].concat();
                let got = whole(&config, &parts);
                assert_eq!(got.messages, [], "{odd:?} cut at {cut}");
                assert_eq!(got.refused, [554], "{odd:?} cut at {cut}");
                assert_eq!(got.closed, None, "{odd:?} cut at {cut}");
                let replies = got.said.split(|&b| b == b'\n').count() - 1;
                assert_eq!(replies, 6, "{odd:?} cut at {cut}: {}", String::from_utf8_lossy(&got.said));
            }
        }
    }
}

#[test]
fn what_stands_behind_starttls_is_never_answered() {
    let injected = b"RSET\r\nNOOP\r\nQUIT\r\n";
    for cut in 0..=injected.len() {
        let mut talk = Talk::new(config(), Start::default(), accept_all);
        talk.send(b"EHLO c\r\n");
        talk.said();
        talk.send(&[b"STARTTLS\r\n", &injected[..cut]].concat());
        assert_eq!(talk.said(), b"220 2.0.0 ready to start TLS\r\n");
        talk.send(&injected[cut..]);
        assert_eq!(talk.said(), b"", "cut at {cut}");
        talk.session.tls_established();
        talk.send(b"");
        assert_eq!(talk.said(), b"", "cut at {cut}");
        talk.send(b"MAIL FROM:<a@client.example>\r\n");
        assert_eq!(talk.said(), b"503 5.5.1 EHLO or HELO first\r\n");
    }
}

#[test]
fn recipients_beyond_the_limit_are_put_off_and_the_first_ones_kept() {
    let mut config = SessionConfig::new("mx.gateway.example", Direction::Inbound);
    config.limits.recipients = 1; // never below 100
    let mut talk = Talk::new(config, Start::default(), accept_all);
    talk.send(b"HELO c\r\n");
    talk.send(b"MAIL FROM:<>\r\n");
    talk.said();
    for _ in 0..1000 {
        talk.send(b"RCPT TO:<b@acme.example>\r\n");
    }
    let said = String::from_utf8(talk.said()).unwrap();
    assert_eq!(said.matches("250 2.1.5").count(), 100);
    assert_eq!(said.matches("452 4.5.3").count(), 900);
    assert_eq!(talk.rcpts_refused.len(), 900);
    assert_eq!(talk.rcpts_refused[0], ("b@acme.example".to_owned(), 452));
    talk.send(b"RCPT TO:<@x:b@acme.example>\r\n");
    assert_eq!(talk.rcpts_refused[900], ("TO:<@x:b@acme.example>".to_owned(), 550));
    talk.said();
    talk.send(b"DATA\r\n");
    talk.send(b".\r\n");
    assert_eq!(talk.messages[0].envelope.recipients.len(), 100);
}

#[test]
fn recipients_far_beyond_the_limit_end_the_session() {
    let mut config = SessionConfig::new("mx.gateway.example", Direction::Inbound);
    config.limits.recipients = 1; // never below 100
    let idle = config.limits.commands_without_mail as usize;
    let mut talk = Talk::new(config, Start::default(), accept_all);
    talk.send(b"HELO c\r\n");
    talk.send(b"MAIL FROM:<>\r\n");
    for _ in 0..2000 {
        talk.send(b"RCPT TO:<b@acme.example>\r\n");
    }
    let said = String::from_utf8(talk.said()).unwrap();
    let put_off = said.matches("452 4.5.3").count();
    assert!((1000..=1000 + idle).contains(&put_off), "{put_off}");
    assert_eq!(said.matches("421 4.7.0").count(), 1);
    assert!(said.ends_with("without a message\r\n"), "nothing follows the 421");
}

#[test]
fn recipients_put_off_without_end_end_the_session_too() {
    let mut config = SessionConfig::new("mx.gateway.example", Direction::Inbound);
    config.limits.recipients = 1; // never below 100
    let idle = config.limits.commands_without_mail as usize;
    let greylist = |question: &Question| match question {
        Question::Rcpt(_) => Say::Decide(Decision::Defer(Reply::new(450, Enhanced(4, 7, 1), "come again"))),
        question => accept_all(question),
    };
    let mut talk = Talk::new(config, Start::default(), greylist);
    talk.send(b"HELO c\r\n");
    talk.send(b"MAIL FROM:<>\r\n");
    talk.send(&b"RCPT TO:<b@acme.example>\r\n".repeat(2000));
    let said = String::from_utf8(talk.said()).unwrap();
    let put_off = said.matches("450 4.7.1").count();
    assert!((1000..=1000 + idle).contains(&put_off), "{put_off}");
    assert_eq!(talk.closed, Some(CloseReason::TooManyCommands));
    assert!(said.ends_with("without a message\r\n"), "nothing follows the 421");
}

#[test]
fn an_endless_line_and_an_endless_message_end_the_session() {
    let mut endless = Talk::new(config(), Start::default(), accept_all);
    for _ in 0..100 {
        endless.send(&[b'a'; 1000]);
    }
    assert_eq!(endless.closed, Some(CloseReason::LineTooLong));
    let mut endless = Talk::new(config(), Start::default(), accept_all);
    endless.send(b"HELO c\r\n");
    endless.send(&[ENVELOPE, b"DATA\r\n"].concat());
    for _ in 0..100 {
        endless.send(&[b'a'; 1000]);
    }
    assert_eq!(endless.closed, Some(CloseReason::TooMuchDiscarded));
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<sekisho::smtp::Session>() <= 256, "{}", size_of::<sekisho::smtp::Session>());
}

#[test]
fn a_question_that_is_dropped_closes_and_an_old_answer_does_nothing() {
    use bytes::BytesMut;
    use sekisho::model::Decision;
    use sekisho::smtp::{Question, Session, Step};
    let mut session = Session::new(std::sync::Arc::new(config()), Start::default());
    let (mut input, mut out, mut body) = (BytesMut::from("HELO c\r\n"), BytesMut::new(), BytesMut::new());
    session.greet(Decision::Accept, &mut out);
    let Step::Ask(Question::Helo(question)) = session.step(&mut input, &mut out, &mut body) else { panic!() };
    out.clear();
    assert!(matches!(session.step(&mut input, &mut out, &mut body), Step::Close(CloseReason::Unanswered)));
    assert_eq!(out.split(), "421 4.3.0 internal fault, try again later\r\n");
    question.answer(&mut session, Decision::Accept, &mut out);
    assert!(out.is_empty());
}

#[test]
fn talk_before_the_banner_is_refused() {
    use bytes::BytesMut;
    use sekisho::model::Decision;
    use sekisho::smtp::{Session, Step};
    let mut session = Session::new(std::sync::Arc::new(config()), Start::default());
    let (mut input, mut out, mut body) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    assert!(matches!(session.step(&mut input, &mut out, &mut body), Step::Read));
    input.extend_from_slice(b"EHLO c\r\n");
    assert!(matches!(session.step(&mut input, &mut out, &mut body), Step::Close(CloseReason::EarlyTalk)));
    assert_eq!(out.split(), "554 5.5.0 synchronisation error: wait for the greeting\r\n");
    session.greet(Decision::Accept, &mut out);
    session.shutting_down(&mut out);
    assert!(out.is_empty());
}
