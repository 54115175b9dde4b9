//! What one message costs in the protocol machine alone: no socket, no spool, no policy.
//!
//! Method: one session, one 5 KB message (66 lines of 76 octets) per iteration, envelope and body in the writes a pipelining client
//! makes; questions are accepted at once, the 250 is made from a receipt. Buffers are reused as the driver reuses them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sekisho::model::{AcceptedReply, Decision, Direction, MessageId, Receipt};
use sekisho::smtp::{DotStuffer, MessageReply, Question, ReplyReader, Session, SessionConfig, Start, Step};

struct Driver {
    session: Session,
    input: BytesMut,
    out: BytesMut,
    body: BytesMut,
    messages: u64,
}

impl Driver {
    fn new() -> Self {
        let mut config = SessionConfig::new("mx.gateway.example", Direction::Inbound);
        config.limits.transactions = u32::MAX;
        let mut session = Session::new(Arc::new(config), Start::default());
        let mut out = BytesMut::with_capacity(4096);
        session.greet(Decision::Accept, &mut out);
        let mut driver = Self {
            session,
            input: BytesMut::with_capacity(65536),
            out,
            body: BytesMut::with_capacity(65536),
            messages: 0,
        };
        driver.send(b"EHLO client.example\r\n");
        driver
    }

    fn send(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        loop {
            let (session, out) = (&mut self.session, &mut self.out);
            match session.step(&mut self.input, out, &mut self.body) {
                Step::Read => break,
                Step::Ask(Question::Helo(question)) => question.answer(session, Decision::Accept, out),
                Step::Ask(Question::Mail(question)) => question.answer(session, Decision::Accept, out),
                Step::Ask(Question::Rcpt(question)) => question.answer(session, Decision::Accept, out),
                Step::Ask(Question::Data(question)) => question.answer(session, Decision::Accept, out),
                Step::Ask(Question::Message(question)) => {
                    black_box(&self.body[..]);
                    self.body.clear();
                    self.messages += 1;
                    let id = MessageId::new(self.messages, 7);
                    let reply = AcceptedReply::from_receipts(&[Receipt::spooled(id, 1)], 1, id).unwrap();
                    question.answer(session, MessageReply::Accepted(reply), out);
                }
                other => unreachable!("{other:?}"),
            }
        }
        black_box(&self.out[..]);
        self.out.clear();
        // as a driver does between reads: the room at the front is won back
        self.input.clear();
    }
}

fn message() -> Vec<u8> {
    let mut message = b"From: a@client.example\r\nTo: b@acme.example\r\nSubject: hello\r\n\r\n".to_vec();
    while message.len() < 5 * 1024 {
        message.extend_from_slice(&[b'x'; 76]);
        message.extend_from_slice(b"\r\n");
    }
    message
}

fn transactions(criterion: &mut Criterion) {
    let envelope = b"MAIL FROM:<alice@client.example> SIZE=5120\r\nRCPT TO:<bob@acme.example>\r\n".to_vec();
    let message = message();
    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Bytes(message.len() as u64));

    let head = [&envelope[..], b"DATA\r\n"].concat();
    let body = [&message[..], b".\r\n"].concat();
    let mut driver = Driver::new();
    group.bench_function("data_5k_pipelined", |bencher| {
        bencher.iter(|| {
            driver.send(&head);
            driver.send(&body);
        });
    });
    assert!(driver.messages > 0);

    let all = [&envelope[..], format!("BDAT {} LAST\r\n", message.len()).as_bytes(), &message].concat();
    let mut driver = Driver::new();
    group.bench_function("bdat_5k_one_write", |bencher| bencher.iter(|| driver.send(&all)));
    assert!(driver.messages > 0);

    let mut driver = Driver::new();
    group.bench_function("data_empty_pipelined", |bencher| {
        bencher.iter(|| {
            driver.send(&head);
            driver.send(b".\r\n");
        });
    });
    group.finish();
}

fn client(criterion: &mut Criterion) {
    let message = message();
    let mut group = criterion.benchmark_group("client");
    let mut out = BytesMut::with_capacity(65536);
    group.bench_function("dot_stuffing_5k", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mut stuffer = DotStuffer::new();
            stuffer.feed(black_box(&message), &mut out);
            stuffer.finish(&mut out);
            out.len()
        });
    });
    let replies = Bytes::from_static(b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n");
    let mut input = BytesMut::with_capacity(4096);
    group.bench_function("three_replies", |bencher| {
        bencher.iter(|| {
            input.clear();
            input.extend_from_slice(&replies);
            while let Some(reply) = ReplyReader::default().next(&mut input).unwrap() {
                black_box(reply);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, transactions, client);
criterion_main!(benches);
