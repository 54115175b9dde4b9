//! To be written: net.
