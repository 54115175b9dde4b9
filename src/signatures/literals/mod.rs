//! Finds all of many literals in a text in one pass.
//!
//! Those of up to three octets go into an aho-corasick automaton, small enough to stay near the processor; those of up to seven
//! (unless there are thousands) and those of eight and more each into a filter over windows ([`window`]), which builds in a
//! tenth of the time and stays small with a million of them (`benches/literals.rs`).
//!
//! **Failure**: nothing fails. **Invariants**: every occurrence of every literal is told, overlapping ones too; time is
//! linear in the text, beside what is told.

pub mod window;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use window::Windows;

/// Literals of four to seven octets for which windows are the faster way: of more, too many share a window, and the automaton
/// has them.
const FEW: usize = 4_000;

/// Of four to seven octets.
type Middle = Windows<3, 2>;
/// Of eight octets and more.
type Long = Windows<7, 2>;

/// How a literal is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// Octet by octet.
    Exact,
    /// ASCII letters alike in both cases.
    Ascii,
    /// Octet by octet, in a text that is folded as the literal is.
    Folded,
}

/// A compiled set of literals; their numbers are their places in the list it was built from.
#[derive(Debug)]
pub struct Literals {
    short: Option<Short>,
    middle: Option<Middle>,
    long: Option<Long>,
    count: usize,
}

#[derive(Debug)]
struct Short {
    automaton: AhoCorasick,
    /// Their numbers, and those that must be compared again because others don't mind the case.
    ids: Vec<(u32, Option<Box<[u8]>>)>,
}

/// Called with the number of a literal and where it begins.
pub type Found<'f> = dyn FnMut(u32, usize) + 'f;

impl Literals {
    /// Empty literals are never found.
    #[must_use]
    pub fn build(literals: &[(&[u8], Case)]) -> Self {
        let numbered = || (0_u32..).zip(literals.iter().copied());
        let longer = |least: usize| numbered().filter(move |(_, (octets, _))| octets.len() >= least);
        let middle = longer(Middle::LEAST).filter(|(_, (octets, _))| octets.len() < Long::LEAST);
        let few = middle.clone().count() <= FEW;
        let middle = middle.filter(|_| few);
        let automaton = if few { Middle::LEAST } else { Long::LEAST };
        let short: Vec<_> = numbered().filter(|(_, (octets, _))| octets.len() < automaton).collect();
        let long = longer(Long::LEAST);
        Self {
            short: Short::build(&short),
            middle: Middle::build(middle),
            long: Long::build(long),
            count: literals.len(),
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn find(&self, text: &[u8], found: &mut Found<'_>) {
        if let Some(short) = &self.short {
            short.find(text, found);
        }
        if let Some(middle) = &self.middle {
            middle.find(text, found);
        }
        if let Some(long) = &self.long {
            long.find(text, found);
        }
    }
}

impl Short {
    fn build(literals: &[(u32, (&[u8], Case))]) -> Option<Self> {
        let literals = literals.iter().filter(|(_, (octets, _))| !octets.is_empty());
        let any_case = literals.clone().any(|(_, (_, case))| *case == Case::Ascii);
        let again = |octets: &[u8], case: Case| (any_case && case != Case::Ascii).then(|| octets.into());
        let ids: Vec<_> = literals.clone().map(|(id, (octets, case))| (*id, again(octets, *case))).collect();
        if ids.is_empty() {
            return None;
        }
        // A table of all transitions while it is small: it is the fastest. An automaton is refused at billions of states alone,
        // and a set is smaller than that by its octets.
        let kind = if ids.len() <= 2_000 { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(any_case)
            .kind(Some(kind))
            .build(literals.map(|(_, (octets, _))| octets))
            .ok()?;
        Some(Self { automaton, ids })
    }

    fn find(&self, text: &[u8], found: &mut Found<'_>) {
        for hit in self.automaton.find_overlapping_iter(text) {
            let Some((id, again)) = self.ids.get(hit.pattern().as_usize()) else { continue };
            if again.as_ref().is_none_or(|octets| text.get(hit.range()) == Some(octets)) {
                found(*id, hit.start());
            }
        }
    }
}

#[cfg(test)]
mod tests;
