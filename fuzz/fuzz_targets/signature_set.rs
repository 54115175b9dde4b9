//! `cargo fuzz run -s none signature_set fuzz/corpus/signature_set fuzz/seeds/signature_set`
#![no_main]

#[path = "../checks/signature_set.rs"]
mod signature_set;

libfuzzer_sys::fuzz_target!(|data: &[u8]| signature_set::check(data));
