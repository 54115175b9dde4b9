//! `cargo fuzz run -s none spool_record fuzz/corpus/spool_record fuzz/seeds/spool_record`
#![no_main]

#[path = "../checks/spool_record.rs"]
mod spool_record;

libfuzzer_sys::fuzz_target!(|data: &[u8]| spool_record::check(data));
