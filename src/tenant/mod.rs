//! To be written: tenant.
