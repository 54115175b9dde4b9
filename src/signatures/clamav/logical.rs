//! Expressions of `.ldb`: `0&(1|2)>1,2`, over how often subsignatures occur.
//!
//! **Failure**: what is no expression is told. **Invariants**: bounded in depth and length.

/// Parentheses in each other.
const MAX_DEPTH: usize = 32;
pub const MAX_SUBSIGNATURES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logical {
    /// A subsignature occurs.
    Sub(usize),
    All(Vec<Self>),
    Any(Vec<Self>),
    /// Occurrences compared; with the least number of different subsignatures.
    Compare(Box<Self>, Sign, u32, Option<usize>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Equal,
    Above,
    Below,
}

impl Logical {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text.as_bytes(), depth: 0 };
        let read = reader.any()?;
        if reader.rest.is_empty() { Ok(read) } else { Err(format!("{text:?} goes on behind its end")) }
    }

    /// `counts`: how often each subsignature occurs.
    #[must_use]
    pub fn holds(&self, counts: &[u32]) -> bool {
        match self {
            Self::Sub(number) => counts.get(*number).is_some_and(|count| *count > 0),
            Self::All(list) => list.iter().all(|one| one.holds(counts)),
            Self::Any(list) => list.iter().any(|one| one.holds(counts)),
            Self::Compare(inner, sign, number, different) => {
                let mut subs = Vec::new();
                inner.subs(&mut subs);
                let of = |sub: &usize| counts.get(*sub).copied().unwrap_or(0);
                let (sum, kinds) = (subs.iter().map(of).sum::<u32>(), subs.iter().filter(|sub| of(sub) > 0).count());
                let compared = match sign {
                    Sign::Equal => sum == *number,
                    Sign::Above => sum > *number,
                    Sign::Below => sum < *number,
                };
                compared && different.is_none_or(|least| kinds >= least)
            }
        }
    }

    /// The numbers of all subsignatures, each once.
    pub fn subs(&self, found: &mut Vec<usize>) {
        match self {
            Self::Sub(number) => {
                if !found.contains(number) {
                    found.push(*number);
                }
            }
            Self::All(list) | Self::Any(list) => list.iter().for_each(|one| one.subs(found)),
            Self::Compare(inner, ..) => inner.subs(found),
        }
    }
}

struct Reader<'t> {
    rest: &'t [u8],
    depth: usize,
}

impl Reader<'_> {
    fn takes(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn number(&mut self) -> Result<u32, String> {
        let length = self.rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        let digits = std::str::from_utf8(digits).ok();
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| "a number is missing".to_owned())
    }

    fn any(&mut self) -> Result<Logical, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} deep"));
        }
        let mut list = vec![self.all()?];
        while self.takes(b'|') {
            list.push(self.all()?);
        }
        self.depth -= 1;
        Ok(Self::joined(list, Logical::Any))
    }

    fn all(&mut self) -> Result<Logical, String> {
        let mut list = vec![self.compared()?];
        while self.takes(b'&') {
            list.push(self.compared()?);
        }
        Ok(Self::joined(list, Logical::All))
    }

    fn joined(mut list: Vec<Logical>, join: fn(Vec<Logical>) -> Logical) -> Logical {
        match (list.pop(), list.is_empty()) {
            (Some(one), true) => one,
            (last, _) => {
                list.extend(last);
                join(list)
            }
        }
    }

    fn compared(&mut self) -> Result<Logical, String> {
        let inner = if self.takes(b'(') {
            let inner = self.any()?;
            if !self.takes(b')') {
                return Err("\")\" is missing".to_owned());
            }
            inner
        } else {
            let number = self.number()?;
            let number = usize::try_from(number).ok().filter(|number| *number < MAX_SUBSIGNATURES);
            Logical::Sub(number.ok_or_else(|| format!("a subsignature beyond {MAX_SUBSIGNATURES}"))?)
        };
        let sign = match self.rest.first() {
            Some(b'=') => Sign::Equal,
            Some(b'>') => Sign::Above,
            Some(b'<') => Sign::Below,
            _ => return Ok(inner),
        };
        self.takes(b'=');
        self.takes(b'>');
        self.takes(b'<');
        let number = self.number()?;
        let different = if self.takes(b',') { usize::try_from(self.number()?).ok() } else { None };
        Ok(Logical::Compare(Box::new(inner), sign, number, different))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_hold() {
        for (text, counts, expected) in [
            ("0", &[1][..], true),
            ("0&1", &[1, 0], false),
            ("0&1|2", &[0, 0, 1], true),
            ("0&(1|2)", &[1, 0, 1], true),
            ("0>2", &[2], false),
            ("0>2", &[3], true),
            ("0=0", &[0], true),
            ("(0|1|2)>2,2", &[3, 0, 0], false),
            ("(0|1|2)>2,2", &[2, 1, 0], true),
            ("(0&1)&2<2", &[1, 1, 1], true),
        ] {
            assert_eq!(Logical::parse(text).unwrap().holds(counts), expected, "{text} {counts:?}");
        }
        for text in ["", "0&", "(0", "0)", "a", "0>", "64", "0>1,"] {
            assert!(Logical::parse(text).is_err(), "{text}");
        }
        assert!(Logical::parse(&"(".repeat(100_000)).is_err());
    }
}
