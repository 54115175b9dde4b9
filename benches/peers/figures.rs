//! What was measured of one peer in one case: as a line, and as the median of several rounds.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Straight,
    Postfix,
    /// As Postfix: mail is relayed, and nobody judges it.
    Queued,
    Inline,
    /// Senders are judged, as by default; nobody looks into the message.
    QueuedJudged,
    /// With all that looks into messages by default.
    QueuedScanned,
    InlineScanned,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Straight => "straight to the sink",
            Self::Postfix => "Postfix, plain relay",
            Self::Queued => "Sekisho, queued",
            Self::Inline => "Sekisho, inline",
            Self::QueuedJudged => "Sekisho, queued, judges",
            Self::QueuedScanned => "Sekisho, queued, scans",
            Self::InlineScanned => "Sekisho, inline, scans",
        }
    }
}

/// One line of the result.
#[derive(Debug, Clone)]
pub struct Figures {
    pub who: Who,
    pub connections: usize,
    pub reuse: bool,
    pub accepted_per_second: f64,
    pub delivered_per_second: f64,
    pub cpu_micros: Option<f64>,
    /// The CPU of the published sink for a message.
    pub sink_micros: Option<f64>,
    /// Within which half and 99 % of the messages were done.
    pub latency: Option<(Duration, Duration)>,
    pub disk: Option<Disk>,
}

#[derive(Debug, Clone)]
pub struct Disk {
    pub written_per_message: f64,
    pub spool_growth: i64,
    pub log_growth: i64,
}

/// The middle one, or the mean of the two in the middle of an even number. `None` of none.
fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_by(f64::total_cmp);
    let upper = of.len() / 2;
    let lower = upper.checked_sub(usize::from(of.len().is_multiple_of(2)))?;
    Some((of.get(lower)? + of.get(upper)?) / 2.0)
}

/// Each case's medians, figure by figure, in the order in which the cases came first. Of what the spool and the log grew by it is
/// the figure furthest from nothing: one round that left something is not outvoted.
pub fn medians(all: &[Figures]) -> Vec<Figures> {
    let case = |figures: &Figures| (figures.who, figures.connections, figures.reuse);
    let mut found: Vec<Figures> = Vec::new();
    for first in all {
        if found.iter().any(|other| case(other) == case(first)) {
            continue;
        }
        let same: Vec<&Figures> = all.iter().filter(|other| case(other) == case(first)).collect();
        let of = |figure: &dyn Fn(&Figures) -> Option<f64>| median(same.iter().filter_map(|f| figure(f)).collect());
        let time = |figure: &dyn Fn(&Figures) -> Option<Duration>| {
            of(&|f| figure(f).map(|time| time.as_secs_f64())).map(Duration::from_secs_f64)
        };
        let furthest = |figure: &dyn Fn(&Disk) -> i64| {
            same.iter().filter_map(|f| f.disk.as_ref().map(figure)).max_by_key(|grown| grown.unsigned_abs())
        };
        found.push(Figures {
            accepted_per_second: of(&|f| Some(f.accepted_per_second)).unwrap_or_default(),
            delivered_per_second: of(&|f| Some(f.delivered_per_second)).unwrap_or_default(),
            cpu_micros: of(&|f| f.cpu_micros),
            sink_micros: of(&|f| f.sink_micros),
            latency: time(&|f| f.latency.map(|(half, _)| half)).zip(time(&|f| f.latency.map(|(_, most)| most))),
            disk: of(&|f| f.disk.as_ref().map(|disk| disk.written_per_message))
                .zip(furthest(&|disk| disk.spool_growth))
                .zip(furthest(&|disk| disk.log_growth))
                .map(|((written_per_message, spool_growth), log_growth)| Disk {
                    written_per_message,
                    spool_growth,
                    log_growth,
                }),
            ..*first
        });
    }
    found
}

pub fn head() {
    println!(
        "{:<23} {:>5} {:>6} {:>11} {:>12} {:>11} {:>9} {:>9} {:>11}",
        "peer", "conns", "reuse", "accepted/s", "delivered/s", "CPU us/msg", "p50 ms", "p99 ms", "written B"
    );
}

pub fn line(found: &Figures) {
    let millis =
        |value: Option<Duration>| value.map_or("-".to_owned(), |time| format!("{:.2}", time.as_secs_f64() * 1e3));
    println!(
        "{:<23} {:>5} {:>6} {:>11.0} {:>12.0} {:>11} {:>9} {:>9} {:>11}",
        found.who.name(),
        found.connections,
        if found.reuse { "yes" } else { "no" },
        found.accepted_per_second,
        found.delivered_per_second,
        found.cpu_micros.map_or("-".to_owned(), |cpu| format!("{cpu:.1}")),
        millis(found.latency.map(|(p50, _)| p50)),
        millis(found.latency.map(|(_, p99)| p99)),
        found.disk.as_ref().map_or("-".to_owned(), |disk| format!("{:.0}", disk.written_per_message)),
    );
}
