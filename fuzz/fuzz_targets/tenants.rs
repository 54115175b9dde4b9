//! `cargo fuzz run -s none tenants fuzz/corpus/tenants fuzz/seeds/tenants`
#![no_main]

#[path = "../checks/tenants.rs"]
mod tenants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenants::check(data));
