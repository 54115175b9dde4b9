//! Outbound mail: rates, alike messages to many, and what is known of those who send.
//!
//! # Rates
//!
//! A rate is so many in such a time (`500/10m`); several of them for one thing hold together (`500/10m 5000/1d`). A full burst passes at
//! once, then one by one as the time allows. What is limited, in `[rates]` for the node and in `[tenant.rates]` (without `outbound_`) for
//! a tenant, whose rates hold beside the node's and so can only be stricter:
//!
//! | key | counts for | usual |
//! |---|---|---|
//! | `outbound_client` | one address of a tenant's (IPv6: one /64) | 1000/5m |
//! | `outbound_sender` | one envelope sender, its plus-address folded | 500/10m |
//! | `outbound_domain` | one domain of a tenant | off |
//! | `outbound_tenant` | a tenant | off |
//! | `outbound_trial` | one domain of a tenant whose contract is a trial (no contract says so yet) | 100/1h |
//!
//! Plain keys count recipients; `_messages` and `_bytes` behind them count those. A message is asked three times: at MAIL whether one
//! more may come at all, at each RCPT whether it may have one more recipient (those before it stay), and at its end, when all that it
//! counts for is charged at once or nothing is. The answer is 450 and says how much may pass and when to come back.
//!
//! The limits of a sender and of a client grow by a hundredth for each delivered message that is no bulk, to five times, and are halved for each
//! message of spam or malware, to a tenth; both are forgotten within weeks. A client's limits shrink only if several senders do harm.
//!
//! # Alike messages to many
//!
//! Of each message's text a sketch of 32 octets is kept for two days, in groups of alike ones for each tenant. Names in greetings, numbers,
//! punctuation, quoted text and all of a link but its host make no difference; a few other words neither. A recipient counts once for
//! a group, so that a report which goes to the same people every minute is never bulk.
//!
//! Beyond `[bulk] sender` (50 recipients in ten minutes) the answer is 451 and says when to come back. At RCPT no message gets more
//! recipients than that at once; the others get 451 and pass later. `[bulk] text` is the same for one text, whoever of a tenant sends
//! it. A sender that has sent alike messages for a week and more, with no spam, no malware and few refusals, may send more: 14 times
//! its daily average, spread over the day, to twenty times the usual. A newsletter to 5,000 from a new sender takes about 17 hours; to let it pass
//! at once, raise `sender`.
//!
//! Nothing is lost: a mail server tries again for days. Bulk alone never stops anybody.
//!
//! # What is known of a sender
//!
//! Each sender, client, domain and tenant has a record of counts that fade with a time constant of a day, and a baseline of four weeks. From it follows
//! what speaks against it (`model::abuse::Signal`), from these on:
//!
//! | signal | within a day |
//! |---|---|
//! | `malware` | one message |
//! | `spam` | 5 messages and one in 50; suspected ones count a quarter |
//! | `unknown-recipients`, `bounces` | 10 refusals of next hops and one in 20 of those whose fate is known |
//! | `alike` | 100 recipients of alike messages |
//! | `sudden-change` | 100 recipients and ten times a usual day |
//! | `new-sender` | 50 recipients, in the first week |
//! | `list` | 50 recipients of messages with fields of mailing lists |
//! | `rate` | 20 messages put off for a rate |
//!
//! What one sender does is no evidence against its client (two senders must have done it), its domain or its tenant (three).
//!
//! Records are in memory, bounded by `[bulk] records`, saved every five minutes and on exit in `outbound.state` below the data directory. Their time
//! goes on by what the wall clock moves, at most an hour between two looks and a day between two runs: a jump of the clock
//! neither erases nor invents anything. Counters of rates and groups of alike messages begin anew at a restart.
