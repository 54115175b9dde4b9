//! What an attacker tries, and where it ends.
//!
//! | attempt | ends at |
//! |---|---|
//! | SMTP smuggling: another message inside one (`LF.LF`, `CR.CR`, BDAT mixes) | `smtp::body`: DATA ends at CRLF.CRLF and nowhere else; a bare CR, bare LF or NUL refuses the whole message; output is canonical CRLF |
//! | smuggling past us to a lenient next hop | the same: what we refuse we never pass on; no client is exempt, loopback included |
//! | STARTTLS injection, as server | `smtp::session`: plaintext behind STARTTLS is dropped, everything before is forgotten |
//! | STARTTLS injection and stripping, as client | `delivery::connect`: what was read before the handshake is dropped; `required` and `verified` never go on without TLS |
//! | commands pipelined where RFC 2920 forbids | `smtp::dialogue`: the connection is closed |
//! | talking before the greeting; HTTP or TLS on a plain port | closed at once |
//! | relaying: `%`, `!`, source routes, quoted local parts, address literals, other tenants' domains | one address parser ([`Address::parse`](crate::model::Address::parse)) for authorisation and routing; `policy::rcpt` refuses what asks for routing before any list is asked |
//! | sending as another tenant | `policy::mail`: the sender's domain must belong to the client's tenant |
//! | pretending to be another client | PROXY and XCLIENT from configured addresses only; no login before TLS |
//! | guessing passwords | an unknown user costs the time of a wrong password; hashes are argon2; checks at once are bounded |
//! | memory by claims (SIZE, BDAT lengths, literals) | nothing is reserved by what a client says |
//! | memory by many connections | a total, a share per address, reserves of memory and descriptors; an idle session owns no buffer |
//! | slowness (slowloris, one byte a minute) | `intake::deadlines`: fixed deadlines, a total, a least rate |
//! | disk by volume | 452 before space or inodes run out |
//! | backscatter through us | refusals are said at SMTP; a notice is written only for mail that was accepted, never to a null sender |
//! | mail loops | Received fields counted; our own MX among a domain's MX ends the route |
//! | lying DNS: null MX, MX to ourselves, no answer | `delivery::route`; no answer is a deferral, never a failure |
//! | control characters and bidirectional text in logs and listings | escaped in the mail log, replaced in tables, length-capped |
//! | forging queue records in a body | frames are bound to a random epoch |
//! | the control socket | mode 0600 in the data directory: who may open it is the operator |
//! | sending as somebody on an allow list | `policy::sender`: an entry counts only for an authenticated sender or from its bound network, and never spares malware, attachment and content rules |
//! | switching DMARC off by an empty envelope sender, or by two From fields | `policy::sender`: both are judged like any other mail, the second is refused |
//! | forging an ARC chain | only the newest seal counts, and only of sealers the tenant names |
//! | a tenant that writes another's address into From, or hides it there | `policy::author`: every address of the author fields is the tenant's; what can be read in two ways is refused (see [`outbound`](super::outbound)) |
//! | another customer of a shared cloud | the network proves nothing: each message bears a field with the tenant's secret, compared in constant time and taken out |
//! | a relay made of rewritten senders (SRS) | `policy::srs`: 40 bits of HMAC over the address and its domain, 21 days, notices only, scanned |
//! | reading signing keys | `keys.db` is 0600, retired keys are erased; no command, log or error shows a private key (see [`signing`](super::signing)) |
//! | a panic in a parser | ends one connection; `forbid(unsafe_code)`, no `unwrap` outside tests, fuzz targets |
//!
//! Not defended: an operator with the machine's root; a next hop that says 250 and loses the mail; traffic analysis.
//! Sender reputation, authentication of senders (SPF, DKIM, DMARC, ARC) and content checks are not there yet.
