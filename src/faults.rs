//! Named points at which a drill may kill the process (reliability drills; `tests/drill`).
//!
//! The points stand in the shipped binary, because a drill of another binary proves nothing. Unarmed, a point costs one
//! relaxed load. Armed by `SEKISHO_DRILL_KILL=point[:count]` at start, the process sends itself SIGKILL when it reaches the
//! point for the count-th time: nothing is flushed, no destructor runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The commit points of accepted mail, in the order a message meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    Connected,
    MailAccepted,
    RcptAccepted,
    BodyStarted,
    BodyComplete,
    SpoolBeforeWrite,
    SpoolAfterWrite,
    SpoolAfterSync,
    BeforeReply,
    AfterReply,
    HandoffBeforeDot,
    HandoffAfterDot,
    HandoffAfterReply,
    DeliveryBeforeDot,
    DeliveryAfterDot,
    DeliveryAfterReply,
    DeliveryAfterJournal,
    NoticeBeforeCommit,
    NoticeAfterCommit,
    SegmentBeforeDelete,
    QuarantineBeforeWrite,
    QuarantineAfterWrite,
    QuarantineAfterLink,
    QuarantineAfterSync,
    ReleaseBeforeForget,
    ReleaseAfterForget,
}

impl Point {
    pub const ALL: [(&'static str, Self); 26] = [
        ("connected", Self::Connected),
        ("mail-accepted", Self::MailAccepted),
        ("rcpt-accepted", Self::RcptAccepted),
        ("body-started", Self::BodyStarted),
        ("body-complete", Self::BodyComplete),
        ("spool-before-write", Self::SpoolBeforeWrite),
        ("spool-after-write", Self::SpoolAfterWrite),
        ("spool-after-sync", Self::SpoolAfterSync),
        ("before-reply", Self::BeforeReply),
        ("after-reply", Self::AfterReply),
        ("handoff-before-dot", Self::HandoffBeforeDot),
        ("handoff-after-dot", Self::HandoffAfterDot),
        ("handoff-after-reply", Self::HandoffAfterReply),
        ("delivery-before-dot", Self::DeliveryBeforeDot),
        ("delivery-after-dot", Self::DeliveryAfterDot),
        ("delivery-after-reply", Self::DeliveryAfterReply),
        ("delivery-after-journal", Self::DeliveryAfterJournal),
        ("notice-before-commit", Self::NoticeBeforeCommit),
        ("notice-after-commit", Self::NoticeAfterCommit),
        ("segment-before-delete", Self::SegmentBeforeDelete),
        ("quarantine-before-write", Self::QuarantineBeforeWrite),
        ("quarantine-after-write", Self::QuarantineAfterWrite),
        ("quarantine-after-link", Self::QuarantineAfterLink),
        ("quarantine-after-sync", Self::QuarantineAfterSync),
        ("release-before-forget", Self::ReleaseBeforeForget),
        ("release-after-forget", Self::ReleaseAfterForget),
    ];
}

/// Cheap to clone. `Faults::default()` never fires.
#[derive(Debug, Clone, Default)]
pub struct Faults(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    point: Point,
    left: AtomicU64,
}

impl Faults {
    /// Reads `point` or `point:count`.
    ///
    /// # Errors
    /// Says which points there are, if it is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let known = || Point::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
        let point = Point::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, point)| *point)
            .ok_or_else(|| format!("{name:?} is no drill point; the points are: {}", known()))?;
        let left = count.parse().map_err(|_| format!("{count:?} is no count"))?;
        Ok(Self(Some(Arc::new(Armed { point, left: AtomicU64::new(left) }))))
    }

    /// Dies here if armed for this point and the count is used up.
    pub fn reach(&self, point: Point) {
        let Some(armed) = &self.0 else { return };
        if armed.point == point && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // SIGKILL is delivered before the call returns to user space; this loop is for the reader only.
            loop {
                std::thread::park();
            }
        }
    }
}
