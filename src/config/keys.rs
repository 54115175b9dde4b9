//! Every settings key there is: name, type, default, meaning, and whether a reload brings it into force. This table
//! drives reading, checking, showing and explaining; [`super::settings`] turns the values into types.
//!
//! **Invariants**: every default is a valid value of its kind; every key is used by [`super::settings`] (a test each).

use serde::Serialize;

use super::kind::Kind;

/// What brings a changed value into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// SIGHUP; what runs already (a connection, an attempt) ends under the old value.
    Reload,
    Restart,
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// With its section: `smtp.command_timeout`.
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written; lists as in TOML. Empty: none.
    pub default: &'static str,
    /// What stands for the default where there is none.
    pub absent: &'static str,
    pub effect: Effect,
    pub doc: &'static str,
}

impl Key {
    /// Without its section.
    #[must_use]
    pub fn last(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

pub(super) const fn live(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, absent: "", effect: Effect::Reload, doc }
}

pub(super) const fn fixed(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, absent: "", effect: Effect::Restart, doc }
}

impl Key {
    pub(super) const fn or(self, absent: &'static str) -> Self {
        Self { absent, ..self }
    }
}

const SIGNLESS: i64 = i64::MAX;

/// All keys but those of the [`TABLES`], by section.
pub static KEYS: &[Key] = &[
    fixed("hostname", Kind::Hostname, "", "The gateway's name: in greetings, EHLO, Received and Message-ID fields.")
        .or("required"),
    fixed("data_dir", Kind::Path, "/var/lib/sekisho", "Where tenants, spool and mail log live."),
    fixed(
        "postmaster",
        Kind::MailAddress,
        "",
        "Who is named in notices and gets mail for postmaster at our own name; at a tenant's domain, to be reached.",
    )
    .or("postmaster@hostname"),
    fixed("drain_timeout", Kind::Span, "30s", "How long transactions under way may take to end at SIGTERM."),
    fixed(
        "threads",
        Kind::Integer(1, 1024),
        "",
        "Threads that serve connections, of clients and to next hops. They look into short messages as well, as long as one of them is left.",
    )
    .or("half as many as there are processors, rounded up"),
    fixed(
        "scheduling",
        Kind::Words(&["normal", "batch"]),
        "normal",
        "How the system treats threads that are woken: \"batch\" interrupts nobody. That takes up to a sixth less CPU for a message where the machine has nothing else to do; where anything computes for long it costs milliseconds with each word of a client's.",
    ),
    // -- seeing
    fixed("observe.bind", Kind::SocketOrOff, "127.0.0.1:9925", "Where /metrics, /livez and /readyz are served."),
    fixed("log.mail", Kind::PathOrStdout, "", "The mail log (one JSON object per line): a file, or \"stdout\".")
        .or("mail.log in data_dir"),
    fixed(
        "log.level",
        Kind::Text,
        "info",
        "What the process tells on stderr: error, warn, info, debug, trace, or targets as in `info,sekisho::delivery=debug`.",
    ),
    fixed("log.format", Kind::Words(&["text", "json"]), "text", "The form of what the process tells on stderr."),
    fixed(
        "metrics.max_tenant_series",
        Kind::Integer(0, 100_000),
        "1000",
        "Tenants whose number of accounts has a series of its own: those that use most of what they have agreed on.",
    ),
    // -- accounts
    fixed(
        "accounts.write_every",
        Kind::Span,
        "5s",
        "How often accounts that were seen are written down; numbers are shown only after that.",
    ),
    // -- DNS
    fixed("dns.servers", Kind::Sockets, "[]", "The DNS servers to ask; empty: the system's."),
    fixed("dns.timeout", Kind::Span, "5s", "How long to wait for one answer."),
    fixed("dns.attempts", Kind::Integer(1, 10), "2", "How often a question is asked before it counts as unanswered."),
    fixed("dns.cache_entries", Kind::Integer(0, 10_000_000), "20000", "How many answers are remembered."),
    // -- TLS
    live("tls.certificate", Kind::Path, "", "The certificate chain of listeners that name none, PEM.")
        .or("none: no TLS"),
    live("tls.key", Kind::Path, "", "The private key of tls.certificate, PEM.").or("none"),
    fixed("tls.trust_anchors", Kind::Path, "", "Authorities to trust when a next hop's certificate is verified, PEM.")
        .or("the system's"),
    // -- how much at once
    fixed(
        "limits.max_connections",
        Kind::Integer(1, 1_000_000),
        "15000",
        "Connections at once over all listeners; more get 421.",
    ),
    fixed(
        "limits.max_connections_per_ip",
        Kind::Integer(1, 1_000_000),
        "1000",
        "Connections at once from one address; more get 421.",
    ),
    fixed("limits.memory_reserve", Kind::Size, "64MiB", "No new connection while less memory than this is available."),
    fixed(
        "limits.descriptor_reserve",
        Kind::Integer(10, 1_000_000),
        "200",
        "File descriptors kept free of connections, for spool, delivery and log.",
    ),
    live(
        "limits.body_memory",
        Kind::Size,
        "256MiB",
        "Memory for all bodies being received, beyond the first 64 KiB of each; what does not fit goes to files.",
    ),
    fixed(
        "limits.large_memory",
        Kind::Size,
        "256MiB",
        "Memory for messages in files while they are judged, all together; who finds none in scan.patience gets 451.",
    ),
    // -- the SMTP server
    live("smtp.message_size", Kind::Size, "50MiB", "The largest message, told by SIZE."),
    live(
        "smtp.recipients",
        Kind::Integer(100, 100_000),
        "1000",
        "Recipients of one transaction; more get 452 (RFC 5321 section 4.5.3.1.8 asks for 100).",
    ),
    live("smtp.transactions", Kind::Integer(1, 1_000_000), "100000", "Transactions of one connection."),
    live("smtp.command_line", Kind::Size, "4096", "The longest command line, in bytes."),
    live(
        "smtp.data_line",
        Kind::Integer(998, 100_000),
        "998",
        "The longest line of a message without its CRLF, in bytes (RFC 5322 section 2.1.1).",
    ),
    live("smtp.header_bytes", Kind::Size, "256KiB", "The largest header block."),
    live("smtp.header_count", Kind::Integer(50, 100_000), "1000", "The most header fields."),
    live("smtp.errors", Kind::Integer(1, 1000), "20", "Refused commands before a connection is closed with 421."),
    live(
        "smtp.commands_without_mail",
        Kind::Integer(10, 100_000),
        "100",
        "Commands that lead to no transaction before a connection is closed with 421.",
    ),
    live(
        "smtp.command_timeout",
        Kind::Span,
        "5m",
        "How long a client may take for a command (RFC 5321 section 4.5.3.2.7).",
    ),
    live(
        "smtp.data_timeout",
        Kind::Span,
        "3m",
        "How long a client may be silent within a message (RFC 5321 section 4.5.3.2.5).",
    ),
    live(
        "smtp.transaction_timeout",
        Kind::Span,
        "30m",
        "How long a transaction may take from MAIL to the end of data.",
    ),
    live(
        "smtp.session_timeout",
        Kind::Span,
        "2h",
        "How long a connection may last; then it is closed, between transactions.",
    ),
    live("smtp.handshake_timeout", Kind::Span, "30s", "How long a TLS handshake or PROXY header may take."),
    live(
        "smtp.min_body_rate",
        Kind::Size,
        "500",
        "Bytes per second that a body must come with, after the first ten seconds; 0: any.",
    ),
    fixed(
        "smtp.early_talk_wait",
        Kind::Span,
        "0s",
        "How long to listen before the greeting for clients that talk too early; 0s: only what is there already counts.",
    ),
    live("smtp.smtputf8", Kind::Bool, "true", "Offer SMTPUTF8 (RFC 6531)."),
    live("smtp.chunking", Kind::Bool, "true", "Offer CHUNKING, which is BDAT (RFC 3030)."),
    live("smtp.dsn", Kind::Bool, "true", "Offer DSN (RFC 3461)."),
    // -- senders
    fixed(
        "authentication.authserv_id",
        Kind::Hostname,
        "",
        "The name under which we write Authentication-Results (RFC 8601 section 2.5); incoming fields that claim it are removed.",
    )
    .or("hostname"),
    fixed(
        "authentication.questions",
        Kind::Integer(10, 10_000),
        "64",
        "Questions to the DNS for one message; what more would be needed counts as unanswered for now.",
    ),
    fixed(
        "reputation.entries",
        Kind::Integer(1000, 100_000_000),
        "1000000",
        "How many sources (addresses, networks, domains) are remembered; about 100 bytes each.",
    ),
    fixed(
        "reputation.spam_traps",
        Kind::Addresses,
        "[]",
        "Addresses in tenants' domains that nobody has and nobody was told of: who writes to one is a spammer.",
    ),
    fixed(
        "greylist.delay",
        Kind::Span,
        "5m",
        "How long an unknown server must wait before it comes back. Who is greylisted: [tenant.sender].",
    ),
    fixed("greylist.window", Kind::Span, "24h", "Until when it must have come back; then it begins anew."),
    fixed("greylist.memory", Kind::Span, "36d", "How long who came back is remembered without further mail."),
    fixed(
        "greylist.entries",
        Kind::Integer(1000, 100_000_000),
        "1000000",
        "How many are remembered; about 60 bytes each.",
    ),
    fixed(
        "first_contact.learning",
        Kind::Span,
        "14d",
        "How long a tenant's mail is watched before anybody is a first contact: by then those who usually write are known.",
    ),
    fixed(
        "first_contact.memory",
        Kind::Span,
        "400d",
        "How long who exchanged mail with a tenant is remembered without further mail.",
    ),
    fixed(
        "first_contact.entries",
        Kind::Integer(1000, 50_000_000),
        "1000000",
        "How many are remembered, of all tenants; about 60 bytes each. While more are known than fit, nobody is a first contact.",
    ),
    fixed(
        "harvest.unknown_recipients",
        Kind::Integer(1, 1_000_000),
        "20",
        "Unknown recipients in about ten minutes after which a source gets 450 for all (directory harvest).",
    ),
    fixed("harvest.stay", Kind::Span, "30m", "For how long, from the last unknown recipient on."),
    fixed(
        "rates.per_client",
        Kind::Rate,
        "2000/1m",
        "Inbound recipients from one address (IPv6: from one /64); more get 450, as with all rates.",
    ),
    fixed("rates.per_network", Kind::Rate, "off", "Inbound recipients from one network, /24 or /48."),
    fixed(
        "rates.per_sender",
        Kind::Rate,
        "off",
        "Inbound recipients from one envelope sender; the empty sender is never limited.",
    ),
    fixed("rates.per_recipient", Kind::Rate, "200/1m", "Inbound messages to one recipient."),
    fixed(
        "rates.outbound_client",
        Kind::Rates,
        "1000/5m",
        "Outbound recipients from one client of a tenant (IPv6: one /64); more get 450. Several times, as \"1000/5m 20000/1d\", hold together.",
    ),
    fixed("rates.outbound_client_messages", Kind::Rates, "off", "Outbound messages from one client of a tenant."),
    fixed("rates.outbound_client_bytes", Kind::Rates, "off", "Bytes of outbound messages from one client of a tenant, as 1GiB/1h."),
    fixed(
        "rates.outbound_sender",
        Kind::Rates,
        "500/10m",
        "Outbound recipients from one envelope sender. Grows with good history, to five times of it, and shrinks for spam.",
    ),
    fixed("rates.outbound_sender_messages", Kind::Rates, "off", "Outbound messages from one envelope sender."),
    fixed("rates.outbound_sender_bytes", Kind::Rates, "off", "Bytes of outbound messages from one envelope sender, as 1GiB/1h."),
    fixed("rates.outbound_domain", Kind::Rates, "off", "Outbound recipients from one domain of a tenant."),
    fixed("rates.outbound_domain_messages", Kind::Rates, "off", "Outbound messages from one domain of a tenant."),
    fixed("rates.outbound_domain_bytes", Kind::Rates, "off", "Bytes of outbound messages from one domain of a tenant, as 1GiB/1h."),
    fixed("rates.outbound_tenant", Kind::Rates, "off", "Outbound recipients from one tenant."),
    fixed("rates.outbound_tenant_messages", Kind::Rates, "off", "Outbound messages from one tenant."),
    fixed("rates.outbound_tenant_bytes", Kind::Rates, "off", "Bytes of outbound messages from one tenant, as 1GiB/1h."),
    fixed(
        "rates.outbound_trial",
        Kind::Rates,
        "100/1h",
        "Outbound recipients from one domain of a tenant whose contract is a trial, beside all other limits.",
    ),
    fixed(
        "rates.entries",
        Kind::Integer(1000, 100_000_000),
        "5000000",
        "How many clients, networks, senders and recipients are counted at once; 27 bytes each.",
    ),
    // -- measures against senders of outbound mail
    live(
        "suspension.automatic",
        Kind::Bool,
        "true",
        "Whether senders that do harm are warned, throttled and suspended without an operator.",
    ),
    live(
        "suspension.least_messages",
        Kind::Integer(1, 1_000_000_000),
        "200",
        "Messages in a day below which no measure is taken automatically.",
    ),
    live(
        "suspension.least_signals",
        Kind::Integer(1, 9),
        "3",
        "Independent signals below which no measure is taken automatically; one at least is of harm, not of bulk.",
    ),
    live("suspension.dwell", Kind::Span, "1h", "How long a stage lasts at least before the next."),
    live("suspension.dwell_harm", Kind::Span, "1m", "The same where malware or spam was found."),
    live("suspension.warn_for", Kind::Span, "24h", "How long a warning lasts."),
    live("suspension.throttle_for", Kind::Span, "24h", "How long a throttle lasts."),
    live("suspension.suspend_for", Kind::Span, "7d", "How long a suspension lasts; 0s: until it is lifted."),
    live("suspension.throttle", Kind::Rate, "60/1h", "Recipients that a throttled sender may still have."),
    live(
        "suspension.widest",
        Kind::Words(&["sender", "client", "domain", "tenant"]),
        "client",
        "The widest scope of an automatic measure; operators may set any.",
    ),
    live(
        "suspension.answer",
        Kind::Words(&["defer", "reject"]),
        "defer",
        "What suspended senders are told: 450, and their server tries again, or 550.",
    ),
    live(
        "suspension.queue_at_expiry",
        Kind::Words(&["release", "remove"]),
        "release",
        "What becomes of held mail when a suspension runs out; when it is lifted, mail is always released.",
    ),
    live("suspension.confirm_every", Kind::Span, "7d", "The tenant may end a measure by itself once in this time."),
    live(
        "suspension.notices_per_day",
        Kind::Integer(0, 10_000),
        "24",
        "Most notices of measures to one tenant's administrators in a day.",
    ),
    fixed(
        "bulk.sender",
        Kind::Rate,
        "50/10m",
        "Recipients of alike outbound messages from one sender; more get 451. Grows for those who send such mail for weeks without harm.",
    ),
    fixed("bulk.text", Kind::Rate, "200/10m", "The same for one text, whoever of a tenant sends it."),
    fixed(
        "bulk.records",
        Kind::Integer(1000, 10_000_000),
        "500000",
        "How many outbound senders, clients, domains and tenants are remembered; about 160 bytes each.",
    ),
    fixed(
        "bulk.groups",
        Kind::Integer(100, 10_000_000),
        "100000",
        "How many groups of alike outbound messages are remembered; about 300 bytes each.",
    ),
    fixed("geography.database", Kind::Path, "", "A database of countries in MaxMind's format (.mmdb).")
        .or("none: countries are not known"),
    // -- recipients
    fixed("call_ahead.valid", Kind::Span, "96h", "How long a recipient that the next hop knows is remembered."),
    fixed("call_ahead.invalid", Kind::Span, "2h", "How long a recipient that the next hop refuses is remembered."),
    fixed("call_ahead.entries", Kind::Integer(1000, 100_000_000), "200000", "How many recipients are remembered."),
    fixed("call_ahead.timeout", Kind::Span, "20s", "How long a next hop may take to answer; then the client gets 451."),
    // -- custody
    fixed(
        "custody.answer_deadline",
        Kind::Span,
        "45s",
        "Inline custody: how long the next hop may take before the message goes to the spool instead.",
    ),
    fixed(
        "custody.connections_per_hop",
        Kind::Integer(1, 10_000),
        "100",
        "Inline custody: connections at once to one next hop.",
    ),
    // -- spool
    fixed("spool.dir", Kind::Path, "", "Where messages wait; one disk with durable fsync.").or("spool in data_dir"),
    fixed("spool.segment_size", Kind::Size, "64MiB", "The size of one file of the log."),
    fixed("spool.large_message", Kind::Size, "1MiB", "Larger bodies get a file of their own."),
    fixed("spool.body_cache", Kind::Size, "128MiB", "Memory for bodies that are about to be delivered."),
    fixed("spool.min_free", Kind::Size, "256MiB", "No mail is taken (452) while the disk has less free than this."),
    fixed(
        "spool.min_free_inodes",
        Kind::Integer(0, SIGNLESS),
        "2000",
        "No mail is taken (452) while the disk has fewer free inodes.",
    ),
    // -- delivery
    fixed("delivery.helo_name", Kind::Hostname, "", "The name in EHLO towards next hops.").or("hostname"),
    fixed("delivery.port", Kind::Integer(1, 65535), "25", "The port of mail exchangers found by MX."),
    fixed(
        "delivery.private_targets",
        Kind::Bool,
        "false",
        "Mail exchangers and address literals may lead to loopback and link-local addresses. Next hops of tenants may anyway.",
    ),
    fixed("delivery.max_connections", Kind::Integer(1, 100_000), "1000", "Connections at once to all next hops."),
    fixed(
        "delivery.initial_concurrency",
        Kind::Integer(1, 1000),
        "5",
        "Connections at once to a destination that is not known to bear more.",
    ),
    fixed(
        "delivery.inbound_concurrency",
        Kind::Integer(1, 1000),
        "50",
        "Connections at once to one tenant domain's next hops.",
    ),
    fixed("delivery.outbound_concurrency", Kind::Integer(1, 1000), "20", "Connections at once to one foreign domain."),
    fixed(
        "delivery.messages_per_connection",
        Kind::Integer(1, 100_000),
        "100",
        "Messages over one connection before it is closed.",
    ),
    fixed("delivery.idle_timeout", Kind::Span, "10s", "How long a connection without work is kept open."),
    fixed("delivery.retry_first", Kind::Span, "5m", "The wait after the first failed attempt; it doubles with each."),
    fixed("delivery.retry_max", Kind::Span, "4h", "The longest wait between attempts."),
    fixed(
        "delivery.rest_first",
        Kind::Span,
        "1m",
        "How long a destination rests where no host answers; what waits for it is put off together. Doubles with each.",
    ),
    fixed("delivery.rest_max", Kind::Span, "30m", "The longest rest of a destination."),
    fixed("delivery.expire_inbound", Kind::Span, "10d", "How long mail to a tenant is tried before it goes back."),
    fixed("delivery.expire_outbound", Kind::Span, "5d", "How long mail of a tenant is tried before it goes back."),
    fixed(
        "delivery.delay_notice",
        Kind::Span,
        "4h",
        "After how long a sender is told that mail is delayed; 0s: never.",
    ),
    fixed("delivery.connect_timeout", Kind::Span, "30s", "How long a connection to one address may take to open."),
    fixed("delivery.greeting_timeout", Kind::Span, "5m", "RFC 5321 section 4.5.3.2.1."),
    fixed(
        "delivery.command_timeout",
        Kind::Span,
        "5m",
        "For the answers to EHLO, MAIL, RCPT and RSET (RFC 5321 section 4.5.3.2.2 and 3).",
    ),
    fixed("delivery.data_timeout", Kind::Span, "2m", "For the answer to DATA (RFC 5321 section 4.5.3.2.4)."),
    fixed("delivery.block_timeout", Kind::Span, "3m", "For each write of a message (RFC 5321 section 4.5.3.2.5)."),
    fixed("delivery.dot_timeout", Kind::Span, "10m", "For the answer to the end of data (RFC 5321 section 4.5.3.2.6)."),
    // -- content
    fixed("scan.workers", Kind::Integer(1, 1024), "", "Messages that are looked into at one time.")
        .or("as many as there are processors"),
    fixed(
        "scan.patience",
        Kind::Span,
        "60s",
        "How long a message may wait for its turn; then the client gets 451. A full gateway is slow, and lets nothing through unseen.",
    ),
    fixed("scan.time", Kind::Span, "20s", "How long one message may take; what was not looked into by then is unscannable."),
    fixed(
        "scan.off",
        Kind::Detectors,
        "[]",
        "Detectors that are switched off for inbound mail, for all tenants: hashes, rules, feeds, yara, spamassassin, classifier, impersonation, bulk, files. With all of them off, and no scanner elsewhere, no text is searched and nothing unpacked. Outbound mail is always seen by all.",
    ),
    fixed("scan.parts", Kind::Integer(10, 100_000), "1000", "Parts of one message, attached messages included."),
    fixed("scan.depth", Kind::Integer(4, 200), "64", "Layers of parts and attached messages."),
    fixed("scan.files", Kind::Integer(10, 100_000), "353", "Files in all archives of one message."),
    fixed("scan.layers", Kind::Integer(2, 100), "20", "Layers of archives within archives."),
    fixed("scan.file_size", Kind::Size, "57MiB", "The size of one unpacked file."),
    fixed("scan.unpacked_size", Kind::Size, "60MiB", "The size of all unpacked files of one message."),
    fixed("scan.ratio", Kind::Integer(10, 100_000), "100", "Bytes unpacked for each byte packed."),
    fixed("scan.passwords", Kind::Texts, "[]", "Passwords to try on files, after the words of the mail."),
    fixed(
        "classifier.memory",
        Kind::Size,
        "128MiB",
        "Memory for what tenants' users taught the classifier; of those asked for least lately the disk is asked again.",
    ),
    fixed(
        "classifier.learn_from_releases",
        Kind::Bool,
        "true",
        "Mail that was held as spam and is released teaches its tenant's classifier that it is good.",
    ),
    fixed("signatures.dir", Kind::Path, "", "Where published signature sets lie.").or("signatures in data_dir"),
    fixed(
        "signatures.keys",
        Kind::PublicKeys,
        "[]",
        "Who may publish sets: public keys of Ed25519. None: no set but the built-in one is trusted.",
    ),
    fixed("signatures.signers", Kind::Integer(1, 16), "1", "How many of the keys must have signed a set."),
    fixed("signatures.refresh", Kind::Span, "5s", "How often to look for a new set."),
    fixed("quarantine.dir", Kind::Path, "", "Where quarantined messages lie; one disk with durable fsync.")
        .or("quarantine in data_dir"),
    fixed("quarantine.keep", Kind::Span, "30d", "How long a message is kept there."),
    fixed("quarantine.min_free", Kind::Size, "512MiB", "Nothing is quarantined (452) while the disk has less free than this."),
    fixed("quarantine.messages", Kind::Integer(1000, 100_000_000), "1000000", "Messages kept at once; about 200 bytes of memory each."),
    fixed(
        "quarantine.tenant_messages",
        Kind::Integer(1000, 100_000_000),
        "200000",
        "Messages kept at once for one tenant; what comes beyond gets 452 until some expired or were removed.",
    ),
    fixed("quarantine.tenant_size", Kind::Size, "20GiB", "The same for their size, all messages of one tenant together."),
    // -- outbound
    live(
        "outbound.spam",
        Kind::Words(&["quarantine", "reject", "suspect-pool"]),
        "quarantine",
        "What becomes of tenants' spam; they can only be stricter. suspect-pool: it leaves by [[egress]] suspect, but for phishing and what is certain.",
    ),
    // -- scanners of others
    fixed("clamd.servers", Kind::Servers, "[]", "Where clamd listens, tried in this order; none: it is not asked."),
    fixed("clamd.timeout", Kind::Span, "60s", "How long it may take for a message, all places together."),
    fixed("clamd.connections", Kind::Integer(1, 10_000), "8", "Messages it is given at once."),
    fixed("clamd.max_size", Kind::Size, "100MiB", "Larger messages are not sent, and are unscannable."),
    fixed("clamd.required", Kind::Bool, "true", "Whether mail waits (451) while it does not answer."),
    fixed("icap.servers", Kind::Servers, "[]", "Where an ICAP antivirus listens (RFC 3507), tried in this order; none: it is not asked."),
    fixed("icap.service", Kind::Text, "avscan", "The name of its service."),
    fixed("icap.timeout", Kind::Span, "60s", "How long it may take for a message, all places together."),
    fixed("icap.connections", Kind::Integer(1, 10_000), "8", "Messages it is given at once."),
    fixed("icap.max_size", Kind::Size, "100MiB", "Larger messages are not sent, and are unscannable."),
    fixed("icap.required", Kind::Bool, "true", "Whether mail waits (451) while it does not answer."),
    fixed("rspamd.servers", Kind::Servers, "[]", "Where rspamd's worker listens, tried in this order; none: it is not asked."),
    fixed("rspamd.timeout", Kind::Span, "10s", "How long it may take for a message, all places together."),
    fixed("rspamd.connections", Kind::Integer(1, 10_000), "16", "Messages it is given at once."),
    fixed("rspamd.max_size", Kind::Size, "10MiB", "Larger messages are not sent."),
    fixed("rspamd.required", Kind::Bool, "false", "Whether mail waits (451) while it does not answer."),
    fixed("spamd.servers", Kind::Servers, "[]", "Where spamd listens, tried in this order; none: it is not asked."),
    fixed("spamd.user", Kind::Text, "", "The user whose settings spamd takes.").or("none"),
    fixed("spamd.timeout", Kind::Span, "30s", "How long it may take for a message, all places together."),
    fixed("spamd.connections", Kind::Integer(1, 10_000), "5", "Messages it is given at once."),
    fixed("spamd.max_size", Kind::Size, "500KiB", "Larger messages are not sent."),
    fixed("spamd.required", Kind::Bool, "false", "Whether mail waits (451) while it does not answer."),
];

/// The keys of each `[[listener]]`.
pub static LISTENER_KEYS: &[Key] = &[
    fixed("listener.name", Kind::Text, "", "Names the listener in log and metrics: letters, digits and hyphens.")
        .or("required"),
    fixed(
        "listener.direction",
        Kind::Words(&["inbound", "outbound"]),
        "",
        "inbound: from the internet to tenants. outbound: from tenants to the internet.",
    )
    .or("required"),
    fixed("listener.bind", Kind::Socket, "", "The address and port to listen on.").or("required"),
    fixed(
        "listener.tls",
        Kind::Words(&["none", "starttls", "implicit"]),
        "",
        "TLS: not offered, offered by STARTTLS, or from the first byte.",
    )
    .or("starttls if there is a certificate, otherwise none"),
    live("listener.require_tls", Kind::Bool, "false", "Refuse MAIL before TLS."),
    live("listener.certificate", Kind::Path, "", "This listener's certificate chain, PEM.").or("tls.certificate"),
    live("listener.key", Kind::Path, "", "The private key of the listener's certificate, PEM.").or("tls.key"),
    fixed(
        "listener.client_certificates",
        Kind::Bool,
        "false",
        "Ask TLS clients for a certificate, to know outbound clients by it.",
    ),
    live("listener.auth", Kind::Words(&["off", "after-tls"]), "", "Offer AUTH PLAIN and LOGIN, never before TLS.")
        .or("after-tls on outbound, off on inbound listeners"),
    fixed(
        "listener.proxy_protocol",
        Kind::Words(&["off", "required"]),
        "off",
        "Whether every connection begins with a PROXY header (v1 or v2).",
    ),
    fixed(
        "listener.trusted_proxies",
        Kind::Networks,
        "[]",
        "Who may send a PROXY header; others are not let in where one is required.",
    ),
    fixed("listener.xclient_from", Kind::Networks, "[]", "Who may use XCLIENT to speak for a client."),
    fixed(
        "listener.trusted_relays",
        Kind::Networks,
        "[]",
        "Relays of one's own that have judged the sender already (inbound): neither their address nor SPF and DMARC are held against their mail.",
    ),
    fixed("listener.max_connections", Kind::Integer(1, 1_000_000), "", "Connections at once on this listener.")
        .or("limits.max_connections"),
    fixed(
        "listener.max_connections_per_ip",
        Kind::Integer(1, 1_000_000),
        "",
        "Connections at once from one address on this listener.",
    )
    .or("limits.max_connections_per_ip"),
    fixed("listener.early_talk_wait", Kind::Span, "", "As smtp.early_talk_wait, for this listener.")
        .or("smtp.early_talk_wait"),
];

/// The keys of each `[[known_source]]`.
pub static KNOWN_SOURCE_KEYS: &[Key] = &[
    fixed(
        "known_source.name",
        Kind::Text,
        "",
        "Names the list in log, metrics and explanations: letters, digits and hyphens.",
    )
    .or("required"),
    fixed(
        "known_source.zone",
        Kind::Zone,
        "",
        "The domain under which the list is asked. It may hold a customer's key and is shown nowhere; to keep it out of files, set it in the environment.",
    )
    .or("required"),
    fixed(
        "known_source.kind",
        Kind::Words(&["ip", "domain", "allow"]),
        "",
        "ip: addresses of bad clients. domain: domains of bad senders. allow: addresses of good clients.",
    )
    .or("required"),
    fixed("known_source.enabled", Kind::Bool, "true", "Whether the list is asked."),
    fixed("known_source.ipv6", Kind::Bool, "true", "Whether it is asked for IPv6 addresses too."),
    fixed(
        "known_source.codes",
        Kind::Codes,
        "",
        "What its answers mean: 127.0.0.2, 127.0.0.4-7, 127.0.0.0/24, or \"bit 64\" of the last octet. Weight 0 only notes, more refuses.",
    )
    .or("required"),
    fixed(
        "known_source.errors",
        Kind::Answers,
        "[]",
        "Answers that say that it does not answer us. 127.255.255.0/24, 127.0.0.1 and all beyond 127.0.0.0/8 always do.",
    ),
    fixed("known_source.timeout", Kind::Span, "3s", "How long to wait for its answer; mail does not fail for want of one."),
    fixed(
        "known_source.self_test",
        Kind::Words(&["rfc5782", "off"]),
        "rfc5782",
        "Whether it is tested (RFC 5782 section 5); a list that fails is not asked until it passes.",
    ),
    fixed("known_source.test_listed", Kind::Text, "", "The name below the zone that the test must find.")
        .or("2.0.0.127, for domains test"),
    fixed("known_source.test_unlisted", Kind::Text, "", "The name below the zone that the test must not find.")
        .or("1.0.0.127, for domains invalid"),
];

/// The keys of each `[[egress]]`.
pub static EGRESS_KEYS: &[Key] = &[
    fixed(
        "egress.pool",
        Kind::Words(&["normal", "suspect", "bulk"]),
        "",
        "Which mail to the internet takes these addresses: normal, spam that the operator lets out, or bulk mail. Tenants' next hops are not asked by them.",
    )
    .or("required"),
    fixed("egress.source", Kind::Ips, "", "Addresses of this machine that connections come from, in turn.").or("required"),
    fixed("egress.hostname", Kind::Hostname, "", "The name in EHLO: that of these addresses in the DNS.")
        .or("delivery.helo_name"),
];

/// The lists of tables, each entry with a name of its own.
pub static TABLES: &[(&str, &[Key])] =
    &[("listener", LISTENER_KEYS), ("known_source", KNOWN_SOURCE_KEYS), ("egress", EGRESS_KEYS)];

/// Every key there is.
pub fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(TABLES.iter().flat_map(|(_, keys)| keys.iter()))
}

/// Finds a key by its full name; `listener.mx.bind` is `listener.bind`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    let plain = plain(name);
    all().find(|key| key.name == plain)
}

/// Without the name of an entry: `listener.bind` for `listener.mx.bind`.
#[must_use]
pub fn plain(name: &str) -> String {
    match name.split_once('.').and_then(|(table, rest)| Some((table, rest.split_once('.')?.1))) {
        Some((table, last)) if TABLES.iter().any(|(known, _)| *known == table) => format!("{table}.{last}"),
        _ => name.to_owned(),
    }
}
