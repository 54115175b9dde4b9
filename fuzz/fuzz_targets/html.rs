//! `cargo fuzz run -s none html fuzz/corpus/html fuzz/seeds/html`
#![no_main]

#[path = "../checks/html.rs"]
mod html;

libfuzzer_sys::fuzz_target!(|data: &[u8]| html::check(data));
