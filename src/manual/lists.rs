//! Allow and block lists: what an entry says, which one decides, how they are edited and what they cost.
//!
//! # An entry
//!
//! | part | is |
//! |---|---|
//! | action | `allow` or `block` |
//! | kind, value | an address; a domain with every domain below it; a network; a country (ISO 3166-1) |
//! | scope | whose mail it is for: the operator's (everybody's), a tenant's, one domain's, one mailbox's |
//! | from_network | only for an allow of an address or domain: it counts for clients in this network, without authentication, and for no others |
//! | expires | from this second on it doesn't count; it stays until it is removed |
//! | owner, reason, created | what people wrote; shown wherever the entry decided |
//! | hits, last hit | how often it decided, and when last; written every 10 s |
//!
//! Addresses and domains are compared in lower case, domains as A-labels. A mailbox `user+detail` has the entries of `user` too. A
//! mailbox has at most 100 entries, a tenant (all its domains and mailboxes together) and the operator 5,000,000 each.
//!
//! One entry is told from another by action, kind, value, scope with its name, and `from_network`. Adding the same again changes
//! its expiry, owner and reason; its number, creation and hits stay.
//!
//! # Which entry decides
//!
//! Entries for the **sender** (address, domain), in this order; the first that counts decides:
//!
//! 1. the mailbox's blocks
//! 2. administrators' blocks (the domain's, the tenant's, the operator's)
//! 3. the mailbox's allows
//! 4. administrators' allows
//!
//! Within one of the four the narrower scope is named, then an address before a domain, then the longer domain, then the older
//! entry. A block always counts. An allow counts if the sender is authenticated, or if it is bound to a network that has the
//! client; otherwise the next one is looked at, and the explanation says why this one did not count.
//!
//! Entries for the **client** (network, country): the longest prefix first, whosever it is; of equal prefixes allow before block;
//! then the narrower scope. So a tenant lets in an address that the operator blocks, by naming it just as exactly, but a
//! tenant's wide allow does not open a single address that the operator closed. Countries come after all networks: allow
//! before block, then the narrower scope.
//!
//! An entry that can never decide is **shadowed**: another one matches whatever it matches, for everybody it is for, at least as
//! long, comes before it and counts whenever it would. `sekisho list ls` says which.
//!
//! # Commands
//!
//! ```text
//! sekisho list add block x.example --tenant acme --reason "ticket 812" --for 30d
//! sekisho list add allow a@y.example --mailbox taro@acme.example --reason "known" --from-network 192.0.2.0/24
//! sekisho list ls --tenant acme --shadowed                 --json: NDJSON
//! sekisho list rm 17 18                                    or -: ids from stdin, as ls --json prints them
//! sekisho list export --tenant acme > acme.csv
//! sekisho list import acme.csv --dry-run                   + added, ~ changed
//! ```
//! They edit the store in the data directory, whether or not the node runs; it looks several times a second, and an edit is
//! live within a second. A domain under which everybody can register (`co.jp`), a very wide network and the tenant's own domain
//! are warned of.
//!
//! # CSV
//!
//! The first line names the columns, in any order; `action` and `value` are needed:
//! `action,kind,value,scope,tenant,for,from_network,expires,owner,reason,created`. `for` is the domain or mailbox. What can be told
//! from the rest may be left out: the kind from the value (two letters are a country), the scope from `tenant` and `for`, the
//! tenant from the domain; or `--operator`, `--tenant`, `--domain`, `--mailbox` say it for rows that don't.
//!
//! Import reads UTF-8 with or without mark, UTF-16 with mark and CP932 (found out by itself, or `--encoding`). Full-width characters
//! and blanks around are made narrow, and told. It reads the whole file before it writes: with more bad rows than `--max-errors`
//! (0) nothing is written. Then it writes a thousand rows at a time, each with how far it has come: started again with the same
//! file, an import that was cut off goes on there. A row adds an entry or changes one; import removes nothing.
//!
//! Export writes UTF-8 with mark (spreadsheets take it for Shift_JIS without), `--encoding utf-8` without, or `cp932`; a character that
//! CP932 can't hold and give back ends it. A cell that a spreadsheet would take for a formula (`= + - @`, tab, return) gets a
//! `'` before it, which import takes away again: export and import are exact.
//!
//! # How it works
//!
//! The store holds each entry in two tables of `lists.db`: a narrow one, clustered in the order in which the index is compiled,
//! and one with what people wrote. The [index](crate::tenant::lists::Lists) has one block for the operator and one for each
//! tenant: five arrays, without an allocation for an entry. An entry is found by a keyed 32-bit tag over kind, value, scope and name,
//! and compared in full. A look-up asks for the address, its domain and the domains above it, the client's network at every
//! length in use, and the country; masks of what a block holds leave out what can't be there. An edit packs the blocks of the
//! tenants it touches anew and shares all others with the snapshot before.
//!
//! The node counts hits in memory (at most 65,536 entries wait) and adds them to the store every 10 s and at its end. They are
//! not in the index and make no new version.
