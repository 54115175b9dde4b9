//! Every pair of neighbouring stages at RCPT: both object and the first is heard; only the second objects; the first
//! speaks for the mail.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    ("nothing at all", "", "250 nothing"),
    // sender lists, TLS
    ("sender block before TLS", "block:tenant:domain plain tls-from=*", "550 5.7.1 #1"),
    ("TLS alone", "plain tls-from=*", "550 5.7.10 tls *"),
    ("a sender allow does not lift TLS", "allow:tenant:domain spf=pass plain tls-from=*", "550 5.7.10 tls *"),
    ("a bound allow does not lift TLS", "allow:tenant:domain@192.0.2.0/24 plain tls-from=*", "550 5.7.10 tls *"),
    ("an unproven allow does not lift TLS", "allow:tenant:domain plain tls-from=*", "550 5.7.10 tls *"),
    ("sender block with TLS", "block:tenant:domain tls-from=*", "550 5.7.1 #1"),
    // TLS, client lists
    ("TLS before a network block", "plain tls-from=* block:tenant:net/24", "550 5.7.10 tls *"),
    ("a network allow does not lift TLS", "plain tls-from=* allow:tenant:net/24", "550 5.7.10 tls *"),
    ("encrypted, then the network block", "tls-from=* block:tenant:net/24", "550 5.7.1 #1"),
    ("encrypted as required", "tls-from=*", "250 nothing"),
    ("TLS before a country block", "plain tls-from=* block:tenant:country", "550 5.7.10 tls *"),
    ("TLS from a sender domain", "plain tls-from=partner.example", "550 5.7.10 tls partner.example"),
    ("TLS from below a sender domain", "plain tls-from=example", "550 5.7.10 tls example"),
    ("TLS from another sender domain", "plain tls-from=other.example", "250 nothing"),
    ("TLS from a name that only ends alike", "plain tls-from=ner.example", "250 nothing"),
    ("TLS from the client's network", "plain tls-from=192.0.2.0/24", "550 5.7.10 tls 192.0.2.0/24"),
    ("TLS from another network", "plain tls-from=198.51.100.0/24", "250 nothing"),
    ("TLS for a domain is no matter of the empty sender", "plain tls-from=partner.example null", "250 nothing"),
    ("TLS from everyone is, for the empty sender too", "plain tls-from=* null", "550 5.7.10 tls *"),
    // sender lists, client lists
    ("sender block before a network allow", "block:tenant:address allow:tenant:net/32", "550 5.7.1 #1"),
    ("sender block before a network block", "block:tenant:address block:operator:net/32", "550 5.7.1 #1"),
    ("a sender allow lifts a network block", "allow:tenant:domain spf=pass block:tenant:net/24", "250 #1; skips"),
    ("a sender allow lifts a country block", "allow:tenant:domain spf=pass block:tenant:country", "250 #1; skips"),
    // client lists, known sources
    ("network block before known sources", "block:tenant:net/24 zone=+10", "550 5.7.1 #1"),
    ("country block before known sources", "block:tenant:country zone=+10", "550 5.7.1 #1"),
    ("known source alone", "zone=+10", "550 5.7.1 list +10"),
    ("network allow lifts known sources", "allow:tenant:net/24 zone=+10", "250 #1"),
    ("country allow lifts known sources", "allow:tenant:country zone=+10", "250 #1"),
    // network, country
    ("network block before a country allow", "block:operator:net/8 allow:mailbox:country", "550 5.7.1 #1"),
    ("network allow before a country block", "allow:operator:net/8 block:mailbox:country", "250 #1"),
    // client lists, reputation
    ("network block before reputation", "block:tenant:net/24 delayed", "550 5.7.1 #1"),
    ("network allow lifts reputation", "allow:tenant:net/24 delayed", "250 #1"),
    ("network allow lifts the highest level", "allow:tenant:net/24 refused level=4", "250 #1"),
    ("country allow lifts reputation", "allow:tenant:country delayed", "250 #1"),
    // known sources, reputation
    ("known source before reputation", "zone=+10 delayed", "550 5.7.1 list +10"),
    ("reputation alone", "delayed", "450 4.7.1 reputation"),
    ("known sources switched off, then reputation", "zones-off zone=+10 delayed", "450 4.7.1 reputation"),
    ("a list of good senders does not lift reputation", "zone=-10 delayed", "450 4.7.1 reputation"),
    // reputation, reverse name
    ("reputation before the reverse name", "delayed ptr=missing ptr-row=default:missing", "450 4.7.1 reputation"),
    ("reverse name alone", "ptr=missing ptr-row=default:missing", "550 5.7.25 ptr default missing"),
    (
        "level 0, then the reverse name",
        "level=0 delayed ptr=missing ptr-row=default:missing",
        "550 5.7.25 ptr default missing",
    ),
    ("known source before the reverse name", "zone=+1 ptr=missing ptr-row=default:missing", "550 5.7.1 list +1"),
    ("network allow lifts the reverse name", "allow:tenant:net/24 ptr=missing ptr-row=default:missing", "250 #1"),
    (
        "country allow does not lift the reverse name",
        "allow:tenant:country ptr=missing ptr-row=default:missing",
        "550 5.7.25 ptr default missing",
    ),
    // reverse name, limits
    (
        "reverse name before limits",
        "ptr=missing ptr-row=default:missing limit=client",
        "550 5.7.25 ptr default missing",
    ),
    ("limit alone", "limit=client", "450 4.7.1 limit client"),
    ("limit of the sender", "limit=sender", "450 4.7.1 limit sender"),
    ("limit of the recipient", "limit=recipient", "450 4.2.1 limit recipient"),
    ("limits before harvest", "limit=recipient harvest", "450 4.2.1 limit recipient"),
    ("harvest alone", "harvest", "450 4.7.1 harvest"),
    ("reputation before limits", "delayed limit=recipient", "450 4.7.1 reputation"),
    ("no network allow lifts limits", "allow:tenant:net/32 limit=client", "450 4.7.1 limit client"),
    ("no network allow lifts harvest", "allow:tenant:net/32 harvest", "450 4.7.1 harvest"),
    ("no country allow lifts limits", "allow:tenant:country limit=client", "450 4.7.1 limit client"),
    ("no sender allow lifts limits", "allow:mailbox:address spf=pass limit=client", "450 4.7.1 limit client"),
    ("no sender allow lifts harvest", "allow:mailbox:address spf=pass harvest", "450 4.7.1 harvest"),
    ("no unproven allow lifts limits", "allow:mailbox:address delayed limit=client", "450 4.7.1 limit client"),
    // limits, greylist
    ("limits before the greylist", "limit=client wait", "450 4.7.1 limit client"),
    ("harvest before the greylist", "harvest wait", "450 4.7.1 harvest"),
    ("greylist alone", "wait", "451 4.7.1 greylist"),
    ("network allow lifts the greylist", "allow:tenant:net/24 wait", "250 #1"),
    ("country allow does not lift the greylist", "allow:tenant:country wait", "451 4.7.1 greylist"),
    ("sender allow lifts the greylist", "allow:tenant:domain spf=pass wait", "250 #1; skips"),
    ("reverse name before the greylist", "ptr=missing ptr-row=default:missing wait", "550 5.7.25 ptr default missing"),
    ("known source before the greylist", "zone=+3 wait", "550 5.7.1 list +3"),
    // everything at once: each stage in turn
    (
        "everything objects",
        "block:mailbox:address plain tls-from=* block:tenant:net/24 zone=+1 delayed ptr=missing ptr-row=default:missing limit=client harvest",
        "550 5.7.1 #1",
    ),
    (
        "everything but the sender lists",
        "plain tls-from=* block:tenant:net/24 zone=+1 delayed ptr=missing ptr-row=default:missing limit=client harvest",
        "550 5.7.10 tls *",
    ),
    (
        "everything from the client lists on",
        "block:tenant:net/24 zone=+1 delayed ptr=missing ptr-row=default:missing limit=client harvest",
        "550 5.7.1 #1",
    ),
    (
        "everything from known sources on",
        "zone=+1 delayed ptr=missing ptr-row=default:missing limit=client harvest",
        "550 5.7.1 list +1",
    ),
    (
        "everything from reputation on",
        "delayed ptr=missing ptr-row=default:missing limit=client harvest",
        "450 4.7.1 reputation",
    ),
    (
        "everything objects and the sender is allowed: limits remain",
        "allow:mailbox:address spf=pass block:tenant:net/24 zone=+1 delayed ptr=missing ptr-row=default:missing limit=client",
        "450 4.7.1 limit client",
    ),
    (
        "everything but limits objects and the sender is allowed",
        "allow:mailbox:address spf=pass block:tenant:net/24 zone=+1 refused level=4 ptr=missing ptr-row=default:missing",
        "250 #1; skips",
    ),
];
