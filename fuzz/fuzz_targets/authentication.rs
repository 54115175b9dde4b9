//! `cargo fuzz run -s none authentication fuzz/corpus/authentication fuzz/seeds/authentication`
#![no_main]

#[path = "../checks/authentication.rs"]
mod authentication;

libfuzzer_sys::fuzz_target!(|data: &[u8]| authentication::check(data));
