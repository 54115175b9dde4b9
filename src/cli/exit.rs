//! Exit codes. Scripts depend on them: a code never changes its meaning.

pub const OK: u8 = 0;
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const NOT_FOUND: u8 = 3;
/// What there is already stands against it.
pub const CONFLICT: u8 = 5;
/// Some of it was done.
pub const PARTIAL: u8 = 6;
/// The running node can't be reached.
pub const UNAVAILABLE: u8 = 69;
/// Somebody else gave no answer; later it may work.
pub const TEMPORARY: u8 = 75;
/// The settings are wrong; nothing was started.
pub const CONFIG: u8 = 78;
