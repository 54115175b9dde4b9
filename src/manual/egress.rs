//! What leaves for the internet, and by which addresses.
//!
//! All tenants send from the provider's addresses, so one infected machine harms everybody. No setting, list, policy or state of a
//! tenant leads round the checks: outbound mail is another type before and after them.
//!
//! ```text
//! Scanner::scan ─► Scanned ─► Scanned::check ─► Ruling and Checked ─► NewMessage::outbound ─► record with its mark
//!                                                                                             │
//!            mail exchanger ◀── Exit ◀── Lease::way ◀── the mark ◀────────────────────────────┘
//! ```
//!
//! - [`Checked`](crate::scan::Checked) is made by the check of a whole scan and by nothing else. It knows length and checksum of the
//!   message; changes (tag, stamp, files taken out, forged fields) are made through it.
//! - The spool takes outbound mail with its `Checked` or not at all, and compares the octets when it commits; before them may stand
//!   whole header fields of ours and nothing else. What doesn't fit is 451, and an error in the process's log.
//! - The record says that it was checked, over which pool it leaves and which signature set judged. Outbound mail without that
//!   mark (of a release before there were marks) is put **on hold at every start**, counted in `sekisho_spool_unchecked_total` and told as an
//!   alert. It is never delivered, whoever releases it: let the outbound queue run empty before such an upgrade, or remove it
//!   and have it sent again.
//! - Delivery reaches mail exchangers with an [`Exit`](crate::spool::Exit) only, and leases alone have one. Inbound mail, copies
//!   (`bcc`) and notices to tenants have none: they go to tenants' next hops and nowhere else. Notices about inbound mail to its senders
//!   leave with the header of that mail, never with its text.
//! - Release from quarantine scans again and makes a new check. It overrides what the tenant's own rules kept back (a risky file, a
//!   password) and nothing of what follows, but for spam that is not certain: it leaves over the pool `suspect`, if there is one, whatever
//!   `outbound.spam` says.
//!
//! # What nobody can edit
//!
//! | found | what becomes of it |
//! |---|---|
//! | malware | quarantined, and told to the policy's `notify` addresses or the postmaster of the sender's domain (without a sender: the administrators, at most every ten minutes); never released |
//! | what is certain to be spam (50 points in one finding, as GTUBE has), phishing | `outbound.spam`: quarantined or rejected; never leaves |
//! | other spam | `outbound.spam`: `quarantine`, `reject`, or `suspect-pool`: it leaves over the pool `suspect` |
//! | too large to be inspected (`scan.file_size`, `scan.unpacked_size`, a scanner's `max_size`) | 552 |
//! | what could not be inspected for another reason | quarantined, or rejected where the tenant says so |
//! | a detector that gave no answer, no scan at all | 451; after three such answers for the same message quarantined |
//!
//! A tenant's own action for spam and phishing counts where it is stricter. Outbound, **all** detectors of this process are asked and must
//! answer, whatever `scan.off` says: that is for inbound mail.
//!
//! # Pools
//!
//! `[[egress]]` names source addresses and the EHLO name of a pool. Connections come from each address in turn, and a server is
//! reached from an address of its own family or not at all. Destinations are kept apart by pool: queue, connections and
//! back-off.
//!
//! | pool | is for | without a table |
//! |---|---|---|
//! | `normal` | everything else | the system's address, `delivery.helo_name` |
//! | `bulk` | what counts as bulk mail | as `normal` |
//! | `suspect` | spam that the operator lets out | refused by `config check`; after a reload without a restart such mail waits |
//!
//! Tenants' next hops see the system's address and `delivery.helo_name`, whatever the mail is.
