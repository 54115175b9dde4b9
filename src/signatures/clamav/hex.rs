//! Bodies of ClamAV signatures: hexadecimal with wildcards, read into parts with gaps between them.
//!
//! Understood: `aa`, `??`, `a?`, `?a`, `*`, `{n}`, `{-n}`, `{n-}`, `{n-m}`, `[n-m]`, `(aa|bbcc)`, `!(aa|bb)`, `(B)`, `(L)`, `(W)`.
//!
//! **Failure**: what is not understood is told. **Invariants**: lengths are bounded by [`MAX_ELEMENTS`].

/// Octets and wildcards of one body.
pub const MAX_ELEMENTS: usize = 20_000;
/// Options of one `(..|..)`.
const MAX_OPTIONS: usize = 256;

/// One octet: those bits of it that are in `mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Octet {
    pub value: u8,
    pub mask: u8,
}

impl Octet {
    #[must_use]
    pub fn is(self, octet: u8, any_case: bool) -> bool {
        let octet = if any_case { octet.to_ascii_lowercase() } else { octet };
        octet & self.mask == self.value
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    Octet(Octet),
    /// One of these, or none of these in as many octets.
    Choice {
        options: Vec<Vec<Octet>>,
        negated: bool,
    },
    /// `(B)`: no word goes on here; `(L)`: a line begins or ends; `(W)`: not alphanumeric.
    Edge(Edge),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Word,
    Line,
    NotAlphanumeric,
}

/// How many octets may lie before a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub least: usize,
    /// `None`: any number.
    pub most: Option<usize>,
}

impl Gap {
    pub const NONE: Self = Self { least: 0, most: Some(0) };
}

/// Elements without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub gap: Gap,
    pub elements: Vec<Element>,
    /// The longest run of whole octets that begins at a fixed place, with that place.
    pub literal: Option<(usize, Box<[u8]>)>,
}

/// Reads a body. With `any_case` letters are folded here, too.
pub fn parse(text: &str, any_case: bool) -> Result<Vec<Part>, String> {
    let mut reader = Reader { rest: text.trim(), parts: Vec::new(), elements: Vec::new(), gap: Gap::NONE, any_case };
    while !reader.rest.is_empty() {
        reader.step()?;
        if reader.elements.len() > MAX_ELEMENTS || reader.parts.len() > MAX_ELEMENTS {
            return Err(format!("a body of more than {MAX_ELEMENTS} octets"));
        }
    }
    reader.close();
    if reader.gap != Gap::NONE || reader.parts.is_empty() {
        return Err("a body that is empty or ends in a gap".to_owned());
    }
    Ok(reader.parts)
}

/// Each octet followed by a zero, as UTF-16 writes ASCII.
pub fn widen(parts: &mut [Part]) {
    const ZERO: Octet = Octet { value: 0, mask: 0xff };
    for part in parts {
        let mut wide = Vec::with_capacity(part.elements.len() * 2);
        for element in part.elements.drain(..) {
            let is_octet = matches!(element, Element::Octet(_));
            wide.push(match element {
                Element::Choice { options, negated } => {
                    let options = options.into_iter().map(|one| one.into_iter().flat_map(|o| [o, ZERO]).collect());
                    Element::Choice { options: options.collect(), negated }
                }
                other => other,
            });
            if is_octet {
                wide.push(Element::Octet(ZERO));
            }
        }
        part.elements = wide;
        part.literal = literal(&part.elements);
    }
}

struct Reader<'t> {
    rest: &'t str,
    parts: Vec<Part>,
    elements: Vec<Element>,
    /// Before the elements.
    gap: Gap,
    any_case: bool,
}

impl<'t> Reader<'t> {
    fn step(&mut self) -> Result<(), String> {
        if let Some(rest) = self.rest.strip_prefix('*') {
            self.rest = rest;
            self.leap(Gap { least: 0, most: None })
        } else if self.rest.starts_with('{') {
            let range = self.until('}')?;
            let gap = range_of(range)?;
            self.leap(gap)
        } else if self.rest.starts_with('[') {
            let range = self.until(']')?;
            let gap = range_of(range)?;
            self.leap(gap)
        } else if let Some(rest) = self.rest.strip_prefix('!') {
            self.rest = rest;
            self.choice(true)
        } else if self.rest.starts_with('(') {
            self.choice(false)
        } else {
            let octet = self.octet()?;
            self.elements.push(Element::Octet(octet));
            Ok(())
        }
    }

    /// What stands between the bracket that comes next and its end.
    fn until(&mut self, end: char) -> Result<&'t str, String> {
        let (inside, rest) = self.rest.split_once(end).ok_or_else(|| format!("{end:?} is missing"))?;
        self.rest = rest;
        Ok(inside.get(1..).unwrap_or_default())
    }

    fn leap(&mut self, gap: Gap) -> Result<(), String> {
        if self.elements.is_empty() && self.parts.is_empty() {
            return Err("a body that begins with a gap".to_owned());
        }
        self.close();
        let most = self.gap.most.zip(gap.most).map(|(one, other)| one.saturating_add(other));
        self.gap = Gap { least: self.gap.least.saturating_add(gap.least), most };
        Ok(())
    }

    fn close(&mut self) {
        if !self.elements.is_empty() {
            let elements = std::mem::take(&mut self.elements);
            let literal = literal(&elements);
            self.parts.push(Part { gap: std::mem::replace(&mut self.gap, Gap::NONE), elements, literal });
        }
    }

    fn octet(&mut self) -> Result<Octet, String> {
        let pair = self.rest.get(..2).ok_or("half an octet, or a character that is none")?;
        let octet = octet(pair, self.any_case).ok_or_else(|| format!("{pair:?} is no octet"))?;
        self.rest = self.rest.get(2..).unwrap_or_default();
        Ok(octet)
    }

    fn choice(&mut self, negated: bool) -> Result<(), String> {
        if !self.rest.starts_with('(') {
            return Err("\"!\" without a choice".to_owned());
        }
        let inside = self.until(')')?;
        let edge = match inside {
            "B" => Some(Edge::Word),
            "L" => Some(Edge::Line),
            "W" => Some(Edge::NotAlphanumeric),
            _ => None,
        };
        if let Some(edge) = edge {
            if negated {
                return Err("an edge can't be negated".to_owned());
            }
            self.elements.push(Element::Edge(edge));
            return Ok(());
        }
        if inside.contains('(') {
            return Err("a choice in a choice".to_owned());
        }
        let any_case = self.any_case;
        let option = |text: &str| {
            let pairs = text.as_bytes().chunks(2);
            let read = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| octet(pair, any_case));
            pairs.map(read).collect::<Option<Vec<Octet>>>().filter(|octets| !octets.is_empty())
        };
        let options = inside.split('|').map(option).collect::<Option<Vec<_>>>();
        let options = options.ok_or_else(|| format!("({inside}) is no choice of octets"))?;
        let first = options.first().map_or(0, Vec::len);
        if options.len() > MAX_OPTIONS || (negated && options.iter().any(|option| option.len() != first)) {
            return Err("a choice too wide, or a negated one of several lengths".to_owned());
        }
        self.elements.push(Element::Choice { options, negated });
        Ok(())
    }
}

fn octet(pair: &str, any_case: bool) -> Option<Octet> {
    let mut digits = pair.chars();
    let (high, low) = (digits.next()?, digits.next()?);
    let half = |c: char| match c {
        '?' => Some((0, 0)),
        _ => c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).map(|digit| (digit, 0xf)),
    };
    let ((high, high_mask), (low, low_mask)) = (half(high)?, half(low)?);
    let (value, mask) = (high << 4 | low, high_mask << 4 | low_mask);
    Some(Octet { value: if any_case && mask == 0xff { value.to_ascii_lowercase() } else { value }, mask })
}

/// `n`, `-n`, `n-`, `n-m`.
fn range_of(text: &str) -> Result<Gap, String> {
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{text:?} is no number"));
    match text.split_once('-') {
        None => number(text).map(|count| Gap { least: count, most: Some(count) }),
        Some(("", most)) => Ok(Gap { least: 0, most: Some(number(most)?) }),
        Some((least, "")) => Ok(Gap { least: number(least)?, most: None }),
        Some((least, most)) => {
            let (least, most) = (number(least)?, number(most)?);
            if least > most { Err(format!("{text:?} is no range")) } else { Ok(Gap { least, most: Some(most) }) }
        }
    }
}

fn literal(elements: &[Element]) -> Option<(usize, Box<[u8]>)> {
    let mut best: (usize, Vec<u8>) = (0, Vec::new());
    let mut run = Vec::new();
    let mut at = 0;
    for element in elements {
        match element {
            Element::Octet(octet) if octet.mask == 0xff => {
                run.push(octet.value);
                at += 1;
                if run.len() > best.1.len() {
                    best = (at - run.len(), run.clone());
                }
                // Longer ones sort out no better.
                if run.len() >= 64 {
                    break;
                }
                continue;
            }
            Element::Octet(_) => at += 1,
            Element::Edge(_) => {}
            Element::Choice { options, .. } => {
                let length = options.first().map_or(0, Vec::len);
                if options.iter().any(|option| option.len() != length) {
                    break;
                }
                at += length;
            }
        }
        run.clear();
    }
    (!best.1.is_empty()).then(|| (best.0, best.1.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read() {
        let parts = parse("aabb??c?{2-4}(01|02)0405*!(0a|0b)ff", false).unwrap();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0].literal, Some((0, [0xaa, 0xbb].into())));
        assert_eq!(parts[0].elements[3], Element::Octet(Octet { value: 0xc0, mask: 0xf0 }));
        assert_eq!(parts[1].gap, Gap { least: 2, most: Some(4) });
        assert_eq!(parts[1].literal, Some((1, [4, 5].into())));
        assert_eq!(parts[2].gap, Gap { least: 0, most: None });
    }

    #[test]
    fn bodies_that_are_none_are_told() {
        for text in ["", "a", "zz", "*aa", "aa*", "aa{3", "aa{4-3}bb", "(aa|", "!(aa|bbcc)", "aa(bb(cc))", "!aa", "あ"]
        {
            assert!(parse(text, false).is_err(), "{text}");
        }
    }
}
