//! `cargo fuzz run -s none dns_texts fuzz/corpus/dns_texts fuzz/seeds/dns_texts`
#![no_main]

#[path = "../checks/dns_texts.rs"]
mod dns_texts;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns_texts::check(data));
