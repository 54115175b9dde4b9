//! The one From field (RFC 5322 section 3.6.2), read from the raw octets, because parsers take the last or the first of
//! several and people see the other.
//!
//! **Failure**: [`FromError`]: no From, several fields, several addresses, or none that can be read. DMARC then has no
//! domain to stand for, and the message passes for nobody's.
//! **Invariants**: never a guess; nothing of a display name or comment is taken for the address.

use super::block::Block;
use crate::model::{Address, Domain};

/// Octets of a From field that are read.
pub const LONGEST: usize = 16_384;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FromError {
    #[error("there is no From field")]
    Missing,
    #[error("there is more than one From field")]
    Several,
    #[error("From has more than one address")]
    Addresses,
    #[error("From has no address that can be read")]
    Unreadable,
    #[error("a line that is no field stands before From")]
    OddLine,
}

/// The one author of a message, if there is one and it can be read as an address.
#[must_use]
pub fn author(message: &[u8]) -> Option<Address> {
    Address::parse(&address(&Block::read(message)).ok()?).ok()
}

/// The domain of the one address.
///
/// # Errors
/// [`FromError`].
pub fn domain(block: &Block<'_>) -> Result<Domain, FromError> {
    let address = address(block)?;
    let (_, domain) = address.rsplit_once('@').ok_or(FromError::Unreadable)?;
    Domain::parse(domain).map_err(|_| FromError::Unreadable)
}

fn address(block: &Block<'_>) -> Result<String, FromError> {
    let mut fields = block.named("From");
    let field = fields.next().ok_or(FromError::Missing)?;
    if fields.next().is_some() || block.false_from {
        return Err(FromError::Several);
    }
    if block.odd_line.is_some_and(|odd| odd < field.start) {
        return Err(FromError::OddLine);
    }
    if field.value.len() > LONGEST {
        return Err(FromError::Unreadable);
    }
    let text = std::str::from_utf8(field.value).map_err(|_| FromError::Unreadable)?;
    let mut found = None;
    for mailbox in mailboxes(text).ok_or(FromError::Unreadable)? {
        if found.is_some() {
            return Err(FromError::Addresses);
        }
        found = Some(mailbox);
    }
    found.ok_or(FromError::Unreadable)
}

/// The addresses of a mailbox list (or of a group), without names and comments. `None`: not well formed.
fn mailboxes(text: &str) -> Option<Vec<String>> {
    let (mut all, mut bare, mut angle) = (Vec::new(), String::new(), None::<String>);
    let mut rest = text.chars();
    // One address: either what stands in angle brackets, or all that is no name.
    let mut finish = |bare: &mut String, angle: &mut Option<String>| -> Option<()> {
        let plain = std::mem::take(bare);
        match angle.take() {
            Some(address) => all.push(address),
            None if plain.trim().is_empty() => {}
            None => all.push(plain.split_whitespace().collect::<String>()),
        }
        (all.len() <= 64).then_some(())
    };
    while let Some(c) = rest.next() {
        match c {
            '(' => skip_comment(&mut rest)?,
            '"' => {
                let quoted = take_quoted(&mut rest)?;
                // Outside of angle brackets a quoted string is a name or the local part: kept as one harmless word.
                bare.push_str(if quoted.is_empty() { "" } else { "q" });
            }
            '<' => {
                if angle.is_some() {
                    return None;
                }
                angle = Some(take_angle(&mut rest)?);
                bare.clear();
            }
            ',' | ';' => finish(&mut bare, &mut angle)?,
            // "Group: a@b, c@d;"
            ':' if angle.is_none() && !bare.contains('@') => bare.clear(),
            '>' => return None,
            // What stands behind the brackets belongs to no address.
            c if angle.is_some() && !c.is_whitespace() => return None,
            c => bare.push(c),
        }
    }
    finish(&mut bare, &mut angle)?;
    Some(all)
}

fn skip_comment(rest: &mut std::str::Chars<'_>) -> Option<()> {
    let mut depth = 1;
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()?),
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(());
        }
    }
    None
}

fn take_quoted(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut out = String::new();
    while let Some(c) = rest.next() {
        match c {
            '\\' => out.push(rest.next()?),
            '"' => return Some(out),
            c => out.push(c),
        }
    }
    None
}

/// Up to the closing bracket; source routes are dropped (RFC 5322 section 4.4).
fn take_angle(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut out = String::new();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                take_quoted(rest)?;
                out.push('q');
            }
            '(' => skip_comment(rest)?,
            '<' => return None,
            '>' => {
                let address = out.rsplit_once(':').filter(|(route, _)| route.starts_with('@'));
                let address = address.map_or(out.as_str(), |(_, address)| address);
                return (address.matches('@').count() == 1).then(|| address.to_owned());
            }
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Result<String, FromError> {
        domain(&Block::read(format!("{header}\r\n\r\n").as_bytes())).map(|domain| domain.to_string())
    }

    #[test]
    fn one_address_has_one_domain_however_it_is_written() {
        for from in [
            "From: a@Example.COM",
            "from : A <a@example.com>",
            "From:a@example.com",
            "From: \"b@evil.example\" <a@example.com>",
            "From: \"a, b\" <a@example.com> (c@evil.example)",
            "From: b@evil.example (c) <a@example.com>",
            "From: =?utf-8?q?x?= <\"q@evil.example\"@example.com>",
            "From:\r\n A\r\n <a@example.com>",
            "From: Team: a@example.com;",
            "From: <@evil.example:a@example.com>",
            "From: a @ example . com",
            "From: a@example.com\r\nodd line",
        ] {
            assert_eq!(read(from).as_deref(), Ok("example.com"), "{from}");
        }
    }

    #[test]
    fn doubt_is_an_error() {
        for (header, error) in [
            ("To: a@b.example", FromError::Missing),
            ("From: a@b.example\r\nFrom: a@b.example", FromError::Several),
            ("From: a@b.example\r\nfrom : c@d.example", FromError::Several),
            ("From: a@b.example, c@d.example", FromError::Addresses),
            ("From: <a@b.example> <c@d.example>", FromError::Unreadable),
            ("From: <a@b.example> c@d.example", FromError::Unreadable),
            ("From: <a@b@c.example>", FromError::Unreadable),
            ("From: \"open <a@b.example>", FromError::Unreadable),
            ("From: (open a@b.example", FromError::Unreadable),
            ("From: nobody", FromError::Unreadable),
            ("From:", FromError::Unreadable),
            ("odd line\r\nFrom: a@b.example", FromError::OddLine),
            ("From: a@b.example\r\nFr om: c@d.example", FromError::Several),
        ] {
            assert_eq!(read(header), Err(error), "{header}");
        }
    }
}
