//! To be written: spool.
