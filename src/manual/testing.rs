//! Kinds of tests, and which one to write.
//!
//! `tests/run` installs what the tests need and runs all of it: format, clippy, every test with nextest, the docs.
//!
//! | kind | where | says |
//! |---|---|---|
//! | unit and table tests | beside the code | a rule: facts to decision, bytes to value |
//! | properties | beside the code (`proptest`) | any chunking of the input gives the same output; random sequences keep the balance |
//! | transcripts | golden conversations through the pure session and through a socket | what is said, word for word |
//! | scenarios | `tests/scenarios/`, one file each | the real node between fake peers (client, next hop, DNS) |
//! | interoperation | with Postfix and swaks | a foreign client and a foreign next hop agree with us |
//! | foreign suites | `tests/conformance/` | SPF, DKIM, ARC and DMARC vectors of others, where the corpora are; exceptions are named |
//! | drills | `tests/drill/` | the real binary is killed, its disk fails; ledgers of injector and sink are compared |
//! | floor plan | `tests/architecture.rs` | rooms and arrows, purity |
//! | contract | `store::contract`, `lists_contract`, `keys_contract` | every adapter of a port behaves alike |
//! | fuzz | `fuzz/` | no panic; the checks are replayed by the ordinary tests |
//! | benches | `benches/` | what it costs, beside a peer; the method stands in the file |
//!
//! # Long forms
//!
//! Some tests run at a part of their size every day and at all of it with `SEKISHO_FULL=1`; `tests/run` then takes nextest's
//! profile `full`, whose time limits fit. `SEKISHO_BIN=target/release/sekisho` makes scenarios and interoperation tests start that
//! binary. The infected machine and the newsletter, with a real Postfix and the figures of its colleagues' latency:
//!
//! ```text
//! cargo build --release
//! SEKISHO_FULL=1 SEKISHO_BIN=$PWD/target/release/sekisho \
//!     cargo nextest run --profile full --test interop -E 'test(infected) | test(newsletter)' --no-capture
//! ```
//!
//! # Fuzzing
//!
//! Each target of `fuzz/` is a check in `fuzz/checks/` (a function of octets that panics if something does not hold) with seeds in
//! `fuzz/seeds/`, written for it. The ordinary tests replay every check on its seeds and on bent ones. A finding becomes a seed, or
//! a test of its own, before it is mended. With libFuzzer (`cargo install cargo-fuzz`), here the one for whole messages:
//!
//! ```text
//! cargo fuzz run -s none message fuzz/corpus/message fuzz/seeds/message -- -max_total_time=1200 -timeout=10 -rss_limit_mb=2048
//! ```
//!
//! Without libFuzzer, for as long as wanted, and with nothing to steer by but the seeds:
//!
//! ```text
//! SEKISHO_BEND=300 cargo nextest run --test rooms -E 'test(readers::message)' --no-capture
//! ```
//!
//! # Bombs
//!
//! `cargo bench --bench bombs` sends small things that become large, deep or slow through the whole scanner, each in a process of
//! its own, and says what it took and how it was judged: at most 2 s and 64 MiB, never clean.
//!
//! # Speed beside a peer
//!
//! `benches/side_by_side` measures Postfix and this gateway one after the other with the same clients. One run differs from the next
//! by 15 %, so that what is told or decided by is `--rounds 3`, which judges the ratios of the medians.
//!
//! # The oracle of drills
//!
//! Every injected (message, recipient) carries an identity and a hash. The injector writes down each reply to a final dot, or that
//! it heard none, and syncs that before it goes on; the sinks write down what they took. Afterwards:
//!
//! 1. no loss: whatever was answered 250 is delivered, bounced, held or queued;
//! 2. no phantom: nothing is delivered that was refused;
//! 3. duplicates at most one for each transaction in flight at a kill;
//! 4. bodies equal by hash, envelopes equal;
//! 5. one terminal line of the mail log for each recipient;
//! 6. the balance is 0 and equal to the ledgers.
//!
//! # Habits
//!
//! A test that can't fail is a defect: plant the fault once and see it caught. Wait for a condition, never sleep for it. Time comes
//! from a manual [`Clock`](crate::clock::Clock) or the runtime's paused one. A regression test is named for what happened. Traffic
//! stays on loopback.
