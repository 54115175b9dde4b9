//! The fuzz targets' checks of everything that reads what others wrote, under the ordinary tests: committed seeds as they are,
//! then bent, cut and joined by a generator with a fixed seed. `SEKISHO_BEND=SECONDS` goes on bending for so long, from a seed
//! that is told, and counts.

use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../../fuzz/checks/addresses.rs"]
mod addresses;
#[path = "../../fuzz/checks/author.rs"]
mod author;
#[path = "../../fuzz/checks/clamav.rs"]
mod clamav;
#[path = "../../fuzz/checks/edit.rs"]
mod edit;
#[path = "../../fuzz/checks/files.rs"]
mod files;
#[path = "../../fuzz/checks/html.rs"]
mod html;
#[path = "../../fuzz/checks/limits.rs"]
mod limits;
#[path = "../../fuzz/checks/message.rs"]
mod message;
#[path = "../../fuzz/checks/received.rs"]
mod received;
#[path = "../../fuzz/checks/rules.rs"]
mod rules;
#[path = "../../fuzz/checks/signature_set.rs"]
mod signature_set;
#[path = "../../fuzz/checks/spamassassin_rules.rs"]
mod spamassassin_rules;
#[path = "../../fuzz/checks/state_file.rs"]
mod state_file;
#[path = "../../fuzz/checks/tenants.rs"]
mod tenants;

/// xorshift: the same inputs on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    /// One of the seeds with some octets changed, a piece gone, a piece twice, or a piece of another in it.
    fn bent(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len());
            let end = at + self.below(input.len().saturating_sub(at).min(64));
            match self.below(5) {
                0 => input.truncate(at),
                1 => drop(input.drain(at..end)),
                2 => {
                    let piece = input[at..end].repeat(1 + self.below(20));
                    input.splice(at..at, piece);
                }
                3 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let to = (from + self.below(64)).min(other.len());
                    input.splice(at..at, other[from..to].iter().copied());
                }
                _ => {
                    if let Some(octet) = input.get_mut(at) {
                        *octet = self.below(256) as u8;
                    }
                }
            }
        }
        input
    }
}

fn replay(name: &str, rounds: usize, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(seeds.len() > 2, "few seeds in {}", folder.display());
    let one = |input: &[u8], what: &str| {
        if let Err(panic) = std::panic::catch_unwind(|| check(input)) {
            eprintln!("{what}: {}", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    };
    paths.iter().zip(&seeds).for_each(|(path, seed)| one(seed, &path.display().to_string()));
    let mut random = Random(0x5ec1_5b00_1234_5678);
    for _ in 0..rounds {
        one(&random.bent(&seeds), "input");
    }
    let Some(seconds) = std::env::var("SEKISHO_BEND").ok().and_then(|text| text.parse().ok()) else { return };
    let begun = Instant::now();
    let from = u64::from(std::process::id()) << 32 | u64::from(begun.elapsed().subsec_nanos()) | 1;
    let (mut random, mut count, mut longest) = (Random(from), 0_u64, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let input = random.bent(&seeds);
        let before = Instant::now();
        one(&input, "input");
        longest = longest.max(before.elapsed());
        count += 1;
    }
    println!("{name}: {count} inputs in {seconds} s from {from:#x}; the longest took {longest:?}");
}

macro_rules! replayed {
    ($($name:ident $rounds:literal,)*) => { $(
        #[test]
        fn $name() {
            replay(stringify!($name), $rounds, $name::check);
        }
    )* };
}

replayed! {
    addresses 20_000,
    author 5_000,
    clamav 5_000,
    edit 1_000,
    files 500,
    html 3_000,
    message 1_000,
    received 2_000,
    rules 200,
    signature_set 3_000,
    spamassassin_rules 300,
    state_file 500,
    tenants 2_000,
}
