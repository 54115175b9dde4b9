//! Tenants, and how they are kept apart.
//!
//! A tenant is a contract: domains, the servers behind them, and the clients that may send for it. Node settings and tenants are
//! two things: settings are files of one node and need its operator; tenants live in the store and change while the node runs.
//!
//! # From file to running policy
//!
//! `sekisho apply tenants.toml` makes the store equal to the file in one transaction and prints the difference (`--dry-run` only
//! prints it). The running node looks for a new version several times a second, compiles the tenants that differ and puts a new
//! [`Snapshot`](crate::tenant::Snapshot) in the place of the old one. The maps of a snapshot are sharded and shared, so that an edit of one
//! tenant copies a shard of pointers and no other tenant. A store that can't be read stops nothing: the last snapshot stays.
//!
//! **A transaction sees one snapshot**, the one of its MAIL. An edit in the middle of a transaction shows in the next.
//!
//! # What belongs to one tenant
//!
//! A domain, a client network, a user name and a certificate belong to one tenant each; a file that gives one to two is refused
//! with both names. Among networks the longest prefix wins.
//!
//! | question | answered by |
//! |---|---|
//! | whose is an inbound recipient | its domain |
//! | whose is an outbound client | login, certificate or network; in a shared network a field of the message ([`outbound`](super::outbound)) |
//! | may it send as this sender | the sender's domain belongs to the same tenant; the null sender is for notices |
//! | where does mail for a tenant's domain go | that domain's next hops, whoever sent it; never through our own MX |
//!
//! Recipient validation is the domain's own: `any`, a list (`+tag` folds), or `call-ahead`, which asks the next hop with RCPT and
//! remembers the answer. `postmaster` is always valid.
//!
//! Mail for `<postmaster>` without a domain, or at our own host name, goes to the address set as `postmaster`. Every accepted
//! recipient belongs to a tenant, so from the internet it is taken if that address is at a tenant's domain: set it to a mailbox of
//! your own, served as a tenant like any other. Left at its default, our own host name, nobody has that mailbox and RCPT says 550.
//!
//! # Lanes
//!
//! One transaction may carry recipients of several tenants. They are grouped by tenant into lanes; each is settled on its own, with
//! its own trace header and message id, so that no tenant learns of another's recipients. Queued lanes of one transaction are committed in one
//! atomic frame: all or none. There are at most 32 lanes; the recipient that would open one more is told 452 4.5.3 and comes again
//! in a transaction of its own, so that one message never becomes more than 32 records or large files.
//!
//! # Custody
//!
//! `custody = "queued"` (the default): we answer after a durable commit. `custody = "inline"`: the next hop is asked while the client
//! waits, and its answer becomes ours: its refusal is the client's refusal, so no bounce is ever written for it, and nothing
//! touches our disk. The spool takes over when recipients would have different fates, when several domains or tenants are
//! addressed, or when the next hop doesn't answer in time (`sekisho_handoff_fallback_total` says why).
