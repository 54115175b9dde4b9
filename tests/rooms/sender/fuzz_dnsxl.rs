//! The fuzz target's check under the ordinary tests: committed seeds, and pseudo-random answers from a fixed seed whose octets are
//! mostly those that lists use.

#[path = "../../../fuzz/checks/dnsxl_answer.rs"]
mod dnsxl_answer;

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

    fn octet(&mut self, usual: &[u8]) -> u8 {
        if self.next().is_multiple_of(16) { self.next() as u8 } else { usual[self.next() % usual.len()] }
    }
}

#[test]
fn dnsxl_answer() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/dnsxl_answer");
    let mut replayed = 0;
    for entry in std::fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display())) {
        dnsxl_answer::check(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 5, "no seeds in {}", seeds.display());
    let mut random = Random(0x5ec1_5b00_1234_5678);
    for _ in 0..4000 {
        let mut input = vec![random.next() as u8, random.next() as u8];
        for _ in 0..random.next() % 5 {
            input.push(random.octet(&[127]));
            input.push(random.octet(&[0, 0, 0, 0, 255]));
            input.push(random.octet(&[0, 0, 1, 2, 10, 255]));
            input.push(random.octet(&[1, 2, 3, 4, 7, 8, 9, 10, 11, 16, 64, 102, 254, 255]));
        }
        if let Err(panic) = std::panic::catch_unwind(|| dnsxl_answer::check(&input)) {
            eprintln!("input: {}", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    }
}
