//! Judging the content: detectors in a fixed order over one Specimen, each timed and contained; their findings make the
//! Verdict.
//!
//! **Failure**: a detector that fails is named in the Verdict as unavailable; it is never "clean".

pub mod rules;
