//! One value: from what was written (TOML, or text from the environment) to what a [`Kind`] asks for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use crate::model::answer::AnswerPattern;
use crate::model::detectors::Detectors;
use crate::model::rates::Windows;
use crate::model::units::{ByteSize, Span};
use crate::model::written::{kind_of, one_of};
use crate::model::{Address, Domain};

use super::answers::CodeSettings;
use super::content;
use super::kind::Kind;
use super::outbound;
use super::secret::SecretDomain;
use super::settings::RateSettings;

/// The shortest and longest time of a rate.
const RATE_TIMES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 86_400));
/// The most of a rate.
const RATE_MOST: u32 = 100_000_000;

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    Text(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Raw>),
    /// Something no key takes; said in words.
    Other(&'static str),
}

impl Raw {
    pub(super) fn of_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(written) => i64::from_str_radix(written.as_str(), written.radix())
                .map_or(Self::Other("an integer beyond all bounds"), Self::Integer),
            DeValue::Boolean(value) => Self::Bool(*value),
            DeValue::Array(list) => Self::List(list.iter().map(|item| Self::of_toml(item.get_ref())).collect()),
            other => Self::Other(kind_of(other)),
        }
    }

    /// From the environment, where everything is text: lists are separated by commas.
    pub(super) fn of_environment(kind: Kind, text: &str) -> Self {
        let text = text.trim();
        match kind {
            kind if kind.is_list() => {
                let parts = text.trim_matches(['[', ']']).split(',').map(|part| part.trim().trim_matches('"'));
                Self::List(parts.filter(|part| !part.is_empty()).map(|part| Self::Text(part.into())).collect())
            }
            Kind::Bool => text.parse().map_or_else(|_| Self::Text(text.into()), Self::Bool),
            Kind::Integer(..) => text.parse().map_or_else(|_| Self::Text(text.into()), Self::Integer),
            _ => Self::Text(text.into()),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "an integer",
            Self::Bool(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }
}

/// A value that fits its key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not written and without default.
    Unset,
    Text(String),
    Path(PathBuf),
    Socket(SocketAddr),
    Bool(bool),
    Integer(u64),
    Size(u64),
    Span(Duration),
    /// What can be switched off is.
    Off,
    Rate(RateSettings),
    Rates(Windows),
    Zone(SecretDomain),
    Networks(Vec<IpNet>),
    Ips(Vec<IpAddr>),
    Sockets(Vec<SocketAddr>),
    Addresses(Vec<Address>),
    /// Texts, places of scanners, public keys: as written.
    Texts(Vec<String>),
    Detectors(Detectors),
    Answers(Vec<AnswerPattern>),
    Codes(Vec<CodeSettings>),
}

impl Value {
    /// Reads a value as its kind asks; relative paths start at `base`.
    ///
    /// # Errors
    /// A sentence that says what was written and what belongs there.
    pub fn read(kind: Kind, raw: &Raw, base: &Path) -> Result<Self, String> {
        match (kind, raw) {
            (Kind::Hostname, Raw::Text(text)) => match Domain::parse(text) {
                Ok(name) if name.as_ip().is_none() => Ok(Self::Text(name.as_str().to_owned())),
                _ => Err(format!("{text:?} is no host name")),
            },
            (Kind::Text, Raw::Text(text)) if text.chars().any(char::is_control) => {
                Err("control characters don't belong here".into())
            }
            (Kind::Text, Raw::Text(text)) => Ok(Self::Text(text.clone())),
            (Kind::MailAddress, Raw::Text(text)) => address(text).map(|address| Self::Text(address.to_string())),
            (Kind::Path | Kind::PathOrStdout, Raw::Text(text)) if text.is_empty() => Err("the path is empty".into()),
            (Kind::PathOrStdout, Raw::Text(text)) if text == "stdout" => Ok(Self::Text(text.clone())),
            (Kind::Path | Kind::PathOrStdout, Raw::Text(text)) => Ok(Self::Path(join(base, text))),
            (Kind::SocketOrOff, Raw::Text(text)) if text == "off" => Ok(Self::Unset),
            (Kind::Socket | Kind::SocketOrOff, Raw::Text(text)) => socket(text).map(Self::Socket),
            (Kind::Bool, Raw::Bool(value)) => Ok(Self::Bool(*value)),
            (Kind::Integer(low, high), Raw::Integer(number)) => match u64::try_from(*number) {
                Ok(plain) if (low..=high).contains(number) => Ok(Self::Integer(plain)),
                _ => Err(format!("{number} is not within {low} to {high}")),
            },
            (Kind::Size, Raw::Integer(number)) => {
                u64::try_from(*number).map(Self::Size).map_err(|_| format!("{number} is no size"))
            }
            (Kind::Size, Raw::Text(text)) => {
                ByteSize::parse(text).map(|size| Self::Size(size.0)).map_err(|error| error.to_string())
            }
            (Kind::Span, Raw::Text(text)) => {
                Span::parse(text).map(|span| Self::Span(span.0)).map_err(|error| error.to_string())
            }
            (Kind::Span, Raw::Integer(number)) => Err(format!("{number} lacks its unit; write \"{number}s\"")),
            (Kind::Words(words), Raw::Text(text)) => {
                let pairs: Vec<(&'static str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
                one_of(text, &pairs).map(|word| Self::Text(word.to_owned()))
            }
            (Kind::Networks, Raw::List(list)) => each(list, network).map(Self::Networks),
            (Kind::Ips, Raw::List(list)) => each(list, outbound::ip).map(Self::Ips),
            (Kind::Sockets, Raw::List(list)) => each(list, socket).map(Self::Sockets),
            (Kind::Addresses, Raw::List(list)) => each(list, address).map(Self::Addresses),
            (Kind::Texts, Raw::List(list)) => each(list, content::text).map(Self::Texts),
            (Kind::Servers, Raw::List(list)) => each(list, content::server).map(Self::Texts),
            (Kind::PublicKeys, Raw::List(list)) => each(list, content::public_key).map(Self::Texts),
            (Kind::Detectors, Raw::List(list)) => {
                each(list, content::detector).map(|list| Self::Detectors(list.into_iter().collect()))
            }
            (Kind::Answers, Raw::List(list)) => each(list, AnswerPattern::parse).map(Self::Answers),
            (Kind::Rate, Raw::Text(text)) if text == "off" => Ok(Self::Off),
            (Kind::Rate, Raw::Text(text)) => rate(text).map(Self::Rate),
            (Kind::Rate, Raw::Integer(number)) => Err(format!("{number} lacks its time; write \"{number}/1m\"")),
            (Kind::Rates, Raw::Text(text)) => Windows::parse(text).map(Self::Rates),
            (Kind::Rates, Raw::Integer(number)) => Err(format!("{number} lacks its time; write \"{number}/1m\"")),
            (Kind::Zone, Raw::Text(text)) => SecretDomain::parse(text).map(Self::Zone).map_err(Into::into),
            (kind, raw) => Err(format!("{} was written where {} belongs", raw.kind(), kind.describe())),
        }
    }

    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Unset => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Integer(number) => (*number).into(),
            Self::Size(_)
            | Self::Span(_)
            | Self::Text(_)
            | Self::Path(_)
            | Self::Socket(_)
            | Self::Off
            | Self::Rate(_)
            | Self::Rates(_)
            | Self::Zone(_) => self.plain().into(),
            Self::Networks(list) => texts(list).into(),
            Self::Ips(list) => texts(list).into(),
            Self::Sockets(list) => texts(list).into(),
            Self::Addresses(list) => texts(list).into(),
            Self::Texts(list) => list.clone().into(),
            Self::Detectors(list) => names(*list).into(),
            Self::Answers(list) => texts(list).into(),
            Self::Codes(list) => serde_json::to_value(list).unwrap_or_default(),
        }
    }

    fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Path(path) => path.display().to_string(),
            Self::Socket(socket) => socket.to_string(),
            Self::Size(bytes) => ByteSize(*bytes).to_string(),
            Self::Span(length) => Span(*length).to_string(),
            Self::Off => "off".into(),
            Self::Rate(rate) => rate.to_string(),
            Self::Rates(rates) => rates.to_string(),
            Self::Zone(zone) => format!("{zone:?}"),
            other => other.to_string(),
        }
    }
}

/// As it would be written in TOML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Unset => f.write_str("(none)"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Networks(items) => write!(f, "[{}]", list(texts(items))),
            Self::Ips(items) => write!(f, "[{}]", list(texts(items))),
            Self::Sockets(items) => write!(f, "[{}]", list(texts(items))),
            Self::Addresses(items) => write!(f, "[{}]", list(texts(items))),
            Self::Texts(items) => write!(f, "[{}]", list(items.clone())),
            Self::Detectors(items) => write!(f, "[{}]", list(names(*items))),
            Self::Answers(items) => write!(f, "[{}]", list(texts(items))),
            Self::Codes(items) => write!(f, "[{}]", texts(items).join(", ")),
            Self::Zone(zone) => write!(f, "{zone:?}"),
            _ => write!(f, "{:?}", self.plain()),
        }
    }
}

fn names(detectors: Detectors) -> Vec<String> {
    detectors.iter().map(|detector| detector.name().to_owned()).collect()
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn join(base: &Path, text: &str) -> PathBuf {
    let path = Path::new(text);
    // Without the "." of "./var", which only makes messages harder to read.
    if path.is_absolute() { path.into() } else { base.join(path).components().collect() }
}

fn each<T>(list: &[Raw], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let one = |item: &Raw| match item {
        Raw::Text(text) => read(text),
        other => Err(format!("{} stands in a list of texts", other.kind())),
    };
    list.iter().map(one).collect()
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_ipv6() => format!("{text:?} has no port; write \"[{text}]:25\""),
        Ok(_) => format!("{text:?} has no port; write \"{text}:25\""),
        Err(_) => format!("{text:?} is no IP address with port; write \"127.0.0.1:25\" or \"[::1]:25\""),
    })
}

fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| format!("{text:?} is no network; write 192.0.2.0/24"))?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(format!("{text} has bits behind its prefix; write {}", network.trunc()))
    }
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| format!("{text:?}: {error}"))
}

fn rate(text: &str) -> Result<RateSettings, String> {
    let wrong = || format!("{text:?} is no rate; write so many in such a time, as 2000/1m, or off");
    let (count, per) = text.split_once('/').ok_or_else(wrong)?;
    let count: u32 = count.trim().parse().map_err(|_| wrong())?;
    let per = match per.trim() {
        "s" => "1s",
        "m" => "1m",
        "h" => "1h",
        "d" => "1d",
        per => per,
    };
    let per = Span::parse(per).map_err(|_| wrong())?.0;
    if count == 0 || count > RATE_MOST {
        return Err(format!("{text:?}: {count} is not within 1 to {RATE_MOST}; write off for no limit"));
    }
    if !(RATE_TIMES.0..=RATE_TIMES.1).contains(&per) {
        return Err(format!("{text:?}: the time is not within {} to {}", Span(RATE_TIMES.0), Span(RATE_TIMES.1)));
    }
    Ok(RateSettings { count, per })
}
