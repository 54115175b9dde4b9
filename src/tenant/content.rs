//! What a tenant wants done with mail because of its content: as written (`[tenant.content.inbound]`,
//! `[tenant.content.outbound]`, and the same for one domain), and compiled for one direction of one domain.
//!
//! **Invariants**: a domain's keys stand in the place of its tenant's, key by key, a list as a whole; but a domain that names a
//! level means it, and its tenant's thresholds don't count there. What neither names is [`ContentPolicy::default_ref`]. A domain
//! without a word of either holds no policy of its own.
//! **Elsewhere**: what no tenant can change is enforced in `policy::content`, whatever stands here.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::model::disposition::Category;
use crate::model::finding::Score;
use crate::model::{Address, Direction};

use super::content_texts;
use super::treatment::{Extra, Fate, Treatment};

/// Most addresses of `bcc`, and of `notify`.
pub const MAX_ADDRESSES: usize = 10;
/// Longest tag, in characters.
pub const MAX_TAG: usize = 64;
/// Longest stamp, in characters.
pub const MAX_STAMP: usize = 2_000;

/// How much is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sensitivity {
    /// Little, and nearly never wrongly.
    Low,
    #[default]
    Medium,
    High,
}

/// From how many points on mail is of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Thresholds {
    pub spam: Score,
    pub suspected: Score,
    pub phishing: Score,
    pub impersonation: Score,
    pub bulk: Score,
}

impl Thresholds {
    #[must_use]
    pub const fn of_level(level: Sensitivity) -> Self {
        let (spam, suspected, phishing, impersonation, bulk) = match level {
            Sensitivity::Low => (8_000, 5_000, 7_000, 6_000, 6_000),
            Sensitivity::Medium => (5_000, 3_000, 5_000, 4_000, 4_000),
            Sensitivity::High => (3_500, 2_000, 3_500, 2_500, 2_500),
        };
        Self {
            spam: Score(spam),
            suspected: Score(suspected),
            phishing: Score(phishing),
            impersonation: Score(impersonation),
            bulk: Score(bulk),
        }
    }

    /// `None` for the categories that have none.
    #[must_use]
    pub fn of(&self, category: Category) -> Option<Score> {
        match category {
            Category::Spam => Some(self.spam),
            Category::Suspected => Some(self.suspected),
            Category::Phishing => Some(self.phishing),
            Category::Impersonation => Some(self.impersonation),
            Category::Bulk => Some(self.bulk),
            Category::Malware
            | Category::RiskyFile
            | Category::Ambiguous
            | Category::Unscannable
            | Category::Encrypted => None,
        }
    }

    fn place(&mut self, category: Category) -> Option<&mut Score> {
        match category {
            Category::Spam => Some(&mut self.spam),
            Category::Suspected => Some(&mut self.suspected),
            Category::Phishing => Some(&mut self.phishing),
            Category::Impersonation => Some(&mut self.impersonation),
            Category::Bulk => Some(&mut self.bulk),
            _ => None,
        }
    }
}

/// Both directions, as written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentSpec {
    #[serde(skip_serializing_if = "DirectionSpec::is_empty")]
    pub inbound: DirectionSpec,
    #[serde(skip_serializing_if = "DirectionSpec::is_empty")]
    pub outbound: DirectionSpec,
}

/// One direction, as written: what is not named is left to the tenant's table, then to the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DirectionSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Sensitivity>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<Category, Score>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<Category, Treatment>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Category, Box<str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stamps: BTreeMap<Category, Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_signed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bcc: Option<Vec<Address>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<Vec<Address>>,
}

impl ContentSpec {
    #[must_use]
    pub fn of(&self, direction: Direction) -> &DirectionSpec {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }

    /// What is not named here is taken from `under`.
    #[must_use]
    pub fn over(self, under: Self) -> Self {
        Self { inbound: self.inbound.over(under.inbound), outbound: self.outbound.over(under.outbound) }
    }
}

impl DirectionSpec {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is not named here is taken from `under`.
    #[must_use]
    pub fn over(self, under: Self) -> Self {
        let thresholds = if self.level.is_some() { self.thresholds } else { both(self.thresholds, under.thresholds) };
        Self {
            level: self.level.or(under.level),
            thresholds,
            actions: both(self.actions, under.actions),
            tags: both(self.tags, under.tags),
            stamps: both(self.stamps, under.stamps),
            headers: self.headers.or(under.headers),
            tag_signed: self.tag_signed.or(under.tag_signed),
            bcc: self.bcc.or(under.bcc),
            notify: self.notify.or(under.notify),
        }
    }
}

fn both<V>(own: BTreeMap<Category, V>, mut under: BTreeMap<Category, V>) -> BTreeMap<Category, V> {
    under.extend(own);
    under
}

/// What is done with mail of one direction of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPolicy {
    pub level: Sensitivity,
    pub thresholds: Thresholds,
    treatments: [Treatment; Category::ALL.len()],
    /// One bit for each category whose treatment somebody has written.
    written: u16,
    tags: BTreeMap<Category, Box<str>>,
    stamps: BTreeMap<Category, Box<str>>,
    /// Our header fields on everything that is delivered.
    pub headers: bool,
    /// Whether the subject of digitally signed mail (S/MIME, OpenPGP) is tagged too.
    pub tag_signed: bool,
    pub bcc: Box<[Address]>,
    pub notify: Box<[Address]>,
}

static INBOUND: LazyLock<ContentPolicy> =
    LazyLock::new(|| ContentPolicy::compile(Direction::Inbound, DirectionSpec::default()));
static OUTBOUND: LazyLock<ContentPolicy> =
    LazyLock::new(|| ContentPolicy::compile(Direction::Outbound, DirectionSpec::default()));

impl ContentPolicy {
    /// The one for domains that say nothing.
    #[must_use]
    pub fn default_ref(direction: Direction) -> &'static Self {
        match direction {
            Direction::Inbound => &INBOUND,
            Direction::Outbound => &OUTBOUND,
        }
    }

    #[must_use]
    pub fn compile(direction: Direction, spec: DirectionSpec) -> Self {
        let level = spec.level.unwrap_or_default();
        let mut thresholds = Thresholds::of_level(level);
        for (category, score) in spec.thresholds {
            if let Some(place) = thresholds.place(category) {
                *place = score;
            }
        }
        // What is spam is not suspected; a threshold above that of spam would never be met.
        thresholds.suspected = thresholds.suspected.min(thresholds.spam);
        let written = |category| spec.actions.get(&category).copied();
        let bits = spec.actions.keys().fold(0, |bits, category| bits | bit(*category));
        Self {
            level,
            thresholds,
            treatments: Category::ALL
                .map(|category| written(category).unwrap_or_else(|| default_treatment(direction, category))),
            written: bits,
            tags: spec.tags,
            stamps: spec.stamps,
            headers: spec.headers.unwrap_or(direction == Direction::Inbound),
            tag_signed: spec.tag_signed.unwrap_or(true),
            bcc: spec.bcc.unwrap_or_default().into(),
            notify: spec.notify.unwrap_or_default().into(),
        }
    }

    /// What the tenant wants done; see `policy::content` for what it gets.
    #[must_use]
    pub fn treatment(&self, category: Category) -> Treatment {
        self.treatments.get(category as usize).copied().unwrap_or(Treatment::plain(Fate::Quarantine))
    }

    /// Whether that is the tenant's word, and not the default.
    #[must_use]
    pub fn is_written(&self, category: Category) -> bool {
        self.written & bit(category) != 0
    }

    /// What stands before the subject.
    #[must_use]
    pub fn tag(&self, category: Category) -> &str {
        self.tags.get(&category).map_or_else(|| content_texts::tag(category), AsRef::as_ref)
    }

    /// What stands above the text.
    #[must_use]
    pub fn stamp(&self, category: Category) -> &str {
        self.stamps.get(&category).map_or_else(|| content_texts::stamp(category), AsRef::as_ref)
    }
}

const fn bit(category: Category) -> u16 {
    1 << category as u16
}

/// The defaults (`manual::content`).
#[must_use]
pub fn default_treatment(direction: Direction, category: Category) -> Treatment {
    use Category::{
        Ambiguous, Bulk, Encrypted, Impersonation, Malware, Phishing, RiskyFile, Spam, Suspected, Unscannable,
    };
    let deliver = Treatment::plain(Fate::Deliver);
    match (category, direction) {
        (Malware | RiskyFile | Ambiguous | Unscannable | Phishing | Spam, _) => Treatment::plain(Fate::Quarantine),
        (Encrypted | Impersonation, Direction::Inbound) => deliver.and(Extra::Stamp),
        (Suspected | Bulk, Direction::Inbound) => deliver.and(Extra::Tag),
        (Encrypted | Impersonation | Suspected | Bulk, Direction::Outbound) => deliver,
    }
}

/// Both directions of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPolicies {
    inbound: ContentPolicy,
    outbound: ContentPolicy,
}

impl ContentPolicies {
    #[must_use]
    pub fn of(&self, direction: Direction) -> &ContentPolicy {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }

    /// A tenant's own, for those of its domains that say nothing themselves; `None`: the defaults.
    #[must_use]
    pub fn of_tenant(tenant: Option<&ContentSpec>) -> Option<Arc<Self>> {
        tenant.cloned().map(Self::compile)
    }

    /// Those of one domain, sharing the tenant's where the domain says nothing.
    #[must_use]
    pub fn of_domain(
        tenant: Option<&ContentSpec>,
        shared: Option<&Arc<Self>>,
        domain: Option<ContentSpec>,
    ) -> Option<Arc<Self>> {
        match (domain, tenant) {
            (None, _) => shared.cloned(),
            (Some(domain), None) => Some(Self::compile(domain)),
            (Some(domain), Some(tenant)) => Some(Self::compile(domain.over(tenant.clone()))),
        }
    }

    fn compile(spec: ContentSpec) -> Arc<Self> {
        Arc::new(Self {
            inbound: ContentPolicy::compile(Direction::Inbound, spec.inbound),
            outbound: ContentPolicy::compile(Direction::Outbound, spec.outbound),
        })
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
