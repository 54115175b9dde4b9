//! The fuzz target's check under the ordinary tests: committed seeds, and pseudo-random files from a fixed seed that are built
//! of the words of rows, so that they get past the header.

#[path = "../../../fuzz/checks/list_import.rs"]
mod list_import;

use std::path::Path;

#[test]
fn list_import() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/list_import");
    let mut replayed = 0;
    for entry in std::fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display())) {
        list_import::check(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "no seeds in {}", seeds.display());
    let mut random = Random(0x5ec1_5b00_1234_5678);
    for _ in 0..6000 {
        let file = file(&mut random);
        if let Err(panic) = std::panic::catch_unwind(|| list_import::check(&file)) {
            eprintln!("file: {}", file.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    }
}

/// xorshift: the same files on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one_of<'w>(&mut self, words: &[&'w [u8]]) -> &'w [u8] {
        words[self.below(words.len())]
    }
}

const HEADERS: &[&[u8]] = &[
    b"action,value,tenant\n",
    b"action,value,for\r\n",
    b"action,kind,value,scope,tenant,for,from_network,expires,owner,reason,created\n",
    b"\xef\xbb\xbfACTION,value,for,reason\r\n",
];

const WORDS: &[&[u8]] = &[
    b"allow",
    b"block",
    b"a@x.example",
    b"x.example",
    b"\"a b\"@x.example",
    b"\"\"\"a b\"\"@x.example\"",
    b"192.0.2.0/24",
    b"::/0",
    b"JP",
    b"acme",
    b"acme.example",
    b"taro@acme.example",
    b"operator",
    b"tenant",
    b"domain",
    b"mailbox",
    b"network",
    b"country",
    b"'=1",
    b"=1",
    b"'",
    b"\"",
    b"2026-11-20",
    b"2026-11-20T12:07:31Z",
    b"\xef\xbc\xa0",
    b"\xe7\x90\x86",
    b"\x97\x9d",
    b"\x81",
    b"\0",
    b"",
    b"",
    b"",
    b" ",
    b"\t",
];

/// Mostly rows of words, some octets, some words bent.
fn file(random: &mut Random) -> Vec<u8> {
    let mut file = random.one_of(HEADERS).to_vec();
    let columns = file.split(|octet| *octet == b',').count();
    for _ in 0..random.below(12) {
        let long = if random.below(8) == 0 { 1 } else { 0 };
        for at in 0..columns + long {
            if at > 0 {
                file.push(b',');
            }
            let word = if at == 0 && random.below(8) > 0 { random.one_of(&WORDS[..2]) } else { random.one_of(WORDS) };
            match random.below(24) {
                0 => file.push(random.below(256) as u8),
                1 => file.extend_from_slice(&word[..random.below(word.len() + 1)]),
                2 => file.extend(word.repeat(random.below(90))),
                _ => file.extend_from_slice(word),
            }
        }
        file.extend_from_slice(random.one_of(&[b"\n", b"\r\n", b"\r\n", b"\r"]));
    }
    file
}
