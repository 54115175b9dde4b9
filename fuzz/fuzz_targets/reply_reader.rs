//! `cargo fuzz run -s none reply_reader fuzz/corpus/reply_reader fuzz/seeds/reply_reader`
#![no_main]

#[path = "../checks/reply_reader.rs"]
mod reply_reader;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reply_reader::check(data));
