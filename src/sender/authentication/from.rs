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
    #[error("From names no mailbox")]
    Nobody,
    #[error("From has no address that can be read")]
    Unreadable,
    #[error("a line that is no field stands before From")]
    OddLine,
}

impl FromError {
    /// Whether no reader can take the message for anybody's: no From, or one without any address. Old mail servers write
    /// `From: MAILER-DAEMON` into what they send back.
    #[must_use]
    pub fn shows_nobody(self) -> bool {
        matches!(self, Self::Missing | Self::Nobody)
    }
}

/// Stands for a local part that no address can have (empty, too long, control characters), so that entries for the domain
/// still find the author. No mailbox is called so.
pub const UNREADABLE_LOCAL: &str = "unreadable.local.part";

/// The one author of a message: whenever [`domain`] finds one, and of that domain. Wrong but common local parts (`a..b`)
/// stay as they are; what can't stand in an address is [`UNREADABLE_LOCAL`].
#[must_use]
pub fn author(message: &[u8]) -> Option<Address> {
    let Mailbox { local, domain } = mailbox(&Block::read(message)).ok()?;
    let domain = Domain::parse(&domain).ok()?;
    // Quoted, every local part can be written that an address can hold.
    let quoted = local.replace('\\', "\\\\").replace('"', "\\\"");
    let whole = if local.is_empty() { None } else { Address::parse(&format!("\"{quoted}\"@{domain}")).ok() };
    whole.or_else(|| Address::parse(&format!("{UNREADABLE_LOCAL}@{domain}")).ok())
}

/// The domain of the one address.
///
/// # Errors
/// [`FromError`].
pub fn domain(block: &Block<'_>) -> Result<Domain, FromError> {
    Domain::parse(&mailbox(block)?.domain).map_err(|_| FromError::Unreadable)
}

/// One address, taken apart, without quoting.
struct Mailbox {
    local: String,
    domain: String,
}

fn mailbox(block: &Block<'_>) -> Result<Mailbox, FromError> {
    let mut fields = block.named("From");
    let Some(field) = fields.next() else {
        return Err(if block.false_from { FromError::OddLine } else { FromError::Missing });
    };
    if fields.next().is_some() || block.false_from {
        return Err(FromError::Several);
    }
    if block.odd_line.is_some_and(|odd| odd < field.start) {
        return Err(FromError::OddLine);
    }
    if !field.value.contains(&b'@') {
        return Err(FromError::Nobody);
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
    found.and_then(Text::mailbox).ok_or(FromError::Unreadable)
}

/// Characters, and of each whether it stood in quotes: an `@` in there parts nothing.
#[derive(Default)]
struct Text {
    chars: Vec<(char, bool)>,
    /// Whether an `@` outside of quotes was pushed. Kept, because a field full of colons would ask again for each.
    at: bool,
}

impl Text {
    fn push(&mut self, c: char) {
        if self.chars.capacity() == 0 {
            // A usual address fits at once.
            self.chars.reserve(48);
        }
        self.chars.push((c, false));
        self.at |= c == '@';
    }

    fn push_quoted(&mut self, text: &str) {
        // Even an empty string leaves a trace: it is a word, and no address has it in its domain.
        let text = if text.is_empty() { "\0" } else { text };
        self.chars.extend(text.chars().map(|c| (c, true)));
    }

    fn without_space(mut self) -> Self {
        self.chars.retain(|(c, quoted)| *quoted || !c.is_whitespace());
        self
    }

    /// Without a source route (RFC 5322 section 4.4).
    fn without_route(mut self) -> Self {
        if self.chars.first() == Some(&('@', false))
            && let Some(colon) = self.chars.iter().rposition(|c| *c == (':', false))
        {
            self.chars.drain(..=colon);
        }
        self
    }

    /// With exactly one `@`, and nothing quoted behind it.
    fn mailbox(self) -> Option<Mailbox> {
        let at = self.chars.iter().position(|c| *c == ('@', false))?;
        let (local, domain) = (self.chars.get(..at)?, self.chars.get(at + 1..)?);
        let plain = domain.iter().all(|(c, quoted)| !quoted && *c != '@');
        let text = |part: &[(char, bool)]| part.iter().map(|(c, _)| c).collect();
        plain.then(|| Mailbox { local: text(local), domain: text(domain) })
    }
}

/// The addresses of a mailbox list (or of a group), without names and comments. `None`: not well formed.
fn mailboxes(text: &str) -> Option<Vec<Text>> {
    let (mut all, mut bare, mut angle) = (Vec::new(), Text::default(), None::<Text>);
    let mut rest = text.chars();
    // One address: either what stands in angle brackets, or all that is no name.
    let mut finish = |bare: &mut Text, angle: &mut Option<Text>| -> Option<()> {
        let plain = std::mem::take(bare).without_space();
        match angle.take() {
            Some(address) => all.push(address),
            None if plain.chars.is_empty() => {}
            None => all.push(plain),
        }
        (all.len() <= 64).then_some(())
    };
    while let Some(c) = rest.next() {
        match c {
            '(' => skip_comment(&mut rest)?,
            // Outside of angle brackets a quoted string is a name or the local part.
            '"' => bare.push_quoted(&take_quoted(&mut rest)?),
            '<' => {
                if angle.is_some() {
                    return None;
                }
                angle = Some(take_angle(&mut rest)?);
                bare = Text::default();
            }
            ',' | ';' => finish(&mut bare, &mut angle)?,
            // "Group: a@b, c@d;"
            ':' if angle.is_none() && !bare.at => bare = Text::default(),
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

/// Up to the closing bracket.
fn take_angle(rest: &mut std::str::Chars<'_>) -> Option<Text> {
    let mut out = Text::default();
    while let Some(c) = rest.next() {
        match c {
            '"' => out.push_quoted(&take_quoted(rest)?),
            '(' => skip_comment(rest)?,
            '<' => return None,
            '>' => return Some(out.without_route()),
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
            "From: Team: \"b@evil.example\": a@example.com",
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
            ("From: a@b.example@c.example", FromError::Unreadable),
            ("From: a@b.example c@d.example", FromError::Unreadable),
            ("From: <a@\"b\".example>", FromError::Unreadable),
            ("From: <a@\"\"b.example>", FromError::Unreadable),
            ("From: <\"a@b.example\">", FromError::Unreadable),
            ("From: a@b.example: c@d.example", FromError::Unreadable),
            ("From: nobody", FromError::Nobody),
            ("From: Mail System <MAILER-DAEMON>", FromError::Nobody),
            ("From:", FromError::Nobody),
            ("Fr om: a@b.example", FromError::OddLine),
            ("odd line\r\nFrom: a@b.example", FromError::OddLine),
            ("From: a@b.example\r\nFr om: c@d.example", FromError::Several),
        ] {
            assert_eq!(read(header), Err(error), "{header}");
        }
    }

    #[test]
    fn whoever_has_a_domain_is_an_author_of_it() {
        let placeholder = format!("{UNREADABLE_LOCAL}@bad.example");
        let long = format!("From: <{}@bad.example>", "x".repeat(65));
        for (from, author_is) in [
            ("From: <A.b@Bad.Example>", "A.b@bad.example"),
            ("From: <a..b@bad.example>", "\"a..b\"@bad.example"),
            ("From: a.@bad.example", "\"a.\"@bad.example"),
            ("From: <\"a.b\"@bad.example>", "a.b@bad.example"),
            ("From: <\"a\".b@bad.example>", "a.b@bad.example"),
            ("From: \"a b\"@bad.example", "\"a b\"@bad.example"),
            ("From: <\"a\\\"\\\\b\"@bad.example>", "\"a\\\"\\\\b\"@bad.example"),
            ("From: <\"x@evil.example\"@bad.example>", "\"x@evil.example\"@bad.example"),
            ("From: <@bad.example>", &placeholder),
            ("From: <\"\"@bad.example>", &placeholder),
            ("From: <a\x01@bad.example>", &placeholder),
            (&long, &placeholder),
        ] {
            let message = format!("{from}\r\n\r\n");
            let found = author(message.as_bytes()).unwrap();
            assert_eq!(found.to_string(), author_is, "{from}");
            assert_eq!(Ok(found.domain().clone()), domain(&Block::read(message.as_bytes())), "{from}");
        }
        for nobody in ["From: nobody", "From: a@b.example, c@d.example", "From: <a@-.example>", "To: a@b.example"] {
            assert_eq!(author(format!("{nobody}\r\n\r\n").as_bytes()), None, "{nobody}");
        }
    }
}
