//! Everything this room knows of sources, built together, kept and saved together.
//!
//! **Failure**: a database of countries that can't be read stops the start; counters that can't be read or saved are given up
//! with a warning. Each fact fails on its own and says so in its own value.

use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::blocklists::{Blocklists, List};
use super::correspondents::{self, Correspondents};
use super::geography::{Geography, GeographyError};
use super::greylist::{self, Greylist};
use super::harvest::{self, Harvest};
use super::reputation::{self, Reputation};
use super::reverse::reverse;
use crate::dns::Resolver;
use crate::model::Timestamp;
use crate::model::sender::Reverse;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReverseResult;

/// Gauges are told so often.
const MEASURE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Default)]
pub struct Config {
    pub lists: Vec<List>,
    /// A database in MaxMind's format; `None`: no countries.
    pub countries: Option<PathBuf>,
    pub reputation: reputation::Config,
    pub greylist: greylist::Config,
    pub harvest: harvest::Config,
    pub correspondents: correspondents::Config,
}

/// The handle.
#[derive(Debug)]
pub struct Source {
    pub lists: Arc<Blocklists>,
    pub geography: Arc<Geography>,
    pub reputation: Arc<Reputation>,
    pub greylist: Arc<Greylist>,
    pub harvest: Arc<Harvest>,
    pub correspondents: Arc<Correspondents>,
    metrics: Arc<Metrics>,
}

impl Source {
    /// Blocks on the disk if a database of countries is named. `resolver` asks the lists.
    ///
    /// # Errors
    /// [`GeographyError`].
    pub fn build(config: Config, resolver: Arc<dyn Resolver>, metrics: Arc<Metrics>) -> Result<Self, GeographyError> {
        let shared = || Arc::clone(&metrics);
        Ok(Self {
            lists: Arc::new(Blocklists::build(config.lists, resolver, shared())),
            geography: Arc::new(Geography::open(config.countries, shared())?),
            reputation: Arc::new(Reputation::in_memory(config.reputation, shared())),
            greylist: Arc::new(Greylist::new(config.greylist, shared())),
            harvest: Arc::new(Harvest::new(config.harvest, shared())),
            correspondents: Arc::new(Correspondents::new(config.correspondents, shared())),
            metrics,
        })
    }

    /// The reverse name of an address, counted. `dns` is asked: the resolver, or one message's budget and record over it.
    pub async fn reverse(&self, dns: &dyn Resolver, ip: IpAddr) -> Reverse {
        let reverse = reverse(dns, ip).await;
        self.metrics.sender.reverse.inc(match reverse {
            Reverse::Pass(_) => ReverseResult::Pass,
            Reverse::Missing => ReverseResult::Missing,
            Reverse::Mismatch(_) => ReverseResult::Mismatch,
            Reverse::TempError => ReverseResult::TempError,
        });
        reverse
    }

    /// Tests the lists and tells the gauges, until `shutdown`.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let lists = Arc::clone(&self.lists).watch(shutdown.clone());
        let measure = async {
            loop {
                self.measure();
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(MEASURE) => {}
                }
            }
        };
        tokio::join!(lists, measure);
    }

    fn measure(&self) {
        self.reputation.measure();
        self.greylist.measure();
        self.correspondents.measure();
    }

    /// Takes over what an earlier run saved in `dir`, and tells the gauges of it: the first scrape may come before [`Self::watch`]
    /// gets to it. What is damaged is given up with a warning. Blocks on the disk.
    pub fn load(&self, dir: &Path, now: Timestamp) {
        for loaded in [self.reputation.load(dir), self.greylist.load(dir), self.correspondents.load(dir, now)] {
            if let Err(error) = loaded {
                tracing::warn!(%error, "counters of the last run are given up");
            }
        }
        self.measure();
    }

    /// Blocks on the disk.
    pub fn save(&self, dir: &Path, now: Timestamp) {
        for saved in [self.reputation.save(dir), self.greylist.save(dir), self.correspondents.save(dir, now)] {
            if let Err(error) = saved {
                tracing::warn!(%error, "counters could not be saved");
            }
        }
    }
}

/// Waits for all of them at once; the answers stand in the order of the questions.
pub(super) async fn together<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    enum Slot<F, T> {
        Waiting(Pin<Box<F>>),
        Done(T),
    }
    let mut slots: Vec<_> = futures.into_iter().map(|future| Slot::Waiting(Box::pin(future))).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for slot in &mut slots {
            if let Slot::Waiting(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(answer) => *slot = Slot::Done(answer),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let answer = |slot| if let Slot::Done(answer) = slot { Some(answer) } else { None };
    slots.into_iter().filter_map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::MemoryResolver;
    use crate::model::sender::Listed;
    use crate::model::sender::{Level, Standing};
    use crate::sender::blocklists::{Kind, Zone};

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_is_counted_and_state_outlives_the_process() {
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        let dns = MemoryResolver::default()
            .with_ptr(ip, &["mail.client.example"])
            .with_ip("mail.client.example", &[ip])
            .with_ip("2.0.0.127.bl.example", &["127.0.0.2".parse().unwrap()])
            .with_ip("7.2.0.192.bl.example", &["127.0.0.2".parse().unwrap()]);
        let dns: Arc<dyn Resolver> = Arc::new(dns);
        let list = List::new("bl", Zone::parse("bl.example").unwrap(), Kind::Ip);
        let list = list.code("127.0.0.2".parse().unwrap(), "spam", 100);
        let config = Config { lists: vec![list], ..Config::default() };
        let metrics = Metrics::new();
        let build = || Arc::new(Source::build(config.clone(), Arc::clone(&dns), Arc::clone(&metrics)).unwrap());
        let source = build();
        let stop = CancellationToken::new();
        let watch = tokio::spawn(Arc::clone(&source).watch(stop.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(source.reverse(dns.as_ref(), ip).await, Reverse::Pass("mail.client.example".into()));
        assert_eq!(source.reverse(dns.as_ref(), "192.0.2.8".parse().unwrap()).await, Reverse::Missing);
        let counted = |result| metrics.sender.reverse.of(result).get();
        assert_eq!((counted(ReverseResult::Pass), counted(ReverseResult::Missing)), (1, 1));
        assert_eq!(source.lists.ask_ip(ip).await[0].answer, Listed::Yes { reason: "spam".into(), weight: 100 });
        stop.cancel();
        watch.await.unwrap();

        let (dir, now) = (tempfile::tempdir().unwrap(), Timestamp::from_millis(1_795_176_451_250));
        (0..3).for_each(|_| source.reputation.saw(ip, None, reputation::Observation::Spam, now));
        source.save(dir.path(), now);
        let again = build();
        metrics.sender.sources.set(0);
        again.load(dir.path(), now);
        assert!(metrics.sender.sources.get() > 0, "told before anybody watches");
        assert_eq!(again.reputation.standing(ip, None, Level::default(), now).standing, Standing::Delayed);
    }

    #[tokio::test]
    async fn answers_stand_in_the_order_of_the_questions() {
        let ask = async |n: u32| {
            for _ in 0..(5 - n) {
                tokio::task::yield_now().await;
            }
            n
        };
        assert_eq!(together((0..5).map(ask)).await, [0, 1, 2, 3, 4]);
        assert!(together(Vec::<std::future::Ready<()>>::new()).await.is_empty());
    }
}
