//! To be written: dns.
