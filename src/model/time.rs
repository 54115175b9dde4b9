//! Wall-clock instants, for headers, logs and expiry; never for measuring how long something took.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    fn date(self) -> OffsetDateTime {
        let seconds = i64::try_from(self.0 / 1000).unwrap_or(0);
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// `Fri, 20 Nov 2026 12:07:31 +0000` (RFC 5322 section 3.3), for headers.
    #[must_use]
    pub fn rfc5322(self) -> String {
        self.date().format(&Rfc2822).unwrap_or_default()
    }

    /// `2026-11-20T12:07:31.250Z`, for logs.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let text = self.date().format(&Rfc3339).unwrap_or_default();
        format!("{}.{:03}Z", text.trim_end_matches('Z'), self.0 % 1000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_what_the_standards_write() {
        let at = Timestamp::from_millis(1_795_176_451_250);
        assert_eq!(at.rfc5322(), "Fri, 20 Nov 2026 12:07:31 +0000");
        assert_eq!(at.rfc3339(), "2026-11-20T12:07:31.250Z");
    }
}
