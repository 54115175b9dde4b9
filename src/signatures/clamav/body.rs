//! Compares bodies of signatures with octets.
//!
//! **Failure**: a comparison that would take too many steps is given up, and that is said.
//! **Invariants**: each place is looked at once for each part of a body, so work is linear in octets times parts, and it is
//! bounded by [`Fuel`] for a whole file.

use super::hex::{Edge, Element, Gap, Part};

/// Places that are remembered between two parts.
const MAX_ENDS: usize = 4_096;
/// More occurrences are not counted.
pub const MAX_COUNT: u32 = 1_000;

/// Steps that are left for a file.
#[derive(Debug)]
pub struct Fuel(u64);

/// The work would be too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaveUp;

impl Fuel {
    /// For a file of so many octets.
    #[must_use]
    pub fn of(octets: usize) -> Self {
        Self(20_000_000_u64.saturating_add((octets as u64).saturating_mul(16)))
    }

    fn burn(&mut self, steps: usize) -> Result<(), GaveUp> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(GaveUp)?;
        Ok(())
    }
}

/// A body, and how it is compared.
#[derive(Debug, Clone)]
pub struct Body {
    pub parts: Vec<Part>,
    pub any_case: bool,
    /// Not within a word.
    pub full_word: bool,
}

impl Body {
    /// The best literal: of which part, where in it, and its octets.
    #[must_use]
    pub fn anchor(&self) -> Option<(usize, usize, &[u8])> {
        let literals = self.parts.iter().enumerate();
        let literals = literals.filter_map(|(part, of)| of.literal.as_ref().map(|(at, octets)| (part, *at, &**octets)));
        literals.max_by_key(|(part, _, octets)| (octets.len(), std::cmp::Reverse(*part)))
    }

    /// Its octets, if it is nothing but octets.
    #[must_use]
    pub fn plain(&self) -> Option<Vec<u8>> {
        let [part] = self.parts.as_slice() else { return None };
        let octet = |element: &Element| match element {
            Element::Octet(octet) if octet.mask == 0xff => Some(octet.value),
            _ => None,
        };
        if self.full_word { None } else { part.elements.iter().map(octet).collect() }
    }

    /// Whether there are no gaps: then it stands where its literal stands.
    #[must_use]
    pub fn is_solid(&self) -> bool {
        self.parts.len() == 1
    }

    /// Whether it stands at `start`, for a body without gaps.
    #[must_use]
    pub fn is_at(&self, octets: &[u8], start: usize) -> bool {
        let Some(part) = self.parts.first() else { return false };
        self.ends(part, octets, start).into_iter().any(|end| self.stands_alone(octets, start, end))
    }

    fn stands_alone(&self, octets: &[u8], start: usize, end: usize) -> bool {
        let word = |at: Option<usize>| at.and_then(|at| octets.get(at)).is_some_and(u8::is_ascii_alphanumeric);
        !self.full_word || (!word(start.checked_sub(1)) && !word(Some(end)))
    }

    /// How often it occurs beginning at one of the places `first..=last`, at most [`MAX_COUNT`].
    pub fn count(&self, octets: &[u8], (first, last): (usize, usize), fuel: &mut Fuel) -> Result<u32, GaveUp> {
        let mut ranges = vec![(first, last)];
        let mut ends = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            if number > 0 {
                ranges = spread(&ends, part.gap, octets.len());
            }
            ends.clear();
            let next_gap = self.parts.get(number + 1).map(|next| next.gap);
            for range in &ranges {
                self.search(part, octets, *range, (number == 0, next_gap), &mut ends, fuel)?;
            }
            if ends.is_empty() {
                return Ok(0);
            }
            ends.sort_unstable();
            ends.dedup();
        }
        Ok(u32::try_from(ends.len()).unwrap_or(u32::MAX).min(MAX_COUNT))
    }

    /// Adds the ends of all occurrences of a part that begin in a range.
    fn search(
        &self,
        part: &Part,
        octets: &[u8],
        (first, last): (usize, usize),
        (is_first, next_gap): (bool, Option<Gap>),
        ends: &mut Vec<usize>,
        fuel: &mut Fuel,
    ) -> Result<(), GaveUp> {
        let last = last.min(octets.len());
        // Behind the earliest end everything lies, if the next gap has no end.
        let first_is_enough = next_gap.is_some_and(|gap| gap.most.is_none());
        let mut at = first;
        while at <= last {
            at = match self.next(part, octets, (at, last), fuel)? {
                Some(place) => place,
                None => return Ok(()),
            };
            let found = self.ends(part, octets, at);
            fuel.burn(8 + found.len())?;
            for end in found {
                let begins = !is_first || self.parts.len() > 1 || self.stands_alone(octets, at, end);
                if begins {
                    ends.push(end);
                }
            }
            if first_is_enough && !ends.is_empty() {
                return Ok(());
            }
            if ends.len() > MAX_ENDS {
                return if next_gap.is_none() { Ok(()) } else { Err(GaveUp) };
            }
            at += 1;
        }
        Ok(())
    }

    /// The next place from `at` on where a part may begin.
    fn next(
        &self,
        part: &Part,
        octets: &[u8],
        (at, last): (usize, usize),
        fuel: &mut Fuel,
    ) -> Result<Option<usize>, GaveUp> {
        let Some((offset, literal)) = part.literal.as_ref().filter(|(_, literal)| !self.any_case && literal.len() > 1)
        else {
            return Ok(Some(at));
        };
        let begin = at.saturating_add(*offset);
        let end = last.saturating_add(*offset).saturating_add(literal.len()).min(octets.len());
        let Some(here) = octets.get(begin..end) else { return Ok(None) };
        let found = memchr::memmem::find(here, literal);
        fuel.burn(found.unwrap_or(here.len()) / 8 + 1)?;
        Ok(found.map(|found| at + found))
    }

    /// Where a part that begins at `start` may end; empty if it isn't there.
    fn ends(&self, part: &Part, octets: &[u8], start: usize) -> Vec<usize> {
        let mut at = start;
        let mut rest = part.elements.iter();
        while let Some(element) = rest.next() {
            match element {
                Element::Octet(octet) if octets.get(at).is_some_and(|here| octet.is(*here, self.any_case)) => at += 1,
                Element::Edge(edge) if is_edge(*edge, octets, at) => {}
                Element::Octet(_) | Element::Edge(_) => return Vec::new(),
                Element::Choice { .. } => return self.branches(element, rest.as_slice(), octets, at),
            }
        }
        vec![at]
    }

    /// The same from a choice on, where there may be several ways.
    fn branches(&self, choice: &Element, rest: &[Element], octets: &[u8], at: usize) -> Vec<usize> {
        let mut ends = vec![at];
        for element in [choice].into_iter().chain(rest) {
            let mut next = Vec::with_capacity(ends.len());
            for end in ends {
                self.step(element, octets, end, &mut next);
            }
            if next.is_empty() {
                return next;
            }
            next.sort_unstable();
            next.dedup();
            ends = next;
        }
        ends
    }

    fn step(&self, element: &Element, octets: &[u8], at: usize, next: &mut Vec<usize>) {
        match element {
            Element::Octet(octet) => {
                if octets.get(at).is_some_and(|here| octet.is(*here, self.any_case)) {
                    next.push(at + 1);
                }
            }
            Element::Choice { options, negated } => {
                let is = |option: &Vec<super::hex::Octet>| {
                    let here = octets.get(at..at + option.len());
                    here.is_some_and(|here| here.iter().zip(option).all(|(here, octet)| octet.is(*here, self.any_case)))
                };
                if *negated {
                    let length = options.first().map_or(0, Vec::len);
                    if octets.len() >= at + length && !options.iter().any(is) {
                        next.push(at + length);
                    }
                } else {
                    next.extend(options.iter().filter(|option| is(option)).map(|option| at + option.len()));
                }
            }
            Element::Edge(edge) => {
                if is_edge(*edge, octets, at) {
                    next.push(at);
                }
            }
        }
    }
}

fn is_edge(edge: Edge, octets: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| octets.get(at));
    let here = octets.get(at);
    let word = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_alphanumeric);
    let line = |octet: Option<&u8>| octet.is_none_or(|octet| matches!(octet, b'\r' | b'\n'));
    match edge {
        Edge::Word => word(before) != word(here),
        Edge::Line => line(before) || line(here),
        Edge::NotAlphanumeric => !word(before) || !word(here),
    }
}

/// Where the next part may begin: ranges in order, without overlap.
fn spread(ends: &[usize], gap: Gap, length: usize) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for end in ends {
        let first = end.saturating_add(gap.least);
        let last = gap.most.map_or(length, |most| end.saturating_add(most)).min(length);
        if first > last {
            continue;
        }
        match ranges.last_mut() {
            Some((_, before)) if first <= before.saturating_add(1) => *before = last.max(*before),
            _ => ranges.push((first, last)),
        }
        if gap.most.is_none() {
            break;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signatures::clamav::hex;

    fn count(body: &str, octets: &[u8]) -> Result<u32, GaveUp> {
        let body = Body { parts: hex::parse(body, false).unwrap(), any_case: false, full_word: false };
        body.count(octets, (0, octets.len()), &mut Fuel::of(octets.len()))
    }

    #[test]
    fn wildcards_mean_what_they_mean() {
        for (body, octets, expected) in [
            ("6162", &b"xxabxxabxx"[..], 2),
            ("61??63", b"abc a", 1),
            ("6?6?", b"abx", 1),
            ("61*63", b"a....c", 1),
            ("61{2}63", b"abbc", 1),
            ("61{2}63", b"abc", 0),
            ("61{-1}63", b"ac", 1),
            ("61{2-}63", b"abcbc", 1),
            ("61{-1}63{1}64", b"accxd", 1),
            ("(61|6262)63", b"bbc", 1),
            ("!(61|62)63", b"cc", 1),
            ("!(61|62)63", b"bc", 0),
            ("(B)6162(B)", b" ab ", 1),
            ("(B)6162(B)", b"xab ", 0),
            ("(L)6162", b"x\nab", 1),
            ("61*62*63", b"c b a b c", 1),
            ("61*62*63", b"c b a", 0),
        ] {
            assert_eq!(count(body, octets), Ok(expected), "{body} in {octets:?}");
        }
    }

    /// Every gap would try every place again, if it were written the simple way.
    #[test]
    fn gaps_upon_gaps_end() {
        let octets = vec![b'a'; 200_000];
        let body = format!("6161{}62", "{0-5000}61".repeat(20));
        assert!(matches!(count(&body, &octets), Err(GaveUp) | Ok(0)));
        let body = format!("6161{}62", "*61".repeat(200));
        assert_eq!(count(&body, &octets), Ok(0));
    }
}
