//! `cargo fuzz run -s none received fuzz/corpus/received fuzz/seeds/received`
#![no_main]

#[path = "../checks/received.rs"]
mod received;

libfuzzer_sys::fuzz_target!(|data: &[u8]| received::check(data));
