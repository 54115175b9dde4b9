//! `cargo fuzz run -s none addresses fuzz/corpus/addresses fuzz/seeds/addresses`
#![no_main]

#[path = "../checks/addresses.rs"]
mod addresses;

libfuzzer_sys::fuzz_target!(|data: &[u8]| addresses::check(data));
