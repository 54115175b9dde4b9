//! `cargo fuzz run -s none rules fuzz/corpus/rules fuzz/seeds/rules`
#![no_main]

#[path = "../checks/rules.rs"]
mod rules;

libfuzzer_sys::fuzz_target!(|data: &[u8]| rules::check(data));
