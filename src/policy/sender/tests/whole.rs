//! RCPT and end of data together: what RCPT leaves open, and that no list spares the scan.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    ("clean", "", "data: 250 nothing"),
    // recipient, sender lists
    (
        "unknown recipient before the sender block",
        "unknown-recipient block:mailbox:address",
        "rcpt: 550 5.1.1 recipient",
    ),
    (
        "unknown recipient, allowed sender",
        "unknown-recipient allow:tenant:domain spf=pass",
        "rcpt: 550 5.1.1 recipient",
    ),
    ("valid recipient, then the sender block", "block:mailbox:address", "rcpt: 550 5.7.1 #1"),
    // greylist, authentication
    ("greylist before DMARC", "wait dmarc=fail/reject", "rcpt: 451 4.7.1 greylist"),
    ("DMARC after the greylist", "unknown dmarc=fail/reject", "data: 550 5.7.26 dmarc"),
    ("network allow does not lift DMARC", "allow:tenant:net/24 dmarc=fail/reject", "data: 550 5.7.26 dmarc"),
    // the spoofer of an allowed domain
    (
        "spoofed, bad server: delayed after the body",
        "allow:tenant:domain delayed spf=fail",
        "data: 450 4.7.1 reputation",
    ),
    ("spoofed, known source", "allow:tenant:domain zone=+10 spf=fail", "data: 550 5.7.1 list +10"),
    ("spoofed, blocked network", "allow:tenant:domain block:tenant:net/24 spf=fail", "data: 550 5.7.1 #2"),
    ("spoofed, blocked country", "allow:mailbox:address block:tenant:country", "data: 550 5.7.1 #2"),
    (
        "spoofed, with a signature of the spoofer's own",
        "allow:tenant:domain zone=+10 dkim=pass@evil.test",
        "data: 550 5.7.1 list +10",
    ),
    (
        "spoofed, with SPF of the spoofer's HELO alone",
        "allow:tenant:domain zone=+10 spf=pass@evil.test",
        "data: 550 5.7.1 list +10",
    ),
    ("spoofed, with a broken signature", "allow:tenant:domain zone=+10 dkim=fail", "data: 550 5.7.1 list +10"),
    (
        "spoofed author, own envelope",
        "allow:tenant:domain sender=x@evil.test from=partner.example zone=+10 dmarc=fail/none",
        "data: 550 5.7.1 list +10",
    ),
    ("spoofed, p=reject", "allow:tenant:domain spf=fail dmarc=fail/reject", "data: 550 5.7.26 dmarc"),
    ("spoofed spam is not spared the check", "allow:tenant:domain spf=fail spam", "scan: Spam"),
    ("spoofed, greylisted", "allow:tenant:domain wait", "data: 451 4.7.1 greylist"),
    (
        "spoofed, from a network that an entry is bound to elsewhere",
        "allow:tenant:domain@198.51.100.0/24 zone=+10",
        "rcpt: 550 5.7.1 list +10",
    ),
    // the allowed sender with a bad server
    ("rescued by DKIM", "allow:tenant:domain delayed spf=fail dkim=pass", "data: 250 #1; skips; marked spf"),
    ("rescued by DKIM from a known source", "allow:tenant:domain zone=+10 dkim=pass", "data: 250 #1; skips"),
    (
        "rescued by DKIM from a blocked network",
        "allow:tenant:domain block:tenant:net/24 dkim=pass",
        "data: 250 #1; skips",
    ),
    ("rescued by DMARC", "allow:tenant:domain refused level=4 dmarc=pass", "data: 250 #1; skips"),
    ("rescued by SPF at once", "allow:tenant:domain zone=+10 spf=pass", "data: 250 #1; skips"),
    ("rescued by its network at once", "allow:tenant:domain@192.0.2.0/24 zone=+10", "data: 250 #1; skips"),
    ("rescued from the greylist", "allow:tenant:domain wait dkim=pass", "data: 250 #1; skips"),
    (
        "rescued, but the proof can't be had: later",
        "allow:tenant:domain zone=+10 dkim=temp",
        "data: 451 4.7.26 list +10",
    ),
    ("rescued, but SPF can't be had: later", "allow:tenant:domain block:tenant:net/24 spf=temp", "data: 451 4.7.26 #2"),
    (
        "rescued, but the author is blocked",
        "allow:tenant:domain zone=+10 dkim=pass author:block:mailbox:domain",
        "data: 550 5.7.1 #2",
    ),
    (
        "not rescued, and the author blocked",
        "allow:tenant:domain zone=+10 author:block:mailbox:domain",
        "data: 550 5.7.1 #2",
    ),
    (
        "rescued, but DMARC of another author",
        "allow:tenant:domain zone=+10 dkim=pass from=bank.example dmarc=fail/reject",
        "data: 550 5.7.26 dmarc",
    ),
    ("provisional before DMARC", "allow:tenant:domain delayed dmarc=fail/reject", "data: 450 4.7.1 reputation"),
    ("provisional before From", "allow:tenant:domain delayed from=-", "data: 450 4.7.1 reputation"),
    // no list spares the scan
    ("EICAR", "eicar", "scan: Malware"),
    ("EICAR of an allowed sender", "allow:mailbox:address spf=pass eicar", "scan: Malware"),
    ("EICAR of a sender allowed by the operator", "allow:operator:domain dkim=pass eicar", "scan: Malware"),
    ("EICAR from a bound network", "allow:tenant:domain@192.0.2.0/24 eicar", "scan: Malware"),
    ("EICAR from an allowed network", "allow:operator:net/32 eicar", "scan: Malware"),
    ("EICAR from an allowed country", "allow:tenant:country eicar", "scan: Malware"),
    ("EICAR of a rescued sender", "allow:tenant:domain zone=+10 dkim=pass eicar", "scan: Malware"),
    ("EICAR over a trusted sealer", "eicar arc=pass@list.example sealer=list.example", "scan: Malware"),
    ("EICAR in spam of an allowed sender", "allow:tenant:domain spf=pass eicar spam", "scan: Malware"),
    // what an allow does spare
    ("spam", "spam", "scan: Spam"),
    ("spam of an allowed sender", "allow:tenant:domain spf=pass spam", "data: 250 #1; skips"),
    ("spam of a rescued sender", "allow:tenant:domain zone=+10 dkim=pass spam", "data: 250 #1; skips"),
    ("spam from an allowed network is spam", "allow:tenant:net/32 spam", "scan: Spam"),
    ("spam of a sender whose allow is over", "allow:tenant:domain~expired spf=pass spam", "scan: Spam"),
    ("expired allow rescues nobody", "allow:tenant:domain~expired zone=+10 dkim=pass", "rcpt: 550 5.7.1 list +10"),
    ("expired block blocks nobody", "block:tenant:domain~expired", "data: 250 nothing"),
];
