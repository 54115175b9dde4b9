//! When a 250 is given, and what survives what.
//!
//! # The promise
//!
//! After 250 a message is not lost by anything short of losing the disk: it is delivered, bounced to its sender, held, or still
//! queued (RFC 1123 section 5.3.3, RFC 5321 section 6.1). The 250 is built by one function, which takes
//! [`Receipt`](crate::model::receipt::Receipt)s, and there are two ways to get one:
//!
//! - **queued**: the spool has written the message's frame and `fdatasync` has returned;
//! - **inline**: the next hop has answered the final dot with 250. Nothing is on our disk.
//!
//! Every local trouble before that is 4xx: the client still has the message. Local trouble is never 5xx.
//!
//! # The balance
//!
//! Counted in recipients, at every moment:
//!
//! ```text
//! accepted + recovered = delivered + bounced + expired + discarded + held + queued
//! ```
//!
//! [`Balance`](crate::telemetry::Balance) moves both sides under one lock; `sekisho_balance_recipients` is the difference and is 0.
//! After a restart `recovered` stands for what was found in the spool. Drills compare these figures with what independent
//! injectors and sinks wrote down, and with the spool's own count.
//!
//! # The log on disk
//!
//! The spool is a segment log. Many transactions share one write and one sync (group commit): with 16 waiting, a message of 5 KB
//! costs about a sixteenth of a sync. Under load a group waits up to 0.8 ms for mail that has its first recipient, for a client
//! that stands still a few times, and for nobody else. A frame says of itself where it belongs (segment epoch, sequence) and
//! what it must be (checksums over header and payload, an end mark), so reading needs no other file to judge it. A mail that
//! contains the bytes of a frame can't be taken for one, because the epoch is random.
//!
//! | on disk | holds |
//! |---|---|
//! | `segments/` | frames: messages taken, progress made, operators' decisions; a spare, and a reserve for a full disk |
//! | `large/` | bodies above `spool.large_message`, synced with their directory before the frame that names them |
//! | `corrupt/` | what could not be read, each with a text saying where and why; never deleted by us |
//! | `drafts/` | large bodies while they arrive; emptied at start |
//!
//! A branch's progress is durable before its worker begins the next message. Segments go at the old end only, when
//! nothing in them lives; what lives in an old and mostly dead one is copied forward first. So the record of an outcome never goes
//! before the message it is about, and no message comes back from the dead.
//!
//! # What survives what
//!
//! | event | result |
//! |---|---|
//! | SIGKILL before the sync | no 250 was said; the client tries again |
//! | SIGKILL between sync and 250 | the message is delivered, and the client's repetition is a duplicate: unavoidable |
//! | SIGKILL between the next hop's 250 and the durable progress | one duplicate for each transaction in flight |
//! | torn or flipped bytes | the damaged range goes to `corrupt/`, is counted and told; reading goes on behind it |
//! | write or sync error | the spool is wedged: 451 to everybody waiting, no delivery, `/livez` fails; only a restart, which reads the disk again, ends it |
//! | disk full | 452 for new mail; outcomes are written into a reserve; when that is used up nothing is delivered that could not be recorded |
//! | inline: client gone after the next hop's 250 | the client tries again: a duplicate at worst |
//! | inline: final dot sent, no answer | 451, counted in `sekisho_handoff_unknown_total`; a duplicate at worst |
//!
//! A sync that failed is never tried again on the same descriptor: after an error the kernel may have dropped the pages and report
//! success the next time.
//!
//! # Drill points
//!
//! The shipped binary can be told to kill itself at every named point ([`faults`](crate::faults)):
//! `SEKISHO_DRILL_KILL=spool-after-sync:40 sekisho serve` dies when it gets there for the fortieth time. A drill of another binary
//! would prove nothing about this one.
