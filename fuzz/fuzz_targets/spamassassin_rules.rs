//! `cargo fuzz run -s none spamassassin_rules fuzz/corpus/spamassassin_rules fuzz/seeds/spamassassin_rules`
#![no_main]

#[path = "../checks/spamassassin_rules.rs"]
mod spamassassin_rules;

libfuzzer_sys::fuzz_target!(|data: &[u8]| spamassassin_rules::check(data));
