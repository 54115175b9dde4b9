//! Held mail: bodies and an index in the data directory, until somebody releases or removes it, or it expires.
//!
//! **Failure**: what can't be made durable is not acknowledged (4xx); what can't be read is kept and told.
