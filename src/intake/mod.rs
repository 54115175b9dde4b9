//! To be written: intake.
