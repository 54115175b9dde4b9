//! Known-source lists (DNSxL, RFC 5782): asked side by side, each within its time, and watched for whether they still work.
//!
//! A list that refuses us, fails its self-test or has fallen silent is out of service: it is asked no more until a self-test
//! passes, and every answer it would have given is
//! [`Listed::Degraded`](crate::model::sender::Listed::Degraded). An error code for one question, which a sender may have
//! provoked, degrades that answer alone and calls for a self-test.
//!
//! **Failure**: degraded is counted (`sekisho_dnsxl_answers_total`) and alarmed (`sekisho_dnsxl_lists_degraded`), and mail goes on.
//! **Invariants**: an answer is here within the longest time-out of the lists; a list that was never tested blocks nobody;
//! zones are in no text.

pub mod answer;
mod health;
pub mod list;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use list::{Code, Kind, List, SelfTest, Zone, examples};

use super::source::together;
use crate::dns::{Answer, Resolver};
use crate::model::Domain;
use crate::model::sender::ZoneAnswer;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{ListAnswer, Worked};
use answer::{Said, degraded, interpret, is_error, plain};
use health::Health;

/// Lists that are in order are tested again after this time.
const TEST_INTERVAL: Duration = Duration::from_secs(3600);
/// Lists that are not, or were accused, after this. Nobody can have them tested more often.
const RETEST_INTERVAL: Duration = Duration::from_secs(60);
/// More lists than this are not asked.
pub const MAX_LISTS: usize = 32;

#[derive(Debug)]
struct Watched {
    list: List,
    health: Health,
}

/// The handle; its lists never change.
#[derive(Debug)]
pub struct Blocklists {
    lists: Vec<Watched>,
    resolver: Arc<dyn Resolver>,
    metrics: Arc<Metrics>,
    /// An answer calls for a test.
    accused: Notify,
}

impl Blocklists {
    /// Disabled lists are left out. Nothing is believed before the first [`test`](Self::test).
    #[must_use]
    pub fn build(lists: Vec<List>, resolver: Arc<dyn Resolver>, metrics: Arc<Metrics>) -> Self {
        let enabled = lists.into_iter().filter(|list| list.enabled).take(MAX_LISTS);
        let lists = enabled.map(|list| Watched { list, health: Health::default() }).collect();
        let lists = Self { lists, resolver, metrics, accused: Notify::new() };
        lists.tell();
        lists
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// What the lists of addresses say, in the order of the settings. The questions go through no message's budget and into no
    /// record of it, since their names hold the zones.
    pub async fn ask_ip(&self, ip: IpAddr) -> Vec<ZoneAnswer> {
        self.ask(|list| match list.kind {
            Kind::Ip | Kind::Allow => answer::name_of_ip(ip, list),
            Kind::Domain => None,
        })
        .await
    }

    /// What the lists of domains say.
    pub async fn ask_domain(&self, domain: &Domain) -> Vec<ZoneAnswer> {
        self.ask(|list| match list.kind {
            Kind::Domain => answer::name_of_domain(domain, list),
            Kind::Ip | Kind::Allow => None,
        })
        .await
    }

    async fn ask(&self, name: impl Fn(&List) -> Option<String>) -> Vec<ZoneAnswer> {
        let asked = self.lists.iter().filter_map(|watched| {
            let name = name(&watched.list)?;
            Some(async move {
                let said = self.ask_one(watched, &name).await;
                self.metrics.sender.list_answers.inc(said.counted);
                ZoneAnswer { list: watched.list.name.clone(), answer: said.listed }
            })
        });
        together(asked).await
    }

    async fn ask_one(&self, watched: &Watched, name: &str) -> Said {
        if let Some(why) = watched.health.out_of_service() {
            return plain(degraded(why.into()), ListAnswer::NotAsked);
        }
        let said = interpret(&watched.list, &self.question(&watched.list, name).await);
        let change = watched.health.heard(&said, watched.list.kind);
        if change.news {
            tracing::warn!(list = %watched.list.name, answer = ?said.listed, "a known-source list needs attention");
            self.tell();
        }
        if change.test {
            self.accused.notify_one();
        }
        said
    }

    async fn question(&self, list: &List, name: &str) -> Answer<Vec<Ipv4Addr>> {
        let answer = tokio::time::timeout(list.timeout, self.resolver.a(name)).await;
        answer.unwrap_or_else(|_| Answer::Temporary("time-out".into()))
    }

    /// Tests every list. True: all are in order.
    pub async fn test(&self) -> bool {
        self.test_all(false).await
    }

    async fn test_all(&self, accused: bool) -> bool {
        let verdicts = together(self.lists.iter().map(|watched| self.test_one(watched, accused))).await;
        self.tell();
        verdicts.into_iter().all(|passed| passed)
    }

    async fn test_one(&self, watched: &Watched, accused: bool) -> bool {
        let list = &watched.list;
        let tests = match &list.self_test {
            SelfTest::Off => {
                watched.health.passed(accused);
                return true;
            }
            SelfTest::Names { listed, unlisted } => (answer::below(listed, list), answer::below(unlisted, list)),
            SelfTest::Rfc5782 if list.kind == Kind::Domain => {
                (answer::below("test", list), answer::below("invalid", list))
            }
            SelfTest::Rfc5782 => (answer::v4(Ipv4Addr::new(127, 0, 0, 2), list), answer::v4(Ipv4Addr::LOCALHOST, list)),
        };
        let (Some(listed), Some(unlisted)) = tests else {
            watched.health.failed("the zone is too long");
            return false;
        };
        let answers = together([self.question(list, &listed), self.question(list, &unlisted)]).await;
        let passed = match answers.as_slice() {
            [Answer::Temporary(_), _] | [_, Answer::Temporary(_)] => {
                watched.health.untold();
                None
            }
            [Answer::Found(codes), _] if codes.iter().any(|code| is_error(list, *code)) => {
                Some(Err("refused: answers with an error code"))
            }
            [_, Answer::Found(_)] => Some(Err("self-test failed: lists what must not be listed")),
            [Answer::Found(_), _] => Some(Ok(())),
            _ => Some(Err("self-test failed: does not list what must be listed")),
        };
        match passed {
            Some(Ok(())) => watched.health.passed(accused),
            Some(Err(why)) => {
                tracing::warn!(list = %list.name, why, "a known-source list is out of service");
                watched.health.failed(why);
            }
            None => {}
        }
        let passed = passed.is_some_and(|passed| passed.is_ok());
        self.metrics.sender.list_tests.inc(if passed { Worked::Yes } else { Worked::No });
        passed
    }

    /// Tests at once, again and again, and when an answer calls for it, until `shutdown`.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        if self.lists.is_empty() {
            return;
        }
        let watch = async {
            let mut accused = false;
            loop {
                let passed = self.test_all(accused).await;
                let tested = Instant::now();
                let next = if passed && !accused { TEST_INTERVAL } else { RETEST_INTERVAL };
                tokio::select! {
                    () = self.accused.notified() => {
                        accused = true;
                        tokio::time::sleep_until(tested + RETEST_INTERVAL).await;
                    }
                    () = tokio::time::sleep(next) => accused = false,
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = watch => {}
        }
    }

    fn tell(&self) {
        let degraded = self.lists.iter().filter(|watched| watched.health.needs_attention()).count();
        self.metrics.sender.lists_degraded.set(i64::try_from(degraded).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests;
