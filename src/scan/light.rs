//! Messages that are scanned sooner than they would be handed to another thread and back: a few kilobytes of plain words.
//!
//! **Failure**: none; who is not sure says that a message is not light, and it is scanned aside.
//! **Invariants**: octets only, no parsing: what may hold a file in whatever wrapping is not light, so the scan of a light message
//! takes time in proportion to its size. A message that hides a file from this search (its words broken over lines) is scanned
//! all the same, within the same limits, and holds up one thread for as long.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

/// Octets; more takes longer than the way to another thread.
const LIGHT: usize = 16 << 10;

/// Microseconds; who takes longer on the average goes to another thread, for others wait on this one.
const SHORT: u64 = 1_000;

/// How long light messages took of late: some sets have many expressions.
#[derive(Debug, Default)]
pub(super) struct Lately(AtomicU64);

impl Lately {
    pub(super) fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= SHORT
    }

    /// Two at one time may lose one of them, which matters to no average.
    pub(super) fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(1_000_000);
        self.0.store((7 * self.0.load(Ordering::Relaxed) + time) / 8, Ordering::Relaxed);
    }
}

/// What a file comes with: its type, its name, what makes octets of it, what begins it within a text.
const SIGNS: [&str; 9] =
    ["base64", "uuencode", "yenc", "begin ", "data:", "name=", "application/", "message/", "image/"];

static FILES: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasickBuilder::new().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(SIGNS).ok()
});

/// Whether the message is small and shows no sign of a file.
pub(super) fn is_light(octets: &[u8]) -> bool {
    octets.len() <= LIGHT && FILES.as_ref().is_some_and(|files| !files.is_match(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Vec<u8> {
        format!("From: a@example.com\r\nSubject: lunch\r\n{text}").into_bytes()
    }

    #[test]
    fn words_are_light_and_whatever_may_hold_a_file_is_not() {
        assert!(is_light(&with("\r\nAt noon?\r\n")));
        assert!(is_light(&with(
            "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\nAt noon?\r\n--x\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>At noon?\r\n--x--\r\n"
        )));
        for heavy in [
            "Content-Transfer-Encoding: BASE64\r\n\r\nTm9vbg==\r\n",
            "Content-Transfer-Encoding: x-uuencode\r\n\r\n",
            "Content-Type: Application/Zip\r\n\r\n",
            "Content-Type: text/plain; name=a.zip\r\n\r\n",
            "Content-Type: message/rfc822\r\n\r\n",
            "\r\nbegin 644 a.zip\r\nend\r\n",
            "\r\n=ybegin line=128 size=1 name=a.zip\r\n",
            "Content-Type: text/html\r\n\r\n<img src='data:image/png,x'>\r\n",
        ] {
            assert!(!is_light(&with(heavy)), "{heavy}");
        }
    }

    #[test]
    fn what_took_long_of_late_is_not_short_until_it_is_again() {
        let lately = Lately::default();
        lately.took(Duration::from_millis(5));
        assert!(lately.is_short(), "one may have waited for the processor");
        (0..10).for_each(|_| lately.took(Duration::from_millis(5)));
        assert!(!lately.is_short());
        (0..30).for_each(|_| lately.took(Duration::from_micros(300)));
        assert!(lately.is_short());
    }

    #[test]
    fn what_is_long_is_not_light() {
        let mut long = with("\r\n");
        long.resize(LIGHT, b'x');
        assert!(is_light(&long));
        long.push(b'x');
        assert!(!is_light(&long));
    }
}
