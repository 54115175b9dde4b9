//! Call-ahead: asks a tenant's next hop whether it would take mail for a recipient, and remembers the answer.
//!
//! **Failure**: an answer that proves nothing (4xx, a refused null sender, no connection) is [`Answer::Unknown`] and not
//! remembered: the caller says 451.
//! **Invariants**: no message is ever sent; what is remembered is bounded in number and time; a recipient is asked about once
//! at a time, however many want to know, and all questions together use few connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{Connection, Until};
use super::pool::{NotLent, Pool};
use super::trouble::Trouble;
use super::ways::Ways;
use crate::model::outcome::{Meaning, as_temporary, denies_the_recipient};
use crate::model::{Address, Enhanced, Recipient, Reply};
use crate::smtp::command_line;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ProbeResult;

/// Questions asked at one time.
const AT_ONCE: usize = 100;

const NOT_IN_TIME: Reply = Reply::new(451, Enhanced(4, 4, 1), "no connection to the next hop in time");
/// What is remembered of a refusal: that it was one. Its words may be long, and nobody repeats them.
const REMEMBERED: Reply = Reply::new(550, Enhanced(5, 1, 1), "the next hop does not know the recipient");

/// What the next hop thinks of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Valid,
    /// Its words, 5xx; ours where it is remembered.
    Invalid(Reply),
    /// Why nothing is known.
    Unknown(Reply),
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Probe {
    ways: Arc<Ways>,
    pool: Arc<Pool>,
    metrics: Arc<Metrics>,
    valid: Cache<String, ()>,
    invalid: Cache<String, ()>,
    asking: Arc<Asking>,
}

/// Questions under way.
#[derive(Debug)]
struct Asking {
    turns: Semaphore,
    flights: Mutex<HashMap<String, Arc<OnceCell<Answer>>>>,
}

/// Somebody's part in a question; the last one to go takes it off the list.
struct Flight<'a> {
    asking: &'a Asking,
    key: &'a str,
    answer: Arc<OnceCell<Answer>>,
}

impl Asking {
    fn join<'a>(&'a self, key: &'a str) -> Flight<'a> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = Arc::clone(flights.entry(key.to_owned()).or_default());
        Flight { asking: self, key, answer }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.asking.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // Given up under the lock, so that the count is right: one is ours, one the list's.
        let own = std::mem::take(&mut self.answer);
        let over = own.initialized() || Arc::strong_count(&own) <= 2;
        if over && flights.get(self.key).is_some_and(|listed| Arc::ptr_eq(listed, &own)) {
            flights.remove(self.key);
        }
    }
}

impl Probe {
    pub(super) fn new(ways: Arc<Ways>, pool: Arc<Pool>, metrics: Arc<Metrics>) -> Self {
        let config = &ways.config;
        let valid = Cache::builder().max_capacity(config.probe_cache).time_to_live(config.probe_valid.0).build();
        let invalid = Cache::builder().max_capacity(config.probe_cache).time_to_live(config.probe_invalid.0).build();
        let at_once = AT_ONCE.min(config.max_connections as usize / 4).max(1);
        let asking = Arc::new(Asking { turns: Semaphore::new(at_once), flights: Mutex::default() });
        Self { ways, pool, metrics, valid, invalid, asking }
    }

    /// Asks, or remembers. The recipient's domain must be a tenant's.
    pub async fn ask(&self, recipient: &Address) -> Answer {
        let key = recipient.key();
        let remembered = match self.valid.get(&key) {
            Some(()) => Some(Answer::Valid),
            None => self.invalid.get(&key).map(|()| Answer::Invalid(REMEMBERED)),
        };
        if let Some(answer) = remembered {
            self.metrics.delivery.probes.inc(ProbeResult::Cached);
            return answer;
        }
        let flight = self.asking.join(&key);
        let asking = flight.answer.get_or_init(|| self.ask_now(recipient));
        // Whoever waits for another's question waits no longer than for an own one.
        let answer = match timeout(self.ways.config.probe_patience.0, asking).await {
            Ok(answer) => answer.clone(),
            Err(_) => Answer::Unknown(NOT_IN_TIME),
        };
        self.remember(&key, &answer);
        answer
    }

    fn remember(&self, key: &str, answer: &Answer) {
        match answer {
            Answer::Valid => {
                self.valid.insert(key.to_owned(), ());
                self.metrics.delivery.probes.inc(ProbeResult::Valid);
            }
            Answer::Invalid(_) => {
                self.invalid.insert(key.to_owned(), ());
                self.metrics.delivery.probes.inc(ProbeResult::Invalid);
            }
            Answer::Unknown(_) => self.metrics.delivery.probes.inc(ProbeResult::Temporary),
        }
    }

    async fn ask_now(&self, recipient: &Address) -> Answer {
        let domain = recipient.domain();
        if self.ways.snapshot.load().domain(domain.as_str()).is_none() {
            return Answer::Unknown(Reply::new(451, Enhanced(4, 3, 5), "the domain has no next hop to ask"));
        }
        let by = Instant::now() + self.ways.config.probe_patience.0;
        let Ok(Ok(_turn)) = timeout_at(by, self.asking.turns.acquire()).await else {
            return Answer::Unknown(NOT_IN_TIME);
        };
        let mut fresh_only = false;
        loop {
            let mut lent = match self.pool.lend(domain, by, fresh_only).await {
                Ok(lent) => lent,
                Err(NotLent::Busy) => {
                    return Answer::Unknown(NOT_IN_TIME);
                }
                Err(NotLent::NoWay(outcome)) => return Answer::Unknown(outcome.reply),
            };
            lent.connection.transactions += 1;
            if !recipient.is_ascii() && !lent.connection.capabilities.smtputf8 {
                self.pool.give_back(domain, lent);
                let text = "the next hop does not take internationalised addresses";
                return Answer::Invalid(Reply::new(553, Enhanced(5, 6, 7), text));
            }
            match talk(&mut lent.connection, recipient, by).await {
                Ok((mail, rcpt)) => {
                    if mail.code() != 421 && rcpt.code() != 421 {
                        self.pool.give_back(domain, lent);
                    }
                    return judge(mail, rcpt);
                }
                Err(Trouble::Closed { .. } | Trouble::Lost { .. }) if !lent.fresh => fresh_only = true,
                Err(trouble) => return Answer::Unknown(trouble.reply()),
            }
        }
    }
}

/// MAIL, RCPT and RSET.
async fn talk(connection: &mut Connection, recipient: &Address, by: Instant) -> Result<(Reply, Reply), Trouble> {
    let until = Until::At(by);
    let can = connection.capabilities;
    let step_by_step = !can.pipelining;
    let recipient_line = Recipient::new(recipient.clone());
    if std::mem::take(&mut connection.reset_first) {
        connection.output.extend_from_slice(b"RSET\r\n");
        connection.said(until, "the answer to RSET").await?;
    }
    let mail: &[u8] = if recipient.is_ascii() { b"MAIL FROM:<>\r\n" } else { b"MAIL FROM:<> SMTPUTF8\r\n" };
    connection.output.extend_from_slice(mail);
    if !step_by_step {
        command_line::rcpt(&recipient_line, can.dsn, &mut connection.output);
        connection.output.extend_from_slice(b"RSET\r\n");
    }
    let mail = connection.said(until, "the answer to MAIL").await?;
    if step_by_step {
        command_line::rcpt(&recipient_line, can.dsn, &mut connection.output);
    }
    let rcpt = connection.said(until, "the answer to RCPT").await?;
    if step_by_step {
        connection.output.extend_from_slice(b"RSET\r\n");
    }
    connection.said(until, "the answer to RSET").await?;
    Ok((mail, rcpt))
}

/// A refused null sender says nothing about the recipient; nor do complaints about us, or about the command itself.
fn judge(mail: Reply, rcpt: Reply) -> Answer {
    if !mail.is_positive() {
        return Answer::Unknown(as_451(mail));
    }
    match Meaning::of(&rcpt) {
        Meaning::Taken => Answer::Valid,
        Meaning::Refused if denies_the_recipient(&rcpt) => Answer::Invalid(rcpt),
        _ => Answer::Unknown(as_451(rcpt)),
    }
}

fn as_451(reply: Reply) -> Reply {
    as_temporary(reply, Enhanced(4, 4, 0), "the next hop said")
}
