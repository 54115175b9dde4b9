//! Allow and block lists: what an entry is, and the compact index that every recipient is looked up in.
//!
//! **Failure**: reading an entry says what is wrong with it; a look-up can't fail.
//! **Invariants**: pure; an edit makes the next [`Lists`] and shares with it every tenant's block that it does not touch.
//! The index answers exactly what walking over all entries would (a property test holds it to that).
//! **Elsewhere**: owner, reason and creation of an entry are in the store, found by its id; what follows from a match is
//! decided in `policy`. The order of evaluation is in [`judge`](Lists::judge) and in `manual::lists`.

mod block;
mod entry;
mod hits;
mod index;
mod judge;
pub mod rows;
mod shadow;
pub mod table;
pub mod text;

pub use entry::{
    Broad, Entry, EntryError, Kept, MAX_IN_MAILBOX, MAX_IN_TENANT, MAX_TEXT, NewEntry, Note, Pattern, Place, Rule,
    plain_note,
};
pub use hits::{Hit, Hits};
pub use index::{Compiler, ListChange, Lists, Written};
pub use judge::{MAX_MATCHES, Matches, Query, counts};

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
