//! How the content of mail is judged: from findings to what becomes of a message, and what a tenant may set.
//!
//! # Findings, points, categories
//!
//! Detectors look at a message in a fixed order and leave findings, each with a class and a number of points. Detectors know
//! nothing of tenants: one message has one verdict. What it counts as, its **categories**, depends on the recipient's thresholds.
//! [`policy::content`](crate::policy::content) holds the rules, its tables show them line by line.
//!
//! | category | follows from | inbound | outbound |
//! |---|---|---|---|
//! | `malware` | one finding | `quarantine` | `quarantine`, always |
//! | `risky-file` | one finding | `quarantine` | `quarantine` |
//! | `ambiguous` | one finding: mail programs read the message in different ways | `quarantine` | `quarantine` |
//! | `unscannable` | something that was not looked at: damage, a budget, an unknown format, time | `quarantine` | `quarantine`, kept back always |
//! | `encrypted` | a file with a password that we don't have | `stamp` | `deliver` |
//! | `phishing` | points of phishing | `quarantine` | `quarantine`, kept back always ([`egress`](super::egress)) |
//! | `impersonation` | points of impersonation | `stamp` | `deliver` |
//! | `spam` | points of spam, phishing and impersonation together | `quarantine` | `quarantine`, or as the operator says ([`egress`](super::egress)) |
//! | `suspected` | the same points, fewer than for spam | `tag` | `deliver` |
//! | `bulk` | points of bulk mail, which are no points of spam | `tag` | `deliver` |
//!
//! The order of the table is the order of judging: the first category whose action keeps the message back decides. If none
//! does, the message is delivered with the changes of all of them (and one tag, the first).
//!
//! | level | spam | suspected | phishing | impersonation | bulk |
//! |---|---|---|---|---|---|
//! | `low` | 8 | 5 | 7 | 6 | 6 |
//! | `medium` (default) | 5 | 3 | 5 | 4 | 4 |
//! | `high` | 3.5 | 2 | 3.5 | 2.5 | 2.5 |
//!
//! Findings that speak for a message have negative points, and those count against phishing too. What marked the sender
//! ([`sender`](super::sender)) adds points for spam: DMARC that asks for quarantine 3, a doubtful From 2, SPF 1, DKIM 0.5.
//!
//! **One symbol alone does not sink the mail of an authenticated author.** If DMARC passes, or SPF or DKIM is aligned, what one rule
//! gives counts for a tenth less than the threshold at most; it takes a second rule, whatever that gives. Such mail is tagged as
//! suspected instead. Not capped are verdicts that are sums themselves (rspamd, spamd) and rules that say of themselves that they are
//! certain, with 50 points and more. Outbound nothing is capped: the spam of a stolen account too comes authenticated.
//!
//! # What nobody can change
//!
//! * No policy delivers malware, and no allow entry spares a message anything but points: malware, files and what could not be
//!   inspected are judged as everybody's. An allowed sender is spared spam, suspected, phishing, impersonation and bulk.
//! * Outbound, no list spares anything. Malware is quarantined; what could not be inspected is kept back; spam and phishing are
//!   quarantined or rejected, by the medium level or the tenant's own stricter one, unless the operator lets spam out over addresses of
//!   its own. All tenants send from the same addresses: [`egress`](super::egress).
//! * A scan that could not be done is 451, and so is one without a detector that must answer: hashes, rules, YARA, SpamAssassin's rules,
//!   file rules, clamd and ICAP where they are configured and required. What malware was found meanwhile counts at once. After three such
//!   answers for the same message it is quarantined as unscannable.
//! * What was not looked at is `unscannable` or `encrypted`, never clean.
//! * Copies and notices go to addresses in the tenant's own domains only: a copy to the internet would be outbound mail that nobody
//!   checked. What is not delivered is never copied.
//!
//! # What a tenant may set
//!
//! In `[tenant.content.inbound]` and `[tenant.content.outbound]`, and in `[tenant.domain.content.inbound]` and
//! `[tenant.domain.content.outbound]` for one domain, whose keys stand in the place of the tenant's; a domain that names a level
//! does not take its tenant's thresholds. Inbound it is the recipient's domain that counts, outbound the sender's.
//!
//! | key | default | is |
//! |---|---|---|
//! | `level` | `medium` | `low`, `medium` or `high`: the thresholds above |
//! | `thresholds` | by level | points, 0.1 to 1000, of `spam`, `suspected`, `phishing`, `impersonation`, `bulk` |
//! | `actions` | see above | a word or a list of words for each category |
//! | `tags` | `[SPAM?]` and the like | what stands before the subject, for each category; at most 64 characters |
//! | `stamps` | Japanese and English | what stands above the text, for each category; at most 2,000 characters |
//! | `headers` | inbound `true`, outbound `false` | our header fields on everything that is delivered |
//! | `tag_signed` | `true` | tag digitally signed mail too |
//! | `bcc` | none | up to ten addresses that get copies where an action says `bcc`; the sender hears nothing of them, and a copy that fails is nobody's bounce |
//! | `notify` | none | up to ten addresses that are told where an action says `notify` |
//!
//! | word | does |
//! |---|---|
//! | `deliver` | nothing; what a list of words without another fate means |
//! | `tag` | writes before the subject; the whole subject is written anew in UTF-8 |
//! | `headers` | writes our header fields, where `headers = false` |
//! | `stamp` | writes above the text; what is signed or read in several ways gets a tag before the subject instead, even with `tag_signed = false` |
//! | `strip` | takes the files out, each with a notice in its place; for `risky-file`, `encrypted`, `unscannable`. What can't be found in a file, or not be taken out, is quarantined |
//! | `quarantine` | keeps the message as it came |
//! | `reject` | 550 at the end of data. If other recipients of the same message take it, theirs is quarantined instead: no bounce is written to a sender that may be forged |
//! | `discard` | takes the message and throws it away; logged |
//! | `bcc`, `notify` | with delivery; with anything |
//!
//! # Fields
//!
//! Incoming fields whose names begin with `X-Spam-` or `X-Sekisho-` are removed from all mail. Ours are
//! `X-Sekisho-Verdict`, `X-Spam-Flag`, `X-Spam-Score`, `X-Spam-Level` and `X-Spam-Status`
//! ([`policy::content::fields`](crate::policy::content::fields)).
//!
//! # Budgets
//!
//! How much of a message is looked at is the operator's setting, `[scan]`: files, layers, ratio, sizes, time. Beyond a budget the rest
//! is not looked at and the message is `unscannable`; the explanation says what and why. The work is done by a bounded number of
//! threads (`scan.workers`), that of short messages also by those that serve connections (`threads`), though never by all of them at a
//! time, if there are several processors. When all are taken messages wait (`scan.patience`), then clients get 451: a full gateway is slow and lets nothing
//! through unseen.
