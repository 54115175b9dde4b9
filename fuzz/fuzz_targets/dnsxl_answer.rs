//! `cargo fuzz run -s none dnsxl_answer fuzz/corpus/dnsxl_answer fuzz/seeds/dnsxl_answer`
#![no_main]

#[path = "../checks/dnsxl_answer.rs"]
mod dnsxl_answer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dnsxl_answer::check(data));
