//! Mail by a relay of the operator's, which has judged the sender: lists of senders, TLS and the content are asked, nothing else.

use super::Row;

pub(super) const RCPT: &[Row] = &[
    ("a relay", "relay", "250 relay"),
    ("sender block", "relay block:tenant:domain", "550 5.7.1 #1"),
    ("TLS is asked of everyone", "relay plain tls-from=*", "550 5.7.10 tls *"),
    ("who blocks the relay's network means it", "relay block:tenant:net/24", "550 5.7.1 #1"),
    ("who allows the relay within it means that", "relay allow:tenant:net/32 block:operator:net/24", "250 relay"),
    ("no country block", "relay block:operator:country", "250 relay"),
    ("no network allow", "relay allow:tenant:net/24 zone=+10", "250 relay"),
    ("no known source", "relay zone=+10", "250 relay"),
    ("no reputation", "relay refused level=4", "250 relay"),
    ("no reverse name", "relay ptr=missing ptr-row=default:missing", "250 relay"),
    ("no limit", "relay limit=client", "250 relay"),
    ("no harvest", "relay harvest", "250 relay"),
    ("no greylist", "relay wait", "250 relay"),
    ("an allow without proof", "relay allow:tenant:domain", "250 relay"),
    ("SPF of the relay proves nothing", "relay allow:tenant:domain spf=pass", "250 relay"),
    ("an allow bound to the relay's network", "relay allow:tenant:domain@192.0.2.0/24", "250 #1; skips"),
];

pub(super) const MESSAGE: &[Row] = &[
    ("a relay", "relay", "250 relay"),
    ("no SPF", "relay spf=fail act=spf_fail:reject", "250 relay"),
    ("no DMARC", "relay dmarc=fail/reject", "250 relay"),
    ("no DMARC that can't be had", "relay dmarc=temp/reject", "250 relay"),
    ("no DKIM", "relay dkim=fail act=dkim_fail:reject", "250 relay"),
    ("no author", "relay from=", "550 5.7.1 from"),
    ("no author, of whom the tenant is told", "relay from= act=from_invalid:mark", "250 relay; marked from"),
    ("author block", "relay author:block:tenant:domain", "550 5.7.1 #1"),
    ("sender block", "relay block:mailbox:address", "550 5.7.1 #1"),
    ("an allow by DKIM", "relay allow:tenant:domain dkim=pass", "250 #1; skips"),
    ("an allow without proof", "relay allow:tenant:domain", "250 relay"),
    ("an allow of the author by DKIM", "relay author:allow:tenant:domain dkim=pass", "250 #1; skips"),
];

pub(super) const WHOLE: &[Row] = &[
    ("malware", "relay eicar", "scan: Malware"),
    ("spam", "relay spam", "scan: Spam"),
    ("spam of an allowed sender that is proven", "relay allow:tenant:domain dkim=pass spam", "data: 250 #1; skips"),
    ("spam of an allowed sender that is not", "relay allow:tenant:domain spam", "scan: Spam"),
    ("malware of an allowed sender", "relay allow:tenant:domain dkim=pass eicar", "scan: Malware"),
    ("unknown recipient", "relay unknown-recipient", "rcpt: 550 5.1.1 recipient"),
];
