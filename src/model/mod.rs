//! The words everything else is said in: pure values, no async, socket, clock, file or environment.
//!
//! **Failure**: parsing returns an error that names the part at fault; nothing here panics on hostile input.

pub mod abuse;
pub mod address;
pub mod answer;
pub mod authentication;
pub mod decision;
pub mod detectors;
pub mod disposition;
pub mod egress;
pub mod envelope;
pub mod explanation;
pub mod finding;
pub mod ids;
pub mod json;
pub mod lists;
pub mod origin;
pub mod outcome;
pub mod person;
pub mod rates;
pub mod receipt;
pub mod reply;
pub mod rule;
pub mod sender;
pub mod signing;
pub mod suspension;
pub mod time;
pub mod units;
pub mod written;

pub use address::{Address, AddressError, Domain, ReversePath};
pub use decision::Decision;
pub use disposition::Disposition;
pub use envelope::{BodyKind, Envelope, Notify, OriginalRecipient, Recipient, ReturnContent};
pub use ids::{ConnectionId, MessageId, TenantId};
pub use origin::{Direction, Origin, Peer, TlsFacts};
pub use outcome::{Outcome, OutcomeKind, Remote};
pub use person::Person;
pub use receipt::{AcceptedReply, Receipt};
pub use reply::{Enhanced, Reply};
pub use time::Timestamp;
