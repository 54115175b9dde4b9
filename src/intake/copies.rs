//! One file for each lane of a large message: the first has the file that arrived, the others get copies.
//!
//! **Failure**: no room is found out before the first byte is copied; any trouble throws all of them away.

use std::io::Read as _;

use crate::spool::{Draft, Spool, SpoolError};

const AT_ONCE: usize = 256 * 1024;

/// `draft` and copies of it, `count` in all. Copying takes seconds when there is much of it, so it blocks no worker.
///
/// # Errors
/// [`SpoolError`]; nothing is left of any of them.
pub async fn one_each(spool: &Spool, draft: Draft, count: usize) -> Result<Vec<Draft>, SpoolError> {
    let further = count.saturating_sub(1);
    if further == 0 {
        return Ok(vec![draft]);
    }
    spool.admit(draft.len().saturating_mul(further as u64))?;
    let spool = spool.clone();
    let copied = tokio::task::spawn_blocking(move || {
        let copies = (0..further).map(|_| copy(&spool, &draft)).collect::<Result<Vec<_>, _>>()?;
        Ok(std::iter::once(draft).chain(copies).collect())
    });
    copied.await.unwrap_or(Err(SpoolError::Closed))
}

/// Through the page cache: the bytes were just written.
fn copy(spool: &Spool, draft: &Draft) -> Result<Draft, SpoolError> {
    let mut reader = draft.reader()?;
    let mut copy = spool.draft()?;
    let mut buffer = vec![0; AT_ONCE];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(copy),
            count => copy.append(buffer.get(..count).unwrap_or_default())?,
        }
    }
}
