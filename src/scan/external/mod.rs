//! Scanners of others that run beside us: clamd, ICAP services, rspamd, spamd. All that are configured are asked at the same
//! time, each with its own connections and its own deadline.
//!
//! **Failure**: a scanner that can't be reached, doesn't answer in time, says that it failed, or says something that is none of
//! its answers is [`Unavailable`] with the reason: never clean. A message too large for an antivirus is unscannable.
//! **Invariants**: every answer is bounded; what a scanner writes reaches a finding cut and without control characters.

pub mod clamd;
mod endpoint;
mod error;
pub mod icap;
pub mod icap_reply;
mod line;
pub mod rspamd;
pub mod spamd;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

pub use endpoint::{Endpoint, NotAnEndpoint};
pub use error::TalkError;
pub use line::Service;

use crate::model::MessageId;
use crate::model::detectors::Detectors;
use crate::model::finding::{Class, Detector, Finding, Reason, Score, Unavailable, Unchecked, Verdict};
use line::Line;

/// Where spam begins on our scale.
pub(crate) const OUR_SPAM: f64 = 5.0;

/// Which scanners there are. None: nobody is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    pub clamd: Option<Service>,
    pub icap: Option<Service>,
    pub rspamd: Option<Service>,
    pub spamd: Option<Service>,
}

/// The detectors of this room, in their order.
pub const DETECTORS: [Detector; 4] = [Detector::Clamd, Detector::Icap, Detector::Rspamd, Detector::Spamd];

impl Config {
    /// Without those that are switched off.
    #[must_use]
    pub fn only(&self, on: Detectors) -> Self {
        let kept = |detector, service: &Option<Service>| service.clone().filter(|_| on.has(detector));
        Self {
            clamd: kept(Detector::Clamd, &self.clamd),
            icap: kept(Detector::Icap, &self.icap),
            rspamd: kept(Detector::Rspamd, &self.rspamd),
            spamd: kept(Detector::Spamd, &self.spamd),
        }
    }
}

impl Service {
    /// What suits a detector; `None` for one that isn't a scanner of others. Antivirus is required, the others are not.
    #[must_use]
    pub fn usual(detector: Detector, endpoints: Vec<Endpoint>) -> Option<Self> {
        let service = |seconds, connections, max_size, required, name: &str| {
            let timeout = Duration::from_secs(seconds);
            Some(Self { endpoints, timeout, connections, max_size, required, name: name.into() })
        };
        match detector {
            // MaxThreads 10 and StreamMaxLength 100M are clamd's own.
            Detector::Clamd => service(60, 8, 100 << 20, true, ""),
            Detector::Icap => service(60, 8, 100 << 20, true, "avscan"),
            Detector::Rspamd => service(10, 16, 10 << 20, false, ""),
            // spamc sends no more either; spamd's children are five.
            Detector::Spamd => service(30, 5, 500 << 10, false, ""),
            _ => None,
        }
    }
}

/// What the scanners are told.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// As it came.
    pub message: Bytes,
    pub id: Option<MessageId>,
    /// The client's.
    pub ip: Option<IpAddr>,
    pub helo: Box<str>,
    /// The client's name in DNS, if it is verified.
    pub hostname: Box<str>,
    /// The envelope's sender; empty for the null one.
    pub from: Box<str>,
    pub recipients: Vec<Box<str>>,
    /// Who logged in.
    pub user: Box<str>,
    /// Our own host name.
    pub ourselves: Box<str>,
}

/// What one scanner's answer means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub detector: Detector,
    pub findings: Vec<Finding>,
    pub unchecked: Vec<Unchecked>,
    pub unavailable: Option<Unavailable>,
}

impl Answer {
    pub(crate) fn of(detector: Detector) -> Self {
        Self { detector, findings: Vec::new(), unchecked: Vec::new(), unavailable: None }
    }

    pub(crate) fn fail(&mut self, error: &TalkError) {
        let reason = error::short(&error.to_string()).into();
        self.unavailable = Some(Unavailable { detector: self.detector, reason });
    }

    fn leave(&mut self, reason: Reason, what: &str) {
        self.unchecked.push(Unchecked { reason, what: what.into() });
    }

    /// Adds it to what the other detectors found.
    pub fn tell(self, verdict: &mut Verdict) {
        self.findings.into_iter().for_each(|finding| verdict.find(finding));
        verdict.unchecked.extend(self.unchecked);
        verdict.unavailable.extend(self.unavailable);
    }
}

/// Not looked into: a class of its own, and named among what is unchecked.
fn unscannable(answer: &mut Answer, symbol: &str, reason: Reason, why: &str) {
    let what = answer.detector.name();
    answer.findings.push(Finding::new(answer.detector, symbol, Class::Unscannable, Score::ZERO, why));
    answer.leave(reason, what);
}

/// The first names, and how many more there are.
fn listed(names: &[Box<str>]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(|name| &**name).collect::<Vec<_>>().join(" ");
    if names.len() > SHOWN { format!("{shown} +{}", names.len() - SHOWN) } else { shown }
}

/// All scanners that are configured.
#[derive(Debug)]
pub struct External {
    clamd: Option<Line>,
    icap: Option<Line>,
    rspamd: Option<Line>,
    spamd: Option<Line>,
    services: icap::Known,
}

type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

impl External {
    #[must_use]
    pub fn new(config: Config) -> Self {
        let line = |service: Option<Service>| service.filter(|service| !service.endpoints.is_empty()).map(Line::new);
        Self {
            clamd: line(config.clamd),
            icap: line(config.icap),
            rspamd: line(config.rspamd),
            spamd: line(config.spamd),
            services: icap::Known::default(),
        }
    }

    fn lines(&self) -> impl Iterator<Item = (Detector, &Line)> {
        [
            (Detector::Clamd, &self.clamd),
            (Detector::Icap, &self.icap),
            (Detector::Rspamd, &self.rspamd),
            (Detector::Spamd, &self.spamd),
        ]
        .into_iter()
        .filter_map(|(detector, line)| Some((detector, line.as_ref()?)))
    }

    /// Nobody is to be asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines().next().is_none()
    }

    /// Those without whose answer a message must wait.
    #[must_use]
    pub fn required(&self) -> Vec<Detector> {
        self.lines().filter(|(_, line)| line.service.required).map(|(detector, _)| detector).collect()
    }

    /// Asks all at the same time; the answers are in the order of [`Detector`]. Ends within the longest time-out.
    pub async fn ask(&self, question: &Question) -> Vec<Answer> {
        let asking: Vec<Asking<'_>> = self
            .lines()
            .map(|(detector, line)| -> Asking<'_> { Box::pin(self.one(detector, line, question)) })
            .collect();
        all(asking).await
    }

    async fn one(&self, detector: Detector, line: &Line, question: &Question) -> Answer {
        if question.message.len() as u64 > line.service.max_size {
            return too_large(detector, line);
        }
        let message = || question.message.clone();
        let judged = match detector {
            Detector::Clamd => {
                line.ask(|stream, _| Box::pin(clamd::scan(stream, message()))).await.map(|reply| clamd::judge(&reply))
            }
            Detector::Icap => {
                let name = &*line.service.name;
                let ask = |stream, endpoint| -> line::Talk<'_, _> {
                    Box::pin(icap::scan(stream, endpoint, name, &self.services, question))
                };
                line.ask(ask).await.map(|reply| icap::judge(&reply))
            }
            Detector::Rspamd => {
                let ask = |stream, endpoint: &Endpoint| -> line::Talk<'_, _> {
                    let host = endpoint.host();
                    Box::pin(async move { rspamd::scan(stream, &host, question).await })
                };
                line.ask(ask).await.map(|reply| rspamd::judge(&reply))
            }
            _ => {
                let user = &*line.service.name;
                let ask = |stream, _| -> line::Talk<'_, _> { Box::pin(spamd::scan(stream, message(), user)) };
                line.ask(ask).await.map(|reply| spamd::judge(&reply))
            }
        };
        judged.unwrap_or_else(|error| {
            let mut answer = Answer::of(detector);
            answer.fail(&error);
            answer
        })
    }

    /// Asks each place whether it is there: what it calls itself, or why not. For `doctor` and start-up.
    pub async fn greet(&self) -> Vec<(Detector, Endpoint, Result<String, TalkError>)> {
        let mut greeted = Vec::new();
        for (detector, line) in self.lines() {
            for endpoint in &line.service.endpoints {
                let said = async {
                    let stream = endpoint.connect().await?;
                    match detector {
                        Detector::Clamd => clamd::say(stream, "VERSION").await,
                        Detector::Icap => {
                            icap::ask_options(stream, endpoint, &line.service.name).await.map(|known| known.tag.into())
                        }
                        Detector::Rspamd => {
                            let question = Question { message: PROBE.into(), ..Question::default() };
                            rspamd::scan(stream, &endpoint.host(), &question).await.map(|_| "rspamd".into())
                        }
                        _ => spamd::ping(stream).await,
                    }
                };
                let said = tokio::time::timeout(line.service.timeout, said).await.unwrap_or(Err(TalkError::TimedOut));
                greeted.push((detector, endpoint.clone(), said));
            }
        }
        greeted
    }
}

const PROBE: &[u8] = b"From: probe@localhost.invalid\r\nSubject: probe\r\n\r\nprobe\r\n";

/// An antivirus, or a judge that is required, that can't see a message makes it unscannable; another judge is told as not asked.
fn too_large(detector: Detector, line: &Line) -> Answer {
    let mut answer = Answer::of(detector);
    let why = format!("larger than the {} octets that are sent to it", line.service.max_size);
    if line.service.required || matches!(detector, Detector::Clamd | Detector::Icap) {
        unscannable(&mut answer, &format!("{}_TOO_LARGE", detector.name().to_uppercase()), Reason::Bytes, &why);
    } else {
        answer.unavailable = Some(Unavailable { detector, reason: why.into() });
    }
    answer
}

/// All of them at once, in their order.
async fn all(mut asking: Vec<Asking<'_>>) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = asking.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut waits = false;
        for (future, answer) in asking.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => *answer = Some(done),
                    std::task::Poll::Pending => waits = true,
                }
            }
        }
        if waits { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    answers.into_iter().flatten().collect()
}
