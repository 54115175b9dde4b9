//! What we know of the sender: whether it is who it says.
//!
//! **Failure**: what could not be found out is a value of its own (`TempError`), never "clean" and never "bad".
//! **Invariants**: facts are gathered here, nothing is decided here; every question to the DNS goes through a bounded
//! budget and is recorded.

pub mod authentication;
