//! Dynamic reputation: what is counted, the numbers of the levels, and why they are what they are.
//!
//! Sekisho keeps its own record of every source that spoke to it. Nothing here asks anybody else; known-source lists (DNSxL) are a
//! stage of their own, with a 550. A hit here is a 450, because a real server with one compromised account comes back and is let
//! through when the delay is over; a spammer's one-shot program doesn't.
//!
//! # What is counted
//!
//! Good messages (ham), spam, unknown recipients, malformed talk. Every count halves every 48 hours. A message counts once, whatever
//! its number of recipients. An attempt that was delayed or refused for reputation counts nothing: retries don't prolong a stay.
//!
//! **Points** = spam + 0.1 for each unknown recipient beyond ten plus the number of good messages + 0.2 for each malformed talk beyond
//! two plus the number of good messages. **Share** = points / (points + ham). A source that sends both is a source of spam: its good
//! mail only makes the share smaller.
//!
//! | kept for | is |
//! |---|---|
//! | address | an IPv4 address or an IPv6 /64 |
//! | network | its /24 or /48: each address adds at most 2 points and 2 good messages, however much it sends |
//! | domain | only if authenticated; counted from wherever it sends, apart from the addresses |
//!
//! # The levels
//!
//! A source is delayed when its points reach the first number **and** its share reaches the second.
//!
//! | level | address | domain | network | stay | 550 from |
//! |---|---|---|---|---|---|
//! | 0 | never acts; what level 2 would say is logged | | | | |
//! | 1 | 7.5 and 40 % | 30 and 40 % | 24 and 80 % | 30 min | never |
//! | 2 | 2.5 and 15 % | 10 and 15 % | 12 and 60 % | 2 h | never |
//! | 3 | 1.5 and 5 % | 6 and 5 % | 8 and 50 % | 6 h | never |
//! | 4 | 0.5 and 0 % | 2 and 2 % | 5 and 34 % | 24 h | 4.5 and 20 % |
//!
//! **The stay** runs from the last offence and is judged with the counts as they were then, so that a source doesn't slip out as soon
//! as its counts decay below the number that put it in. Each doubling of the points above the allowance adds the stay once more, at
//! most five times: two hours at level 2 become twelve at most, a day at level 4 becomes six. A relapse meets the points
//! left from before and so lasts longer. `sekisho reputation forget` ends it at once; a tenant's approved address or allow entry
//! passes it.
//!
//! **550** is for level 4 alone, and only for what the address itself did, so that a network or a domain that is shared never costs mail.
//! It falls back to 450 when the points are one below the number, for a single spam from there would bring it back.
//!
//! # Why these numbers
//!
//! - *Level 2 waits for the third spam in about seven hours* (2.5, not 3, because the first two have begun to decay) and for 15 %:
//!   a provider whose addresses carry one or two percent of spam is never delayed, ham and spam in turn (50 %) always.
//! - *Level 4 lists after a single spam*, whatever the share, as its name promises; that costs large providers a 450 for a day, which they
//!   bear. Only a fifth of spam makes it a 550.
//! - *The network needs many offenders*: with two points for an address, six addresses at level 2, three at level 4. One spammer,
//!   however busy, can't sink its neighbours; two can't either. A snowshoe network, where each address sends a few, is caught
//!   for the addresses that haven't begun.
//! - *A record of one's own beats the neighbours'*: two good messages, and at most one point for ten of them, and the network has no
//!   say. The same holds for an authenticated domain that moves to a new address.
//! - *Known* is a source with half a good message: one counts for 48 hours. Unknown sources may be greylisted at levels 2 and 3.
//!
//! # Worked example
//!
//! Ham and spam in turn, one message a minute: at the sixth message (third spam) level 2 delays for two and a half hours, level 3 has
//! delayed since the second spam, level 4 since the first and refuses from the fifth. After the stay the source is let in; its next
//! spam finds nearly three points left and delays it for longer.
//!
//! # Memory and restarts
//!
//! At most 1,000,000 sources of about 170 octets. When the table is full, the least of 16 makes room: what was seen once goes first,
//! what is known against a source last. On exit the records are written to `reputation.state` in the data directory (checksum, put
//! in place in one step); at start a damaged file is given up with a warning. What operators set is in `reputation-set.json`, written at once.
