//! Macros (RFC 7208 section 7): read with the record, expanded when a term needs them.
//!
//! **Failure**: a wrong macro is a syntax error of the record; in an explanation text it drops the explanation.
//! **Invariants**: an expanded domain is at most 253 octets (labels go from the left), an explanation at most
//! [`LONGEST_TEXT`]; nothing is looked up here (the `p` macro's name comes from outside).

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::dns::reverse_nibbles;

/// Octets of an expanded explanation.
pub const LONGEST_TEXT: usize = 1024;
/// Octets of a domain name without the final dot (RFC 1035 section 2.3.4).
pub const LONGEST_DOMAIN: usize = 253;

/// What the letters stand for.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    pub sender_local: &'a str,
    pub sender_domain: &'a str,
    pub domain: &'a str,
    pub helo: &'a str,
    pub ip: IpAddr,
    /// The validated name of the address; "unknown" if there is none.
    pub name: &'a str,
    /// This gateway, for `%{r}`.
    pub receiver: &'a str,
    /// Seconds since 1970, for `%{t}`.
    pub now: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Macro { letter: u8, escape: bool, keep: usize, reverse: bool, delimiters: Box<str> },
}

/// A parsed macro-string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroString(Vec<Part>);

/// A parsed domain-spec: a macro-string that ends like a domain (section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSpec(MacroString);

impl MacroString {
    /// `text`: the letters `c`, `r`, `t` are allowed (they are in explanations alone).
    #[must_use]
    pub fn parse(source: &str, text: bool) -> Option<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(c) = rest.chars().next() {
            let after = rest.get(c.len_utf8()..)?;
            if c != '%' {
                // Spaces only in explanations, where they are part of the text (section 6.2).
                if !(c.is_ascii_graphic() || (text && c == ' ')) {
                    return None;
                }
                literal.push(c);
                rest = after;
                continue;
            }
            let kind = after.chars().next()?;
            rest = after.get(kind.len_utf8()..)?;
            match kind {
                '%' => literal.push('%'),
                '_' => literal.push(' '),
                '-' => literal.push_str("%20"),
                '{' => {
                    let (inside, behind) = rest.split_once('}')?;
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                    }
                    parts.push(expand(inside, text)?);
                    rest = behind;
                }
                _ => return None,
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        Some(Self(parts))
    }

    /// Whether the `p` macro is in it, which needs a look-up of its own.
    #[must_use]
    pub fn wants_name(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Macro { letter: b'p', .. }))
    }

    /// At most [`LONGEST_TEXT`] octets or a little more (the part that went beyond is cut by the caller's limit).
    #[must_use]
    pub fn expand(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Macro { letter, escape, keep, reverse, delimiters } => {
                    let value = value(*letter, values);
                    let value = transform(&value, *keep, *reverse, delimiters);
                    if *escape { url_escape(&value, &mut out) } else { out.push_str(&value) }
                }
            }
            if out.len() > 16 * LONGEST_TEXT {
                break;
            }
        }
        out
    }
}

impl DomainSpec {
    #[must_use]
    pub fn parse(source: &str) -> Option<Self> {
        let parsed = MacroString::parse(source, false)?;
        let ends_well = match parsed.0.last()? {
            Part::Macro { .. } => true,
            Part::Literal(_) if source.ends_with("%%") || source.ends_with("%_") || source.ends_with("%-") => true,
            Part::Literal(text) => {
                let text = text.strip_suffix('.').unwrap_or(text);
                text.rsplit_once('.').is_some_and(|(_, label)| is_top_label(label))
            }
        };
        ends_well.then_some(Self(parsed))
    }

    #[must_use]
    pub fn wants_name(&self) -> bool {
        self.0.wants_name()
    }

    /// The domain, without a final dot. Too long a name loses labels from the left (section 7.3).
    #[must_use]
    pub fn expand(&self, values: &Values<'_>) -> String {
        let mut domain = self.0.expand(values);
        if domain.ends_with('.') {
            domain.pop();
        }
        while domain.len() > LONGEST_DOMAIN {
            match domain.split_once('.') {
                Some((_, rest)) => domain = rest.to_owned(),
                None => return String::new(),
            }
        }
        domain
    }
}

/// Letters and digits with a hyphen inside, but not digits alone (section 7.1, toplabel).
fn is_top_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|b| b.is_ascii_digit())
}

/// `macro-letter transformers *delimiter`.
fn expand(inside: &str, text: bool) -> Option<Part> {
    let letter = *inside.as_bytes().first()?;
    let lower = letter.to_ascii_lowercase();
    let known = b"slodiphv".contains(&lower) || (text && b"crt".contains(&lower));
    if !known {
        return None;
    }
    let rest = inside.get(1..)?;
    let digits_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at_checked(digits_end)?;
    // More labels than a name can have are all of them; zero is an error (section 7.1).
    let keep = if digits.is_empty() { usize::MAX } else { digits.parse::<usize>().unwrap_or(usize::MAX) };
    let (reverse, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if keep == 0 || !delimiters.bytes().all(|b| b".-+,/_=".contains(&b)) {
        return None;
    }
    Some(Part::Macro {
        letter: lower,
        escape: letter.is_ascii_uppercase(),
        keep,
        reverse,
        delimiters: delimiters.into(),
    })
}

fn value(letter: u8, values: &Values<'_>) -> String {
    match letter {
        b's' => format!("{}@{}", values.sender_local, values.sender_domain),
        b'l' => values.sender_local.into(),
        b'o' => values.sender_domain.into(),
        b'd' => values.domain.into(),
        b'h' => values.helo.into(),
        b'p' => values.name.into(),
        b'r' => values.receiver.into(),
        b't' => values.now.to_string(),
        b'c' => values.ip.to_canonical().to_string(),
        b'v' if values.ip.to_canonical().is_ipv4() => "in-addr".into(),
        b'v' => "ip6".into(),
        _ => match values.ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => reverse_nibbles(ip).to_ascii_uppercase().chars().rev().collect(),
        },
    }
}

/// Splits at the delimiters, turns round, keeps the right-most, joins with dots (section 7.3).
fn transform(value: &str, keep: usize, reverse: bool, delimiters: &str) -> String {
    if keep == usize::MAX && !reverse && delimiters.is_empty() {
        return value.into();
    }
    let delimiters = if delimiters.is_empty() { "." } else { delimiters };
    let mut labels: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
    if reverse {
        labels.reverse();
    }
    let from = labels.len().saturating_sub(keep);
    labels.get(from..).unwrap_or_default().join(".")
}

/// Everything but the unreserved characters of RFC 3986 section 2.3.
fn url_escape(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7208 section 7.4.
    #[test]
    fn the_examples_of_section_7_4() {
        let values = Values {
            sender_local: "strong-bad",
            sender_domain: "email.example.com",
            domain: "email.example.com",
            helo: "mail.example.com",
            ip: "192.0.2.3".parse().unwrap(),
            name: "unknown",
            receiver: "mx.example",
            now: 0,
        };
        for (text, expanded) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{S}%%%_%-", "strong-bad%40email.example.com% %20"),
        ] {
            assert_eq!(MacroString::parse(text, false).unwrap().expand(&values), expanded, "{text}");
        }
        let v6 = Values { ip: "2001:db8::cb01".parse().unwrap(), ..values };
        let text = MacroString::parse("%{ir}.%{v}._spf.%{d2}", false).unwrap().expand(&v6);
        assert_eq!(text, "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com");
    }

    #[test]
    fn too_long_a_domain_loses_its_left_labels() {
        let long = vec!["abcdefghi"; 40].join(".");
        let values = Values {
            sender_local: "x",
            sender_domain: &long,
            domain: "d.example",
            helo: "h",
            ip: "192.0.2.3".parse().unwrap(),
            name: "unknown",
            receiver: "r",
            now: 0,
        };
        let domain = DomainSpec::parse("%{o}.example.com").unwrap().expand(&values);
        assert!(domain.len() <= LONGEST_DOMAIN && domain.len() > 230 && domain.ends_with("abcdefghi.example.com"));
    }
}
