//! Measures against senders of outbound mail: what is done, on what evidence, and the way out.
//!
//! One infected machine must not cost the provider's addresses their name, nor its 49 colleagues their mail. A measure is an object: about
//! whom, which stage, why, since when, until when, by whom; it is shown, it is told, and it ends.
//!
//! # Stages
//!
//! | stage | does | lasts |
//! |---|---|---|
//! | warn | the tenant's administrators are told, nothing else | 24 h |
//! | throttle | 60 recipients in an hour, as a burst and then one by one; 450 beyond | 24 h |
//! | suspend | 450 (or 550, `suspension.answer`) at MAIL and at the end of a message; queued mail is held | 7 days |
//!
//! Replies name the measure's number, so that whoever calls can be helped. Inbound mail of the tenant is never touched.
//!
//! # Scopes
//!
//! A sender (`+tag` folded), a client address (IPv6: a /64), a domain, the whole tenant; always of one tenant. Automatic measures begin at
//! the sender. Its machine is next if several senders of the tenant are in trouble, or if no sender alone is and the machine is: a
//! spammer that changes its name. Wider than that only operators go, unless `suspension.widest` says so. What is wider than one sender may be a
//! company's only mail server, and is stopped automatically for spam and malware alone; bounces throttle it at most.
//!
//! # Evidence
//!
//! After each outbound message its sender and client are assessed ([`abuse`](crate::model::abuse)). Nothing is done below the
//! floors: 200 messages in a day, three independent signals, and one of them harm (unknown recipients, bounces, spam, malware). Alike content, list
//! fields, sudden change, a new sender and high rates are what every newsletter has: alone, they never lead to a measure.
//!
//! Stages go one at a time. The next comes after an hour, or a minute where there is spam or malware, and only if it **went on**: more
//! harm, or as many messages again as the floor, whatever became of them. An assessment counts a whole day and decays, so what counts is
//! what was added since the stage began. A sender that was cleaned is not punished for its morning.
//!
//! Alike mail of lists with many refusals, from more than one sender of a tenant or over a whole domain, is shown as `mail-distribution`: a
//! business that contracts forbid. Spam and malware are shown as `compromised`.
//!
//! # The way out
//!
//! - **It expires.** Time is the steady clock's: a jump of the wall clock expires nothing until it has stayed for an hour, and a start with
//!   a clock that is far off (back, or more than three days ahead) leaves what was left of each measure.
//! - **The tenant confirms.** The notice of a warning or throttle holds a code. `sekisho suspension confirm CODE --reason ...` ends the
//!   measure, once in `suspension.confirm_every` for one subject. The code is in the notice and nowhere else; of it only a hash is kept. A
//!   suspension has no code: somebody has to look.
//! - **An operator lifts** (`sekisho suspension lift ID --reason ...`) or sets another stage (`add` on the same subject).
//!
//! For a day after a lift or a confirmation the old counts are not held against the subject: only twenty new cases of harm begin anew, at
//! the warning.
//!
//! # Queued mail
//!
//! What waits in the queue when a suspension begins is held, in three passes over a minute, because mail may be on its way in. Lifted,
//! confirmed or made milder: it goes on. Run out: `suspension.queue_at_expiry` releases or removes it (removed mail is gone without a
//! notice to its sender, and in the mail log). What an operator holds stays held; what two measures concern is let go with the second.
//!
//! # Notices
//!
//! One for each change of stage and for the end, in Japanese and English, to the `administrators` of the tenant, at most
//! `suspension.notices_per_day`. They are addresses at the tenant's own domains and get it the way of its inbound mail, from the null sender.
//!
//! # Keeping
//!
//! `suspensions.db` in the data directory; ended measures are kept for 400 days. A measure bites once it is written. A store that is away
//! delays it by a second at most: then it is enforced unwritten (`sekisho_suspension_unwritten`), and written when the store is back. MAIL
//! asks a table in memory that is swapped whole, without a lock. Another node's measures in the same store are followed within seconds.
