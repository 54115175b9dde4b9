//! `cargo fuzz run -s none scanner_replies fuzz/corpus/scanner_replies fuzz/seeds/scanner_replies`
#![no_main]

#[path = "../checks/scanner_replies.rs"]
mod scanner_replies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| scanner_replies::check(data));
