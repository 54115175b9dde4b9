//! Tenants: what a contract says, read from `tenants.toml` or the store, and compiled into the [`Snapshot`] that every
//! connection looks things up in.
//!
//! **Failure**: reading tells every problem with file and line; compiling refuses a domain, network, user name or
//! certificate that two tenants claim.
//! **Invariants**: pure; a snapshot never changes, an edit makes the next one and shares with it all that is untouched.

mod calendar;
mod compiled;
mod content;
mod content_texts;
mod contract;
mod diff;
pub mod lists;
mod proof;
mod read;
mod read_content;
mod read_contract;
mod read_people;
mod read_sender;
mod recipients;
mod reverse;
mod sender;
mod sharded;
mod snapshot;
mod spec;
mod treatment;

pub use calendar::{Day, Month, USUAL_ZONE, Zone};
pub use compiled::{Tenant, TenantDomain};
pub use content::{
    ContentPolicies, ContentPolicy, ContentSpec, DirectionSpec, Sensitivity, Thresholds, default_treatment,
};
pub use contract::{Contract, ContractSpec, DEFERRED_DAYS, FROZEN_DAYS, GRACE_DAYS, Over, Phase, TRIAL_DAYS};
pub use diff::{Changed, Diff, differences, hide_secrets};
pub use proof::{HeaderProof, SHORTEST, Shown, claimed_both_ways, fields_named};
pub use read::read;
pub use recipients::{RecipientList, Recipients};
pub use reverse::{ReverseAct, ReverseKey, ReverseRow, ReverseRules};
pub use sender::{Act, AuthenticationActions, AuthenticationSpec, SenderPolicy, SenderSpec, TlsPeer, is_within};
pub use snapshot::{DomainRef, Snapshot, SnapshotError, TenantChange};
pub use spec::{
    Claim, ClientSpec, Custody, DomainSpec, Forwards, Host, NextHop, PasswordHash, RecipientsSpec, SignPolicy,
    TenantSpec, TenantState, TlsPolicy,
};
pub use treatment::{Extra, Fate, Treatment};
