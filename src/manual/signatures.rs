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
//! Keys are those of `signatures.keys` and of the folder `keys` beside the sets; the folder is read at each look. A key that is
//! trusted while the node runs counts at once, also for a set that was refused for want of it; one that is taken away counts no
//! more for the next set, and what is in force goes on.
//!
//! A running set that expires goes on, over restarts too: old signatures are better than none. Its age is a metric.
//!
//! # The classifier's model
//! A pack may hold one `.model`: hashes of words with weights, no text, learned from mail that people sorted
//! ([`crate::signatures::model`]). The starter pack's is learned from freely usable corpora. Whoever has own sorted mail makes an own
//! one, and a pack with it in place of the starter pack's (a set has one model):
//!
//! ```text
//! sekisho signatures train --ham sorted/ham --spam sorted/spam --phish sorted/phish --out mine/own.model
//! ```
//! Each folder holds one message a file, also in folders below; files above 64 MiB are passed over. Phishing counts as spam, which is
//! what the classifier calls everything unwanted. Of each message only hashes of words stay in memory, of all at most 24 Mi: some 60,000
//! messages; with more, the command says at which file the room ended and writes nothing. Mail of one sort that says the very same is
//! taken once. A word counts once two different authors (by From) used it. The same files make the same model, octet by octet. Fewer
//! than some thousands of each sort, and of both the kinds that this place gets, make a worse model than the one that comes along.
//! Exit codes: 0 written, 1 too much mail, a folder that can't be read or nothing learned, 3 no mail of one of the sorts.
//!
//! How much the opinion weighs does not depend on the model: at most 4.5 points, up to 5.5 where it is as sure as hardly ever of honest
//! mail, and at most 0.8 in favour of a message ([`crate::signatures::model::SURE_POINTS`],
//! [`LEAST_POINTS`](crate::signatures::model::LEAST_POINTS)).
//!
//! # What users teach
//! Each tenant has a layer of its own on top of the model: what its users say is spam, or is good, moves the weights of the words of
//! that mail, the more so the more the opinion was wrong ([`crate::signatures::model::Layer`]). A few reports of mail that says the same
//! decide about the next of it; words that both sorts use even out, and a wrong report is taken back by the opposite one.
//!
//! ```text
//! sekisho learn spam --tenant acme Maildir/.Junk/     files, folders, or - ; headers count for nothing but the subject
//! sekisho learn ham --tenant acme invoice.eml
//! sekisho learn show --tenant acme                    how much was taught
//! sekisho learn forget --tenant acme                  all of it; `sekisho tenant purge` does so too
//! ```
//! Of a Maildir only the messages are read, not the folders beside them. Inbound mail that was held as spam and is released is taken for
//! good soon after, unless `classifier.learn_from_releases` is off or the release says `--no-learn`; a lesson waits for nobody and nobody
//! for it, and those not yet learned when a node stops are lost. A lesson counts for that tenant's inbound mail alone, and not for mail that goes to several tenants at one
//! time; what leaves is judged by the seed: nobody talks their own spam out of it. Taught mail weighs up to 6.5 points, or -4.
//! The finding's evidence says how much of the opinion is the tenant's own.
//!
//! A layer is the file `classifier/TENANT.layer` in the data directory ([`crate::signatures::layers`]): hashes and weights of at most 100,000
//! words, no text. Commands and the node write it by turns, and the node finds a new one within a second. Run the commands as the node's
//! user, so that it can read what they write. By a damaged file nobody is judged, and it is told in the log; `sekisho learn forget`
//! removes it. Layers are of one node: a second one must be taught too.
//!
//! # What literals cost
//! One matcher finds all literals of rules, expressions and signatures in one pass ([`crate::signatures::literals`]); figures by
//! `cargo bench --bench literals`. An expression runs only where one of the literals it needs was found and all else that its rule
//! asks for holds; those of one rule that need none run as one. What a rule costs that needs none, `sekisho signatures check` tells.
//!
//! # Compiling beside mail
//! Sets are read, compiled and proved on a thread that gives way to mail ([`crate::signatures::background`]), in a node that runs as in the
//! commands: on a busy machine a set comes in force some seconds later, and no message waits for it (`benches/swaps`).
