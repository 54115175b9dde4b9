//! Literals of which one must occur wherever a regular expression matches: without any of them in a text, the expression
//! need not run.
//!
//! **Failure**: an expression without such literals has none, and always runs. **Invariants**: the texts are folded (lower
//! case), and so are the literals; recursion is bounded by the nesting that the parser allows.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};

/// Shorter ones occur everywhere, and sort out nothing; but for signs like `$`, which most mail does without.
pub const MIN_LENGTH: usize = 3;
const SIGNS: &[u8] = b"$#@%&+*~^|{}[]<>";
/// Most literals of one expression.
pub const MAX_LITERALS: usize = 64;

/// `None`: there is no set of literals that must occur.
#[must_use]
pub fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let best = Walk::of(hir).best()?;
    let fits = |literal: &Vec<u8>| weight(literal) >= MIN_LENGTH;
    (best.iter().all(fits) && best.len() <= MAX_LITERALS).then(|| best.into_iter().collect())
}

/// The length, but for signs, which sort out more than theirs.
fn weight(literal: &[u8]) -> usize {
    let is_rare = literal.iter().any(|octet| SIGNS.contains(octet) || !octet.is_ascii());
    if is_rare { literal.len().max(MIN_LENGTH) } else { literal.len() }
}

/// The same for an expression on the text as written, while literals are looked for in the folded one: but for the case, folding
/// leaves them where they are, without the last letter, which a mark behind may become one with.
#[must_use]
pub fn required_as_written(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut literals = required(hir).filter(|literals| literals.iter().flatten().all(u8::is_ascii_graphic))?;
    literals.iter_mut().for_each(|literal| literal.truncate(literal.len().saturating_sub(1)));
    literals.iter().all(|literal| weight(literal) >= MIN_LENGTH).then_some(literals)
}

/// Whether no match is of ASCII alone: then no text that is needs to be searched.
#[must_use]
pub fn is_never_ascii(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => !literal.0.is_ascii(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().first().is_some_and(|range| !range.start().is_ascii()),
        HirKind::Class(Class::Bytes(class)) => class.ranges().first().is_some_and(|range| !range.start().is_ascii()),
        HirKind::Capture(capture) => is_never_ascii(&capture.sub),
        HirKind::Repetition(repetition) => repetition.min > 0 && is_never_ascii(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().any(is_never_ascii),
        HirKind::Alternation(parts) => parts.iter().all(is_never_ascii),
    }
}

/// What is known of a part of an expression.
enum Walk {
    /// It matches exactly one of these.
    Exact(BTreeSet<Vec<u8>>),
    /// One of these is in every match.
    Inner(BTreeSet<Vec<u8>>),
    Nothing,
}

impl Walk {
    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::Exact(BTreeSet::from([Vec::new()])),
            HirKind::Literal(literal) => Self::Exact(BTreeSet::from([literal.0.to_ascii_lowercase()])),
            HirKind::Class(class) => Self::class(class),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min == 0 => Self::Nothing,
            HirKind::Repetition(repetition) => match Self::of(&repetition.sub) {
                Self::Exact(set) if repetition.min == 1 && repetition.max == Some(1) => Self::Exact(set),
                Self::Exact(set) | Self::Inner(set) => Self::Inner(set),
                Self::Nothing => Self::Nothing,
            },
            HirKind::Concat(parts) => Self::concat(parts),
            HirKind::Alternation(parts) => Self::alternation(parts),
        }
    }

    /// A letter in both cases is that letter; a few letters are those.
    fn class(class: &Class) -> Self {
        let mut set = BTreeSet::new();
        if let Class::Unicode(class) = class {
            if class.ranges().iter().map(|range| range.len()).sum::<usize>() > 8 {
                return Self::Nothing;
            }
            for range in class.ranges() {
                for c in range.start()..=range.end() {
                    set.insert(c.to_lowercase().collect::<String>().into_bytes());
                }
            }
        }
        // The sign for kelvin and the long s are folded away before: they never occur in a text.
        set.retain(|one| one.len() != 2 || one != "ſ".as_bytes());
        if set.is_empty() { Self::Nothing } else { Self::Exact(set) }
    }

    fn alternation(parts: &[Hir]) -> Self {
        let mut joined = BTreeSet::new();
        let mut exact = true;
        for part in parts {
            match Self::of(part) {
                Self::Exact(set) => joined.extend(set),
                Self::Inner(set) => {
                    exact = false;
                    joined.extend(set);
                }
                Self::Nothing => return Self::Nothing,
            }
            if joined.len() > MAX_LITERALS {
                return Self::Nothing;
            }
        }
        if exact { Self::Exact(joined) } else { Self::Inner(joined) }
    }

    /// Exact neighbours grow together; the best run is what is required.
    fn concat(parts: &[Hir]) -> Self {
        let mut runs = Vec::new();
        let mut run = BTreeSet::from([Vec::new()]);
        let mut whole = true;
        for part in parts {
            match Self::of(part) {
                Self::Exact(set) if set.len().saturating_mul(run.len()) <= MAX_LITERALS => {
                    let longer = run.iter().flat_map(|head| set.iter().map(|tail| [&head[..], &tail[..]].concat()));
                    run = longer.collect();
                }
                other => {
                    whole = false;
                    runs.push(std::mem::replace(&mut run, BTreeSet::from([Vec::new()])));
                    match other {
                        Self::Exact(set) => run = set,
                        Self::Inner(set) => runs.push(set),
                        Self::Nothing => {}
                    }
                }
            }
        }
        if whole {
            return Self::Exact(run);
        }
        runs.push(run);
        runs.into_iter().max_by_key(worth).map_or(Self::Nothing, Self::Inner)
    }

    fn best(self) -> Option<BTreeSet<Vec<u8>>> {
        match self {
            Self::Exact(set) | Self::Inner(set) => Some(set),
            Self::Nothing => None,
        }
    }
}

/// Long literals sort out more than short ones; of equal length, fewer.
fn worth(set: &BTreeSet<Vec<u8>>) -> (usize, std::cmp::Reverse<usize>) {
    (set.iter().map(|literal| weight(literal).min(8)).min().unwrap_or(0), std::cmp::Reverse(set.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Option<Vec<String>> {
        let hir = regex_syntax::ParserBuilder::new().case_insensitive(true).build().parse(pattern).unwrap();
        required(&hir).map(|found| found.into_iter().map(|one| String::from_utf8(one).unwrap()).collect())
    }

    #[test]
    fn expressions_that_no_ascii_text_matches() {
        for (pattern, never) in [
            (r"[\x{1F300}-\x{1FAFF}]", true),
            (r"[a-z][\x{200B}\x{AD}]{1,3}[a-z]", true),
            (r"(?:迷惑|[а-я]b)+", true),
            (r"(?:迷惑|mail)", false),
            (r"[\x{1F300}-\x{1FAFF}]?x", false),
            (r"[a\x{1F300}]", false),
            (r"(?-u:\b)x", false),
            // Kelvin's sign and k are one letter where cases are alike.
            ("\u{212a}", false),
        ] {
            let hir = regex_syntax::ParserBuilder::new().case_insensitive(true).build().parse(pattern).unwrap();
            assert_eq!(is_never_ascii(&hir), never, "{pattern}");
        }
    }

    #[test]
    fn a_mark_behind_a_literal_hides_no_text_as_written() {
        for (pattern, expected) in
            [("PRIZE", Some("priz")), ("Iog", None), ("<script", Some("<scrip")), ("a b c d", None)]
        {
            let found = required_as_written(&regex_syntax::parse(pattern).unwrap());
            assert_eq!(found, expected.map(|one| vec![one.as_bytes().to_vec()]), "{pattern}");
        }
    }

    #[test]
    fn literals_that_must_occur_are_found() {
        for (pattern, expected) in [
            (r"(?-u:\b)Viagra(?-u:\b)", Some(vec!["viagra"])),
            (r"\d+ (?:million|billion) dollars", Some(vec![" billion dollars", " million dollars"])),
            (r"click.{0,20}here", Some(vec!["click"])),
            (r"(?:foo)?barbaz\s", Some(vec!["barbaz"])),
            (r"口座.{0,5}停止", Some(vec!["停止"])),
            (r"[a-z]{5}\d", None),
            (r"abc|\d+", None),
            (r"(?:abc|xyz)+", Some(vec!["abc", "xyz"])),
            (r"(?:\$|€|£|eur) ?\d", Some(vec!["$", "eur", "£", "€"])),
            (r"\d[\d.,]*\$", Some(vec!["$"])),
            (r"(?:usd|\$|€) ?\d (?:million|m\b)", Some(vec!["$", "usd", "€"])),
            (r"ab|\$", None),
        ] {
            let found = of(pattern);
            let found = found.as_ref().map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
