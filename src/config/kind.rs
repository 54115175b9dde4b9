//! What may be written as a value, and how that is said to people.
//!
//! **Invariants**: every kind has a description that shows the form.

/// What may be written as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Hostname,
    Text,
    MailAddress,
    /// Relative ones start at the directory of the settings file.
    Path,
    PathOrStdout,
    Socket,
    /// A socket address or `off`.
    SocketOrOff,
    Bool,
    Integer(i64, i64),
    Size,
    Span,
    /// So many in such a time, or `off`.
    Rate,
    /// Several of those, for different times; a count may be a size.
    Rates,
    Words(&'static [&'static str]),
    /// A domain that may hold a customer's key: shown nowhere.
    Zone,
    Networks,
    /// At least one.
    Ips,
    Sockets,
    Addresses,
    Texts,
    /// Detectors that can be switched off.
    Detectors,
    /// Places of scanners.
    Servers,
    /// Ed25519, as `sekisho signatures keygen` prints them.
    PublicKeys,
    /// Answers of a known-source list.
    Answers,
    /// What answers of a known-source list mean: a list of tables, in files only.
    Codes,
}

impl Kind {
    /// For people.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Hostname => "host name".into(),
            Self::Text => "text".into(),
            Self::MailAddress => "mail address".into(),
            Self::Path => "path".into(),
            Self::PathOrStdout => "path or \"stdout\"".into(),
            Self::Socket => "ip:port".into(),
            Self::SocketOrOff => "ip:port or \"off\"".into(),
            Self::Bool => "true or false".into(),
            Self::Integer(low, high) => format!("integer, {low} to {high}"),
            Self::Size => "size, as 50MiB".into(),
            Self::Span => "length of time, as 1h30m".into(),
            Self::Rate => "rate, as 2000/1m, or \"off\"".into(),
            Self::Rates => "rates, as \"500/10m 5000/1d\", or \"off\"".into(),
            Self::Words(words) => format!("one of {}", words.join(", ")),
            Self::Zone => "domain (never shown)".into(),
            Self::Networks => "list of networks, as 192.0.2.0/24".into(),
            Self::Ips => "list of IP addresses".into(),
            Self::Sockets => "list of ip:port".into(),
            Self::Addresses => "list of mail addresses".into(),
            Self::Texts => "list of texts".into(),
            Self::Detectors => "list of detectors, as \"classifier\"".into(),
            Self::Servers => "list of host:port or /path/to/socket".into(),
            Self::PublicKeys => "list of public keys, as ed25519:BASE64".into(),
            Self::Answers => "list of answers, as 127.0.0.2".into(),
            Self::Codes => "list of tables { code, reason, weight }, in a file".into(),
        }
    }

    /// Whether it can be written in the environment with commas.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::Networks
                | Self::Ips
                | Self::Sockets
                | Self::Addresses
                | Self::Texts
                | Self::Detectors
                | Self::Servers
                | Self::PublicKeys
                | Self::Answers
        )
    }
}
