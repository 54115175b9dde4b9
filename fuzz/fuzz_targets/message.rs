//! `cargo fuzz run -s none message fuzz/corpus/message fuzz/seeds/message`
#![no_main]

#[path = "../checks/limits.rs"]
mod limits;
#[path = "../checks/message.rs"]
mod message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| message::check(data));
