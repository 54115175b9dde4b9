//! At RCPT: the facts for one valid recipient, the cheap ones first, the DNS only where it can still matter.

use std::net::IpAddr;
use std::sync::Arc;

use super::{ClientKnown, Judges, Mode, SenderKnown, Taken, Who, Whom};
use crate::limits::{Key, Who as Counted};
use crate::model::Timestamp;
use crate::model::authentication::{SpfIdentity, SpfResult};
use crate::model::explanation::Moment;
use crate::model::lists::Matched;
use crate::model::rule::{LimitOf, Rule};
use crate::model::sender::Standing;
use crate::model::{Address, Decision, Domain, ReversePath};
use crate::policy::explain::{judgement, plain_judgement};
use crate::policy::rcpt::trick;
use crate::policy::replies;
use crate::policy::sender::{Client, Greylist, Harvest, RcptFacts, Reputation, Ruling, Source, at_rcpt, needs};
use crate::sender::greylist::Greyed;
use crate::sender::reputation::{Judged, Observation};
use crate::telemetry::metrics::Limit;
use crate::tenant::Tenant;
use crate::tenant::lists::Query;

/// Judgements of recipients that are kept for one transaction; the refused ones are in the mail log anyway.
const MOST_KEPT: usize = 100;

impl Judges {
    /// What is refused before anybody looks whether the recipient exists.
    pub fn before_validity(
        &self,
        who: &Who<'_>,
        recipient: &Address,
        (mode, now): (Mode, Timestamp),
    ) -> Option<(Decision, Rule)> {
        if let Some(refusal) = trick(recipient) {
            return Some((refusal, Rule::Recipient));
        }
        if self.harvests(who, now) {
            return Some((Decision::Defer(replies::HARVEST), Rule::Harvest));
        }
        if !self.is_trap(recipient) {
            return None;
        }
        if mode == Mode::Live {
            self.saw_trap(who, now);
        }
        Some((Decision::Reject(replies::NO_SUCH_RECIPIENT), Rule::Recipient))
    }

    /// A client that guesses addresses learns nothing more, whichever it names next (reliability row SEC-P12).
    #[must_use]
    fn harvests(&self, who: &Who<'_>, now: Timestamp) -> bool {
        who.is_known() && self.source.harvest.stopped(who.ip, now).is_some()
    }

    /// Remembers that a recipient was named that doesn't exist. Those that exist count when they get a message: naming a
    /// known address between guesses makes nobody trustworthy.
    pub fn saw_unknown_recipient(&self, who: &Who<'_>, now: Timestamp) {
        if who.is_known() {
            self.source.harvest.saw(who.ip, false, now);
            self.source.reputation.saw(who.ip, None, Observation::UnknownRecipient, now);
        }
    }

    /// Somebody wrote to an address that nobody has.
    pub fn saw_trap(&self, who: &Who<'_>, now: Timestamp) {
        if who.is_known() {
            self.source.reputation.saw(who.ip, None, Observation::Spam, now);
        }
    }

    /// The client doesn't speak SMTP as it should.
    pub fn saw_malformed(&self, who: &Who<'_>, now: Timestamp) {
        if who.is_known() {
            self.source.reputation.saw(who.ip, None, Observation::Malformed, now);
        }
    }

    /// Judges a recipient that exists. An accepted one is remembered for end of data.
    pub async fn at_rcpt(
        &self,
        who: &Who<'_>,
        (whom, tenant): (&Whom<'_>, &Arc<Tenant>),
        (client, known): (&mut ClientKnown, &mut SenderKnown),
        (mode, now): (Mode, Timestamp),
    ) -> Ruling {
        let policy = whom.domain.sender_policy();
        let country = self.source.geography.country(who.ip);
        let matches = whom.snapshot.lists().judge(&Query {
            tenant: &whom.tenant.id,
            domain: &whom.domain.name,
            mailbox: whom.recipient,
            sender: who.sender,
            ip: who.ip,
            country,
            now,
        });
        let domain = proven(known, who);
        let seen = match mode {
            _ if who.is_relay => None,
            Mode::Live => Some(self.source.reputation.standing(who.ip, domain, policy.level, now)),
            Mode::Dry => Some(self.source.reputation.would_say(who.ip, domain, policy.level, now)),
        };
        let standing = seen.as_ref().map_or(Standing::Unknown, |seen| seen.standing);
        let why =
            seen.filter(|seen| !matches!(seen.why, crate::sender::reputation::Why::Nothing)).map(|seen| counts(&seen));
        // What the client itself may do comes first, and spares the DNS; what a recipient may get is counted only for mail that
        // nothing else refuses, so that nobody uses it up for others.
        let of_client = client_keys(who.ip);
        let mut limit = self.exceeded(of_client, (who, mode));
        let mut is_counted = false;
        let harvest = if self.harvests(who, now) { Harvest::Suspected } else { Harvest::Clear };
        if self.source.lists.is_empty() {
            known.zones.get_or_insert_default();
        }
        let mut greylist = Greylist::NotAsked;
        let mut ruling = loop {
            let facts = RcptFacts {
                policy,
                sender: who.sender,
                sender_entries: &matches.sender,
                client_entries: &matches.ip,
                spf: &known.spf,
                client: Client {
                    ip: who.ip,
                    is_relay: who.is_relay,
                    tls: who.tls,
                    country,
                    reverse: client.reverse.as_ref(),
                    zones: known.zones.as_deref().unwrap_or_default(),
                },
                source: Source { reputation: Reputation { standing, why: why.as_deref() }, limit, harvest, greylist },
            };
            if limit.is_some() || harvest == Harvest::Suspected {
                break at_rcpt(&facts);
            }
            let wanted = needs(&facts);
            if wanted.spf && known.spf.is_empty() {
                self.ask_spf(who, known).await;
            } else if wanted.zones && known.zones.is_none() {
                self.ask_lists(who, client, known).await;
            } else if wanted.reverse && client.reverse.is_none() {
                client.reverse = Some(self.source.reverse(&*known.budget, who.ip).await);
            } else if wanted.greylist && greylist == Greylist::NotAsked {
                let asked = (who.ip, who.sender, whom.recipient);
                let greyed = match mode {
                    Mode::Live => self.source.greylist.check(asked.0, asked.1, asked.2, now),
                    Mode::Dry => self.source.greylist.would_say(asked.0, asked.1, asked.2, now),
                };
                greylist = match greyed {
                    Greyed::Known | Greyed::Passed => Greylist::Passed,
                    Greyed::Wait(_) => Greylist::Wait,
                };
            } else {
                let ruling = at_rcpt(&facts);
                if is_counted || !ruling.is_accepted() {
                    break ruling;
                }
                is_counted = true;
                limit = self.exceeded(address_keys(who.sender, whom.recipient), (who, mode));
            }
        };
        if ruling.is_accepted() && !known.shares_fate(who, policy, &ruling) {
            ruling.decision = Decision::Defer(replies::SEND_SEPARATELY);
        }
        // An entry that speaks for the sender is counted when the message is there; one for the client speaks here alone.
        if !ruling.is_accepted() || speaks_for_client(&ruling.decided_by) {
            self.count_hit(&ruling.decided_by, mode, now);
        }
        // Once for a message, whatever the number of its recipients.
        if mode == Mode::Live
            && who.is_known()
            && is_spam(&ruling, client)
            && !std::mem::replace(&mut known.counted, true)
        {
            self.source.reputation.saw(who.ip, None, Observation::Spam, now);
        }
        self.remember(whom, tenant, matches.sender, known, &ruling);
        ruling
    }

    /// A recipient refused before its sender was judged.
    #[must_use]
    pub fn refused(&self, whom: &Address, decision: &Decision, rule: Rule) -> crate::model::explanation::Judgement {
        plain_judgement(Moment::Rcpt, Some(whom), decision, rule)
    }

    fn remember(
        &self,
        whom: &Whom<'_>,
        tenant: &Arc<Tenant>,
        entries: Vec<Matched>,
        known: &mut SenderKnown,
        ruling: &Ruling,
    ) {
        if known.judgements.len() < MOST_KEPT {
            known.judgements.push(judgement(Moment::Rcpt, Some(whom.recipient), ruling));
        }
        // A mailbox that is named twice gets one copy.
        if ruling.is_accepted() && !known.taken.iter().any(|taken| taken.recipient == *whom.recipient) {
            known.taken.push(Taken {
                recipient: whom.recipient.clone(),
                policy: whom.domain.sender.clone(),
                tenant: Arc::clone(tenant),
                ruling: ruling.clone(),
                entries,
            });
        }
    }

    pub(super) async fn ask_spf(&self, who: &Who<'_>, known: &mut SenderKnown) {
        if known.spf.is_empty() {
            known.spf = self.authenticator.spf(who.ip, who.helo, who.mail_from(), &known.budget).await;
        }
    }

    async fn ask_lists(&self, who: &Who<'_>, client: &mut ClientKnown, known: &mut SenderKnown) {
        let of_client = async {
            if client.zones.is_none() {
                client.zones = Some(self.source.lists.ask_ip(who.ip).await);
            }
        };
        let of_sender = async {
            match who.sender_domain() {
                Some(domain) if domain.as_ip().is_none() => self.source.lists.ask_domain(domain).await,
                _ => Vec::new(),
            }
        };
        let ((), of_sender) = tokio::join!(of_client, of_sender);
        known.zones = Some(client.zones.iter().flatten().cloned().chain(of_sender).collect());
    }

    fn exceeded(&self, keys: [Key<'_>; 2], (who, mode): (&Who<'_>, Mode)) -> Option<LimitOf> {
        if mode == Mode::Dry || !who.is_known() {
            return None;
        }
        let exceeded = keys.into_iter().find_map(|key| self.limits.check(key, 1).err())?;
        Some(match exceeded.limit {
            Limit::SenderAddress => LimitOf::Sender,
            Limit::Recipient => LimitOf::Recipient,
            _ => LimitOf::Client,
        })
    }
}

fn client_keys<'k>(ip: IpAddr) -> [Key<'k>; 2] {
    [Key::shared(Limit::SenderIp, Counted::Host(ip)), Key::shared(Limit::SenderNetwork, Counted::Network(ip))]
}

fn address_keys<'k>(sender: &'k ReversePath, recipient: &'k Address) -> [Key<'k>; 2] {
    [
        Key::shared(Limit::SenderAddress, Counted::Sender(sender)),
        Key::shared(Limit::Recipient, Counted::Address(recipient)),
    ]
}

/// The sender's domain, if SPF has proven it already: it has a reputation of its own.
fn proven<'w>(known: &SenderKnown, who: &Who<'w>) -> Option<&'w Domain> {
    let passed = |spf: &crate::model::authentication::Spf| {
        spf.identity == SpfIdentity::MailFrom && spf.result == SpfResult::Pass
    };
    known.spf.iter().any(passed).then(|| who.sender.address().map(Address::domain))?
}

/// What counts against the whole source: a sender whose domain is on a list of bad domains, and one the operator blocks. What
/// a tenant blocks is that tenant's taste.
fn is_spam(ruling: &Ruling, client: &ClientKnown) -> bool {
    use crate::model::lists::{Action, EntryKind, Scope};
    match &ruling.decided_by {
        // An address that is on a list is refused as long as it is; our own counts need not outlast that.
        Rule::KnownSource { list, .. } => !client.zones.iter().flatten().any(|zone| zone.list == *list),
        Rule::Entry { action: Action::Block, scope: Scope::Operator, kind, .. } => {
            matches!(kind, EntryKind::Address | EntryKind::Domain)
        }
        _ => false,
    }
}

/// A network or country that is let pass.
fn speaks_for_client(rule: &Rule) -> bool {
    use crate::model::lists::EntryKind;
    matches!(rule, Rule::Entry { kind: EntryKind::Network | EntryKind::Country, .. })
}

fn counts(seen: &Judged) -> String {
    let of = &seen.counts;
    format!(
        "{:?}: ham {:.1}, spam {:.1}, unknown recipients {:.1}, malformed {:.1}",
        seen.why, of.ham, of.spam, of.unknown, of.malformed
    )
    .to_lowercase()
}
