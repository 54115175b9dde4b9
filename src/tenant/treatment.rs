//! What is done with mail of a category: one fate, and what goes with it. Two octets.
//!
//! **Invariants**: what a [`Treatment`] holds can be carried out: changes of a message go with delivery only.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Direction;
use crate::model::disposition::Category;

/// Where the message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    Deliver,
    Quarantine,
    Reject,
    Discard,
}

/// What else is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extra {
    /// Words before the subject.
    Tag,
    /// Our header fields, where they are not written anyway.
    Headers,
    /// A text above the message.
    Stamp,
    /// The files of this category are taken out.
    Strip,
    /// A copy to the tenant's `bcc` addresses.
    Bcc,
    /// A notice to the tenant's `notify` addresses.
    Notify,
}

const FATES: [(&str, Fate); 4] = [
    ("deliver", Fate::Deliver),
    ("quarantine", Fate::Quarantine),
    ("reject", Fate::Reject),
    ("discard", Fate::Discard),
];
const EXTRAS: [(&str, Extra); 6] = [
    ("tag", Extra::Tag),
    ("headers", Extra::Headers),
    ("stamp", Extra::Stamp),
    ("strip", Extra::Strip),
    ("bcc", Extra::Bcc),
    ("notify", Extra::Notify),
];
/// All words of an action, for messages.
pub const WORDS: &str = "deliver, tag, headers, stamp, strip, quarantine, reject, discard, bcc, notify";

/// A fate and what goes with it. Written as a list of words; a list without a fate delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Box<str>>", into = "Vec<Box<str>>")]
pub struct Treatment {
    pub fate: Fate,
    extras: u8,
}

const fn bit(extra: Extra) -> u8 {
    1 << extra as u8
}

impl Treatment {
    #[must_use]
    pub const fn plain(fate: Fate) -> Self {
        Self { fate, extras: 0 }
    }

    /// With one thing more.
    #[must_use]
    pub const fn and(self, extra: Extra) -> Self {
        Self { extras: self.extras | bit(extra), ..self }
    }

    #[must_use]
    pub fn has(self, extra: Extra) -> bool {
        self.extras & bit(extra) != 0
    }

    /// Another fate; what goes only with delivery is dropped if the message is not delivered.
    #[must_use]
    pub fn with_fate(self, fate: Fate) -> Self {
        let kept = if fate == Fate::Deliver { self.extras } else { self.extras & bit(Extra::Notify) };
        Self { fate, extras: kept }
    }

    /// The words, each once.
    ///
    /// # Errors
    /// A sentence saying which word does not belong here.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, String> {
        let (mut fate, mut extras) = (None, 0);
        for word in words {
            if let Some((_, found)) = FATES.iter().find(|(name, _)| *name == word) {
                match fate {
                    Some(other) if other != *found => {
                        return Err(format!("{word:?} and {:?} at once", fate_name(other)));
                    }
                    _ => fate = Some(*found),
                }
            } else if let Some((_, found)) = EXTRAS.iter().find(|(name, _)| *name == word) {
                extras |= bit(*found);
            } else {
                return Err(format!("{word:?} is none of {WORDS}"));
            }
        }
        let known = Self { fate: fate.unwrap_or(Fate::Deliver), extras };
        if fate.is_none() && extras == 0 {
            return Err(format!("nothing is written; one or more of {WORDS}"));
        }
        match EXTRAS.iter().find(|(_, extra)| known.has(*extra) && !known.with_fate(known.fate).has(*extra)) {
            Some((word, _)) => {
                Err(format!("{word:?} is for mail that is delivered, and {:?} is not", fate_name(known.fate)))
            }
            None => Ok(known),
        }
    }

    /// Whether a tenant may treat mail of this category so.
    ///
    /// # Errors
    /// A sentence with what may be done.
    pub fn check(self, direction: Direction, category: Category) -> Result<Self, String> {
        let allowed: &[Fate] = match (category, direction) {
            (Category::Malware, Direction::Inbound) => &[Fate::Quarantine, Fate::Reject, Fate::Discard],
            (Category::Malware, Direction::Outbound) => &[Fate::Quarantine],
            (Category::Spam | Category::Phishing, Direction::Outbound) => &[Fate::Quarantine, Fate::Reject],
            _ => &[Fate::Deliver, Fate::Quarantine, Fate::Reject, Fate::Discard],
        };
        if !allowed.contains(&self.fate) {
            let names: Vec<&str> = allowed.iter().map(|fate| fate_name(*fate)).collect();
            let direction = direction.as_str();
            return Err(format!("{direction} {} mail is always kept back: {}", category.name(), names.join(" or ")));
        }
        let has_files = matches!(category, Category::RiskyFile | Category::Encrypted | Category::Unscannable);
        if self.has(Extra::Strip) && !has_files {
            return Err("\"strip\" is for risky-file, encrypted and unscannable".into());
        }
        Ok(self)
    }
}

fn fate_name(fate: Fate) -> &'static str {
    FATES.iter().find(|(_, known)| *known == fate).map_or("", |(name, _)| name)
}

/// As it is written: words with blanks between.
impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::with_capacity(3);
        if self.fate != Fate::Deliver || self.extras == 0 {
            words.push(fate_name(self.fate));
        }
        words.extend(EXTRAS.iter().filter(|(_, extra)| self.has(*extra)).map(|(name, _)| *name));
        f.write_str(&words.join(" "))
    }
}

impl TryFrom<Vec<Box<str>>> for Treatment {
    type Error = String;
    fn try_from(words: Vec<Box<str>>) -> Result<Self, String> {
        Self::parse(words.iter().map(|word| &**word))
    }
}

impl From<Treatment> for Vec<Box<str>> {
    fn from(treatment: Treatment) -> Self {
        treatment.to_string().split(' ').map(Box::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for (written, shown) in [
            ("deliver", "deliver"),
            ("tag", "tag"),
            ("deliver tag", "tag"),
            ("notify stamp tag", "tag stamp notify"),
            ("quarantine notify", "quarantine notify"),
            ("reject reject", "reject"),
            ("strip bcc headers", "headers strip bcc"),
        ] {
            let treatment = Treatment::parse(written.split(' ')).unwrap();
            assert_eq!(treatment.to_string(), shown, "{written}");
            let json = serde_json::to_string(&treatment).unwrap();
            assert_eq!(serde_json::from_str::<Treatment>(&json).unwrap(), treatment, "{json}");
        }
        assert_eq!(size_of::<Treatment>(), 2);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (written, why) in [
            ("quarantine reject", "at once"),
            ("quarantine tag", "delivered"),
            ("discard bcc", "delivered"),
            ("reject strip", "delivered"),
            ("bounce", "none of"),
        ] {
            let told = Treatment::parse(written.split(' ')).unwrap_err();
            assert!(told.contains(why), "{written}: {told}");
        }
        assert!(Treatment::parse([]).is_err());
    }

    /// The forced rules, as a tenant is told of them.
    #[test]
    fn what_may_not_be_done_is_refused() {
        use Category::{Bulk, Encrypted, Malware, Phishing, Spam};
        use Direction::{Inbound, Outbound};
        for (direction, category, fate, may) in [
            (Inbound, Malware, Fate::Deliver, false),
            (Inbound, Malware, Fate::Discard, true),
            (Inbound, Malware, Fate::Reject, true),
            (Outbound, Malware, Fate::Reject, false),
            (Outbound, Malware, Fate::Quarantine, true),
            (Inbound, Spam, Fate::Deliver, true),
            (Outbound, Spam, Fate::Deliver, false),
            (Outbound, Phishing, Fate::Discard, false),
            (Outbound, Spam, Fate::Reject, true),
            (Outbound, Bulk, Fate::Deliver, true),
            (Outbound, Encrypted, Fate::Deliver, true),
        ] {
            let checked = Treatment::plain(fate).check(direction, category);
            assert_eq!(checked.is_ok(), may, "{direction:?} {category:?} {fate:?}: {checked:?}");
        }
        let strip = Treatment::plain(Fate::Deliver).and(Extra::Strip);
        assert!(strip.check(Inbound, Spam).is_err() && strip.check(Inbound, Encrypted).is_ok());
    }
}
