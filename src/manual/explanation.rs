//! The record of one judgement, `explanation/v1`.
//!
//! An [`Explanation`](crate::model::explanation::Explanation) holds every input that a decision had, every list entry and rule that
//! was consulted in its order, and what decided. It is made for every message, and for every recipient that is refused. What the
//! command line, the console and the API say about a message is read from it and from nothing else;
//! `sekisho explain smtp` makes one by a dry conversation.
//!
//! Versions: a member never changes its meaning. New members, rules and effects may come; readers leave out what they don't know. A
//! change that can't be made so becomes `explanation/v2`.
//!
//! # Members
//!
//! | member | is |
//! |---|---|
//! | `schema` | `explanation/v1` |
//! | `at` | when it was judged, in milliseconds since 1970 (UTC); entries had expired, and sources recovered, by this clock |
//! | `message` | the message's id; absent if there was none yet |
//! | `versions` | `program`; `snapshot` of the tenants; `lists` of allow and block entries |
//! | `tenant` | whose recipient it is; absent if several tenants are concerned |
//! | `client` | `ip`, `helo`, `tls` (absent: not encrypted), `country`, `reverse` (absent: not asked; `"missing"`, `"temperror"`, or `pass` or `mismatch` with the name) |
//! | `sender` | the envelope sender; empty for notices |
//! | `asked` | every question to the DNS: `name`, `kind`, `answer` (the records; or that there are none, or that no answer came) |
//! | `asked_left_out` | how many more were asked; absent: none |
//! | `zones` | known-source lists: `list` (its name in the settings) and its `answer`: `"no"`, `yes` with `reason` and `weight`, `degraded` with `why` |
//! | `authentication` | results of SPF, DKIM, ARC and both evaluations of DMARC ([`Authentication`](crate::model::authentication::Authentication)) |
//! | `judgements` | one for each recipient, then one of the message |
//! | `judgements_left_out` | how many more there were; absent: none |
//! | `content` | what was found in the message and what became of it; absent if it was not looked into |
//! | `bulk` | outbound: `alike`, recipients that alike messages have not reached before; `reached`, those that they have; `senders` of them (estimate, at most 64); `list`, fields of mailing lists; `allowance`, so many recipients in so many seconds. Absent: it is like no other |
//!
//! A judgement:
//!
//! | member | is |
//! |---|---|
//! | `moment` | `rcpt` or `message` |
//! | `recipient` | at `rcpt` |
//! | `answer` | `accept`, `defer`, `reject`, `disconnect` |
//! | `reply` | the refusal as said: `code`, `enhanced`, `text` |
//! | `decided_by` | a rule |
//! | `steps` | everything that was looked at, in order: `stage`, the `rule` if it was a particular one, `effect` |
//! | `skips` | what later checks leave out: `reputation`, `spam`, `bulk`; absent: nothing. There is no member for malware |
//! | `provisional` | accepted on the word of an allow entry that needs proof; `reply` and `rule` if there is none |
//! | `summary` | one sentence: `en`, `ja` |
//!
//! The member `content`:
//!
//! | member | is |
//! |---|---|
//! | `verdict` | `set`, the number of the signature set; `findings`; `left_out`, how many more, and `left_out_points`, theirs by class; `score`, all points; `unavailable`; `unchecked`. Absent: the scan could not be done |
//! | `unchecked_left_out` | how many more did not answer or were not looked at; absent: none |
//! | `groups` | recipients whose mail is treated alike |
//! | `groups_left_out` | how many more there were; absent: none |
//!
//! A finding has a `detector`, a `symbol` (the rule's or signature's name), a `class`, a `score` in thousandths of a point, `evidence`
//! in few words, and the `part` of the message if it concerns one. In the mail log and the quarantine evidence is names of files, hosts
//! and the words of other scanners alone, never text of the message; `sekisho scan` shows all of it. Of `unavailable`, each names the `detector` and the `reason`; of
//! `unchecked`, `what` and the `reason`.
//!
//! A group:
//!
//! | member | is |
//! |---|---|
//! | `direction` | `inbound` or `outbound` |
//! | `recipients` | the first sixteen |
//! | `recipients_left_out` | how many more; absent: none |
//! | `categories` | what the message counts as for them; absent: clean |
//! | `steps` | each `category` that was found or weighed, its `points` and `threshold` in thousandths, and the `effect` |
//! | `decided_by` | `by` and what belongs to it: `nothing`, `category`, `unavailable` (with `detector`), `no-scan` |
//! | `disposition` | `fate` (`deliver`, `quarantine`, `reject`, `discard`, `defer`, `hold`) and what belongs to it: `tag`, `stamp`, `instead` (the tag where the stamp can't be put), `strip`; `category`; the reply |
//! | `copies` | addresses: `bcc`, `notify`; absent: none |
//! | `summary` | as above |
//!
//! Categories and their order: [`Category`](crate::model::disposition::Category); effects:
//! [`Effect`](crate::model::explanation::content::Effect).
//!
//! A rule says by `rule` which it is (`nothing-against`, `recipient`, `entry`, `tls-required`, `known-source`, `reputation`,
//! `reverse-name`, `limit`, `harvest`, `contract`, `accounts`, `greylist`, `from`, `arc-sealer`, `dmarc`, `spf`, `dkim`) and names what is needed to find it
//! again: an entry its `id`, `action`, `kind`, `scope` and `prefix`; the others as [`Rule`](crate::model::rule::Rule) says.
//! Stages and effects: [`Stage`](crate::model::rule::Stage), [`Effect`](crate::model::rule::Effect).
//!
//! # Bounds and secrets
//!
//! Of everything there is a most ([`model::explanation`](crate::model::explanation)), and an Explanation is smaller than 640 KiB whatever a
//! message brings. Texts from outside are at most 512 characters and hold no control or direction characters.
//!
//! The zone of a paid list holds a key: zones go by the list's name in the settings. Passwords and
//! private keys are no input of any judgement.
