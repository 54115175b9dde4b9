//! `cargo fuzz run -s none clamav fuzz/corpus/clamav fuzz/seeds/clamav`
#![no_main]

#[path = "../checks/clamav.rs"]
mod clamav;

libfuzzer_sys::fuzz_target!(|data: &[u8]| clamav::check(data));
