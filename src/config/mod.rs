//! The settings of this node: from `sekisho.toml`, `conf.d/*.toml` beside it in the order of their names, and
//! `SEKISHO__SECTION__KEY` in the environment; later ones win. Tables merge, everything else replaces.
//!
//! **Failure**: [`load`] tells everything that is wrong in one run, each with its place and what to write instead.
//! **Invariants**: nothing is kept between calls, so that a reload is the same call again; every effective value knows
//! where it came from; keys and certificates are files, and the one setting that may hold a key, the zone of a known-source
//! list, is shown nowhere.

mod answers;
mod content;
mod fill;
mod keys;
mod kind;
mod known_sources;
mod listeners;
mod merge;
mod outbound;
mod secret;
mod sender;
mod settings;
mod suspension;
mod take;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use answers::CodeSettings;
pub use keys::{EGRESS_KEYS, Effect, KEYS, KNOWN_SOURCE_KEYS, Key, LISTENER_KEYS, TABLES, all, find, plain};
pub use kind::Kind;
pub use known_sources::MAX_KNOWN_SOURCES;
pub use secret::SecretDomain;
pub use settings::{
    AuthenticationSettings, BudgetSettings, CallAheadSettings, ConcurrencySettings, ContentSettings, CustodySettings,
    DeliverySettings, DeliveryTimeouts, DnsSettings, EgressSettings, FirstContactSettings, GreylistSettings,
    HarvestSettings, KnownSourceKind, KnownSourceSettings, KnownSourceTest, LimitSettings, ListenerSettings,
    ListenerTls, LogFormat, LogSettings, MailLogTarget, ObserveSettings, OutboundSettings, QuarantineSettings,
    RateSettings, RatesSettings, ReputationSettings, RetrySettings, ScanSettings, ScannerSettings, ScannersSettings,
    Scheduling, SenderSettings, Settings, SignatureSettings, SmtpSettings, SmtpTimeouts, SpoolSettings,
    SuspensionSettings, TlsFiles, TlsSettings, WidestScope, usual_threads,
};
pub use value::Value;

use crate::model::written::{Place, Problems};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Default,
    File(Place),
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => place.fmt(f),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// One value in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// As the key's, but in a list of tables with the entry's name: `listener.mx.bind`.
    pub name: String,
    pub key: &'static Key,
    pub value: Value,
    pub origin: Origin,
}

/// Settings and where they came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    /// Every value in force, by section.
    pub effective: Vec<Effective>,
    /// The files read, in order.
    pub files: Vec<PathBuf>,
}

/// One value that differs between two loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub name: String,
    pub old: Option<String>,
    pub new: Option<String>,
    pub effect: Effect,
}

impl Loaded {
    /// What a reload would change. Those with [`Effect::Restart`] stay as they were until the node is started anew; a
    /// listener or known source that comes or goes is among them.
    #[must_use]
    pub fn changes_to(&self, next: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let named = |all: &[Effective], name: &str| all.iter().find(|one| one.name == name).cloned();
        for old in &self.effective {
            let new = named(&next.effective, &old.name);
            if new.as_ref().map(|new| &new.value) != Some(&old.value) {
                changes.push(change(Some(old), new.as_ref()));
            }
        }
        for new in next.effective.iter().filter(|new| named(&self.effective, &new.name).is_none()) {
            changes.push(change(None, Some(new)));
        }
        changes
    }
}

fn change(old: Option<&Effective>, new: Option<&Effective>) -> Change {
    let either = old.or(new);
    let both = old.is_some() && new.is_some();
    let effect = either.map_or(Effect::Restart, |one| if both { one.key.effect } else { Effect::Restart });
    let text = |one: &Effective| one.value.to_string();
    Change {
        name: either.map(|one| one.name.clone()).unwrap_or_default(),
        old: old.map(text),
        new: new.map(text),
        effect,
    }
}

/// Reads the settings file, what stands beside it, and the environment.
///
/// # Errors
/// Everything that is wrong.
pub fn load(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let files = merge::files(path, &mut problems);
    let texts: Vec<(String, &str)> =
        files.iter().map(|(path, text)| (path.display().to_string(), text.as_str())).collect();
    let base = path.parent().unwrap_or(Path::new(""));
    let loaded = read(&texts, environment, base, problems)?;
    Ok(Loaded { files: files.into_iter().map(|(path, _)| path).collect(), ..loaded })
}

/// As [`load`], with the files' texts given. Relative paths start at `base`.
///
/// # Errors
/// Everything that is wrong.
pub fn read(
    files: &[(String, &str)],
    environment: impl IntoIterator<Item = (String, String)>,
    base: &Path,
    mut problems: Problems,
) -> Result<Loaded, Problems> {
    let merged = merge::merge(files, environment, base, &mut problems);
    let settings = fill::fill(&merged, &mut problems);
    let effective = merged.into_effective();
    problems.or(settings.map(|settings| Loaded { settings, effective, files: Vec::new() }))
}

/// The settings file to take if none is named: `./sekisho.toml`, otherwise `/etc/sekisho/sekisho.toml`.
#[must_use]
pub fn default_path() -> PathBuf {
    let here = PathBuf::from("sekisho.toml");
    if here.exists() { here } else { PathBuf::from("/etc/sekisho/sekisho.toml") }
}

#[cfg(test)]
mod tests;
