//! The numbers of the levels, and nothing else: what a source may do before a level acts, and for how long it acts.
//!
//! The table in [`manual::reputation`](crate::manual::reputation) is held against these by a test.

use std::time::Duration;

use crate::model::sender::Level;
use crate::tables::Seconds;

/// Every count halves in this time.
pub const HALF_LIFE: Duration = Duration::from_secs(48 * 3600);

/// Good messages that make a source known; one counts for one half-life.
pub(super) const KNOWN_HAM: f32 = 0.5;
/// Good messages of its own that keep a source from being judged by its network.
pub(super) const PROTECTED_HAM: f32 = 2.0;
/// A protected source has at most so many points for each good message.
pub(super) const PROTECTED_SHARE: f32 = 0.1;

/// Unknown recipients that cost nothing, beside as many as there were good messages; then points for each.
pub(super) const FREE_UNKNOWN: f32 = 10.0;
pub(super) const UNKNOWN_POINTS: f32 = 0.1;
/// The same for malformed talk.
pub(super) const FREE_MALFORMED: f32 = 2.0;
pub(super) const MALFORMED_POINTS: f32 = 0.2;

/// What one address can add to its network at most, in points and in good messages.
pub(super) const NETWORK_SHARE_OF_ADDRESS: f32 = 2.0;

/// A stay grows by itself with every doubling of the points, so many times at most.
pub(super) const MOST_DOUBLINGS: f32 = 5.0;

/// What is too much: so many points, and at least this share of points in points and good messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    pub points: f32,
    pub share: f32,
}

/// One level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numbers {
    pub address: Allowance,
    pub domain: Allowance,
    /// In points that are capped for each address.
    pub network: Allowance,
    /// For how long after the last offence; longer with more points.
    pub stay: Seconds,
    /// From here on 550 instead of 450.
    pub refused: Option<Allowance>,
}

const fn allow(points: f32, share: f32) -> Allowance {
    Allowance { points, share }
}

/// Levels 1 to 4.
pub const LEVELS: [Numbers; 4] = [
    Numbers {
        address: allow(7.5, 0.40),
        domain: allow(30.0, 0.40),
        network: allow(24.0, 0.80),
        stay: 30 * 60,
        refused: None,
    },
    Numbers {
        address: allow(2.5, 0.15),
        domain: allow(10.0, 0.15),
        network: allow(12.0, 0.60),
        stay: 2 * 3600,
        refused: None,
    },
    Numbers {
        address: allow(1.5, 0.05),
        domain: allow(6.0, 0.05),
        network: allow(8.0, 0.50),
        stay: 6 * 3600,
        refused: None,
    },
    Numbers {
        address: allow(0.5, 0.0),
        domain: allow(2.0, 0.02),
        network: allow(5.0, 0.34),
        stay: 24 * 3600,
        refused: Some(allow(4.5, 0.20)),
    },
];

/// `None` for level 0, which never acts.
#[must_use]
pub fn of(level: Level) -> Option<&'static Numbers> {
    LEVELS.get(usize::from(level.get()).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: &str = include_str!("../../manual/reputation.rs");

    #[test]
    fn the_manual_has_the_same_numbers() {
        for (level, numbers) in (1..).zip(&LEVELS) {
            let cell = |a: &Allowance| format!("{} and {} %", a.points, (a.share * 100.0).round());
            let stay = match numbers.stay {
                minutes if minutes < 3600 => format!("{} min", minutes / 60),
                hours => format!("{} h", hours / 3600),
            };
            let row = format!(
                "//! | {level} | {} | {} | {} | {stay} | {} |",
                cell(&numbers.address),
                cell(&numbers.domain),
                cell(&numbers.network),
                numbers.refused.as_ref().map_or("never".into(), cell),
            );
            assert!(MANUAL.contains(&row), "the manual lacks: {row}");
        }
        assert!(MANUAL.contains(&format!("halves every {} hours", HALF_LIFE.as_secs() / 3600)));
    }

    #[test]
    fn a_higher_level_allows_less_and_stays_longer() {
        for [lower, higher] in LEVELS.array_windows() {
            for pick in [|n: &Numbers| n.address, |n: &Numbers| n.domain, |n: &Numbers| n.network] {
                assert!(pick(higher).points < pick(lower).points && pick(higher).share < pick(lower).share);
            }
            assert!(higher.stay > lower.stay);
        }
        for numbers in &LEVELS {
            assert!(numbers.network.points > 2.0 * NETWORK_SHARE_OF_ADDRESS, "two neighbours are never enough");
        }
    }
}
