//! From merged values to [`SenderSettings`]: everything that senders are judged with.

use std::time::Duration;

use crate::model::Domain;
use crate::model::rates::{Limited, OutboundRates};

use super::known_sources;
use super::settings::{
    AuthenticationSettings, BulkSettings, FirstContactSettings, GreylistSettings, HarvestSettings, RatesSettings,
    ReputationSettings, SenderSettings,
};
use super::take::Taker;

/// The most spam traps.
const MAX_TRAPS: usize = 10_000;
/// Longer times than this are surely slips, and would not fit the counters.
const MAX_TIME: Duration = Duration::from_secs(3650 * 86_400);

/// `None` if the hostname, which stands for a name that is not written, is missing.
pub(super) fn fill(take: &mut Taker<'_>, hostname: Option<&Domain>) -> Option<SenderSettings> {
    let authserv_id = take.text("authentication.authserv_id").and_then(|name| Domain::parse(&name).ok());
    let questions = take.count("authentication.questions");
    let settings = SenderSettings {
        reputation: reputation(take),
        greylist: greylist(take),
        first_contact: first_contact(take),
        harvest: harvest(take),
        rates: RatesSettings {
            per_client: take.rate("rates.per_client"),
            per_network: take.rate("rates.per_network"),
            per_sender: take.rate("rates.per_sender"),
            per_recipient: take.rate("rates.per_recipient"),
            outbound: outbound(take),
            outbound_trial: take.rates("rates.outbound_trial"),
            entries: take.count("rates.entries"),
        },
        bulk: BulkSettings {
            sender: take.rate("bulk.sender"),
            text: take.rate("bulk.text"),
            records: take.count("bulk.records"),
            groups: take.count("bulk.groups"),
        },
        countries: take.path("geography.database"),
        known_sources: known_sources::fill(take.merged, take.problems),
        authentication: AuthenticationSettings { questions, authserv_id: authserv_id.or_else(|| hostname.cloned())? },
    };
    Some(settings)
}

fn outbound(take: &mut Taker<'_>) -> OutboundRates {
    let mut rates = OutboundRates::default();
    for limited in Limited::ALL {
        rates.set(limited, take.rates(&format!("rates.outbound_{}", limited.as_str())));
    }
    rates
}

fn reputation(take: &mut Taker<'_>) -> ReputationSettings {
    const TRAPS: &str = "reputation.spam_traps";
    let spam_traps = take.addresses(TRAPS);
    if spam_traps.len() > MAX_TRAPS {
        take.wrong(TRAPS, format!("{TRAPS}: {} addresses are more than {MAX_TRAPS}", spam_traps.len()), "");
    }
    if let Some(trap) = spam_traps.iter().find(|trap| trap.local().eq_ignore_ascii_case("postmaster")) {
        take.wrong(
            TRAPS,
            format!("{TRAPS}: {trap} is an address that everybody may write to"),
            "RFC 5321 section 4.5.1",
        );
    }
    ReputationSettings { entries: take.count("reputation.entries"), spam_traps }
}

fn greylist(take: &mut Taker<'_>) -> GreylistSettings {
    let settings = GreylistSettings {
        delay: bounded(take, "greylist.delay"),
        window: bounded(take, "greylist.window"),
        memory: bounded(take, "greylist.memory"),
        entries: take.count("greylist.entries"),
    };
    if settings.window <= settings.delay {
        let what = "greylist.window is not beyond greylist.delay: nobody could come back in time";
        take.wrong("greylist.window", what, "servers come back after minutes or hours; 24h is usual");
    }
    settings
}

fn first_contact(take: &mut Taker<'_>) -> FirstContactSettings {
    let settings = FirstContactSettings {
        learning: bounded(take, "first_contact.learning"),
        memory: bounded(take, "first_contact.memory"),
        entries: take.count("first_contact.entries"),
    };
    if settings.memory <= settings.learning {
        let what =
            "first_contact.memory is not beyond first_contact.learning: who was learned of would be forgotten by then";
        take.wrong("first_contact.memory", what, "many people write once a year; 400d is usual");
    }
    settings
}

fn harvest(take: &mut Taker<'_>) -> HarvestSettings {
    HarvestSettings {
        unknown_recipients: u32::try_from(take.number("harvest.unknown_recipients")).unwrap_or(u32::MAX),
        stay: bounded(take, "harvest.stay"),
    }
}

fn bounded(take: &mut Taker<'_>, name: &str) -> Duration {
    let length = take.span(name);
    if length > MAX_TIME {
        take.wrong(name, format!("{name} is longer than ten years"), "");
    }
    length
}
