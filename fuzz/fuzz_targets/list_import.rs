//! `cargo fuzz run -s none list_import fuzz/corpus/list_import fuzz/seeds/list_import`
#![no_main]

#[path = "../checks/list_import.rs"]
mod list_import;

libfuzzer_sys::fuzz_target!(|data: &[u8]| list_import::check(data));
