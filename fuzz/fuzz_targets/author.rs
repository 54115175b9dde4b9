//! `cargo fuzz run -s none author fuzz/corpus/author fuzz/seeds/author`
#![no_main]

#[path = "../checks/author.rs"]
mod author;

libfuzzer_sys::fuzz_target!(|data: &[u8]| author::check(data));
