//! One message's way, and where to find the room for a change.
//!
//! ```text
//!  client ──TCP──▶ net ──▶ intake ◀──asks── smtp (pure session)
//!                           │  facts ─▶ policy (pure) ─▶ Decision
//!                           │
//!                           │ end of data: one Lane per tenant
//!                 ┌─────────┴──────────┐
//!           custody: queued      custody: inline
//!                 │                    │ port: NextHop
//!               spool ◀──falls back── delivery::handoff ──▶ next hop
//!        commit, sync, Receipt         Receipt from its 250
//!                 └─────────┬──────────┘
//!                     250, from Receipts only
//!
//!  spool ──Lease──▶ delivery ──route or MX, TLS, pool──▶ next hop ──▶ Outcome
//!    ▲                 │
//!    └──Settlement─────┴─▶ retry with jitter, done, or a notice (RFC 3464)
//! ```
//!
//! # Step by step
//!
//! | # | step | room | result |
//! |---|---|---|---|
//! | 1 | the listener accepts if places, memory, descriptors and the share of the address allow; else 421 | `net` | a permit |
//! | 2 | PROXY header from trusted proxies; implicit TLS; bytes before the greeting are early talk | `net`, `intake` | `Peer` |
//! | 3 | the session reads commands and asks; each question is an owned value that answering consumes | `smtp` | `Question` |
//! | 4 | MAIL takes one `Snapshot` for the whole transaction; outbound: whose client is this, may it send as this domain | `intake`, `policy` | `Decision` |
//! | 5 | RCPT: tricks refused, domain to tenant, recipient valid by list, call-ahead or any | `intake`, `policy` | `Decision` |
//! | 6 | body bytes: dot-unstuffed, held to strict CRLF and to every limit, kept in memory or in a draft file | `smtp`, `intake` | draft |
//! | 7 | end of data: loops refused, recipients grouped by tenant; outbound: the authors in the header are the tenant's | `policy`, `intake` | `Lane`s |
//! | 7a | outbound: scanned whole and checked, or it goes nowhere ([`egress`](super::egress)) | `scan`, `policy` | `Checked` |
//! | 8 | custody of every lane settled: durable commit, or the next hop's own 250 | `spool`, `delivery` | `Receipt`s |
//! | 9 | receipts folded to one reply | `intake` | 250, or 4xx/5xx |
//! | 10 | what is due is leased, a branch (one message, one recipient domain) to one worker | `spool` | `Lease` |
//! | 11 | route (the tenant's next hops, or MX), TLS policy, connection, transaction | `delivery`, `dns`, `net` | `Outcome` per recipient |
//! | 12 | outcomes, notices and the next attempt made durable in one frame | `spool` | settled |
//!
//! Four words are never mixed: a **Decision** is what we say at a stage, an **Outcome** is what the next hop said, a **Verdict**
//! is what we know of content, a **Disposition** is what becomes of a lane. The last two come with content checks.
//!
//! # Find the room in a minute
//!
//! | to | go to |
//! |---|---|
//! | change a refusal's text or code | `policy::replies`; the protocol's own replies: `smtp::replies` |
//! | add an EHLO keyword | `smtp::session` (offer), `smtp::parameters` (its parameters), `smtp::config` (switch) |
//! | add a MAIL or RCPT parameter | `smtp::parameters`, `model::envelope`, `smtp::command_line` (towards next hops) |
//! | add a check at RCPT | a fact in `policy::rcpt::Facts`, its gathering in `intake::stages`, its rule and table row in `policy::rcpt` |
//! | change what is done with mail for its content | `policy::content` and the row of its tables (`policy::content::tests`); what a tenant may set: `tenant::content`; the words: `policy::explain` |
//! | change what is done with a sender | `policy::sender` and the row of its tables (`policy::sender::tests`); the words: `policy::explain` |
//! | add a limit | `smtp::config::Limits` (protocol) or `net::admission` (connections), its key in `config::keys` |
//! | change time-outs of clients | `intake::deadlines` |
//! | change what is fsynced, or the log's format | `spool::committer`, `spool::frame`, `spool::record`; write a decision record |
//! | change retry intervals or expiry | `delivery::retry` |
//! | change concurrency per destination | `delivery::site` |
//! | change how a next hop is spoken to | `delivery::transaction`; before MAIL: `delivery::connect` |
//! | change the words of a bounce | `delivery::notice` |
//! | add a tenant setting | `tenant::spec` (form), `tenant::compiled` (snapshot), then the fact that uses it |
//! | keep tenants elsewhere | an adapter in `store`, run through its contract suite |
//! | add a settings key | `config::keys` (the table), `config::settings` (the type), the room's own `Config` |
//! | add a command | a file in `cli`, one line in `cli::mod` |
//! | add an endpoint | a file in `admin`, its port if it asks something new, the adapter in `app` |
//! | add a counter | `telemetry::metrics`, a row in [`operations`](super::operations) (a test insists) |
//! | add a mail-log member or event | `telemetry::event`, `telemetry::event_json`, [`operations`](super::operations) |
//! | add a kind of list entry | `model::lists::EntryKind` (a code), `tenant::lists::entry::Pattern`, its probe in `tenant::lists::judge` and `shadow` |
//! | put a new room up | `src/lib.rs` and a line in `tests/architecture.rs` |
