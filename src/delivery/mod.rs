//! To be written: delivery.
