//! Contracts and accounts: what is agreed with a tenant, how it is counted, what a bill rests on.
//!
//! # The contract
//!
//! `[tenant.contract]` says how many accounts, from when to when, and in which zone days begin. A tenant without it has every right,
//! no number and no end.
//!
//! | phase | from midnight of | mail | told |
//! |---|---|---|---|
//! | upcoming | | goes, so that a tenant can be tried before its MX is turned | |
//! | active | `start` | goes | |
//! | grace | the day behind `end` | goes | administrators, mail log |
//! | frozen-deferred | `grace_days` later (30) | 451, both directions | administrators, mail log |
//! | frozen-refused | `deferred_days` later (15) | 550, both directions | administrators, mail log |
//! | ended | `frozen_days` (30) after the freezing | 550; `sekisho tenant purge` may erase it | administrators, mail log |
//!
//! Days are days of the calendar in the contract's zone, by tables that are compiled in: each node has the same instants. A trial
//! without `end` has thirty days. Notices of a frozen tenant's administrators still go to its own next hop.
//!
//! Contracts and days go by a clock that doesn't follow jumps: one that was set wrong by more than an hour is believed after it has
//! stayed for an hour, and at a start, if it stands more than seven days from the last run's end.
//!
//! # Accounts
//!
//! An account is a mailbox that uses the service: one that is **registered** (`sekisho accounts import`), or that was **observed** within
//! thirty days: its next hop took mail for it, or a client of the tenant's sent with it and the mail was let out. What was only tried, and
//! what was put in quarantine on its way out, counts nowhere. `+tag` and case fold; a registered alias is its account, also for what was seen
//! before it was registered. `postmaster` and `abuse` use no account.
//!
//! `over = "warn"` tells administrators and the mail log at 80, 100 and 110 percent, once a level, again only after the number has
//! fallen five percent below it. `over = "refuse-new"` besides puts off (450) mail to and from an address that is **new**: neither registered
//! nor seen within 400 days. An account that was there before is never refused, even if it doesn't count any more. A new account that is let in
//! has its place kept for an hour, until its first mail is delivered.
//!
//! Tenants with `group = "head"` share the number of tenant `head`: its `accounts` and `over` count for all, their dates are
//! their own.
//!
//! # What is durable, and what is told
//!
//! The first sight of an account on a day waits in memory and is written with the next batch (`accounts.write_every`, 5 s), together with
//! the rows of days that ended. **A number is told only after what it is made of is durable**: gauges, alarms, `accounts ls` and
//! `usage` all stand on what is written. A crash loses sights of the last seconds, that nobody was told of; the account counts
//! again with its next mail. The row of a closed day is never changed. Days that ended while no node ran are closed at the next start.
//!
//! `sekisho accounts usage --month 2026-11` is made of closed days alone: for each tenant the number at the end of the last
//! closed day (`accounts`), the highest of any day (`peak`), and whether the month is over in the tenant's zone (`closed`). Asked again
//! later it says the same.
//!
//! # Purging
//!
//! `sekisho tenant purge ID --yes` suspends the tenant, erases its queue, quarantine, measures against its senders and
//! what is known of them, list entries, keys and accounts, and at last the tenant. The record it prints holds what was erased in numbers, a hash of the tenant as it was, and is chained by hash to the
//! record before; `sekisho tenant purges` shows and checks them all. The numbers of closed days stay, as bills rest on them;
//! so do lines of the mail log, and hashes of alike messages until they fade.
