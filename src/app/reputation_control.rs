//! Puts the records of sources behind the operator's port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::Answer;
use crate::admin::reputation::{AtLevel, Held, ReputationControl, Set, Shown, Subject, Sums};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::model::sender::Level;
use crate::sender::reputation::{self, Pin, Record, Reputation, Why};

#[derive(Debug)]
pub(super) struct Records {
    pub reputation: Arc<Reputation>,
    pub clock: Clock,
    /// Where what operators set is saved at once.
    pub data_dir: PathBuf,
}

impl ReputationControl for Records {
    fn show(&self, subject: Subject) -> Answer<'_, Shown> {
        Box::pin(async move { self.shown(&subject) })
    }

    fn set(&self, subject: Subject, change: Set) -> Answer<'_, Result<Shown, String>> {
        Box::pin(async move {
            let now = self.clock.now();
            let until = change.seconds.map(|seconds| now.plus(Duration::from_secs(seconds)));
            tracing::info!(%subject, standing = ?change.standing, reason = %change.reason, "reputation set by an operator");
            let pin = Pin { standing: change.standing, until, reason: change.reason, since: now };
            self.reputation.set(&of(&subject), pin).map_err(|error| error.to_string())?;
            self.save().await?;
            Ok(self.shown(&subject))
        })
    }

    fn forget(&self, subject: Subject) -> Answer<'_, Result<bool, String>> {
        Box::pin(async move {
            let forgotten = self.reputation.forget(&of(&subject), self.clock.now());
            tracing::info!(%subject, forgotten, "reputation forgotten by an operator");
            self.save().await?;
            Ok(forgotten)
        })
    }
}

impl Records {
    fn shown(&self, subject: &Subject) -> Shown {
        let now = self.clock.now();
        let known = self.reputation.show(&of(subject), now);
        let levels = (0..=4).filter_map(Level::new).map(|level| {
            let judged = self.reputation.judged(&of(subject), level, now);
            let why = match judged.why {
                Why::Nothing => "nothing",
                Why::Address => "address",
                Why::Network => "network",
                Why::Domain => "domain",
                Why::Operator => "operator",
            };
            AtLevel { level: level.get(), standing: judged.standing, why: why.into(), until: judged.until }
        });
        let held = |pin: Pin| Held { standing: pin.standing, reason: pin.reason, since: pin.since, until: pin.until };
        Shown {
            v: 1,
            subject: subject.to_string().into(),
            own: known.own.as_ref().map(sums),
            network: known.network.as_ref().map(sums),
            set: known.pin.map(held),
            levels: levels.collect(),
        }
    }

    async fn save(&self) -> Result<(), String> {
        let (reputation, dir) = (Arc::clone(&self.reputation), self.data_dir.clone());
        let saved = tokio::task::spawn_blocking(move || reputation.save_set(&dir)).await;
        saved.map_err(|error| error.to_string())?.map_err(|error| format!("it holds until the next start: {error}"))
    }
}

fn of(subject: &Subject) -> reputation::Subject {
    match subject {
        Subject::Address(ip) => reputation::Subject::Address(*ip),
        Subject::Domain(domain) => reputation::Subject::Domain(domain.clone()),
    }
}

/// To a hundredth: more is noise of the decay.
fn sums(record: &Record) -> Sums {
    let round = |count: f32| (count * 100.0).round() / 100.0;
    Sums {
        ham: round(record.ham),
        spam: round(record.spam),
        unknown_recipients: round(record.unknown),
        malformed: round(record.malformed),
        last_offence: (record.offence != 0).then(|| Timestamp::from_millis(u64::from(record.offence) * 1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sender::Standing;
    use crate::sender::Observation;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn what_an_operator_sets_is_shown_saved_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let reputation = Reputation::in_memory(reputation::Config::default(), Metrics::new());
            reputation.load(dir.path()).unwrap();
            let clock = Clock::manual(Timestamp::from_millis(1_795_176_451_250));
            Records { reputation: Arc::new(reputation), clock, data_dir: dir.path().to_owned() }
        };
        let (records, subject) = (open(), "192.0.2.7".parse::<Subject>().unwrap());
        let now = records.clock.now();
        (0..3).for_each(|_| records.reputation.saw("192.0.2.7".parse().unwrap(), None, Observation::Spam, now));
        let shown = records.show(subject.clone()).await;
        assert_eq!((shown.own.unwrap().spam, shown.network.unwrap().spam), (3.0, 2.0));
        assert_eq!((&*shown.levels[2].why, shown.levels[2].standing), ("address", Standing::Delayed));
        let change = Set { standing: Standing::Good, reason: "ticket 812".into(), seconds: Some(60) };
        let shown = records.set(subject.clone(), change).await.unwrap();
        assert_eq!((&*shown.levels[2].why, shown.levels[2].standing), ("operator", Standing::Good));
        assert_eq!(shown.set.unwrap().until, Some(now.plus(Duration::from_secs(60))));
        let again = open();
        assert_eq!(&*again.show(subject.clone()).await.set.unwrap().reason, "ticket 812");
        assert_eq!(again.forget(subject.clone()).await, Ok(true));
        assert_eq!(again.forget(subject.clone()).await, Ok(false));
        assert_eq!(open().show(subject).await.set, None);
    }

    #[tokio::test]
    async fn a_domain_is_judged_as_a_domain() {
        let dir = tempfile::tempdir().unwrap();
        let reputation = Arc::new(Reputation::in_memory(reputation::Config::default(), Metrics::new()));
        let records = Records { reputation, clock: Clock::default(), data_dir: dir.path().to_owned() };
        let domain = crate::model::Domain::parse("spam.example").unwrap();
        for host in 0..12_u8 {
            let ip = std::net::Ipv4Addr::new(10, host, 0, 1).into();
            records.reputation.saw(ip, Some(&domain), Observation::Spam, records.clock.now());
        }
        let shown = records.show(Subject::Domain(domain)).await;
        assert_eq!((&*shown.levels[2].why, shown.levels[2].standing), ("domain", Standing::Delayed));
        assert_eq!(shown.network, None);
    }
}
