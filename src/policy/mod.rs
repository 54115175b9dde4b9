//! To be written: policy.
