//! Outbound mail: who may send as whom.
//!
//! # Whose is the client
//!
//! By login, by certificate, by network, in this order. The addresses of a shared cloud prove nothing, because every customer of the cloud
//! sends from them. There a tenant is known by a field that its connector puts into each message:
//!
//! ```toml
//! [[tenant.outbound_client]]
//! network = ["192.0.2.0/24", "198.51.100.0/24"]     # one, or several
//! header = "X-Acme-Tenant"                          # any name that begins with X-
//! value = "0f8b2c9d4e6a71530f8b2c9d"                # 16 to 200 characters, better random
//! ```
//!
//! Several tenants may name the same network, each with a value of its own; nobody may have that network for himself. The store
//! keeps the value's SHA-256 alone. The owner of the envelope sender's domain is taken for the client at MAIL; at the end of data each field of
//! that name must bear its value, otherwise 550. The field is taken out before anything else looks at the message. Mail with a
//! null sender has no domain to find the tenant by: on a shared network it is refused at MAIL (550); let such servers log in, or give
//! them a certificate.
//!
//! # The envelope and the header
//!
//! The envelope sender is of one of the tenant's domains, or empty. So is every address of From, Sender, Resent-From and Resent-Sender, at
//! every occurrence, in groups too; there is one From with an address, and one Sender at most. Subdomains are domains of their own. This
//! holds for notices (null sender) as for all other mail. What can be read in two ways is refused, because another reader may see somebody else:
//!
//! | refused (550) | because |
//! |---|---|
//! | an address of a domain that is not the tenant's, also as an unquoted name before brackets | it is somebody else's |
//! | no From, or none with an address; two From or Sender fields | readers take the first, the last, or none |
//! | routes, `%` and `!` before the `@`, two `@`, text behind brackets, unclosed quotes, address literals | servers and programs of old read another address |
//! | encoded words in an address, or with brackets, commas and a foreign address in a name | some decode first |
//! | characters that fold to `@`, brackets and the like, or that don't show | they look like another address |
//! | octets that are no UTF-8, control characters, NUL, lone CR or LF, lines of the header that are no fields | each reader ends the line elsewhere |
//!
//! A name that looks like an address (`"ceo@other.example" <aoi@acme.example>`) passes here: detectors of impersonation judge it. All
//! this is asked before the content; `sekisho_outbound_author_refusals_total` says why mail was refused.
//!
//! # Forwards
//!
//! A tenant's server that sends on mail of others keeps their envelope sender, and is refused (550). With
//!
//! ```toml
//! [[tenant]]
//! id = "acme"
//! forwards = "srs"       # "refuse" is the default
//! ```
//!
//! such a sender is rewritten (SRS) onto the tenant's first domain: `SRS0=hash=day=sender.example=list@acme.example`, or `SRS1=` for what
//! another server rewrote before. Authors that are not the tenant's then pass if there is one author domain, and a DKIM signature
//! of exactly that domain holds now; 451 if the DNS doesn't answer. Such mail is scanned like all other, and not signed by us. A sender too long to
//! be rewritten into 64 characters is refused.
//!
//! Mail to an `SRS0=` or `SRS1=` address of that domain is unwrapped if it is a notice (null sender), the hash holds and, for `SRS0`, it is 21
//! days old at most; anything else is told that there is no such recipient. It is judged as outbound mail of the tenant and goes to the first
//! sender. Our own notices take the same way. The secret is in `srs.key` of the data directory, made at the first start, 0600; nodes that
//! share a tenant need the same one.
