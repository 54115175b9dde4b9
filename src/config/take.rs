//! Takes merged values by name and kind, for [`super::fill`] and [`super::listeners`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::Address;
use crate::model::answer::AnswerPattern;
use crate::model::detectors::Detectors;
use crate::model::rates::Windows;
use crate::model::written::{Place, Problem, Problems};

use super::answers::CodeSettings;
use super::keys;
use super::merge::{Entry, Merged};
use super::secret::SecretDomain;
use super::settings::{RateSettings, TlsFiles};
use super::value::Value;

/// Takes values by name and kind. A name that is in no table, or another kind, is a fault of ours that every load
/// would show; it is a problem like others instead of a panic.
pub(super) struct Taker<'m> {
    pub(super) merged: &'m Merged,
    /// Whose keys are taken from there instead.
    pub(super) entry: Option<&'m Entry>,
    pub(super) problems: &'m mut Problems,
}

impl Taker<'_> {
    fn value(&mut self, name: &str) -> Value {
        let Some(key) = keys::find(name) else {
            self.problems.push(Problem::new(None, format!("{name} is missing in the table of keys")));
            return Value::Unset;
        };
        let own = |entry: &&Entry| name.strip_prefix(entry.table()).is_some_and(|rest| rest.starts_with('.'));
        match self.entry.filter(own) {
            Some(entry) => entry.value(key).0,
            None => self.merged.value(key).0,
        }
    }

    pub(super) fn place(&self, name: &str) -> Option<Place> {
        match self.entry {
            Some(entry) => entry.place(name),
            None => self.merged.place(name),
        }
    }

    fn odd(&mut self, name: &str) {
        self.problems.push(Problem::new(None, format!("{name} is of another kind in the table of keys")));
    }

    pub(super) fn span(&mut self, name: &str) -> Duration {
        self.optional_span(name).unwrap_or_else(|| {
            self.odd(name);
            Duration::ZERO
        })
    }

    pub(super) fn optional_span(&mut self, name: &str) -> Option<Duration> {
        match self.value(name) {
            Value::Span(length) => Some(length),
            Value::Unset => None,
            _ => {
                self.odd(name);
                None
            }
        }
    }

    /// A time-out, which can't be nothing.
    pub(super) fn timeout(&mut self, name: &str) -> Duration {
        let length = self.span(name);
        if length.is_zero() {
            let place = self.place(name);
            self.problems.push(Problem::new(place, format!("{name}: a time-out of nothing would stop all mail")));
        }
        length
    }

    pub(super) fn optional_number(&mut self, name: &str) -> Option<u64> {
        match self.value(name) {
            Value::Integer(number) | Value::Size(number) => Some(number),
            Value::Unset => None,
            _ => {
                self.odd(name);
                None
            }
        }
    }

    pub(super) fn number(&mut self, name: &str) -> u64 {
        self.optional_number(name).unwrap_or_else(|| {
            self.odd(name);
            0
        })
    }

    /// Notes a number that is too small.
    pub(super) fn at_least(&mut self, name: &str, least: u64, why: &str) {
        if self.number(name) < least {
            let problem = Problem::new(self.place(name), format!("{name} is too small")).help(why);
            self.problems.push(problem);
        }
    }

    pub(super) fn count(&mut self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    pub(super) fn optional_count(&mut self, name: &str) -> Option<usize> {
        self.optional_number(name).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        match self.value(name) {
            Value::Bool(value) => value,
            _ => {
                self.odd(name);
                false
            }
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn path(&mut self, name: &str) -> Option<PathBuf> {
        match self.value(name) {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }

    pub(super) fn socket(&mut self, name: &str) -> Option<SocketAddr> {
        match self.value(name) {
            Value::Socket(socket) => Some(socket),
            _ => None,
        }
    }

    pub(super) fn networks(&mut self, name: &str) -> Vec<IpNet> {
        match self.value(name) {
            Value::Networks(list) => list,
            _ => {
                self.odd(name);
                Vec::new()
            }
        }
    }

    pub(super) fn sockets(&mut self, name: &str) -> Vec<SocketAddr> {
        match self.value(name) {
            Value::Sockets(list) => list,
            _ => {
                self.odd(name);
                Vec::new()
            }
        }
    }

    /// Empty where none are written.
    pub(super) fn ips(&mut self, name: &str) -> Vec<IpAddr> {
        match self.value(name) {
            Value::Ips(list) => list,
            Value::Unset => Vec::new(),
            _ => {
                self.odd(name);
                Vec::new()
            }
        }
    }

    pub(super) fn is_written(&mut self, name: &str) -> bool {
        self.value(name) != Value::Unset
    }

    pub(super) fn addresses(&mut self, name: &str) -> Vec<Address> {
        match self.value(name) {
            Value::Addresses(list) => list,
            _ => {
                self.odd(name);
                Vec::new()
            }
        }
    }

    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        match self.value(name) {
            Value::Texts(list) => list,
            _ => {
                self.odd(name);
                Vec::new()
            }
        }
    }

    pub(super) fn detectors(&mut self, name: &str) -> Detectors {
        match self.value(name) {
            Value::Detectors(list) => list,
            _ => {
                self.odd(name);
                Detectors::NONE
            }
        }
    }

    pub(super) fn answers(&mut self, name: &str) -> Vec<AnswerPattern> {
        match self.value(name) {
            Value::Answers(list) => list,
            _ => {
                self.odd(name);
                Vec::new()
            }
        }
    }

    pub(super) fn codes(&mut self, name: &str) -> Vec<CodeSettings> {
        match self.value(name) {
            Value::Codes(list) => list,
            _ => Vec::new(),
        }
    }

    pub(super) fn zone(&mut self, name: &str) -> Option<SecretDomain> {
        match self.value(name) {
            Value::Zone(zone) => Some(zone),
            _ => None,
        }
    }

    /// `None`: off.
    pub(super) fn rate(&mut self, name: &str) -> Option<RateSettings> {
        match self.value(name) {
            Value::Rate(rate) => Some(rate),
            Value::Off => None,
            _ => {
                self.odd(name);
                None
            }
        }
    }

    pub(super) fn rates(&mut self, name: &str) -> Windows {
        match self.value(name) {
            Value::Rates(rates) => rates,
            _ => {
                self.odd(name);
                Windows::default()
            }
        }
    }

    /// Notes what is wrong with the value of a key.
    pub(super) fn wrong(&mut self, name: &str, what: impl Into<String>, help: &str) {
        let problem = Problem::new(self.place(name), what);
        self.problems.push(if help.is_empty() { problem } else { problem.help(help) });
    }

    /// Certificate and key, which go together.
    pub(super) fn tls_files(&mut self, certificate: &str, key: &str) -> Option<TlsFiles> {
        match (self.path(certificate), self.path(key)) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (there, _) => {
                let (written, lacking) = if there.is_some() { (certificate, key) } else { (key, certificate) };
                let problem = Problem::new(self.place(written), format!("{written} needs {lacking} beside it"));
                self.problems.push(problem);
                None
            }
        }
    }
}
