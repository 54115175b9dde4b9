//! `cargo fuzz run -s none smtp_session fuzz/corpus/smtp_session fuzz/seeds/smtp_session`
#![no_main]

#[path = "../checks/smtp_session.rs"]
mod smtp_session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtp_session::check(data));
