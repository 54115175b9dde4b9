//! Keys that sign: their life, the commands, what is sealed with them.
//!
//! # The life of a key
//!
//! | state | signs | record in the DNS | private key | goes to |
//! |---|---|---|---|---|
//! | `new` | no | to be published | kept | active, retired, or away (`rm`) |
//! | `active` | yes; at most one for a domain and algorithm | published | kept | replaced, when another is activated; retired with `--stop-signing` |
//! | `replaced` | no | stays: mail that it signed is under way | kept, so that one can go back (`activate`) | active, retired |
//! | `retired` | never again | may go | erased | away (`rm`) |
//!
//! ```text
//! sekisho dkim generate example.com             # prints the TXT record to publish
//! sekisho dkim activate example.com             # asks the DNS, then lets the key sign
//! sekisho dkim rotate example.com               # months later: the next key, with its record to publish
//! sekisho dkim activate example.com             # the key before is replaced now
//! sekisho dkim retire example.com               # a week later: the key before is erased
//! ```
//!
//! | command | does |
//! |---|---|
//! | `generate DOMAIN` | makes a key in state new; `--algorithm rsa-2048` (default) or `ed25519`, `--selector` (default: the date and a letter, as `20261121r`) |
//! | `rotate DOMAIN` | makes the key to come for each active one (or of one `--algorithm`); refused while one is new already |
//! | `activate DOMAIN` | the key in state new, or the one that `--selector` names; asks the DNS first |
//! | `check DOMAIN` | asks the DNS for the record of each key that is not retired; exit code 5 if one is missing or wrong |
//! | `retire DOMAIN` | the replaced key, or the one that `--selector` names; the active one only with `--stop-signing` |
//! | `rm DOMAIN --selector S` | forgets a new or retired key |
//! | `ls [DOMAIN]`, `show DOMAIN` | keys, without and with their records |
//!
//! stdout has records as lines of a zone file, or with `--json` one object for each key (`v`, `domain`, `selector`, `algorithm`, `state`,
//! `name`, `record`, `created`, `activated`, `retired`; after `activate` and `retire` also `replaced`). Where several keys could be
//! meant the command asks for `--selector` (exit code 2).
//!
//! `activate` asks the resolver of the settings for the record. Exactly one must be there, with this key, for email and for SHA-256; otherwise
//! exit code 5. No answer: exit code 75, and nothing is changed. `--unchecked` asks nobody, for instance where the node sees another
//! DNS than the world. A negative answer that a resolver in between remembers can hold the check up for as long as the zone says.
//!
//! # Where keys are
//!
//! `keys.db` in the data directory, apart from everything else, for its owner alone (0600). Private keys are not encrypted in it:
//! whoever can read it can sign as the domain, so treat its backups as keys. Retiring overwrites the private key in the database and
//! folds the write-ahead log in; what a file system or a backup keeps besides is out of reach. No command, log, error or metric
//! shows a private key. A domain has 32 keys at most. The node looks for changes five times a second: an edit is live within
//! a second, no restart. A key that can't be read is named in the log and left out.
//!
//! # What is signed
//!
//! Outbound mail, by each active key of the domain in From (of its first address), which is always one of the client's tenant: RSA and
//! Ed25519 both, where both are active. Exactly that domain's keys: a key of `acme.example` signs nothing of `mail.acme.example`. The
//! signature is the last thing before custody, over the octets that leave; From, To, Cc, Subject, Date, Reply-To and the MIME fields are
//! signed once more than they are there. A tenant whose mail must be signed says so; otherwise mail without a key, or for which a
//! key failed, leaves unsigned. `sekisho_dkim_signed_messages_total` counts all three.
//!
//! ```toml
//! [[tenant]]
//! id = "acme"
//! sign = "required"      # "possible" is the default; required: 451 instead of unsigned
//! ```
//!
//! What a tenant's server forwards for others (see [`outbound`](super::outbound)) is not signed: its author is not the tenant's.
//!
//! # What is sealed
//!
//! Inbound mail whose Authentication-Results fields claim to be ours loses them (RFC 8601 section 5). Such a change may break a signature,
//! so the message gets an ARC set (RFC 8617): what we found before the change, in the name of our host name's own domain if it
//! has an active key, otherwise of its organizational domain; RSA before Ed25519, which many verifiers don't know. Publish a key for the
//! domain of `hostname`:
//!
//! ```text
//! sekisho dkim generate gateway.example
//! ```
//!
//! Mail that is not changed is not sealed. A message goes on unsealed if there is no key, if it has no From, if its chain had
//! failed before, could not be verified for want of an answer, or has 50 sets; a key that can't sign is told once in the log.
