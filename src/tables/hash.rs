//! Keys of tables that are saved.

use aws_lc_rs::digest;

/// The same on every machine and in every release, and not to be steered: SHA-256, cut. Parts can't run into each other.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        context.update(part);
    }
    context.finish().as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
