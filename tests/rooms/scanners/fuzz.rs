//! The fuzz target's check under the ordinary tests: committed seeds, and pseudo-random answers from a fixed seed that are
//! built of the words of scanners.

#[path = "../../../fuzz/checks/scanner_replies.rs"]
mod scanner_replies;

use std::path::Path;

const WORDS: &[&[u8]] = &[
    b"stream: ",
    b"OK",
    b" FOUND",
    b"ERROR",
    b"Eicar",
    b"INSTREAM size limit exceeded. ",
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"SPAMD/1.1 0 EX_OK\r\n",
    b"SPAMD/1.0 79 x\r\n",
    b"Spam: True ; 15 / 5\r\n",
    b"Content-length: 3\r\n",
    b"A_B,",
    b"{\"score\":1,\"action\":\"reject\"",
    b",\"symbols\":{\"X_VIRUS\":{\"score\":9,\"options\":[\"v\"]}}",
    b"}",
    b"\"",
    b":",
    b"ICAP/1.0 200 OK\r\n",
    b"ICAP/1.0 204 No\r\n",
    b"Methods: RESPMOD\r\n",
    b"X-Virus-ID: no threats\r\n",
    b"X-Infection-Found: Type=2; Threat=x;\r\n",
    b"Encapsulated: res-hdr=0, res-body=9\r\n",
    b"X-Blocked: 1\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"; ieof",
    b"ffff\r\n",
    b"\xff\xfe",
    b"\x1b[2J",
    b" ",
    b"1e400",
    b"-",
];

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

#[test]
fn scanner_replies() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/scanner_replies");
    let mut replayed = 0;
    for entry in std::fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display())) {
        scanner_replies::check(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 5, "no seeds in {}", seeds.display());
    let mut random = Random(0x5ec1_5b00_1234_5678);
    for _ in 0..20_000 {
        let mut input: Vec<u8> = vec![random.below(5) as u8, random.below(256) as u8];
        for _ in 0..random.below(12) {
            let word = WORDS[random.below(WORDS.len())];
            let end = if random.below(8) == 0 { random.below(word.len() + 1) } else { word.len() };
            input.extend_from_slice(&word[..end]);
        }
        if let Err(panic) = std::panic::catch_unwind(|| scanner_replies::check(&input)) {
            eprintln!("input: {}", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    }
}
