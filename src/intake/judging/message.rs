//! At end of data: SPF, DKIM, ARC and DMARC of the message, and what each recipient's policy makes of them.
//!
//! Recipients that share a transaction share the fate that authentication decides ([`crate::policy::sender::same_fate`]). What is
//! left are list entries for the author in the header, which only the body shows: one recipient may block whom another
//! doesn't. Then the message goes to those who take it, and is discarded for those who block its author: a bounce would go
//! to a stranger (reliability: no backscatter), and the next attempt would end the same way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{Judges, Mode, SenderKnown, Taken, Who};
use crate::model::authentication::{Authentication, DmarcResult, Spf};
use crate::model::explanation::{Judgement, Moment};
use crate::model::rule::{Rule, Skips};
use crate::model::{Address, Decision, Reply, ReversePath, TenantId, Timestamp};
use crate::policy::explain::judgement;
use crate::policy::replies;
use crate::policy::sender::{MessageFacts, Ruling, Together, at_message, together};
use crate::sender::authentication::budget::Budget;
use crate::sender::authentication::{Authenticator, from, results};
use crate::sender::correspondents::Author;
use crate::sender::reputation::Observation;
use crate::tenant::Snapshot;
use crate::tenant::lists::Query;

/// From here on a message is authenticated aside.
const LARGE: usize = 256 << 10;
/// So many at one time, each of which may wait for name servers in a thread of its own; there are 512 for all that is done aside.
static PLACES_ASIDE: Semaphore = Semaphore::const_new(128);
/// For all questions together; the client waits ten minutes at most (RFC 5321 section 4.5.3.2.6), and others for its place.
const PATIENCE: Duration = Duration::from_secs(45);

/// What is done with the message.
#[derive(Debug)]
pub enum Verdict {
    /// For everybody but those named, whose lists block the author.
    Accept { discarded: HashSet<Address> },
    /// For nobody.
    Refuse(Reply),
}

/// A judged message.
#[derive(Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// Our Authentication-Results field, with its CRLF.
    pub results: String,
    pub authentication: Authentication,
    /// The one author in the header, if there is one.
    pub author: Option<ReversePath>,
    /// Fields of the message that claim to be ours: they are not passed on (RFC 8601 section 5).
    pub forged: Vec<std::ops::Range<usize>>,
    /// Nothing was found that later checks should be told.
    pub is_clean: bool,
    /// What later checks are told, for each recipient that was accepted.
    pub told: HashMap<Address, Told>,
}

/// What the judgement of the sender means for the judgement of the content.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub skips: Skips,
    pub marks: Vec<Rule>,
}

impl Judged {
    fn refused(reply: Reply) -> Self {
        Self {
            verdict: Verdict::Refuse(reply),
            results: String::new(),
            authentication: Authentication::default(),
            author: None,
            forged: Vec::new(),
            is_clean: false,
            told: HashMap::new(),
        }
    }

    /// The one author, as far as it is proven who it is.
    #[must_use]
    pub fn author(&self) -> Option<Author<'_>> {
        let address = self.author.as_ref()?.address()?;
        Some(Author { address, is_authenticated: self.authentication.proves_author() })
    }
}

/// What was said to each of several tenants' recipients: one judgement of each kind, as in the record of the whole.
fn for_each_tenant(taken: &[Taken], rulings: &[Ruling]) -> Vec<(TenantId, Judgement)> {
    let Some((first, others)) = taken.split_first() else { return Vec::new() };
    if others.iter().all(|other| other.tenant.id == first.tenant.id) {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for (taken, ruling) in taken.iter().zip(rulings) {
        if seen.insert((&taken.tenant.id, ruling.is_accepted())) {
            all.push((taken.tenant.id.clone(), judgement(Moment::Message, None, ruling)));
        }
    }
    all
}

/// `spf`: `None`, it can't be asked for, and the message proves what it can by itself.
async fn authenticated(
    authenticator: &Authenticator,
    message: &[u8],
    spf: Option<&[Spf]>,
    budget: &Budget,
) -> Authentication {
    match spf {
        Some(spf) => authenticator.message(message, spf, budget).await,
        None => authenticator.signatures(message, budget).await,
    }
}

impl Judges {
    /// `message` begins with the header; canonical CRLF.
    pub async fn at_message(
        &self,
        who: &Who<'_>,
        snapshot: &Snapshot,
        known: &mut SenderKnown,
        message: &Bytes,
        (mode, now): (Mode, Timestamp),
    ) -> Judged {
        let found = async {
            if !who.is_relay {
                self.ask_spf(who, known).await;
            }
            self.authenticate(who.is_relay, known, message).await
        };
        let authentication = match tokio::time::timeout(PATIENCE, found).await {
            Ok(Some(authentication)) => authentication,
            // Our fault, so the client keeps it.
            Ok(None) => return Judged::refused(replies::LOCAL_TROUBLE),
            Err(_) => return Judged::refused(replies::AUTHENTICATION_UNAVAILABLE),
        };
        let author = from::author(message).map(ReversePath::Mailbox);
        let one = |taken: &Taken| self.one(who, (snapshot, taken), (&authentication, author.as_ref()), now);
        let rulings: Vec<Ruling> = known.taken.iter().map(one).collect();
        let verdict = match together(&rulings) {
            Together::Accept => Verdict::Accept { discarded: HashSet::new() },
            Together::Refuse(at) => match rulings.get(at).map(|ruling| &ruling.decision) {
                Some(Decision::Defer(reply) | Decision::Reject(reply) | Decision::Disconnect(reply)) => {
                    Verdict::Refuse(reply.clone())
                }
                _ => Verdict::Refuse(replies::LOCAL_TROUBLE),
            },
            Together::Split => {
                let refused = known.taken.iter().zip(&rulings).filter(|(_, ruling)| !ruling.is_accepted());
                Verdict::Accept { discarded: refused.map(|(taken, _)| taken.recipient.clone()).collect() }
            }
        };
        self.count_hits(&rulings, mode, now);
        // One of each kind is told; they differ by lists alone.
        let accepted = rulings.iter().find(|ruling| ruling.is_accepted());
        let refused = rulings.iter().find(|ruling| !ruling.is_accepted());
        for ruling in accepted.into_iter().chain(refused) {
            known.judgements.push(judgement(Moment::Message, None, ruling));
        }
        known.of_message = for_each_tenant(&known.taken, &rulings);
        let smtp =
            results::Smtp { helo: who.helo, mail_from: &who.mail_from().map(ToString::to_string).unwrap_or_default() };
        let authserv_id = self.authenticator.authserv_id();
        let forged = results::forged(message, authserv_id);
        let results = results::make(authserv_id, &authentication, smtp, &[]);
        let is_clean = rulings.iter().all(|ruling| ruling.marks().next().is_none());
        let told = known.taken.iter().zip(&rulings).map(|(taken, ruling)| {
            let marks = taken.ruling.marks().chain(ruling.marks()).cloned().collect();
            (taken.recipient.clone(), Told { skips: ruling.skips, marks })
        });
        let told = told.collect();
        Judged { verdict, results, authentication, author, forged, is_clean, told }
    }

    /// Somebody has taken the message over: it counts for its source.
    pub fn saw_taken(&self, who: &Who<'_>, authentication: &Authentication, is_clean: bool, now: Timestamp) {
        if !who.is_known() {
            return;
        }
        self.source.harvest.saw(who.ip, true, now);
        if is_clean {
            let domain = authentication.from.as_ref().filter(|_| authentication.dmarc.result == DmarcResult::Pass);
            self.source.reputation.saw(who.ip, domain, Observation::Ham, now);
        }
    }

    /// The content is bad: it counts against its source, once for a message.
    pub fn saw_spam(&self, who: &Who<'_>, known: &mut SenderKnown, now: Timestamp) {
        if who.is_known() && !std::mem::replace(&mut known.counted, true) {
            self.source.reputation.saw(who.ip, None, Observation::Spam, now);
        }
    }

    /// Recipients may have entries of their own; an entry that decided for several counts once.
    fn count_hits(&self, rulings: &[Ruling], mode: Mode, now: Timestamp) {
        let mut counted: Vec<&Rule> = Vec::new();
        for rule in rulings.iter().map(|ruling| &ruling.decided_by) {
            if !counted.contains(&rule) {
                counted.push(rule);
                self.count_hit(rule, mode, now);
            }
        }
    }

    /// A large body takes milliseconds to hash: not on a thread that serves connections. `None`: it panicked there.
    async fn authenticate(&self, is_relayed: bool, known: &SenderKnown, message: &Bytes) -> Option<Authentication> {
        // A relay has asked for SPF; it can't be asked for here.
        let spf = (!is_relayed).then_some(&*known.spf);
        if message.len() < LARGE {
            return Some(authenticated(&self.authenticator, message, spf, &known.budget).await);
        }
        let place = PLACES_ASIDE.acquire().await.ok()?;
        let (authenticator, message) = (Arc::clone(&self.authenticator), message.clone());
        let (spf, budget) = (spf.map(<[_]>::to_vec), Arc::clone(&known.budget));
        let runtime = Handle::current();
        let aside = tokio::task::spawn_blocking(move || {
            // The thread works on even if nobody waits for it any more.
            let _place = place;
            runtime.block_on(authenticated(&authenticator, &message, spf.as_deref(), &budget))
        });
        aside.await.ok()
    }

    fn one(
        &self,
        who: &Who<'_>,
        (snapshot, taken): (&Snapshot, &Taken),
        (authentication, author): (&Authentication, Option<&ReversePath>),
        now: Timestamp,
    ) -> Ruling {
        let of_author = author.filter(|author| *author != who.sender).and_then(|author| {
            let found = snapshot.domain(taken.recipient.domain().as_str())?;
            let query = Query {
                tenant: &taken.tenant.id,
                domain: &found.domain.name,
                mailbox: &taken.recipient,
                sender: author,
                ip: who.ip,
                country: None,
                now,
            };
            Some(snapshot.lists().judge(&query).sender)
        });
        at_message(&MessageFacts {
            policy: taken.policy(),
            sender: who.sender,
            client: who.ip,
            is_relayed: who.is_relay,
            sender_entries: &taken.entries,
            author_entries: of_author.as_deref().unwrap_or(if author == Some(who.sender) {
                &taken.entries
            } else {
                &[]
            }),
            authentication,
            provisional: taken.provisional(),
        })
    }
}
