//! Counters, gauges and histograms with handles resolved once, when they are made.
//!
//! A family with labels is one handle per possible value, chosen by the position of an enum variant: no look-up and no
//! lock when a message passes, and the number of series is fixed when the process starts.
//!
//! **Invariants**: every label is an enum; nothing a client, tenant or address says can become a label value.

use prometheus::core::{Atomic, AtomicI64, AtomicU64, Collector, GenericCounter, GenericGauge};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::model::disposition::Category;
use crate::model::finding::Detector;
use crate::model::{Decision, Direction, OutcomeKind};

/// A closed set of label values: one label, or several as a tuple.
pub trait Labels: Copy + 'static {
    /// The labels' names.
    const NAMES: &'static [&'static str];
    /// How many combinations of values there are.
    const COUNT: usize;
    /// Every combination of values, in the order of [`index`](Self::index).
    fn all() -> Vec<Vec<&'static str>>;
    /// The place of this combination in [`all`](Self::all).
    fn index(self) -> usize;
}

/// Declares an enum that is one label: `label_set! { /// Doc. Name("label") { Variant = "value", ... } }`.
macro_rules! label_set {
    ($(#[$meta:meta])* $name:ident($label:literal) { $($(#[$doc:meta])* $variant:ident = $value:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// As it stands in the label, and in the mail log.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $value),+
                }
            }
        }

        impl $crate::telemetry::series::Labels for $name {
            const NAMES: &'static [&'static str] = &[$label];
            const COUNT: usize = [$($value),+].len();
            fn all() -> Vec<Vec<&'static str>> {
                vec![$(vec![$value]),+]
            }
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use label_set;

impl Labels for Direction {
    const NAMES: &'static [&'static str] = &["direction"];
    const COUNT: usize = 2;
    fn all() -> Vec<Vec<&'static str>> {
        vec![vec![Self::Inbound.as_str()], vec![Self::Outbound.as_str()]]
    }
    fn index(self) -> usize {
        match self {
            Self::Inbound => 0,
            Self::Outbound => 1,
        }
    }
}

impl Labels for OutcomeKind {
    const NAMES: &'static [&'static str] = &["result"];
    const COUNT: usize = 3;
    fn all() -> Vec<Vec<&'static str>> {
        vec![vec!["delivered"], vec!["deferred"], vec!["failed"]]
    }
    fn index(self) -> usize {
        match self {
            Self::Delivered => 0,
            Self::Deferred => 1,
            Self::Failed => 2,
        }
    }
}

impl Labels for Detector {
    const NAMES: &'static [&'static str] = &["detector"];
    const COUNT: usize = Self::ALL.len();
    fn all() -> Vec<Vec<&'static str>> {
        Self::ALL.iter().map(|detector| vec![detector.name()]).collect()
    }
    fn index(self) -> usize {
        self as usize
    }
}

/// `None`: clean.
impl Labels for Option<Category> {
    const NAMES: &'static [&'static str] = &["category"];
    const COUNT: usize = Category::ALL.len() + 1;
    fn all() -> Vec<Vec<&'static str>> {
        let names = Category::ALL.iter().map(|category| category.name());
        names.chain(["clean"]).map(|name| vec![name]).collect()
    }
    fn index(self) -> usize {
        self.map_or(Category::ALL.len(), |category| category as usize)
    }
}

label_set! {
    /// A [`Decision`] without its reply.
    Said("decision") { Accept = "accept", Defer = "defer", Reject = "reject", Disconnect = "disconnect" }
}

impl From<&Decision> for Said {
    fn from(decision: &Decision) -> Self {
        match decision {
            Decision::Accept => Self::Accept,
            Decision::Defer(_) => Self::Defer,
            Decision::Reject(_) => Self::Reject,
            Decision::Disconnect(_) => Self::Disconnect,
        }
    }
}

/// Direction and one more label.
impl<B: Labels> Labels for (Direction, B) {
    const NAMES: &'static [&'static str] = &[
        "direction",
        match B::NAMES {
            [name, ..] => name,
            [] => "",
        },
    ];
    const COUNT: usize = 2 * B::COUNT;
    fn all() -> Vec<Vec<&'static str>> {
        let pair = |a: &Vec<&'static str>, b: Vec<&'static str>| a.iter().copied().chain(b).collect();
        Direction::all().iter().flat_map(|a| B::all().into_iter().map(move |b| pair(a, b))).collect()
    }
    fn index(self) -> usize {
        let inbound = self.1.index();
        match self.0 {
            Direction::Inbound => inbound,
            Direction::Outbound => inbound + B::COUNT,
        }
    }
}

/// One handle per label value.
#[derive(Debug, Clone)]
pub struct By<L, T> {
    handles: Box<[T]>,
    /// Where an index that cannot be lands; never registered.
    nowhere: T,
    labels: std::marker::PhantomData<fn(L)>,
}

pub type Counters<L> = By<L, GenericCounter<AtomicU64>>;
pub type Gauges<L> = By<L, GenericGauge<AtomicI64>>;
pub type Histograms<L> = By<L, Histogram>;

impl<L: Labels, T> By<L, T> {
    #[must_use]
    pub fn of(&self, label: L) -> &T {
        self.handles.get(label.index()).unwrap_or(&self.nowhere)
    }
}

impl<L: Labels, P: Atomic> By<L, GenericCounter<P>> {
    pub fn inc(&self, label: L) {
        self.of(label).inc();
    }
}

/// Registers what it makes. Names get the prefix `sekisho_`.
#[derive(Debug)]
pub struct Registrar<'a>(pub &'a Registry);

#[allow(clippy::expect_used, reason = "names and labels are literals of this crate; a test builds every one of them")]
impl Registrar<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("a well-formed metric");
        self.0.register(Box::new(metric.clone())).expect("a name used once");
        metric
    }

    pub fn register(&self, collector: impl Collector + 'static) {
        self.0.register(Box::new(collector)).expect("a name used once");
    }

    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.keep(IntCounter::with_opts(opts(name, help)))
    }

    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(IntGauge::with_opts(opts(name, help)))
    }

    #[must_use]
    pub fn counters<L: Labels>(&self, name: &str, help: &str) -> Counters<L> {
        let family = self.keep(IntCounterVec::new(opts(name, help), L::NAMES));
        By {
            handles: L::all().iter().map(|values| family.with_label_values(values)).collect(),
            nowhere: IntCounter::with_opts(opts(name, help)).expect("a well-formed metric"),
            labels: std::marker::PhantomData,
        }
    }

    #[must_use]
    pub fn gauges<L: Labels>(&self, name: &str, help: &str) -> Gauges<L> {
        let family = self.keep(IntGaugeVec::new(opts(name, help), L::NAMES));
        By {
            handles: L::all().iter().map(|values| family.with_label_values(values)).collect(),
            nowhere: IntGauge::with_opts(opts(name, help)).expect("a well-formed metric"),
            labels: std::marker::PhantomData,
        }
    }

    #[must_use]
    pub fn histograms<L: Labels>(&self, name: &str, help: &str, buckets: &[f64]) -> Histograms<L> {
        let opts = || HistogramOpts::new(full_name(name), help).buckets(buckets.to_vec());
        let family = self.keep(HistogramVec::new(opts(), L::NAMES));
        By {
            handles: L::all().iter().map(|values| family.with_label_values(values)).collect(),
            nowhere: Histogram::with_opts(opts()).expect("a well-formed metric"),
            labels: std::marker::PhantomData,
        }
    }

    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let opts = HistogramOpts::new(full_name(name), help).buckets(buckets.to_vec());
        self.keep(Histogram::with_opts(opts))
    }
}

pub(super) fn full_name(name: &str) -> String {
    format!("sekisho_{name}")
}

pub(super) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(full_name(name), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detectors_and_categories_stand_where_their_names_are() {
        for (at, detector) in Detector::ALL.into_iter().enumerate() {
            assert_eq!((detector.index(), Detector::all()[at][0]), (at, detector.name()));
        }
        let categories = <Option<Category> as Labels>::all();
        assert_eq!(categories.len(), <Option<Category> as Labels>::COUNT);
        assert_eq!(categories[None::<Category>.index()], ["clean"]);
        for category in Category::ALL {
            assert_eq!(categories[Some(category).index()], [category.name()]);
        }
    }

    #[test]
    fn a_label_finds_its_own_series() {
        let registry = Registry::new();
        let counters: Counters<(Direction, Said)> = Registrar(&registry).counters("x_total", "x");
        counters.inc((Direction::Outbound, Said::Defer));
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("sekisho_x_total{decision=\"defer\",direction=\"outbound\"} 1"), "{text}");
        assert_eq!(text.matches("} 0").count(), 7);
    }
}
