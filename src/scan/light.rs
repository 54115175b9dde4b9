//! Messages that are scanned sooner than they would be handed to another thread and back: a few kilobytes of words.
//!
//! **Failure**: none; what is not light is scanned aside.
//! **Invariants**: a light message holds no file, so its scan unpacks nothing and takes time in proportion to its size. Where light
//! messages take long all the same, for the set has many expressions, none is light any more until they are short again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::message::specimen::{Limits, Specimen};

/// Octets; more takes longer than the way to another thread.
const LIGHT: usize = 16 << 10;
/// Microseconds; who takes longer on the average goes to another thread, for others wait on this one.
const SHORT: u64 = 1_000;

/// How long light messages took of late.
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

/// The message taken apart, if it is light.
pub(super) fn taken_apart(octets: &Bytes, limits: &Limits) -> Option<Specimen> {
    if octets.len() > LIGHT {
        return None;
    }
    // What breaks here breaks again where it is told.
    catch_unwind(AssertUnwindSafe(|| Specimen::parse_words(octets.clone(), limits))).ok().flatten()
}

/// Its frame, where nobody looks inside.
pub(super) fn frame(octets: &Bytes, limits: &Limits) -> Option<Specimen> {
    if octets.len() > LIGHT {
        return None;
    }
    catch_unwind(AssertUnwindSafe(|| Specimen::parse_frame(octets.clone(), limits, &|| false))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_light(text: &str) -> bool {
        let octets = format!("From: a@example.com\r\nSubject: lunch\r\n{text}").into_bytes();
        taken_apart(&octets.into(), &Limits::default()).is_some()
    }

    #[test]
    fn words_are_light_and_whatever_may_hold_a_file_is_not() {
        assert!(is_light("\r\nAt noon?\r\n"));
        assert!(is_light(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nTm9vbg==\r\n"
        ));
        assert!(is_light(
            "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\nAt noon?\r\n--x\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>At noon?\r\n--x--\r\n"
        ));
        for heavy in [
            "Content-Type: application/zip\r\n\r\nPK",
            "Content-Type: image/png\r\n\r\nx",
            "Content-Type: video/x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nPK",
            "Content-Type: text/plain\r\nContent-Disposition: attachment; filename*=utf-8''a.zip\r\n\r\nx",
            "Content-Transfer-Encoding: quoted-printable\r\n\r\nPK=03=04=14",
            "\r\nbegin 644 a.zip\r\n#86)C\r\n`\r\nend\r\n",
            "Content-Type: text/html\r\n\r\n<img src='data:image/png,x'>\r\n",
            "Content-Type: text/html\r\n\r\n<a href='d&#97;ta:text/html,x'>\r\n",
            "Content-Type: text/html; charset=utf-8\r\n\r\n<a href='da\tta:text/html,x'>\r\n",
        ] {
            assert!(!is_light(heavy), "{heavy}");
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
        let mut long = b"Subject: lunch\r\n\r\n".to_vec();
        long.resize(LIGHT, b'x');
        assert!(taken_apart(&long.clone().into(), &Limits::default()).is_some());
        long.push(b'x');
        assert!(taken_apart(&long.into(), &Limits::default()).is_none());
    }
}
