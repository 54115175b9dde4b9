//! The fuzz targets' checks under the ordinary tests: committed seeds, and pseudo-random inputs from a fixed seed that are
//! built of the words records and fields are made of.

#[path = "../../../fuzz/checks/authentication.rs"]
mod authentication;
#[path = "../../../fuzz/checks/dns_texts.rs"]
mod dns_texts;

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
    fn input(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut input = Vec::new();
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

fn replay(name: &str, check: fn(&[u8]), words: &[&[u8]]) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display())) {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "no seeds in {}", seeds.display());
    let mut random = Random(0x5ec1_5b00_1234_5678);
    for _ in 0..6000 {
        let input = random.input(words);
        if let Err(panic) = std::panic::catch_unwind(|| check(&input)) {
            eprintln!("input: {}", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn dns_texts() {
    replay(
        "dns_texts",
        dns_texts::check,
        &[
            b"v=spf1 ",
            b"v=DMARC1; ",
            b"v=DKIM1; ",
            b"k=rsa; p=",
            b"k=ed25519; p=",
            b"AAAA",
            b"MIGf",
            b"=",
            b"; ",
            b" ",
            b"a",
            b"mx:",
            b"ptr",
            b"include:",
            b"exists:",
            b"ip4:192.0.2.1",
            b"ip6:2001:db8::",
            b"/24",
            b"//64",
            b"-all",
            b"redirect=",
            b"exp=",
            b"%{",
            b"%{l1r-}",
            b"%{ir}.%{v}.",
            b"}",
            b"%%",
            b"%_",
            b"example.com",
            b".",
            b"p=reject",
            b"pct=",
            b"99999999999999999999",
            b"t=y",
            b"psd=n",
            b"\0",
            b"\xff",
        ],
    );
}

#[test]
fn authentication() {
    replay(
        "authentication",
        authentication::check,
        &[
            b"From: ",
            b"a@example.com",
            b"<a@example.com>",
            b"\"",
            b"(",
            b")",
            b"\\",
            b",",
            b";",
            b"\r\n",
            b"\r\n\r\n",
            b" ",
            b"\r\n\t",
            b"Authentication-Results: ",
            b"mx.example",
            b"mx.example 1; spf=pass",
            b"ARC-Seal: ",
            b"ARC-Message-Signature: ",
            b"ARC-Authentication-Results: i=1; mx.example; none",
            b"DKIM-Signature: ",
            b"i=1; ",
            b"a=ed25519-sha256; ",
            b"cv=none; ",
            b"d=example.com; ",
            b"s=s; ",
            b"h=from; ",
            b"l=0; ",
            b"v=1; ",
            b"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; ",
            b"b=AAAA; ",
            b"c=relaxed/relaxed; ",
            b"t=1",
            b"=",
            b"\xff",
        ],
    );
}
