//! What a text must hold for an expression to match: one of some literals, or a run of octets each from its own set.
//!
//! **Invariants**: everything is in lower case and matched without regard to case, so that it is necessary for either; no
//! answer means that nothing is known, never that nothing matches. Bounded by `MAX_STEPS`, whatever stands in what.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Octets of a window that are compared.
pub const WINDOW: usize = 6;
/// Index in a set of "behind the end of the text".
pub const END: usize = 256;
/// Most literals for one expression.
const MAX_LITERALS: usize = 64;
const MAX_LENGTH: usize = 24;
/// Shortest literal that is worth looking for.
const MIN_LENGTH: usize = 3;
/// A window that a longer share of all places fits says too little.
const MAX_SHARE: f64 = 0.02;

/// Octets, and the place behind the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    words: [u64; 5],
}

impl Set {
    const NONE: Self = Self { words: [0; 5] };
    const ALL: Self = Self { words: [u64::MAX, u64::MAX, u64::MAX, u64::MAX, 1] };

    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.words.get(index >> 6).is_some_and(|word| word >> (index & 63) & 1 == 1)
    }

    /// With its other case.
    fn add(&mut self, octet: u8) {
        for octet in [octet.to_ascii_lowercase(), octet.to_ascii_uppercase()] {
            if let Some(word) = self.words.get_mut(usize::from(octet >> 6)) {
                *word |= 1 << (octet & 63);
            }
        }
    }

    fn join(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(other.words) {
            *word |= other;
        }
    }

    /// How often a place of an ordinary text fits, roughly.
    fn share(&self) -> f64 {
        let sum: f64 = (0..=255_u8).filter(|octet| self.has(usize::from(*octet))).map(frequency).sum();
        sum.clamp(1e-4, 1.0)
    }
}

/// Parts of an expression that are looked at for its windows. Repetitions in repetitions are looked at six times each, so that a
/// dozen of them around one letter would take years.
const MAX_STEPS: u32 = 20_000;

type Window = [Set; WINDOW];

/// What must be in a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Needed {
    /// One of these, in lower case.
    Literal(Vec<Vec<u8>>),
    Window(Box<Window>),
    Unknown,
}

/// Of a relaxed expression of [`super::perl`].
#[must_use]
pub fn needed(relaxed: &str) -> Needed {
    let parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).nest_limit(120).build().parse(relaxed);
    let Ok(hir) = parser else { return Needed::Unknown };
    let literals = read(&hir).best();
    let window = Steps { left: MAX_STEPS }.best_window(&hir);
    match (literals, window) {
        (Some(literals), _) if shortest(&literals) >= MIN_LENGTH => Needed::Literal(literals),
        (_, Some((share, window))) if share <= MAX_SHARE => Needed::Window(Box::new(window)),
        _ => Needed::Unknown,
    }
}

fn shortest(literals: &[Vec<u8>]) -> usize {
    literals.iter().map(Vec::len).min().unwrap_or(0)
}

/// Worth of a set of literals: the longer the rarer, the fewer the better.
fn worth(literals: &[Vec<u8>]) -> f64 {
    let chance: f64 = literals
        .iter()
        .map(|literal| literal.iter().take(10).map(|octet| frequency(*octet).max(1e-3)).product::<f64>())
        .sum();
    -chance.max(1e-30).ln()
}

/// What is known of a part of an expression.
#[derive(Debug, Default)]
struct Known {
    /// All it can match, if that is a short list.
    exact: Option<Vec<Vec<u8>>>,
    /// One of these is in every match.
    within: Option<Vec<Vec<u8>>>,
}

impl Known {
    fn exactly(literals: Vec<Vec<u8>>) -> Self {
        Self { exact: Some(literals), within: None }
    }

    fn best(self) -> Option<Vec<Vec<u8>>> {
        better(self.exact, self.within)
    }
}

fn usable(literals: &[Vec<u8>]) -> bool {
    !literals.is_empty() && shortest(literals) > 0
}

fn better(one: Option<Vec<Vec<u8>>>, other: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    match (one.filter(|one| usable(one)), other.filter(|other| usable(other))) {
        (Some(one), Some(other)) => {
            let long = (shortest(&one) >= MIN_LENGTH, shortest(&other) >= MIN_LENGTH);
            let first = match long {
                (true, false) => true,
                (false, true) => false,
                _ => worth(&one) >= worth(&other),
            };
            Some(if first { one } else { other })
        }
        (one, other) => one.or(other),
    }
}

fn read(hir: &Hir) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => Known::exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => match octets(class) {
            Some(octets) if octets.len() <= 12 => Known::exactly(octets.into_iter().map(|octet| vec![octet]).collect()),
            _ => Known::default(),
        },
        HirKind::Capture(capture) => read(&capture.sub),
        HirKind::Repetition(repetition) => {
            let known = read(&repetition.sub);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => Known {
                    exact: known.exact.map(|mut exact| {
                        if !exact.iter().any(Vec::is_empty) {
                            exact.push(Vec::new());
                        }
                        exact
                    }),
                    within: None,
                },
                (0, _) => Known::default(),
                (min, max) => repeated(known, min, max),
            }
        }
        HirKind::Concat(parts) => joined(parts.iter().map(read)),
        HirKind::Alternation(branches) => either(branches),
    }
}

fn repeated(known: Known, min: u32, max: Option<u32>) -> Known {
    let Some(exact) = known.exact else { return known };
    let mut run = exact.clone();
    for _ in 1..min.min(8) {
        match product(&run, &exact) {
            Some(longer) => run = longer,
            None => return Known { exact: None, within: Some(run) },
        }
    }
    if max == Some(min) && min <= 8 { Known::exactly(run) } else { Known { exact: None, within: Some(run) } }
}

fn joined(parts: impl Iterator<Item = Known>) -> Known {
    let mut run = vec![Vec::new()];
    let mut whole = true;
    let mut best = None;
    for part in parts {
        best = better(best, part.within);
        match part.exact {
            Some(exact) => match product(&run, &exact) {
                Some(longer) => run = longer,
                None => {
                    whole = false;
                    best = better(best, Some(std::mem::replace(&mut run, exact)));
                }
            },
            None => {
                whole = false;
                best = better(best, Some(std::mem::replace(&mut run, vec![Vec::new()])));
            }
        }
    }
    if whole {
        Known { exact: Some(run), within: best }
    } else {
        Known { exact: None, within: better(best, Some(run)) }
    }
}

fn either(branches: &[Hir]) -> Known {
    let mut exact = Some(Vec::new());
    let mut within = Some(Vec::new());
    for branch in branches {
        let known = read(branch);
        exact = match (exact, &known.exact) {
            (Some(mut all), Some(some)) if all.len() + some.len() <= MAX_LITERALS => {
                all.extend(some.iter().cloned());
                Some(all)
            }
            _ => None,
        };
        within = match (within, known.best()) {
            (Some(mut all), Some(some)) if all.len() + some.len() <= 4 * MAX_LITERALS => {
                all.extend(some);
                Some(all)
            }
            _ => None,
        };
    }
    Known { exact, within }
}

fn product(run: &[Vec<u8>], next: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if run.len() * next.len() > MAX_LITERALS || run.iter().any(|one| one.len() >= MAX_LENGTH) {
        return None;
    }
    let mut all = Vec::with_capacity(run.len() * next.len());
    for one in run {
        for other in next {
            let mut longer = one.clone();
            longer.extend_from_slice(other);
            all.push(longer);
        }
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// In lower case.
fn octets(class: &Class) -> Option<Vec<u8>> {
    let Class::Bytes(class) = class else { return None };
    let mut octets: Vec<u8> = class
        .ranges()
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .map(|octet| octet.to_ascii_lowercase())
        .collect();
    octets.sort_unstable();
    octets.dedup();
    Some(octets)
}

/// What may still be looked at. Where nothing is left, anything may stand there.
struct Steps {
    left: u32,
}

impl Steps {
    /// The sets of the first octets of a match of `hir`, if `after` are those behind it.
    fn window(&mut self, hir: &Hir, after: &Window) -> Window {
        let Some(left) = self.left.checked_sub(1) else { return [Set::ALL; WINDOW] };
        self.left = left;
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => *after,
            HirKind::Literal(literal) => {
                // Only the first of them can be within.
                let mut sets = *after;
                for octet in literal.0.iter().take(WINDOW).rev() {
                    let mut set = Set::NONE;
                    set.add(*octet);
                    sets = before(set, &sets);
                }
                sets
            }
            HirKind::Class(class) => {
                let mut set = Set::NONE;
                match class {
                    Class::Bytes(class) => {
                        for octet in class.ranges().iter().flat_map(|range| range.start()..=range.end()) {
                            set.add(octet);
                        }
                    }
                    Class::Unicode(_) => set = Set { words: [u64::MAX, u64::MAX, u64::MAX, u64::MAX, 0] },
                }
                before(set, after)
            }
            HirKind::Capture(capture) => self.window(&capture.sub, after),
            HirKind::Repetition(repetition) => {
                let mut sets = (repetition.min == 0).then_some(*after);
                let mut current = *after;
                let times = repetition.max.unwrap_or(u32::MAX).min(u32::try_from(WINDOW).unwrap_or(6));
                for time in 1..=times {
                    current = self.window(&repetition.sub, &current);
                    if time >= repetition.min.min(times) {
                        sets = Some(sets.map_or(current, |sets| union(&sets, &current)));
                    }
                }
                sets.unwrap_or(current)
            }
            HirKind::Concat(parts) => parts.iter().rev().fold(*after, |after, part| self.window(part, &after)),
            HirKind::Alternation(branches) => branches
                .iter()
                .map(|branch| self.window(branch, after))
                .reduce(|one, other| union(&one, &other))
                .unwrap_or(*after),
        }
    }

    /// The rarest window in every match, and how rare it is.
    fn best_window(&mut self, hir: &Hir) -> Option<(f64, Window)> {
        fn rarer(one: Option<(f64, Window)>, other: Option<(f64, Window)>) -> Option<(f64, Window)> {
            match (one, other) {
                (Some(one), Some(other)) => Some(if one.0 <= other.0 { one } else { other }),
                (one, other) => one.or(other),
            }
        }
        let of = |sets: Window| Some((share(&sets), sets));
        let all = [Set::ALL; WINDOW];
        match hir.kind() {
            HirKind::Capture(capture) => self.best_window(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                let whole = of(self.window(hir, &all));
                rarer(whole, self.best_window(&repetition.sub))
            }
            HirKind::Concat(parts) => {
                let mut best = None;
                let mut after = all;
                for part in parts.iter().rev() {
                    after = self.window(part, &after);
                    best = rarer(best, of(after));
                    best = rarer(best, self.best_window(part));
                }
                best
            }
            HirKind::Alternation(branches) => {
                let mut whole: Option<Window> = None;
                for branch in branches {
                    let (_, sets) = self.best_window(branch)?;
                    whole = Some(whole.map_or(sets, |whole| union(&whole, &sets)));
                }
                whole.and_then(of)
            }
            _ => of(self.window(hir, &all)),
        }
    }
}

fn before(first: Set, after: &Window) -> Window {
    let mut sets = [first; WINDOW];
    for (set, next) in sets.iter_mut().skip(1).zip(after) {
        *set = *next;
    }
    sets
}

fn union(one: &Window, other: &Window) -> Window {
    let mut sets = *one;
    for (set, other) in sets.iter_mut().zip(other) {
        set.join(other);
    }
    sets
}

fn share(window: &Window) -> f64 {
    window.iter().map(Set::share).product()
}

/// Share of an octet in ordinary mail, roughly; both cases together.
fn frequency(octet: u8) -> f64 {
    match octet.to_ascii_lowercase() {
        b' ' => 0.16,
        b'e' => 0.09,
        b't' | b'a' | b'o' | b'i' | b'n' => 0.06,
        b's' | b'r' => 0.055,
        b'l' | b'h' | b'd' | b'c' => 0.035,
        b'u' | b'm' | b'p' => 0.025,
        b'g' | b'f' | b'y' | b'w' | b'b' => 0.018,
        b'v' | b'k' => 0.01,
        b'.' | b',' | b'-' | b'/' | b'\n' | b'=' => 0.012,
        b'j' | b'x' | b'q' | b'z' => 0.004,
        b'0'..=b'9' => 0.008,
        0x80..=0xFF => 0.001,
        0x21..=0x7E => 0.003,
        _ => 0.0005,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(relaxed: &str) -> Vec<String> {
        match needed(relaxed) {
            Needed::Literal(literals) => {
                literals.into_iter().map(|literal| String::from_utf8(literal).unwrap()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_rarest_literal_is_needed() {
        assert_eq!(literals("(?i-u:\\bthe .{0,20}unsubscribe)"), ["unsubscribe"]);
        assert_eq!(literals("(?-u:colou?r)"), ["color", "colour"]);
        assert_eq!(literals("(?-u:(?:foo|BAR)+x?)"), ["foo", "bar"]);
        assert_eq!(literals("(?-u:v[i1]agra)"), ["v1agra", "viagra"]);
    }

    #[test]
    fn repetitions_in_repetitions_come_to_an_end() {
        let nested = format!("(?-u:{}x[0-9]{}y)", "(?:".repeat(60), "+)*".repeat(60));
        let nested = needed(&nested.replace("x[0-9]", "[xz][0-9]"));
        assert!(matches!(nested, Needed::Unknown | Needed::Window(_)), "{nested:?}");
        // What is beyond the steps may be anything: what stands behind is still known.
        let around = format!("(?-u:{}[0-9]{}unsubscribe)", "(?:".repeat(40), "{1,9})".repeat(40));
        assert_eq!(literals(&around), ["unsubscribe"]);
    }

    #[test]
    fn windows_serve_where_literals_do_not() {
        let Needed::Window(window) = needed("(?-u:[0-9]{3}-[0-9]{4})") else { panic!() };
        assert!(window[3].has(usize::from(b'-')) || window[0].has(usize::from(b'-')));
        assert_eq!(needed("(?-u:.*)"), Needed::Unknown);
        assert_eq!(needed("(?-u:x?)"), Needed::Unknown);
    }
}
