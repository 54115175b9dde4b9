//! `cargo fuzz run -s none state_file fuzz/corpus/state_file fuzz/seeds/state_file`
#![no_main]

#[path = "../checks/state_file.rs"]
mod state_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| state_file::check(data));
