//! Reads lines of ClamAV's files: `.hdb .hsb .mdb .msb .ndb .ldb .ign2`.
//!
//! **Failure**: what is no line of its format is told; what we can't do, too, so that it can be skipped by name.

use super::body::Body;
use super::hex;
use super::logical::{Logical, MAX_SUBSIGNATURES};

/// The functionality level whose signatures we claim to read.
pub const LEVEL: u32 = 200;
/// Subsignatures as regular expressions: octets compiled.
const REGEX_SIZE: usize = 1 << 20;

/// Which files a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Any,
    Pe,
    Ole,
    Html,
    Mail,
    Graphics,
    Elf,
    Text,
    MachO,
    Pdf,
    Flash,
    Java,
}

impl Target {
    fn of(number: &str) -> Result<Self, String> {
        Ok(match number {
            "0" => Self::Any,
            "1" => Self::Pe,
            "2" => Self::Ole,
            "3" => Self::Html,
            "4" => Self::Mail,
            "5" => Self::Graphics,
            "6" => Self::Elf,
            "7" => Self::Text,
            "9" => Self::MachO,
            "10" => Self::Pdf,
            "11" => Self::Flash,
            "12" => Self::Java,
            _ => return Err(format!("there is no target {number:?} here")),
        })
    }

    /// Written for texts in lower case.
    fn any_case(self) -> bool {
        matches!(self, Self::Html | Self::Text)
    }
}

/// From where a place is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Anywhere,
    Start,
    /// Backwards.
    End,
    Entry,
    EntryBefore,
    Section(usize),
    LastSection,
    /// Anywhere in a section.
    InSection(usize),
    Version,
}

/// Where a body may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    pub base: Base,
    pub distance: usize,
    /// It may be up to so many octets later.
    pub shift: usize,
}

impl Offset {
    pub const ANYWHERE: Self = Self { base: Base::Anywhere, distance: 0, shift: 0 };

    fn parse(text: &str) -> Result<Self, String> {
        let (place, shift) = text.split_once(',').unwrap_or((text, "0"));
        let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{text:?} is no offset"));
        let shift = number(shift)?;
        let at = |base: Base, distance: &str| Ok(Self { base, distance: number(distance)?, shift });
        let alone = |base: Base| Ok(Self { base, distance: 0, shift });
        if place == "*" {
            alone(Base::Anywhere)
        } else if place == "VI" {
            alone(Base::Version)
        } else if let Some(distance) = place.strip_prefix("EOF-") {
            at(Base::End, distance)
        } else if let Some(distance) = place.strip_prefix("EP+") {
            at(Base::Entry, distance)
        } else if let Some(distance) = place.strip_prefix("EP-") {
            at(Base::EntryBefore, distance)
        } else if let Some(distance) = place.strip_prefix("SL+") {
            at(Base::LastSection, distance)
        } else if let Some(section) = place.strip_prefix("SE") {
            alone(Base::InSection(number(section)?))
        } else if let Some((section, distance)) = place.strip_prefix('S').and_then(|rest| rest.split_once('+')) {
            at(Base::Section(number(section)?), distance)
        } else {
            at(Base::Start, place)
        }
    }
}

/// A body with its place.
#[derive(Debug, Clone)]
pub struct Placed {
    pub offset: Offset,
    pub body: Body,
}

/// `Name:Target:Offset:Body[:Least[:Most]]`. `None`: for other levels than ours.
pub fn extended(line: &str) -> Result<Option<(&str, Target, Placed)>, String> {
    let mut fields = line.split(':');
    let mut next = || fields.next().ok_or("a field is missing: Name:Target:Offset:Body");
    let (name, target, offset, body) = (next()?, next()?, next()?, next()?);
    let level = |text: &str| text.parse::<u32>().map_err(|_| format!("{text:?} is no level"));
    let least = fields.next().filter(|text| !text.is_empty()).map(level).transpose()?;
    let most = fields.next().filter(|text| !text.is_empty()).map(level).transpose()?;
    if least.is_some_and(|least| least > LEVEL) || most.is_some_and(|most| most < LEVEL) {
        return Ok(None);
    }
    let target = Target::of(target)?;
    let placed = placed(offset, body, target.any_case(), "")?;
    Ok(Some((named(name)?, target, placed)))
}

fn named(name: &str) -> Result<&str, String> {
    let fits = !name.is_empty() && name.len() <= 200 && name.bytes().all(|octet| octet.is_ascii_graphic());
    if fits { Ok(name) } else { Err(format!("{name:.80?} is no name")) }
}

fn placed(offset: &str, body: &str, any_case: bool, options: &str) -> Result<Placed, String> {
    let any_case = any_case || options.contains('i');
    let mut parts = hex::parse(body, any_case)?;
    if let Some(unknown) = options.chars().find(|option| !"iwfa".contains(*option)) {
        return Err(format!("there is no option {unknown:?}"));
    }
    if options.contains('w') {
        if options.contains('a') {
            return Err("wide and ASCII at once are not supported".to_owned());
        }
        hex::widen(&mut parts);
    }
    let full_word = options.contains('f');
    if full_word && parts.len() > 1 {
        return Err("a whole word with gaps is not supported".to_owned());
    }
    let body = Body { parts, any_case, full_word };
    if body.anchor().is_none_or(|(_, _, octets)| octets.len() < 2) {
        return Err("a body without two whole octets in a row would run on every file".to_owned());
    }
    Ok(Placed { offset: Offset::parse(offset)?, body })
}

/// A subsignature.
#[derive(Debug, Clone)]
pub enum Subsignature {
    Body(Placed),
    Regex { trigger: Logical, regex: Box<regex::bytes::Regex> },
}

/// A line of `.ldb`.
#[derive(Debug, Clone)]
pub struct LogicalSignature<'t> {
    pub name: &'t str,
    pub target: Target,
    pub size: Option<(u64, u64)>,
    pub sections: Option<(usize, usize)>,
    pub expression: Logical,
    pub subsignatures: Vec<Subsignature>,
}

/// `Name;Conditions;Expression;Subsignature;…`. `None`: for other levels than ours.
pub fn logical(line: &str) -> Result<Option<LogicalSignature<'_>>, String> {
    let mut fields = line.split(';');
    let mut next = || fields.next().ok_or("a field is missing: Name;Conditions;Expression;Subsignature");
    let (name, conditions, expression) = (named(next()?)?, next()?, next()?);
    let mut read = LogicalSignature {
        name,
        target: Target::Any,
        size: None,
        sections: None,
        expression: Logical::parse(expression)?,
        subsignatures: Vec::new(),
    };
    for condition in conditions.split(',').filter(|condition| !condition.is_empty()) {
        let (key, value) = condition.split_once(':').ok_or_else(|| format!("{condition:?} is no condition"))?;
        match key {
            "Engine" => {
                let (least, most) = range::<u32>(value)?;
                if LEVEL < least || LEVEL > most {
                    return Ok(None);
                }
            }
            "Target" => read.target = Target::of(value)?,
            "FileSize" => read.size = Some(range(value)?),
            "NumberOfSections" => read.sections = Some(range(value)?),
            _ => return Err(format!("the condition {key} is not supported")),
        }
    }
    for field in fields {
        if read.subsignatures.len() >= MAX_SUBSIGNATURES {
            return Err(format!("more than {MAX_SUBSIGNATURES} subsignatures"));
        }
        read.subsignatures.push(subsignature(field, read.target)?);
    }
    let mut named = Vec::new();
    read.expression.subs(&mut named);
    if let Some(missing) = named.iter().find(|number| **number >= read.subsignatures.len()) {
        return Err(format!("there is no subsignature {missing}"));
    }
    if read.expression.holds(&vec![0; read.subsignatures.len()]) {
        return Err("it would hold for a file in which nothing is found".to_owned());
    }
    Ok(Some(read))
}

fn range<N: std::str::FromStr + Copy>(text: &str) -> Result<(N, N), String> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<N>().map_err(|_| format!("{text:?} is no number"));
    Ok((number(least)?, number(most)?))
}

fn subsignature(field: &str, target: Target) -> Result<Subsignature, String> {
    if let Some((head, rest)) = field.split_once('/') {
        return regex(head, rest);
    }
    if field.contains('$') || field.contains('#') || field.starts_with("fuzzy_img") {
        return Err("macros, byte comparisons and image hashes are not supported".to_owned());
    }
    let (field, options) = field.split_once("::").unwrap_or((field, ""));
    let (offset, body) = field.split_once(':').unwrap_or(("*", field));
    placed(offset, body, target.any_case(), options).map(Subsignature::Body)
}

/// `[Offset:]Trigger/Expression/Flags`.
fn regex(head: &str, rest: &str) -> Result<Subsignature, String> {
    let (offset, trigger) = head.rsplit_once(':').unwrap_or(("*", head));
    if Offset::parse(offset)? != Offset::ANYWHERE {
        return Err("regular expressions with an offset are not supported".to_owned());
    }
    let (pattern, flags) = rest.rsplit_once('/').ok_or("the end of the regular expression is missing")?;
    let mut builder = regex::bytes::RegexBuilder::new(pattern);
    builder.unicode(false).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_SIZE);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            's' => builder.dot_matches_new_line(true),
            'm' => builder.multi_line(true),
            'x' => builder.ignore_whitespace(true),
            'U' => builder.swap_greed(true),
            'g' | 'r' | 'E' => &mut builder,
            _ => return Err(format!("there is no flag {flag:?} of regular expressions here")),
        };
    }
    let regex = builder.build();
    let regex = regex.map_err(|error| error.to_string().lines().last().unwrap_or_default().trim().to_owned())?;
    Ok(Subsignature::Regex { trigger: Logical::parse(trigger)?, regex: Box::new(regex) })
}

/// Hash, size, name.
pub type HashLine<'l> = (&'l str, Option<u64>, &'l str);

/// `Hash:Size:Name[:Level]`, with `*` for any size; or `Size:Hash:Name` of sections.
pub fn hash(line: &str, of_section: bool) -> Result<Option<HashLine<'_>>, String> {
    let mut fields = line.split(':');
    let mut next = || fields.next().ok_or("a field is missing: Hash:Size:Name");
    let (one, other, name) = (next()?, next()?, next()?);
    let (hash, size) = if of_section { (other, one) } else { (one, other) };
    let size = match size {
        "*" => None,
        size => Some(size.parse().map_err(|_| format!("{size:?} is no size"))?),
    };
    let level = fields.next().and_then(|level| level.parse::<u32>().ok());
    Ok((level.is_none_or(|level| level <= LEVEL)).then_some((hash, size, named(name)?)))
}
