//! `cargo fuzz run -s none files fuzz/corpus/files fuzz/seeds/files`
#![no_main]

#[path = "../checks/limits.rs"]
mod limits;
#[path = "../checks/files.rs"]
mod files;

libfuzzer_sys::fuzz_target!(|data: &[u8]| files::check(data));
