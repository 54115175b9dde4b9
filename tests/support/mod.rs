//! The black-box harness: the real binary, and fluent fake peers around it.
//!
//! **Invariants**: every fake listens on a loopback address of its own (derived from the process id), so that tests in
//! parallel never meet; a fake's panic or a protocol violation it saw fails the test that made it; nothing sleeps to
//! synchronise, [`eventually`] polls with a deadline.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of it")]

pub mod client;
pub mod fake_dns;
pub mod fake_mx;
pub mod fake_scanner;
pub mod gateway;
pub mod loopback;
pub mod metrics;
pub mod mx_session;
pub mod tls;
pub mod tools;
pub mod wait;

pub use client::Client;
pub use fake_mx::{Answer, FakeMx, Gate, Received};
pub use fake_scanner::FakeScanner;
pub use gateway::{Gateway, GatewayBuilder};
pub use wait::{eventually, eventually_some};

use std::fmt::Write as _;

/// A well-formed little message; `body` lines must end in CRLF.
pub fn message(subject: &str, body: &str) -> String {
    format!(
        "From: Aoi <aoi@sender.example>\r\nTo: you@acme.example\r\nSubject: {subject}\r\n\
         Date: Fri, 20 Nov 2026 09:00:00 +0900\r\nMessage-ID: <{}@sender.example>\r\n\r\n{body}",
        subject.replace(' ', ".")
    )
}

/// The same, of an author of acme.example, as acme's server sends it out.
pub fn own(message: &str) -> String {
    message.replacen("<aoi@sender.example>", "<aoi@acme.example>", 1)
}

pub fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What follows the header block.
pub fn body_of(message: &[u8]) -> &[u8] {
    find(message, b"\r\n\r\n").map_or(&[][..], |at| &message[at + 4..])
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Bytes as a test failure should show them.
pub fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
