//! Signature sets: packs of rules, signatures, feeds and models; compiled, numbered, signed, swapped while mail flows.
//!
//! **Failure**: a bad set is refused with file, line and reason, and the running one stays.
