//! From merged values to [`SuspensionSettings`].

use std::time::Duration;

use super::settings::{RateSettings, SuspensionSettings, WidestScope};
use super::take::Taker;

/// Longer times than this are surely slips.
const MAX_TIME: Duration = Duration::from_secs(3650 * 86_400);

pub(super) fn fill(take: &mut Taker<'_>) -> SuspensionSettings {
    let widest = match take.text("suspension.widest").as_deref() {
        Some("sender") => WidestScope::Sender,
        Some("domain") => WidestScope::Domain,
        Some("tenant") => WidestScope::Tenant,
        _ => WidestScope::Client,
    };
    let throttle = take.rate("suspension.throttle").unwrap_or_else(|| {
        let help = "a suspension stops everything; a throttle lets a little pass, as 60/1h";
        take.wrong("suspension.throttle", "suspension.throttle can't be off", help);
        RateSettings { count: 1, per: Duration::from_secs(60) }
    });
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    SuspensionSettings {
        automatic: take.flag("suspension.automatic"),
        least_messages: take.number("suspension.least_messages"),
        least_signals: small(take.number("suspension.least_signals")),
        dwell: bounded(take, "suspension.dwell"),
        dwell_harm: bounded(take, "suspension.dwell_harm"),
        warn_for: lasting(take, "suspension.warn_for"),
        throttle_for: lasting(take, "suspension.throttle_for"),
        suspend_for: Some(bounded(take, "suspension.suspend_for")).filter(|length| !length.is_zero()),
        throttle,
        widest,
        reject: take.text("suspension.answer").as_deref() == Some("reject"),
        remove_at_expiry: take.text("suspension.queue_at_expiry").as_deref() == Some("remove"),
        confirm_every: bounded(take, "suspension.confirm_every"),
        notices_per_day: small(take.number("suspension.notices_per_day")),
    }
}

fn bounded(take: &mut Taker<'_>, name: &str) -> Duration {
    let length = take.span(name);
    if length > MAX_TIME {
        take.wrong(name, format!("{name} is longer than ten years"), "");
    }
    length
}

fn lasting(take: &mut Taker<'_>, name: &str) -> Duration {
    let length = bounded(take, name);
    if length.is_zero() {
        take.wrong(name, format!("{name}: a stage of no time would be over before it began"), "24h is usual");
    }
    length
}
