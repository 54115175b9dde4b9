//! What a remote server's reply to EHLO offers (RFC 5321 section 4.1.1.1).
//!
//! **Failure**: none; a keyword that isn't understood is not offered.

use crate::model::Reply;

/// The extensions of one server. The default is a server that answered HELO.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // one per keyword
pub struct Capabilities {
    pub auth_login: bool,
    pub auth_plain: bool,
    pub chunking: bool,
    pub dsn: bool,
    pub eight_bit: bool,
    pub enhanced: bool,
    pub pipelining: bool,
    /// SIZE was offered; 0 is "no fixed maximum" (RFC 1870 section 4).
    pub size: Option<u64>,
    pub smtputf8: bool,
    pub starttls: bool,
    pub xclient: bool,
}

impl Capabilities {
    /// Reads the reply to EHLO; its first line is the server's name.
    #[must_use]
    pub fn from_ehlo(reply: &Reply) -> Self {
        let mut these = Self::default();
        for line in reply.lines().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            match keyword.to_ascii_uppercase().as_str() {
                "8BITMIME" => these.eight_bit = true,
                "AUTH" => these.add_mechanisms(words),
                "CHUNKING" => these.chunking = true,
                "DSN" => these.dsn = true,
                "ENHANCEDSTATUSCODES" => these.enhanced = true,
                "PIPELINING" => these.pipelining = true,
                "SIZE" => these.size = Some(words.next().and_then(super::command::digits).unwrap_or(0)),
                "SMTPUTF8" => these.smtputf8 = true,
                "STARTTLS" => these.starttls = true,
                "XCLIENT" => these.xclient = true,
                // the old spelling "AUTH=LOGIN PLAIN"
                other => {
                    if let Some(first) = other.strip_prefix("AUTH=") {
                        these.add_mechanisms(std::iter::once(first).chain(words));
                    }
                }
            }
        }
        these
    }

    fn add_mechanisms<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for word in words {
            self.auth_login |= word.eq_ignore_ascii_case("LOGIN");
            self.auth_plain |= word.eq_ignore_ascii_case("PLAIN");
        }
    }

    /// Whether the server said beforehand that a message of this size is too large.
    #[must_use]
    pub fn refuses_size(&self, octets: u64) -> bool {
        self.size.is_some_and(|limit| limit != 0 && octets > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_in_any_case_and_order() {
        let lines = ["mx.example STARTTLS", "size 1000", "Pipelining", "AUTH PLAIN X", "AUTH=LOGIN", "FOO", "DSN", ""];
        let these = Capabilities::from_ehlo(&Reply::from_remote(250, lines));
        let want = Capabilities {
            size: Some(1000),
            pipelining: true,
            auth_plain: true,
            auth_login: true,
            dsn: true,
            ..Capabilities::default()
        };
        assert_eq!(these, want);
        assert!(these.refuses_size(1001) && !these.refuses_size(1000));
    }

    #[test]
    fn no_fixed_maximum_refuses_nothing() {
        let these = Capabilities::from_ehlo(&Reply::from_remote(250, ["mx", "SIZE"]));
        assert_eq!(these.size, Some(0));
        assert!(!these.refuses_size(u64::MAX));
    }
}
