//! From a record to what speaks against its subject.
//!
//! **Invariants**: one refusal among few says nothing: every signal has a least count, and those that honest senders have too a least
//! share. What one sender does is no evidence against the client, domain or tenant that others share with it.

use std::time::Duration;

use super::record::{Kind, Record};
use crate::model::Timestamp;
use crate::model::abuse::{Assessment, Evidence, Scope, Signal, Subject};
use crate::tables::Seconds;

const DAY: Seconds = 86_400;
/// So long a sender is a new one.
const NEW: Seconds = 7 * DAY;
/// Least recipients of a day that each says something.
const ALIKE: f32 = 100.0;
const LIST: f32 = 50.0;
const SUDDEN: f32 = 100.0;
const NEW_RECIPIENTS: f32 = 50.0;
/// So many times a usual day.
const SUDDEN_TIMES: f32 = 10.0;
/// Least final refusals, and one of so many.
const REFUSALS: f32 = 10.0;
const REFUSALS_OF: f32 = 20.0;
/// Least messages of spam, and one of so many.
const SPAM: f32 = 5.0;
const SPAM_OF: f32 = 50.0;
const RATE: f32 = 20.0;
/// Different senders that must have done it, for what they share.
const SENDERS_OF_CLIENT: u32 = 2;
const SENDERS_OF_DOMAIN: u32 = 3;

#[allow(clippy::cast_sign_loss, reason = "never negative")]
fn whole(count: f32) -> u64 {
    count.round() as u64
}

/// `wall`: now, by the clock on the wall.
pub(super) fn assess(subject: &Subject, record: &Record, now: Seconds, wall: Timestamp) -> Assessment {
    // What was refused for its rate was sent, too.
    let volume = whole(record.count(Kind::Messages) + record.count(Kind::Rate));
    let least = match subject.scope {
        Scope::Sender(_) => 0,
        Scope::Client(_) => SENDERS_OF_CLIENT,
        Scope::Domain(_) | Scope::Tenant => SENDERS_OF_DOMAIN,
    };
    let mut evidence = Vec::new();
    if record.blamed() >= least {
        evidence = signals(record, now, wall);
    }
    Assessment { subject: subject.clone(), volume, evidence }
}

fn signals(record: &Record, now: Seconds, wall: Timestamp) -> Vec<Evidence> {
    let age = record.age(now);
    let seen = Duration::from_secs(age.min(DAY).into());
    let since = Timestamp::from_millis(wall.as_millis().saturating_sub(u64::try_from(seen.as_millis()).unwrap_or(0)));
    let messages = record.count(Kind::Messages);
    let put_off = record.count(Kind::Rate);
    let (recipients, told) = (record.count(Kind::Recipients), record.told());
    let refused = |count: f32| count >= REFUSALS && count * REFUSALS_OF >= told;
    let spam = record.count(Kind::Spam);
    let usual = record.usual_day(now);
    let found = [
        (Signal::Malware, record.count(Kind::Malware), messages, record.count(Kind::Malware) >= 0.5),
        (Signal::Spam, spam, messages, spam >= SPAM && spam * SPAM_OF >= messages),
        (Signal::UnknownRecipients, record.count(Kind::Unknown), told, refused(record.count(Kind::Unknown))),
        (Signal::Bounces, record.count(Kind::Bounced), told, refused(record.count(Kind::Bounced))),
        (Signal::Alike, record.count(Kind::Alike), recipients, record.count(Kind::Alike) >= ALIKE),
        (
            Signal::SuddenChange,
            recipients,
            usual,
            age >= NEW && recipients >= SUDDEN && recipients >= usual * SUDDEN_TIMES,
        ),
        (Signal::NewSender, recipients, recipients, age < NEW && recipients >= NEW_RECIPIENTS),
        (Signal::List, record.count(Kind::List), recipients, record.count(Kind::List) >= LIST),
        (Signal::Rate, put_off, messages.max(put_off), put_off >= RATE),
    ];
    // In the order above: harm first, and of it what is surest.
    let told_of = found.into_iter().filter(|(.., holds)| *holds);
    let evidence = told_of.map(|(signal, count, of, _)| {
        let sample = matches!(signal, Signal::UnknownRecipients | Signal::Bounces).then(|| record.sample()).flatten();
        Evidence { signal, count: whole(count).max(1), of: whole(of), since, sample }
    });
    evidence.collect()
}
