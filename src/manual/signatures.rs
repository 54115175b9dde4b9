//! Signature sets: from a rule somebody writes to the message that is judged with it.
//!
//! # Packs
//! A pack is a folder with a `pack.toml` ([`crate::signatures::pack`]). Its files are taken by their ending:
//!
//! | ending | is | documented in |
//! |---|---|---|
//! | `.toml` | our own rules | [`crate::signatures::rules`] |
//! | `.hdb .hsb .mdb .msb .ndb .ldb .ign2` | ClamAV's signatures | [`crate::signatures::clamav`] |
//! | `.yar .yara` | YARA | [`crate::signatures::yara`] |
//! | any, named in `[[feed]]` | lists of domains, addresses, networks, hashes, literals | [`crate::signatures::feeds`], [`crate::signatures::rules::lists`] |
//!
//! A fault in our own rules refuses the set, with file, line and reason. A line in a foreign format that we can't do is
//! skipped and told by `sekisho signatures check`, for such files come by the thousand from elsewhere.
//!
//! # A set's life
//! `sekisho signatures compile` gives the packs the next number, writes them with a manifest (number, dates, SHA-256 of
//! each file) and signs it with an Ed25519 key. `publish` makes it the current one, or a canary for a share of the mail. The
//! node follows: it takes a set only if a trusted key signed it, every file is as the manifest says, its number was not
//! overtaken, it did not expire, it compiles, and it proves itself: EICAR and GTUBE are found, the examples of its rules hold,
//! and honest mail (ours, and that of the packs' `self-test/ham`) stays below 5 points by all detectors of the set together: rules,
//! octets, YARA, feeds, SpamAssassin's rules, classifier. Otherwise the one before stays.
//!
//! A message picks its set once, when it begins, and is judged by that one to its end ([`crate::signatures::Sets::pick`]).
//! What each set finds and how long it takes is counted. When the hits or the time of a canary jump against what the current set
//! does in the same hours, after 200 messages of each, it is taken back by itself, and stays away until somebody publishes it
//! again. Malware doesn't count, nor more than a second of one message: both come in waves that others send. A set that was
//! published without a trial has nothing beside it to be compared with; when its figures jump against those of the set before, that
//! is an alert, and somebody decides. `rollback` goes back by hand. `pin` keeps a tenant on a set; if that one can't be loaded, the
//! tenant keeps the one it had.
//!
//! Keys are those of `signatures.keys` and of the folder `keys` beside the sets; the folder is read for each set, so a key that
//! is trusted or taken away while the node runs counts for the next one.
//!
//! A running set that expires goes on, over restarts too: old signatures are better than none. Its age is a metric.
//!
//! # What literals cost
//! One matcher finds all literals of rules, expressions and signatures in one pass ([`crate::signatures::literals`]); figures by
//! `cargo bench --bench literals`. An expression runs only where one of the literals it needs was found; what a rule costs
//! that needs none, `sekisho signatures check` tells.
