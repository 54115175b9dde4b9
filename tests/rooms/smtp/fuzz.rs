//! The fuzz targets' checks under the ordinary tests: committed seeds, and pseudo-random inputs from a fixed seed that are
//! built of the words a client or server uses, so that they get past the first line.

#[path = "../../../fuzz/checks/reply_reader.rs"]
mod reply_reader;
#[path = "../../../fuzz/checks/smtp_session.rs"]
mod smtp_session;

use std::path::Path;

/// xorshift: the same inputs on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap()
    }

    /// Mostly words, some octets, some words bent.
    fn input(&mut self, words: &[&[u8]], head: usize) -> Vec<u8> {
        let mut input: Vec<u8> = (0..head).map(|_| self.next() as u8).collect();
        for _ in 0..self.next() % 40 {
            let word = words[self.next() % words.len()];
            match self.next() % 16 {
                0 => input.push(self.next() as u8),
                1 => input.extend_from_slice(&word[..self.next() % (word.len() + 1)]),
                2 => input.extend(word.repeat(self.next() % 60)),
                _ => input.extend_from_slice(word),
            }
        }
        input
    }
}

fn replay(name: &str, check: fn(&[u8]), head: usize, words: &[&[u8]]) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display())) {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "no seeds in {}", seeds.display());
    let mut random = Random(0x5ec1_5b00_1234_5678);
    for _ in 0..6000 {
        let input = random.input(words, head);
        if let Err(panic) = std::panic::catch_unwind(|| check(&input)) {
            eprintln!("input: {}", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn smtp_session() {
    replay(
        "smtp_session",
        smtp_session::check,
        2,
        &[
            b"EHLO c\r\n",
            b"HELO c\r\n",
            b"MAIL FROM:<a@b.example>\r\n",
            b"MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x+2By\r\n",
            b"RCPT TO:<c@d.example>\r\n",
            b"RCPT TO:<c@d.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+40d\r\n",
            b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\n",
            b"HELO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n",
            b"BDAT 9 LAST\r\nok text\r\n",
            b"BDAT 4\r\na\r\nb",
            b"DATA\r\n",
            b"BDAT 5\r\n",
            b"BDAT 0\r\n",
            b"BDAT 7 LAST\r\n",
            b"BDAT 0 LAST\r\n",
            b"BDAT 300 LAST\r\n",
            b"Subject: x\r\n",
            b"\r\n",
            b"\r\n.\r\n",
            b".",
            b"\r",
            b"\n",
            b"\0",
            b"some text",
            b"AUTH PLAIN AHUAcA==\r\n",
            b"AUTH LOGIN\r\n",
            b"dXNlcg==\r\n",
            b"*\r\n",
            b"XCLIENT ADDR=192.0.2.1 NAME=x\r\n",
            b"STARTTLS\r\n",
            b"RSET\r\n",
            b"NOOP\r\n",
            b"VRFY x\r\n",
            b"QUIT\r\n",
            b"<a@b>",
            b" ",
        ],
    );
}

#[test]
fn reply_reader() {
    replay(
        "reply_reader",
        reply_reader::check,
        1,
        &[
            b"250 ok\r\n",
            b"250-",
            b"250 2.1.0 ",
            b"250-2.1.0 a\r\n",
            b"550-5.1.1 no\r\n",
            b"550 5.1.1 no\r\n",
            b"354\r\n",
            b"220 mx.example ESMTP\r\n",
            b"250-SIZE 1000\r\n",
            b"250-AUTH PLAIN LOGIN\r\n",
            b"250 STARTTLS\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"text",
            b"\0",
            b"\xe3\x81\x82",
            b"42",
            b"1",
        ],
    );
}
