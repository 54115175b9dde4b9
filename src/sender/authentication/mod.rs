//! SPF, DKIM, ARC and DMARC of one message: who it says it is from, and what of that is proven.
//!
//! **Failure**: every method has its own word for "could not be found out"; DNS trouble is `temperror` and never a pass.
//! A message without one readable From domain has `from: None` and DMARC `permerror`.
//! **Invariants**: all questions of a message go through its [`Budget`], 64 at most; nothing here panics on or allocates
//! by what a message claims; the same octets and answers give the same results (but for `pct`, which rolls dice).
//!
//! **Elsewhere**: what becomes of the results is `policy`'s; the reverse name of the address (iprev) and lists of bad
//! sources are other files of this room.

pub mod arc;
pub mod block;
pub mod budget;
pub mod dkim;
pub mod dmarc;
pub mod from;
pub mod keyring;
pub mod keys;
pub mod organization;
pub mod publish;
pub mod results;
pub mod sign;
pub mod spf;

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use crate::clock::Clock;
use crate::dns::Resolver;
use crate::model::authentication::{
    Arc as Chain, Authentication, Dkim, DkimResult, Dmarc, DmarcPolicy, DmarcResult, Spf, SpfIdentity, SpfResult,
};
use crate::model::{Address, Domain};
use block::Block;
use budget::Budget;
use dkim::Bodies;

/// `[authentication]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The name under which results are written (RFC 8601 section 2.5) and that SPF explanations call the receiver.
    pub authserv_id: String,
    /// Questions to the DNS for one message.
    pub questions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { authserv_id: "localhost".into(), questions: budget::QUESTIONS }
    }
}

/// How long the tree walk may take.
const WALK: std::time::Duration = std::time::Duration::from_secs(10);

/// Authenticates. Cheap to share; holds nothing of any message.
#[derive(Debug)]
pub struct Authenticator {
    config: Config,
    resolver: Arc<dyn Resolver>,
    clock: Clock,
}

impl Authenticator {
    #[must_use]
    pub fn build(config: Config, resolver: Arc<dyn Resolver>, clock: Clock) -> Self {
        Self { config, resolver, clock }
    }

    #[must_use]
    pub fn authserv_id(&self) -> &str {
        &self.config.authserv_id
    }

    /// A budget for one message (or one connection's facts).
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget::with_limit(self.resolver.clone(), self.config.questions)
    }

    /// SPF of HELO and of MAIL FROM, in this order. `mail_from` is `None` for the null sender: then HELO alone speaks
    /// (RFC 7208 section 2.4). A HELO that is an address literal or no domain name is `none` by itself.
    pub async fn spf(&self, ip: IpAddr, helo: &str, mail_from: Option<&Address>, budget: &Budget) -> Vec<Spf> {
        let question = |domain, sender_local| spf::Question {
            ip,
            domain,
            sender_local,
            sender_domain: domain,
            helo,
            receiver: &self.config.authserv_id,
            now: self.seconds(),
        };
        let of_helo =
            async { of(SpfIdentity::Helo, helo, spf::check_host(budget, &question(helo, "postmaster")).await) };
        let of_sender = async {
            let address = mail_from?;
            let domain = address.domain().as_str();
            let checked = spf::check_host(budget, &question(domain, address.local())).await;
            Some(of(SpfIdentity::MailFrom, domain, checked))
        };
        // Side by side: with name servers that are slow one waits once, not twice.
        let (of_helo, of_sender) = tokio::join!(of_helo, of_sender);
        std::iter::once(of_helo).chain(of_sender).collect()
    }

    /// DKIM, ARC and DMARC of a whole message (canonical CRLF), with the SPF results of its transaction.
    ///
    /// The body is hashed here and now, about a millisecond for each 2 MB and each kind of signature.
    pub async fn message(&self, raw: &[u8], spf: &[Spf], budget: &Budget) -> Authentication {
        let now = self.seconds();
        let block = Block::read(raw);
        let from = from::domain(&block);
        let (dkim, arc) = signed(&block, from.as_ref().ok(), budget, now).await;
        let (dmarc, dmarc_tree_walk) = match &from {
            Ok(from) => {
                let facts = dmarc::Facts { from, spf, dkim: &dkim, roll: &roll };
                let reserve = budget.reserve();
                let mut acts = dmarc::by_list(&reserve, &facts).await;
                if reserve.refused() {
                    acts.policy = dmarc::UNASKED;
                }
                // Only told, so nobody waits long for it; the clock is asked only if there is a wait.
                let told = tokio::select! {
                    biased;
                    told = dmarc::by_walk(&reserve, &facts) => told,
                    () = async { tokio::time::sleep(WALK).await } => {
                        Dmarc { result: DmarcResult::TempError, why: Some("too slow".into()), ..Dmarc::default() }
                    }
                };
                (acts, told)
            }
            Err(error) => {
                let why = Some(error.to_string().into());
                // Several authors, or one who can't be read: readers see somebody, whose policy was not asked for.
                let policy = if error.shows_nobody() { DmarcPolicy::None } else { dmarc::UNASKED };
                let none = Dmarc { result: DmarcResult::PermError, policy, why, ..Dmarc::default() };
                (none.clone(), none)
            }
        };
        Authentication { from: from.ok(), spf: spf.to_vec(), dkim, arc, dmarc, dmarc_tree_walk }
    }

    /// What a message proves by itself, whoever brings it: for mail by a relay of our own, of whose client SPF can't be asked. DMARC
    /// passes by a signature, or is not told.
    pub async fn signatures(&self, raw: &[u8], budget: &Budget) -> Authentication {
        let block = Block::read(raw);
        let from = from::domain(&block);
        let (dkim, arc) = signed(&block, from.as_ref().ok(), budget, self.seconds()).await;
        // As where DMARC is asked: readers see somebody.
        let policy =
            if from.as_ref().is_err_and(|error| !error.shows_nobody()) { dmarc::UNASKED } else { DmarcPolicy::None };
        let dmarc = Dmarc { policy, ..Dmarc::default() };
        let mut found = Authentication { from: from.ok(), dkim, arc, dmarc, ..Authentication::default() };
        if let Some(from) = &found.from
            && found.dkim.iter().any(|signature| signature.result == DkimResult::Pass)
        {
            let facts = dmarc::Facts { from, spf: &[], dkim: &found.dkim, roll: &roll };
            let dmarc = dmarc::by_list(&budget.reserve(), &facts).await;
            if dmarc.result == DmarcResult::Pass {
                found.dmarc = dmarc;
            }
        }
        found
    }

    fn seconds(&self) -> u64 {
        self.clock.now().as_millis() / 1_000
    }
}

async fn signed(block: &Block<'_>, from: Option<&Domain>, budget: &Budget, now: u64) -> (Vec<Dkim>, Chain) {
    let bodies = Bodies::new(block.body);
    let dkim = dkim::verify(block, &bodies, from.map(Domain::as_str), budget, now).await;
    let arc = arc::verify(block, &bodies, budget, now).await;
    (dkim, arc)
}

fn of(identity: SpfIdentity, domain: &str, checked: spf::Checked) -> Spf {
    let domain: String = domain.chars().take(255).collect();
    // A domain without a record is no news: the word "none" says it.
    let why = checked.why.filter(|_| checked.result != SpfResult::None);
    Spf { identity, result: checked.result, domain: domain.into(), why }
}

/// 0 to 99, for `pct`.
fn roll() -> u8 {
    let mut octets = [0u8; 2];
    match aws_lc_rs::rand::fill(&mut octets) {
        Ok(()) => u8::try_from(u16::from_be_bytes(octets) % 100).unwrap_or(0),
        // Without dice the policy applies as it is written.
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests;
