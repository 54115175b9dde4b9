//! Conditions over other rules: `A and (B or not C) and count(D, E_*) >= 2 and @links > 3`.
//!
//! `and`, `or` and `not` may be written `&`, `|` and `!`. A rule counts 1 if it hit. `count` adds up; a name that ends in
//! `*` stands for all rules that begin so. `@name` is a fact ([`super::atoms`]). Comparisons: `>= > <= < ==`.
//!
//! **Failure**: [`parse`] says what it expected and where. **Invariants**: at most [`MAX_DEPTH`] deep and [`MAX_WORDS`] long,
//! so that neither parsing nor evaluation can overflow.

use super::atoms::Atom;

pub const MAX_DEPTH: usize = 32;
pub const MAX_WORDS: usize = 1_000;

/// A condition; `R` names a rule: its name while it is read, its number when it is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression<R> {
    Rule(R),
    Atom(Atom),
    Count(Vec<R>),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare(Box<Self>, Comparison, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    AtLeast,
    Above,
    AtMost,
    Below,
    Equal,
}

impl Comparison {
    #[must_use]
    pub fn holds(self, left: u32, right: u32) -> bool {
        match self {
            Self::AtLeast => left >= right,
            Self::Above => left > right,
            Self::AtMost => left <= right,
            Self::Below => left < right,
            Self::Equal => left == right,
        }
    }
}

impl<R> Expression<R> {
    /// Its value; a condition is met if it is not 0. `rule` says whether a rule hit.
    pub fn value(&self, rule: &dyn Fn(&R) -> bool, atom: &dyn Fn(Atom) -> u32) -> u32 {
        match self {
            Self::Rule(name) => u32::from(rule(name)),
            Self::Atom(fact) => atom(*fact),
            Self::Count(names) => names.iter().map(|name| u32::from(rule(name))).sum(),
            Self::Not(inner) => u32::from(inner.value(rule, atom) == 0),
            Self::All(inner) => u32::from(inner.iter().all(|one| one.value(rule, atom) != 0)),
            Self::Any(inner) => u32::from(inner.iter().any(|one| one.value(rule, atom) != 0)),
            Self::Compare(inner, comparison, number) => u32::from(comparison.holds(inner.value(rule, atom), *number)),
        }
    }

    /// With other names for the rules; one name may become several.
    pub fn resolve<S, E>(self, names: &dyn Fn(R) -> Result<Vec<S>, E>) -> Result<Expression<S>, E> {
        let all = |inner: Vec<Self>| inner.into_iter().map(|one| one.resolve(names)).collect::<Result<Vec<_>, E>>();
        Ok(match self {
            Self::Rule(name) => {
                let mut named = names(name)?;
                match (named.pop(), named.is_empty()) {
                    (Some(one), true) => Expression::Rule(one),
                    (last, _) => {
                        named.extend(last);
                        Expression::Count(named)
                    }
                }
            }
            Self::Atom(fact) => Expression::Atom(fact),
            Self::Count(list) => {
                let named = list.into_iter().map(names).collect::<Result<Vec<_>, E>>()?;
                Expression::Count(named.into_iter().flatten().collect())
            }
            Self::Not(inner) => Expression::Not(Box::new(inner.resolve(names)?)),
            Self::All(inner) => Expression::All(all(inner)?),
            Self::Any(inner) => Expression::Any(all(inner)?),
            Self::Compare(inner, comparison, number) => {
                Expression::Compare(Box::new(inner.resolve(names)?), comparison, number)
            }
        })
    }

    /// Calls for each rule that is named.
    pub fn each(&self, rule: &mut dyn FnMut(&R)) {
        match self {
            Self::Rule(name) => rule(name),
            Self::Atom(_) => {}
            Self::Count(names) => names.iter().for_each(rule),
            Self::Not(inner) | Self::Compare(inner, ..) => inner.each(rule),
            Self::All(inner) | Self::Any(inner) => inner.iter().for_each(|one| one.each(rule)),
        }
    }
}

/// Reads a condition.
pub fn parse(text: &str) -> Result<Expression<Box<str>>, String> {
    let words = words(text)?;
    if words.len() > MAX_WORDS {
        return Err(format!("a condition of more than {MAX_WORDS} words"));
    }
    let mut reader = Reader { words: &words, depth: 0 };
    let expression = reader.any()?;
    match reader.peek() {
        None => Ok(expression),
        Some(word) => Err(format!("{word:?} where the condition should end")),
    }
}

/// Splits into names, numbers and signs.
fn words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '@');
        let length = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if ["&&", "||", ">=", "<=", "=="].iter().any(|sign| rest.starts_with(sign)) {
            2
        } else if "()!&|<>,".contains(first) {
            1
        } else {
            return Err(format!("{first:?} has no meaning in a condition"));
        };
        let (word, behind) = rest.split_at(length);
        words.push(word);
        rest = behind.trim_start();
    }
    Ok(words)
}

struct Reader<'t> {
    words: &'t [&'t str],
    depth: usize,
}

type Read = Result<Expression<Box<str>>, String>;

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.words.first().copied()
    }

    fn next(&mut self) -> Option<&'t str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn takes(&mut self, wanted: &[&str]) -> bool {
        let is = self.peek().is_some_and(|word| wanted.contains(&word));
        if is {
            self.next();
        }
        is
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.next() {
            Some(word) if word == wanted => Ok(()),
            Some(word) => Err(format!("{word:?} where {wanted:?} should be")),
            None => Err(format!("the condition ends where {wanted:?} should be")),
        }
    }

    fn any(&mut self) -> Read {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("a condition more than {MAX_DEPTH} deep"));
        }
        let mut list = vec![self.all()?];
        while self.takes(&["or", "|", "||"]) {
            list.push(self.all()?);
        }
        self.depth -= 1;
        Ok(one_or(list, Expression::Any))
    }

    fn all(&mut self) -> Read {
        let mut list = vec![self.not()?];
        while self.takes(&["and", "&", "&&"]) {
            list.push(self.not()?);
        }
        Ok(one_or(list, Expression::All))
    }

    fn not(&mut self) -> Read {
        let mut negated = false;
        while self.takes(&["not", "!"]) {
            negated = !negated;
        }
        let inner = self.compared()?;
        Ok(if negated { Expression::Not(Box::new(inner)) } else { inner })
    }

    fn compared(&mut self) -> Read {
        let inner = self.term()?;
        let comparison = match self.peek() {
            Some(">=") => Comparison::AtLeast,
            Some(">") => Comparison::Above,
            Some("<=") => Comparison::AtMost,
            Some("<") => Comparison::Below,
            Some("==") => Comparison::Equal,
            _ => return Ok(inner),
        };
        self.next();
        let number = self.next().and_then(|word| word.parse().ok()).ok_or("a comparison needs a whole number")?;
        Ok(Expression::Compare(Box::new(inner), comparison, number))
    }

    fn term(&mut self) -> Read {
        match self.next() {
            Some("(") => {
                let inner = self.any()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some("count") => self.count(),
            Some(word) if word.starts_with('@') => {
                let known = || Atom::ALL.map(|(name, _)| name).join(", @");
                Atom::named(word.trim_start_matches('@'))
                    .map(Expression::Atom)
                    .ok_or_else(|| format!("there is no fact {word}; known: @{}", known()))
            }
            Some(word) if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => {
                Ok(Expression::Rule(word.into()))
            }
            Some(word) => Err(format!("{word:?} where the name of a rule should be")),
            None => Err("the condition ends where the name of a rule should be".to_owned()),
        }
    }

    fn count(&mut self) -> Read {
        self.expect("(")?;
        let mut names = Vec::new();
        while let Some(word) = self.next() {
            names.push(word.into());
            if self.takes(&[")"]) {
                return Ok(Expression::Count(names));
            }
            self.expect(",")?;
        }
        Err("count( has no end".to_owned())
    }
}

/// Of rules by their names.
pub type Named = Expression<Box<str>>;

fn one_or(mut list: Vec<Named>, join: fn(Vec<Named>) -> Named) -> Named {
    match (list.pop(), list.is_empty()) {
        (Some(one), true) => one,
        (last, _) => {
            list.extend(last);
            join(list)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, hits: &[&str]) -> bool {
        let expression = parse(text).unwrap();
        expression.value(&|name| hits.contains(&&**name), &|_| 3) != 0
    }

    #[test]
    fn conditions_say_what_they_say() {
        for (text, hits, expected) in [
            ("A and B", &["A", "B"][..], true),
            ("A and B", &["A"], false),
            ("A or B and C", &["A"], true),
            ("(A or B) and C", &["A"], false),
            ("not A and not not B", &["B"], true),
            ("!A & B | C", &["A", "C"], true),
            ("count(A, B, C) >= 2", &["A", "C"], true),
            ("count(A, B, C) > 2", &["A", "C"], false),
            ("@links == 3 and @files < 4", &[], true),
            ("@links > 3", &[], false),
        ] {
            assert_eq!(holds(text, hits), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_told() {
        for (text, reason) in [
            ("", "ends where the name"),
            ("A and", "ends where the name"),
            ("A B", "\"B\" where the condition should end"),
            ("(A", "where \")\" should be"),
            ("count(A >= 2", "\">=\" where \",\""),
            ("A >= x", "whole number"),
            ("@nothing", "there is no fact @nothing"),
            ("A $ B", "'$' has no meaning"),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.contains(reason), "{text}: {told}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&format!("{}A{}", "(".repeat(40), ")".repeat(40))).is_err());
    }
}
