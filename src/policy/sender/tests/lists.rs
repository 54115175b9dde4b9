//! Four layers of sender lists, overlapping networks, and entries whose time is over.

use super::Row;

pub(super) const SENDER: &[Row] = &[
    // each layer alone
    ("mailbox block", "block:mailbox:address", "550 5.7.1 #1"),
    ("domain block", "block:domain:address", "550 5.7.1 #1"),
    ("tenant block", "block:tenant:address", "550 5.7.1 #1"),
    ("operator block", "block:operator:address", "550 5.7.1 #1"),
    ("mailbox allow", "allow:mailbox:address spf=pass", "250 #1; skips"),
    ("domain allow", "allow:domain:address spf=pass", "250 #1; skips"),
    ("tenant allow", "allow:tenant:address spf=pass", "250 #1; skips"),
    ("operator allow", "allow:operator:address spf=pass", "250 #1; skips"),
    // each pair of layers
    ("mailbox block, administrator's block", "block:tenant:domain block:mailbox:domain", "550 5.7.1 #2"),
    ("mailbox block, mailbox allow", "allow:mailbox:address block:mailbox:domain spf=pass", "550 5.7.1 #2"),
    ("mailbox block, administrator's allow", "allow:tenant:address block:mailbox:domain spf=pass", "550 5.7.1 #2"),
    ("administrator's block, mailbox allow", "allow:mailbox:address block:tenant:domain spf=pass", "550 5.7.1 #2"),
    ("domain block, mailbox allow", "allow:mailbox:address block:domain:domain spf=pass", "550 5.7.1 #2"),
    ("operator block, mailbox allow", "allow:mailbox:address block:operator:domain spf=pass", "550 5.7.1 #2"),
    ("administrator's block and allow", "allow:tenant:address block:tenant:domain spf=pass", "550 5.7.1 #2"),
    ("operator block, tenant allow", "allow:tenant:address block:operator:domain spf=pass", "550 5.7.1 #2"),
    ("tenant block, operator allow", "allow:operator:address block:tenant:domain spf=pass", "550 5.7.1 #2"),
    ("mailbox allow, administrator's allow", "allow:tenant:address allow:mailbox:domain spf=pass", "250 #2; skips"),
    // all four
    (
        "all four layers",
        "allow:tenant:address allow:mailbox:address block:tenant:address block:mailbox:address spf=pass",
        "550 5.7.1 #4",
    ),
    (
        "three layers without the mailbox block",
        "allow:tenant:address allow:mailbox:address block:tenant:address spf=pass",
        "550 5.7.1 #3",
    ),
    // among an administrator's: the narrower scope, then the address
    ("domain before tenant", "block:tenant:domain block:domain:domain", "550 5.7.1 #2"),
    ("tenant before operator", "block:operator:domain block:tenant:domain", "550 5.7.1 #2"),
    ("domain before operator, allowing", "allow:operator:domain allow:domain:domain spf=pass", "250 #2; skips"),
    ("address before domain", "block:tenant:domain block:tenant:address", "550 5.7.1 #2"),
    ("address before domain, allowing", "allow:tenant:domain allow:tenant:address spf=pass", "250 #2; skips"),
    ("narrow domain before wide address", "block:operator:address block:tenant:domain", "550 5.7.1 #2"),
    // authentication
    ("an allow without need of it", "allow:tenant:domain", "250 nothing"),
    (
        "SPF of another domain proves nothing",
        "allow:tenant:domain spf=pass@other.test delayed",
        "250 #1; else 450 4.7.1 reputation",
    ),
    (
        "SPF of the same organization proves",
        "allow:tenant:domain spf=pass@mail.partner.example delayed",
        "250 #1; skips",
    ),
    ("SPF fails and reputation delays", "allow:tenant:domain spf=fail delayed", "250 #1; else 450 4.7.1 reputation"),
    ("SPF neutral", "allow:tenant:domain spf=neutral delayed", "250 #1; else 450 4.7.1 reputation"),
    ("SPF not to be had", "allow:tenant:domain spf=temp delayed", "250 #1; else 450 4.7.1 reputation"),
    ("SPF not asked", "allow:tenant:domain delayed", "250 #1; else 450 4.7.1 reputation"),
    // what an unproven allow puts off, stage by stage
    ("postponed: network block", "allow:tenant:domain block:tenant:net/24", "250 #1; else 550 5.7.1 #2"),
    ("postponed: country block", "allow:tenant:domain block:tenant:country", "250 #1; else 550 5.7.1 #2"),
    ("postponed: known source", "allow:tenant:domain zone=+10", "250 #1; else 550 5.7.1 list +10"),
    ("postponed: refused by reputation", "allow:tenant:domain refused level=4", "250 #1; else 550 5.7.1 reputation"),
    (
        "postponed: reverse name",
        "allow:tenant:domain ptr=missing ptr-row=default:missing",
        "250 #1; else 550 5.7.25 ptr default missing",
    ),
    ("postponed: greylist", "allow:tenant:domain wait", "250 #1; else 451 4.7.1 greylist"),
    ("postponed: the first of several", "allow:tenant:domain zone=+10 delayed", "250 #1; else 550 5.7.1 list +10"),
    (
        "the mailbox owner's speaks for the sender",
        "allow:tenant:domain allow:mailbox:domain delayed",
        "250 #2; else 450 4.7.1 reputation",
    ),
    ("not put off: sender block", "allow:tenant:domain block:mailbox:domain", "550 5.7.1 #2"),
    // bound entries
    ("bound, from its network", "allow:tenant:domain@192.0.2.0/24 delayed", "250 #1; skips"),
    ("bound, one address", "allow:tenant:domain@192.0.2.10/32 zone=+10", "250 #1; skips"),
    ("bound, from its network, though SPF fails", "allow:tenant:domain@192.0.2.0/24 spf=fail delayed", "250 #1; skips"),
    ("bound, from elsewhere", "allow:tenant:domain@198.51.100.0/24 delayed", "450 4.7.1 reputation"),
    (
        "bound, from elsewhere, though authenticated",
        "allow:tenant:domain@198.51.100.0/24 spf=pass delayed",
        "450 4.7.1 reputation",
    ),
    ("bound to IPv6, client of IPv4", "allow:tenant:domain@2001:db8::/32 delayed", "450 4.7.1 reputation"),
    ("bound to IPv6, from its network", "ip=2001:db8::25 allow:tenant:domain@2001:db8::/32 delayed", "250 #1; skips"),
    (
        "bound elsewhere, and an unbound one",
        "allow:mailbox:domain@198.51.100.0/24 allow:tenant:domain spf=pass delayed",
        "250 #2; skips",
    ),
    (
        "unproven, and a bound one that counts",
        "allow:mailbox:domain allow:tenant:domain@192.0.2.0/24 delayed",
        "250 #2; skips",
    ),
    ("bound, but blocked", "allow:tenant:domain@192.0.2.0/24 block:tenant:address", "550 5.7.1 #2"),
    (
        "a bound entry is no entry for the network",
        "allow:tenant:domain@192.0.2.0/24 sender=x@partner.example wait",
        "250 #1; skips",
    ),
];

pub(super) const CLIENT: &[Row] = &[
    ("network block", "block:tenant:net/24", "550 5.7.1 #1"),
    ("network allow", "allow:tenant:net/24", "250 #1"),
    ("country block", "block:tenant:country", "550 5.7.1 #1"),
    ("country allow", "allow:tenant:country", "250 #1"),
    ("allow inside a block", "block:tenant:net/16 allow:tenant:net/24 zone=+10", "250 #2"),
    ("block inside an allow", "allow:tenant:net/16 block:tenant:net/24", "550 5.7.1 #2"),
    ("one address allowed in a blocked network", "block:tenant:net/24 allow:tenant:net/32", "250 #2"),
    ("one address blocked in an allowed network", "allow:tenant:net/24 block:tenant:net/32", "550 5.7.1 #2"),
    ("equal prefixes: allow wins", "block:tenant:net/24 allow:tenant:net/24", "250 #2"),
    ("equal prefixes: a wide scope's allow wins too", "block:mailbox:net/24 allow:operator:net/24", "250 #2"),
    ("the longer prefix of a wide scope wins", "allow:mailbox:net/16 block:operator:net/24", "550 5.7.1 #2"),
    ("the longer prefix of a narrow scope wins", "block:operator:net/16 allow:tenant:net/24", "250 #2"),
    ("equal in all but scope: the narrower", "block:operator:net/24 block:tenant:net/24", "550 5.7.1 #2"),
    ("three deep, allow innermost", "allow:tenant:net/8 block:tenant:net/16 allow:tenant:net/24", "250 #3"),
    ("three deep, block innermost", "block:tenant:net/8 allow:tenant:net/16 block:tenant:net/24", "550 5.7.1 #3"),
    (
        "four deep over four scopes",
        "block:mailbox:net/8 allow:domain:net/16 block:tenant:net/24 allow:operator:net/32 delayed",
        "250 #4",
    ),
    ("IPv6: allow inside a block", "ip=2001:db8::25 block:tenant:net/32 allow:tenant:net/48", "250 #2"),
    ("IPv6: block inside an allow", "ip=2001:db8::25 allow:tenant:net/48 block:tenant:net/64", "550 5.7.1 #2"),
    ("countries: allow wins", "block:tenant:country allow:tenant:country", "250 #2"),
    ("countries: allow wins from any scope", "block:mailbox:country allow:operator:country", "250 #2"),
    ("a wide network before a country", "allow:tenant:country block:tenant:net/8", "550 5.7.1 #2"),
    ("a client entry is none for the sender", "allow:tenant:net/24 block:tenant:domain", "550 5.7.1 #2"),
];

pub(super) const EXPIRED: &[Row] = &[
    ("expired sender block", "block:tenant:domain~expired", "250 nothing"),
    ("sender block with time left", "block:tenant:domain~later", "550 5.7.1 #1"),
    ("expired sender allow", "allow:tenant:domain~expired spf=pass delayed", "450 4.7.1 reputation"),
    ("sender allow with time left", "allow:tenant:domain~later spf=pass delayed", "250 #1; skips"),
    (
        "expired block over an allow",
        "block:mailbox:address~expired allow:tenant:address spf=pass delayed",
        "250 #2; skips",
    ),
    ("expired allow under a block", "allow:mailbox:address~expired block:tenant:address", "550 5.7.1 #2"),
    ("expired network block", "block:tenant:net/24~expired", "250 nothing"),
    ("expired network allow", "allow:tenant:net/24~expired zone=+10", "550 5.7.1 list +10"),
    ("expired inner network", "block:tenant:net/16 allow:tenant:net/24~expired", "550 5.7.1 #1"),
    ("expired outer network", "block:tenant:net/16~expired allow:tenant:net/24", "250 #2"),
    ("expired country block", "block:tenant:country~expired", "250 nothing"),
    ("expired bound allow", "allow:tenant:domain@192.0.2.0/24~expired delayed", "450 4.7.1 reputation"),
    ("expired allow leaves nothing open", "allow:tenant:domain~expired delayed", "450 4.7.1 reputation"),
];
