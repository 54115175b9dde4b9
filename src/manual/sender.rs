//! How a sender is judged: the order, what a list entry does, and what a tenant may set.
//!
//! # The order
//!
//! Inbound mail is judged at every RCPT, for the tenant of that recipient, and once more at end of data. The first rule that
//! objects gives the answer. [`policy::sender`](crate::policy::sender) holds the rules, its tables show them line by line.
//!
//! | # | stage | answer | spared by |
//! |---|---|---|---|
//! | 1 | the recipient exists | 550, 451 | |
//! | 2 | sender lists: mailbox block, administrator's block, mailbox allow, administrator's allow | 550 5.7.1 | |
//! | 3 | TLS required | 550 5.7.10 | |
//! | 4 | networks: the longest prefix, at equal prefixes allow before block; then countries: allow before block | 550 5.7.1 | sender allow |
//! | 5 | known-source lists (DNSxL) | 550 5.7.1 | sender, network, country allow |
//! | 6 | dynamic reputation | 450 4.7.1; at level 4, when there is very much spam, 550 | sender, network, country allow |
//! | 7 | reverse name | 550 5.7.25, 451 4.7.25 | sender, network allow |
//! | 8 | limits, directory harvest | 450 | nothing |
//! | 9 | greylist (levels 2 and 3, unknown servers) | 451 4.7.1 | sender, network allow |
//! | | the body | | |
//! | 10 | sender lists for the author in the From field | 550 5.7.1 | |
//! | 11 | From, DMARC, SPF, DKIM | by the tenant's actions | a trusted ARC sealer, a bound network |
//!
//! Limits protect the node and all tenants on it, so no tenant's list lifts them; they cost a real server a quarter of an hour.
//! What could not be found out (a refused or unknown answer of a list, no answer for the reverse name) speaks neither for the mail nor
//! against it, or puts it off; it never refuses.
//!
//! # When an allow entry counts
//!
//! An entry that allows a sender counts if the sender is **authenticated** (SPF or DKIM passes for a domain of the same
//! organization, or DMARC passes for it), or if the entry is **bound to a network** that has the client. A bound entry never
//! counts from elsewhere. It then spares reputation, spam and bulk checks, and nothing else: malware, attachments, content rules and
//! what the author's domain asks for by DMARC stay as they are.
//!
//! At RCPT only SPF is known. If an entry would rescue a recipient but isn't proven yet, the recipient is taken **provisionally**; if
//! DKIM or DMARC does not prove the sender either, the refusal of RCPT is given at end of data (451, if the proof could not be
//! had). All recipients of one transaction must be able to have the same answer: the one that can't is told 452 4.5.3 and comes
//! in a transaction of its own.
//!
//! Lists for the author can be asked only when the header is there. If they part the recipients, the message is accepted for those
//! that take it and discarded, by policy and with a line in the mail log, for those whose list blocks the author.
//!
//! # Mail by a relay of one's own
//!
//! Another gateway that stands before this one (`trusted_relays` of a listener) has seen the sender's address; here there is only its
//! own, which says nothing. If it can say whom it speaks for, let it: `proxy_protocol` or `xclient_from`, and everything is judged as
//! if the sender had come here. If it can't, stages 4 to 9 and the actions for DMARC, SPF and DKIM are left out (`trusted-relay` in
//! the Explanation), for SPF would fail for every honest sender; nothing is counted for or against the relay, whose limits are its own.
//! An entry that blocks the relay's network blocks the relay (the longest prefix decides); an allow entry bound to its network counts for all that it brings.
//! Sender lists, TLS, recipients, the From field and the content are judged as ever; to rules that ask, an author is authenticated if a
//! signature proves it. Signatures are verified: they prove an allowed author whoever brings the message, and Authentication-Results
//! tells them, without a word on SPF and, unless a signature passes it, on DMARC. The relay's own results stay, under any name but
//! ours. `explain smtp` takes an address for a relay's if any listener trusts it.
//!
//! # First contact
//!
//! Mail of an author who never exchanged mail with the tenant has the finding `FIRST_CONTACT`, which has no points of its own: everybody
//! writes for a first time. Rules ask for it as `@first-contact`, beside other doubts. It is in the mail log and the Explanation as any
//! finding.
//!
//! An author is the one address in From, whatever its case and detail (`+…`). Of one address there are two: the
//! **authenticated** one (as to rules) and the other, so that a forged From of somebody known is a first contact. An author is
//! known once mail of theirs was accepted and handed on or queued for a recipient of the tenant; not by what was refused,
//! discarded or quarantined, nor by what counts as malware, phishing, impersonation or spam for any of its recipients and is
//! delivered all the same, nor by a message to several tenants. Both are known once a mailbox of the tenant's wrote to the address, but
//! the second not where the first is known to prove itself; what its server only sends on,
//! or sends without a sender, does not count. The tenant's own domains are nobody's first contact if authenticated.
//!
//! It fails towards saying nothing. There is no first contact:
//!
//! - of a tenant to which mail was delivered for less than `learning` (14 days), pauses of more than a quarter of that not counted,
//!   nor of one that had no mail for `memory` (400 days);
//! - for `learning` after entries were lost: to a full table, to a state file that could not be read (all begins anew), or
//!   because the file (`correspondents.state`, saved hourly and on exit) was more than a day old at the start;
//! - in a message for recipients of several tenants, and in one without one author in From.
//!
//! Mail of a trusted relay is asked by its From, too; it is authenticated if a signature proves it. Each node knows what went
//! through it: behind several nodes, or on one that stands by, somebody known to another is a stranger. All tenants share one table
//! (`entries`); while it is full, nobody is a stranger. The keys are those of `[first_contact]`, see [`operations`](super::operations).
//!
//! # What a tenant may set
//!
//! `[tenant.sender]` is for all domains of a tenant, `[tenant.domain.sender]` for one. A domain's key stands in the place of the
//! tenant's; a list replaces a list.
//!
//! | key | default | |
//! |---|---|---|
//! | `reputation` | `2` | level of dynamic reputation: 0 off (still counted), 1 most lenient, 4 lists a source after one spam |
//! | `known_sources` | `true` | known-source lists refuse |
//! | `greylisting` | `false` | unknown servers are asked to come back, at levels 2 and 3 |
//! | `tls_required_from` | none | sender domains (with subdomains), client networks, or `"*"` |
//! | `trusted_sealers` | none | domains (with subdomains) whose newest ARC seal stands for authentication; name only forwarders that check what they take, for what they found is not asked |
//! | `reverse` | none | rows of `sender` (a domain with subdomains, `default`, `empty`), `missing`, `invalid`: `accept` or `reject`; the longest domain is the one |
//! | `reverse_blocked` | none | reverse names, with all below them, that are refused whoever sends |
//!
//! `authentication` has an action for each result: `accept`, `mark` (accepted, later checks are told), `defer` (451), `reject` (550).
//! The severest decides. A DMARC pass ends the actions of SPF and DKIM, for forwarding breaks the one and mailing lists the other.
//! While DMARC can't be evaluated, nothing refuses for good.
//!
//! | key | default | when |
//! |---|---|---|
//! | `from_invalid` | `reject` | no From field, several, or authors of several domains: nobody could be authenticated. With an empty envelope sender and nobody named (`From: MAILER-DAEMON`) at most `mark`: bounces must not be lost |
//! | `spf_fail` | `mark` | the record ends in `-all`, and DMARC does not pass |
//! | `spf_softfail` | `accept` | `~all` |
//! | `spf_temperror` | `accept` | no answer; where the domain has DMARC, DMARC's action decides |
//! | `spf_permerror` | `accept` | a wrong record |
//! | `dkim_fail` | `accept` | signatures, and none is valid (RFC 6376 section 6.1: as if unsigned) |
//! | `dmarc_reject` | `reject` | DMARC fails, the domain asks for `p=reject` |
//! | `dmarc_quarantine` | `mark` | the domain asks for `p=quarantine` |
//! | `dmarc_none` | `accept` | the domain only watches |
//! | `dmarc_temperror` | `mark` | no answer for the DMARC record itself; not where SPF or DKIM proves the author all the same |
//! | `dmarc_permerror` | `accept` | a wrong record |
//! | `null_sender` | `reject` | the most that DMARC does to mail with an empty envelope sender. Not less by default, or `<>` would switch DMARC off |
//!
//! If the record was had and asks for `p=reject` or `p=quarantine`, and only an SPF or DKIM answer that might let DMARC pass is
//! missing, the message is put off (451), whatever `dmarc_temperror` says (`reject` still rejects): a forger could otherwise name a
//! key that never answers. The same holds if the record was not asked for because the message had used up its questions to the DNS.
//! Under `p=none`, `dmarc_none` acts, at most with `defer`.
