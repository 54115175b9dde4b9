//! The stages of judging a sender, the rules that decide there, and what a decision spares later checks.
//!
//! **Invariants**: the JSON names are those of `explanation/v1` and never change; new ones may come. A text that came from
//! outside is bounded by whoever makes the rule.

use serde::{Deserialize, Serialize};

use super::authentication::{DmarcPolicy, DmarcResult, SpfIdentity, SpfResult};
use super::lists::{Action, EntryId, EntryKind, Matched, Scope};
use super::sender::{Country, Level, Standing};

/// Where a rule stands in the order of evaluation (DESIGN section 5), first to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Recipient,
    SenderLists,
    Tls,
    ClientLists,
    KnownSources,
    Reputation,
    ReverseName,
    Limits,
    Greylist,
    /// After the body: an allow entry that was waiting for proof.
    Provisional,
    From,
    Arc,
    Dmarc,
    Spf,
    Dkim,
}

/// What was counted beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitOf {
    /// The client's address or network.
    Client,
    Sender,
    Recipient,
}

/// What is wrong with the client's reverse name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReverseFault {
    Missing,
    /// It has no address, or another one.
    Invalid,
    /// The name is on the tenant's list of blocked names.
    Blocked,
    /// It could not be looked up.
    Unavailable,
}

/// One rule, as far as it must be named to find it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Rule {
    /// Nothing speaks against it.
    NothingAgainst,
    /// The recipient is not one of ours, or not to be verified now.
    Recipient,
    /// The contract of the recipient's tenant is frozen or over.
    Contract,
    /// The recipient would be a new account beyond the number agreed on, and the contract refuses new ones.
    Accounts,
    Entry {
        id: EntryId,
        action: Action,
        kind: EntryKind,
        scope: Scope,
        /// Of a network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<u8>,
        /// Of the client, for a country's entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<Country>,
    },
    /// The client is a relay of the operator's, which has judged the sender.
    TrustedRelay,
    /// TLS is required from these clients.
    TlsRequired {
        from: Box<str>,
    },
    /// `list` is the name in the settings, never the zone.
    KnownSource {
        list: Box<str>,
        reason: Box<str>,
        weight: i32,
    },
    Reputation {
        level: Level,
        standing: Standing,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<str>>,
    },
    /// `row`: the sender domain of the rule, `default` or `empty`; for a blocked name, that name.
    ReverseName {
        row: Box<str>,
        fault: ReverseFault,
    },
    Limit {
        of: LimitOf,
    },
    /// Too many recipients that don't exist were tried.
    Harvest,
    Greylist,
    /// No author's domain, or more than one.
    From,
    /// A trusted sealer vouches for what SPF, DKIM and DMARC found before the message was changed.
    ArcSealer {
        sealer: Box<str>,
    },
    Dmarc {
        result: DmarcResult,
        policy: DmarcPolicy,
    },
    Spf {
        result: SpfResult,
        identity: SpfIdentity,
    },
    /// There are signatures and none is valid.
    Dkim,
}

impl Rule {
    #[must_use]
    pub fn of_entry(entry: &Matched, country: Option<Country>) -> Self {
        Self::Entry {
            id: entry.id,
            action: entry.action,
            kind: entry.kind,
            scope: entry.scope,
            prefix: entry.prefix.filter(|_| entry.kind == EntryKind::Network),
            country: country.filter(|_| entry.kind == EntryKind::Country),
        }
    }

    /// As in `explanation/v1`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NothingAgainst => "nothing-against",
            Self::Recipient => "recipient",
            Self::Contract => "contract",
            Self::Accounts => "accounts",
            Self::Entry { .. } => "entry",
            Self::TrustedRelay => "trusted-relay",
            Self::TlsRequired { .. } => "tls-required",
            Self::KnownSource { .. } => "known-source",
            Self::Reputation { .. } => "reputation",
            Self::ReverseName { .. } => "reverse-name",
            Self::Limit { .. } => "limit",
            Self::Harvest => "harvest",
            Self::Greylist => "greylist",
            Self::From => "from",
            Self::ArcSealer { .. } => "arc-sealer",
            Self::Dmarc { .. } => "dmarc",
            Self::Spf { .. } => "spf",
            Self::Dkim => "dkim",
        }
    }

    /// `None` for [`Rule::NothingAgainst`], which stands nowhere.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Some(match self {
            Self::NothingAgainst => return None,
            Self::Recipient | Self::Contract | Self::Accounts => Stage::Recipient,
            Self::Entry { kind: EntryKind::Address | EntryKind::Domain, .. } => Stage::SenderLists,
            Self::Entry { kind: EntryKind::Network | EntryKind::Country, .. } | Self::TrustedRelay => {
                Stage::ClientLists
            }
            Self::TlsRequired { .. } => Stage::Tls,
            Self::KnownSource { .. } => Stage::KnownSources,
            Self::Reputation { .. } => Stage::Reputation,
            Self::ReverseName { .. } => Stage::ReverseName,
            Self::Limit { .. } | Self::Harvest => Stage::Limits,
            Self::Greylist => Stage::Greylist,
            Self::From => Stage::From,
            Self::ArcSealer { .. } => Stage::Arc,
            Self::Dmarc { .. } => Stage::Dmarc,
            Self::Spf { .. } => Stage::Spf,
            Self::Dkim => Stage::Dkim,
        })
    }
}

/// What came of looking at a stage or a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing against it here.
    Passed,
    /// The rule speaks for the mail; what follows from it is skipped.
    Allowed,
    /// The rule refuses for good.
    Refused,
    /// The rule puts the mail off.
    Deferred,
    /// Accepted, and later checks are told.
    Marked,
    /// Would refuse, but an allow entry waits for proof that comes with the body.
    Postponed,
    /// A rule before this one skips it.
    Skipped,
    /// The tenant switched it off.
    Off,
    /// An answer could not be had: neither for nor against.
    Degraded,
    /// Another entry goes before it.
    Shadowed,
    /// An allow entry: the sender is not authenticated.
    Unauthenticated,
    /// An allow entry bound to a network that doesn't have the client.
    OutsideNetwork,
    /// Would have objected, but a trusted sealer, a bound network or the result of DMARC speaks for the mail.
    Overruled,
}

/// One step of a judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consulted {
    pub stage: Stage,
    /// The rule of the stage, where it was a particular one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    pub effect: Effect,
}

/// A check that comes after the sender was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    Reputation,
    Malware,
    Attachment,
    Content,
    Spam,
    Bulk,
}

/// What an allow entry that counts spares a message. There is no way to spare it malware, attachment and content rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Skips {
    pub reputation: bool,
    pub spam: bool,
    pub bulk: bool,
}

impl Skips {
    pub const NONE: Self = Self { reputation: false, spam: false, bulk: false };
    /// For an allowed sender.
    pub const ALLOWED_SENDER: Self = Self { reputation: true, spam: true, bulk: true };

    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    #[must_use]
    pub fn skips(self, check: Check) -> bool {
        match check {
            Check::Malware | Check::Attachment | Check::Content => false,
            Check::Reputation => self.reputation,
            Check::Spam => self.spam,
            Check::Bulk => self.bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_spares_a_message_the_scan() {
        for check in [Check::Malware, Check::Attachment, Check::Content] {
            assert!(!Skips::ALLOWED_SENDER.skips(check), "{check:?}");
        }
        assert!(Skips::ALLOWED_SENDER.skips(Check::Spam) && !Skips::NONE.skips(Check::Spam));
    }

    #[test]
    fn stages_are_ordered_as_they_are_evaluated() {
        let stages = [
            Stage::Recipient,
            Stage::SenderLists,
            Stage::Tls,
            Stage::ClientLists,
            Stage::KnownSources,
            Stage::Reputation,
            Stage::ReverseName,
            Stage::Limits,
            Stage::Greylist,
            Stage::Provisional,
        ];
        assert!(stages.is_sorted());
    }
}
