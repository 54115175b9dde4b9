//! `cargo fuzz run -s none edit fuzz/corpus/edit fuzz/seeds/edit`
#![no_main]

#[path = "../checks/limits.rs"]
mod limits;
#[path = "../checks/edit.rs"]
mod edit;

libfuzzer_sys::fuzz_target!(|data: &[u8]| edit::check(data));
