//! To be written: message.
