//! Detectors that did not answer, scans that could not be done.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    ("no scan", "noscan", "defer 451 4.7.1; unscannable; no scan"),
    ("no scan, second time", "noscan tries=1", "defer 451 4.7.1; unscannable; no scan"),
    ("no scan, third time", "noscan tries=2", "defer 451 4.7.1; unscannable; no scan"),
    ("no scan, once too often", "noscan tries=3", "quarantine as unscannable; unscannable; no scan"),
    (
        "no scan, tenant delivers the unscannable",
        "noscan tries=9 act:unscannable=deliver",
        "quarantine as unscannable; unscannable; no scan",
    ),
    ("no antivirus", "silent=clamd", "defer 451 4.7.1; unscannable; no clamd"),
    ("no ICAP", "silent=icap", "defer 451 4.7.1; unscannable; no icap"),
    ("no hashes", "silent=hashes", "defer 451 4.7.1; unscannable; no hashes"),
    ("no rules", "silent=rules", "defer 451 4.7.1; unscannable; no rules"),
    ("no YARA", "silent=yara", "defer 451 4.7.1; unscannable; no yara"),
    ("no rules of SpamAssassin", "silent=spamassassin", "defer 451 4.7.1; unscannable; no spamassassin"),
    ("no file rules", "silent=files", "defer 451 4.7.1; unscannable; no files"),
    ("no structure", "silent=structure", "defer 451 4.7.1; unscannable; no structure"),
    ("no rspamd: degraded", "silent=rspamd", "deliver; clean"),
    ("no spamd: degraded", "silent=spamd", "deliver; clean"),
    ("no classifier: degraded", "silent=classifier", "deliver; clean"),
    ("no feeds: degraded", "silent=feeds", "deliver; clean"),
    ("no look at impersonation: degraded", "silent=impersonation", "deliver; clean"),
    ("no look at bulk: degraded", "silent=bulk", "deliver; clean"),
    ("degraded, and spam", "silent=rspamd spam=5", "quarantine as spam; spam"),
    ("the first silent one is named", "silent=clamd silent=rspamd", "defer 451 4.7.1; unscannable; no clamd"),
    ("no antivirus, once too often", "silent=clamd tries=3", "quarantine as unscannable; unscannable; no clamd"),
    (
        "no antivirus, tenant delivers the unscannable",
        "silent=clamd tries=3 act:unscannable=deliver",
        "quarantine as unscannable; unscannable; no clamd",
    ),
    ("no antivirus, but a virus by hash", "silent=clamd malware", "quarantine as malware; malware"),
    ("no antivirus, a virus, tenant rejects", "silent=clamd malware act:malware=reject", "reject 550 5.7.1; malware"),
    ("no antivirus, and spam: later", "silent=clamd spam=9", "defer 451 4.7.1; unscannable spam; no clamd"),
    (
        "no antivirus, and spam, tenant rejects: later",
        "silent=clamd spam=9 act:spam=reject",
        "defer 451 4.7.1; unscannable spam; no clamd",
    ),
    (
        "no antivirus, and a risky file: later",
        "silent=clamd risky",
        "defer 451 4.7.1; risky-file unscannable; no clamd",
    ),
    (
        "no antivirus, nothing told",
        "silent=clamd spam=9 act:spam=quarantine+notify",
        "defer 451 4.7.1; unscannable spam; no clamd",
    ),
    ("no antivirus, and beyond a budget", "silent=clamd unchecked=time:1", "defer 451 4.7.1; unscannable; no clamd"),
    ("time ran out", "unchecked=time:2/a.zip/b", "quarantine as unscannable; unscannable"),
    ("time ran out, and spam", "unchecked=time:1 spam=5", "quarantine as unscannable; unscannable spam"),
];
