//! Lists of literals: a feed of words, phrases or addresses, one a line, all with one symbol. Made for a million of them.
//!
//! Lines that begin with `#` are comments. Literals are folded, as those of rules are. However many of a list are found, it
//! is one hit.
//!
//! **Failure**: literals shorter than three octets are skipped and told. **Invariants**: all lists share one matcher.

use super::fields::{Mask, Region};
use super::{RuleHit, RuleInfo};
use crate::model::finding::Score;
use crate::signatures::fault::Faults;
use crate::signatures::fold;
use crate::signatures::literals::{Case, Literals};
use crate::signatures::pack::FeedEntry;

/// Shorter ones are in every mail.
const MIN_LENGTH: usize = 3;

#[derive(Debug, Default)]
pub struct Lists {
    literals: Option<Literals>,
    /// The list of each literal.
    owners: Box<[u16]>,
    lists: Vec<(RuleInfo, Mask)>,
}

#[derive(Debug, Default)]
pub struct Builder {
    text: String,
    ends: Vec<u32>,
    owners: Vec<u16>,
    lists: Vec<(RuleInfo, Mask)>,
}

impl Builder {
    pub fn add(&mut self, pack: &str, entry: &FeedEntry, mask: Mask, octets: &[u8], faults: &mut Faults) {
        let shown = format!("{pack}/{}", entry.file);
        let Ok(owner) = u16::try_from(self.lists.len()) else {
            faults.refuse(&shown, 0, "more than 65,536 lists of literals");
            return;
        };
        let info = RuleInfo {
            name: entry.symbol.clone(),
            class: entry.class,
            score: Some(Score::from_points(entry.score)),
            en: entry.en.clone(),
            ja: entry.ja.clone(),
            pack: pack.into(),
        };
        self.lists.push((info, mask));
        for (line, number) in octets.split(|octet| *octet == b'\n').zip(1..) {
            let Ok(line) = std::str::from_utf8(line) else {
                faults.skip(&shown, number, "is not UTF-8");
                continue;
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let folded = fold::fold(line);
            if folded.len() < MIN_LENGTH {
                faults.skip(&shown, number, format!("{line:?} is shorter than {MIN_LENGTH} octets"));
                continue;
            }
            self.text.push_str(&folded);
            self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
            self.owners.push(owner);
        }
    }

    #[must_use]
    pub fn finish(self) -> Lists {
        let text = self.text.as_bytes();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let literal = |(start, end): (u32, &u32)| text.get(start as usize..*end as usize).unwrap_or_default();
        let literals: Vec<_> = starts.zip(&self.ends).map(|range| (literal(range), Case::Folded)).collect();
        let literals = (!literals.is_empty()).then(|| Literals::build(&literals));
        Lists { literals, owners: self.owners.into(), lists: self.lists }
    }
}

impl Lists {
    #[must_use]
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    pub fn infos(&self) -> impl Iterator<Item = &RuleInfo> {
        self.lists.iter().map(|(info, _)| info)
    }

    /// What was found of each list: nothing yet.
    #[must_use]
    pub fn nothing(&self) -> Vec<Option<Box<str>>> {
        vec![None; self.lists.len()]
    }

    pub fn look(&self, region: &Region<'_>, found: &mut [Option<Box<str>>]) {
        let Some(literals) = &self.literals else { return };
        if !self.lists.iter().any(|(_, mask)| mask.meets(&region.mask)) {
            return;
        }
        literals.find(region.folded.as_bytes(), &mut |id, start| {
            let owner = self.owners.get(id as usize).copied().unwrap_or(u16::MAX);
            let Some((_, mask)) = self.lists.get(usize::from(owner)) else { return };
            if mask.meets(&region.mask)
                && let Some(place @ None) = found.get_mut(usize::from(owner))
            {
                *place = Some(region.folded.get(start..).unwrap_or_default().chars().take(40).collect());
            }
        });
    }

    pub fn hits(&self, found: Vec<Option<Box<str>>>) -> impl Iterator<Item = RuleHit<'_>> {
        let found = self.lists.iter().zip(found);
        found.filter_map(|((info, _), evidence)| {
            evidence.map(|evidence| RuleHit { rule: info, score: info.score.unwrap_or_default(), evidence })
        })
    }
}
