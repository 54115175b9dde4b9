//! Running a node: settings, signals, health, the queue; references of exit codes, mail log and metrics.
//!
//! # Settings
//!
//! One file (`--config FILE` or `SEKISHO_CONFIG`; by default `./sekisho.toml`, otherwise `/etc/sekisho/sekisho.toml`), then
//! `conf.d/*.toml` beside it, then the environment
//! (`SEKISHO__SMTP__MESSAGE_SIZE=20MiB`); later ones win. Unknown keys are errors with file, line and a suggestion, all of them in one run.
//!
//! | command | does |
//! |---|---|
//! | `sekisho config check` | says everything that is wrong, exit 78 if anything is |
//! | `sekisho config show --origin` | every effective value and where it came from |
//! | `sekisho config explain KEY` | type, default, meaning, whether a reload brings it into force |
//!
//! ## Settings of the sender stage
//!
//! What a node knows of senders is set here; what a tenant wants of it is in `[tenant.sender]` (see [`sender`](super::sender)). All of
//! it comes into force at a restart.
//!
//! | section | keys |
//! |---|---|
//! | `[authentication]` | `authserv_id`, `questions` |
//! | `[reputation]` | `entries`, `spam_traps` (addresses that nobody has: who writes to one is a spammer) |
//! | `[greylist]` | `delay`, `window`, `memory`, `entries` |
//! | `[first_contact]` | `learning`, `memory`, `entries`, see [`sender`](super::sender) |
//! | `[harvest]` | `unknown_recipients`, `stay` |
//! | `[rates]` | `per_client`, `per_network`, `per_sender`, `per_recipient` (as `"2000/1m"`, or `"off"`), `entries`; `outbound_client`, `outbound_sender`, `outbound_domain`, `outbound_tenant`, each also with `_messages` and `_bytes`, and `outbound_trial` (as `"500/10m 5000/1d"`), see [`bulk`](super::bulk) |
//! | `[bulk]` | `sender`, `text`, `records`, `groups`, see [`bulk`](super::bulk) |
//! | `[geography]` | `database` |
//! | `[[known_source]]` | `name`, `zone`, `kind`, `enabled`, `ipv6`, `codes`, `errors`, `timeout`, `self_test`, `test_listed`, `test_unlisted` |
//!
//! The zone of a known-source list may hold a customer's key. No command, log or message shows it. To keep it out of the file, write a
//! zone without key there and set the true one in the environment, as in `SEKISHO__KNOWN_SOURCE__SPAMHAUS_ZEN__ZONE`; or put the
//! `[[known_source]]` tables into a file of their own in `conf.d`, readable by the gateway's user alone. A list answers questions
//! from a resolver of one's own; the large lists refuse public resolvers, and `dnsxl_lists_degraded` says so.
//!
//! ## Settings of outbound mail
//!
//! | section | keys |
//! |---|---|
//! | `[outbound]` | `spam` (comes into force with a reload) |
//! | `[[egress]]` | `pool`, `source`, `hostname` (at a restart): see [`egress`](super::egress) |
//!
//! # Signals and health
//!
//! | signal | does |
//! |---|---|
//! | SIGHUP | reads settings and certificates again, reopens the mail log, looks for signature sets; invalid settings are refused with the reason, the running ones stay |
//! | SIGTERM, SIGINT | drain: `/readyz` fails, idle clients get 421, transactions in progress end within `drain_timeout`; a second one ends at once |
//!
//! `/livez` fails only for what a restart mends (a wedged spool). `/readyz` fails while no new mail is taken: draining, low disk,
//! low memory. Both say why, one reason per line.
//!
//! # The queue
//!
//! ```text
//! sekisho queue summary                               what waits for each domain
//! sekisho queue ls --domain acme.example --held       messages, oldest first; --json: NDJSON
//! sekisho queue show ID
//! sekisho queue retry --domain acme.example           due now
//! sekisho queue hold|release|rm ID... --reason TEXT   ids, -, --domain, --tenant or --all
//! ```
//! `-` reads ids from stdin, one per line or as `ls --json` prints them. The reason is mandatory where mail is kept from delivery and
//! goes to the mail log. The commands speak HTTP over the control socket: `GET /queue`, `GET /queue/summary`, `GET /queue/{id}`,
//! `POST /queue`, `POST /reload`.
//!
//! # The quarantine
//!
//! ```text
//! sekisho quarantine ls --tenant acme --class spam --since 2d     messages, newest first; --json: NDJSON; --before ID: older ones
//! sekisho quarantine show ID                                      everything but the content, and why it was held
//! sekisho quarantine release ID... --reason TEXT                  to its recipients, by way of the queue; --to: only to these;
//!                                                                 --no-learn: nothing is taught to the classifier by it
//! sekisho quarantine rm ID... --reason TEXT                       for good, without a notice; --to: only for these
//! ```
//! `-` reads ids from stdin, as above. Mail is kept for 30 days in `quarantine/` of the data directory. What can't be read there is moved
//! to `quarantine/corrupt/` and told. No tenant has more there than `quarantine.tenant_messages` and `quarantine.tenant_size`: what would
//! come on top is put off (452) until some of it has expired or was removed. Nothing that is held goes early to make room for more.
//! Over the control socket: `GET /quarantine`, `GET /quarantine/{id}`, `POST /quarantine`.
//!
//! # Reputation
//!
//! ```text
//! sekisho reputation show ADDRESS       counts of an IP address or a domain, and what each level makes of it
//! sekisho reputation set ADDRESS good|delayed|refused --for 24h --reason TEXT
//! sekisho reputation forget ADDRESS     counts and what was set
//! ```
//! What is set stands over all counts at levels 1 to 4, and is saved at once; without `--for` it stands until it is set anew or forgotten.
//! Behind it: `GET`, `PUT` and `DELETE /reputation/{address}` on the control socket. The numbers are in [`super::reputation`].
//!
//! # Measures against outbound senders
//!
//! ```text
//! sekisho suspension ls --tenant acme                           in force, newest first; --ended: ended ones too; --json: NDJSON
//! sekisho suspension show ID                                    evidence, and how much of the queue is held for it
//! sekisho suspension add warn|throttle|suspend --tenant acme --sender ADDRESS --reason TEXT
//!                                                               or --client IP, --domain DOMAIN, --whole-tenant; --for 2d; --by NAME
//! sekisho suspension lift ID --reason TEXT                      queued mail goes on
//! sekisho suspension confirm CODE --reason TEXT                 by the code of a notice, once in a period
//! ```
//! Exit codes: 3 there is no such measure, code or tenant, 5 ended already or confirmed not long ago. A change is in force when the
//! command returns. What they are and when they are taken without you: [`super::suspension`]. Over the control socket: `GET` and `POST
//! /suspensions`, `GET /suspensions/{id}`, `POST /suspensions/{id}/lift`, `POST /suspensions/confirm`.
//!
//! # Why mail is refused
//!
//! ```text
//! sekisho explain smtp --ip 192.0.2.7 --helo mail.sender.example --from a@sender.example --rcpt you@acme.example
//! ```
//! A dry conversation with the running node: what the client would hear at each stage and the rule that decides there, then the
//! whole [Explanation](super::explanation). `--rcpt` may be given up to 32 times, `--from ""` is a notice, `--header-from` is the
//! author in the message (otherwise the envelope sender), `--tls` a client that speaks TLS. `--lang ja` for Japanese, `--json` for
//! `{"v":1,"said":[…],"explanation":{…}}`. Nothing is counted, remembered or logged; questions to the DNS and to a next hop
//! (call-ahead) are real. The message that is judged has a From field and no signature: DKIM can't be foretold, nor rate limits.
//! Exit code 3: none of the recipients is one of ours. Behind it: `POST /explain/smtp` on the control socket.
//!
//! # Exit codes
//!
//! | code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | failed |
//! | 2 | wrong usage |
//! | 3 | not found |
//! | 5 | what there already is stands against it (a mailbox's list is full) |
//! | 6 | done in part |
//! | 69 | the running node can't be reached |
//! | 75 | somebody else (the DNS) gave no answer; try again later |
//! | 78 | wrong settings |
//!
//! # Mail log
//!
//! One JSON object per line, one line per transition. Every object has `v` (1), `ts` (RFC 3339, UTC, milliseconds) and `event`; the
//! other members stand where they are known. Members are only ever added; ignore those you don't know. Texts are cut at 512
//! characters, and control and bidirectional characters are written as `\uXXXX`.
//!
//! | event | when |
//! |---|---|
//! | `connect` | a client was let in, or refused (then with `reply`) |
//! | `disconnect` | it is gone; `reason` says how, `duration_ms` how long it stayed |
//! | `auth` | AUTH was answered |
//! | `mail` | MAIL was refused; `reason` for outbound mail: `contract`, `suspension` (a measure stands) or `rate` |
//! | `rcpt` | RCPT was answered: one line for every recipient tried; an accepted one has no `reply` |
//! | `message` | the end of data was answered with a refusal |
//! | `queued` | the message is durable in the spool |
//! | `handed-on` | the next hop took the message inline |
//! | `delivered` | the next hop took the recipient |
//! | `deferred` | not now; `next_attempt` says when again |
//! | `bounced` | failed for good |
//! | `expired` | given up for age |
//! | `notice` | a message of our own is queued: a notice on delivery (RFC 3464; `reason` says which, about what), or what administrators are told of content, a measure or a contract |
//! | `held` | kept from delivery; `reason` (mail that one measure lets go and another keeps: why the first ended) |
//! | `released` | going on |
//! | `retried` | made due by an operator |
//! | `removed` | taken out by an operator; `reason` |
//! | `discarded` | dropped by policy: the recipient's list blocks the author, which only the header tells, or the tenant throws away such content |
//! | `quarantined` | kept in the quarantine, durably; `reason` is the category |
//! | `judged` | a message taken over, with the `explanation` of its judgement ([`explanation`](super::explanation)); for several tenants one without `tenant`, the operator's, and one for each with its own recipients alone (`message` is the tenant's own copy, absent where it was thrown away; of a refused message, whose line without `tenant` is `message`, with the `reply`); or with the `reason` why a stamp is a tag |
//! | `corrupt` | something on disk was not what was written; it lies in `corrupt/` |
//! | `alert` | somebody should look: wedged spool, lost log lines |
//! | `reload` | settings were read again, or refused; `reason` |
//! | `contract` | a tenant's accounts reached 80, 100 or 110 percent of its number, or its contract entered a phase; `reason` |
//! | `signatures` | a signature set came into force, went on trial, was taken back or was refused, or a tenant has another one of its own; `reason`. What was taken back or refused is an `alert` besides |
//! | `suspension` | a measure against a sender of outbound mail began, changed or ended ([`suspension`](super::suspension)); `reason` says which, whose, by whom, why, until when, and the evidence |
//!
//! | member | is |
//! |---|---|
//! | `connection` | number of the connection in this process |
//! | `message` | the message's id, also in its Received field and in the queue |
//! | `tenant`, `direction`, `listener` | whose, which way, where |
//! | `ip`, `helo` | the client |
//! | `sender`, `recipient` | envelope addresses; the null sender is the empty text |
//! | `code`, `reply` | the reply given, or received from the next hop |
//! | `remote` | `host`, `ip` and `port` of the next hop |
//! | `size`, `recipients` | bytes and number of recipients |
//! | `attempt`, `next_attempt` | number of the attempt, time of the next |
//! | `reason` | why, in words |
//! | `tls` | `version`, `cipher`, `client_certificate` (SHA-256) |
//! | `duration_ms` | how long it took |
//!
//! Lines stand in the order in which they were told. Rooms tell on their own: `queued` of a message may stand behind the first
//! `deferred` or `delivered` of it, within the same millisecond.
//!
//! A disk that can't keep up costs log lines, never mail; `sekisho_mail_log_lost_total` counts them and an `alert` line tells.
//!
//! # Metrics
//!
//! Text exposition at `/metrics`. The number of series is fixed and below 1,000; no tenant, address or host is a label. Beside these
//! there are the usual `process_*`.
//!
//! | name (after `sekisho_`) | labels | is |
//! |---|---|---|
//! | `recipients_accepted_total` | direction (`notice`: our own) | recipients taken over |
//! | `recipients_recovered_total` | | found in the spool at start |
//! | `recipients_delivered_total` | | the next hop said 250 |
//! | `recipients_bounced_total` | | failed for good |
//! | `recipients_expired_total` | | given up for age |
//! | `recipients_discarded_total` | | removed by an operator or by policy |
//! | `recipients_queued` | | waiting now |
//! | `recipients_held` | | held now |
//! | `recipients_quarantined` | | in quarantine now |
//! | `recipients_released_total` | | given on out of the quarantine; the spool accepts them again |
//! | `balance_recipients` | | the equation's difference: **alert if not 0** |
//! | `smtp_connections_total` | direction | connections accepted |
//! | `smtp_connections_open` | direction | being served |
//! | `smtp_connections_refused_total` | reason | answered 421 or 554 instead of 220 |
//! | `smtp_connections_closed_total` | reason | how they ended |
//! | `smtp_early_talk_total` | | clients that spoke before the greeting |
//! | `smtp_tls_handshakes_total` | result | with clients |
//! | `smtp_auth_total` | result | AUTH answered |
//! | `smtp_mail_total` | direction, decision | MAIL answered |
//! | `smtp_rcpt_total` | direction, decision | RCPT answered |
//! | `smtp_messages_total` | direction, result | end of data answered |
//! | `outbound_author_refusals_total` | reason | outbound messages refused for what they say of their authors |
//! | `dkim_signed_messages_total` | result | outbound messages signed, without a key, or not signed because a key failed |
//! | `forwarded_senders_total` | step | envelope senders rewritten for forwarding, and what came back to them |
//! | `smtp_message_bytes_total` | direction | message data received |
//! | `smtp_replies_lost_total` | | messages we have whose 250 could not be written: the client sends them again |
//! | `smtp_answer_seconds` | | from end of data to reply |
//! | `spool_commits_total` | | group commits made durable |
//! | `spool_frames_total` | | frames made durable |
//! | `spool_written_bytes_total` | | bytes written |
//! | `spool_sync_seconds` | | one fdatasync |
//! | `spool_batch_frames` | | frames in a group commit |
//! | `spool_messages` | | messages in the spool |
//! | `spool_recipients` | | recipients not settled, by the index's own count |
//! | `spool_bytes` | | bytes on disk |
//! | `spool_segments` | | segment files |
//! | `spool_relocated_total` | | messages copied forward |
//! | `spool_corrupt_total` | | damaged ranges and files: **alert if it grows** |
//! | `spool_unchecked_total` | | recipients of outbound mail on hold because no check is known of it: **alert if it grows** |
//! | `spool_missing_frames_total` | | frames that recovery missed: **alert if it grows** |
//! | `spool_troubles_total` | kind | failed disk operations |
//! | `spool_healthy` | | **alert if 0** |
//! | `spool_free_bytes` | | of its file system |
//! | `spool_free_inodes` | | of its file system |
//! | `delivery_attempts_total` | result | recipients attempted |
//! | `delivery_connections_open` | | to next hops |
//! | `delivery_connections_total` | result | tried |
//! | `delivery_connections_reused_total` | | transactions on a connection used before |
//! | `delivery_tls_handshakes_total` | result | with next hops |
//! | `delivery_possible_duplicates_total` | | connections broken between final dot and answer |
//! | `delivery_seconds` | | one transaction |
//! | `delivery_notices_total` | kind | notices written, or dropped |
//! | `delivery_sites` | | destinations known |
//! | `delivery_sites_backing_off` | | destinations where no host answered |
//! | `delivery_probes_total` | result | call-aheads |
//! | `dns_questions_total` | result | questions by answer |
//! | `dns_seconds` | | time to an answer |
//! | `handoff_total` | result | lanes handed on inline |
//! | `handoff_unknown_total` | | final dots without an answer |
//! | `handoff_fallback_total` | reason | lanes of inline tenants that went to the spool |
//! | `handoff_seconds` | | time the next hop took |
//! | `config_reloads_total` | result | settings read again |
//! | `config_last_reload_successful` | | **alert if 0** |
//! | `config_last_reload_success_timestamp_seconds` | | when settings were last taken |
//! | `ready` | | 1 while the node takes mail |
//! | `tenants` | | in the running snapshot |
//! | `tenant_domains` | | in the running snapshot |
//! | `snapshot_version` | | of the running snapshot |
//! | `snapshots_total` | result | snapshots built |
//! | `tenant_accounts` | tenant | accounts in use, of the fullest tenants (`metrics.max_tenant_series`); a group's under its head |
//! | `tenant_accounts_contracted` | tenant | accounts agreed on, of the same |
//! | `tenant_contracts` | phase | tenants, by the phase of their contract |
//! | `accounts_observed_total` | | accounts seen for the first time on a day |
//! | `accounts_waiting` | | seen and not written down yet |
//! | `accounts_lost_total` | | seen and dropped, because too many waited: **alert if it grows** |
//! | `accounts_write_failures_total` | | failures to write them down: **alert if it grows** |
//! | `accounts_alarms_total` | percent | contracts that reached 80, 100, 110 percent of their number |
//! | `accounts_refused_total` | direction | answers that put off a new account beyond the number |
//! | `contract_refused_total` | direction | answers that put off or refused for a contract's phase |
//! | `dnsxl_answers_total` | result | answers of known-source lists |
//! | `dnsxl_self_tests_total` | result | their self-tests |
//! | `dnsxl_lists_degraded` | | lists out of service: **alert if not 0** |
//! | `reputation_standings_total` | standing | judgements by dynamic reputation |
//! | `reputation_observations_total` | kind | what sources did |
//! | `reputation_sources` | | sources with a record |
//! | `reputation_evicted_total` | | records that made room for others |
//! | `greylist_total` | result | answers of the greylist |
//! | `greylist_entries` | | its entries |
//! | `first_contact_entries` | | correspondents and tenants that are remembered, see [`sender`](super::sender) |
//! | `harvest_detected_total` | | sources found trying recipients at random |
//! | `reverse_names_total` | result | reverse names looked up |
//! | `geography_loads_total` | result | loads of the database of countries |
//! | `limits_refused_total` | limit | checks over a rate limit |
//! | `limits_keys` | | keys in use at the last sweep |
//! | `limits_bytes` | | their memory |
//! | `limits_evicted_total` | | keys in use that made room: **alert if it grows** |
//! | `outbound_alike_total` | | recipients of alike outbound messages to many, put off or not |
//! | `outbound_alike_groups` | | groups of alike messages that are remembered |
//! | `outbound_records` | | outbound senders, clients, domains and tenants that are remembered |
//! | `outbound_records_evicted_total` | | those that made room for others |
//! | `quarantine_messages` | | in quarantine |
//! | `quarantine_recipients` | | whose mail is in quarantine, by its own index |
//! | `quarantine_bytes` | | of messages in quarantine |
//! | `quarantine_held_total` | | messages made durable there |
//! | `quarantine_released_total` | | recipients whose mail was released |
//! | `quarantine_removed_total` | | recipients whose mail was removed |
//! | `quarantine_expired_total` | | recipients whose mail was kept long enough |
//! | `quarantine_corrupt_total` | | files moved to `corrupt/`: **alert if it grows** |
//! | `quarantine_troubles_total` | | failed disk operations |
//! | `quarantine_write_seconds` | | making one message durable |
//! | `content_recipients_total` | direction, disposition, category | recipients, by what became of their mail for its content |
//! | `scan_seconds` | | from the request to the verdict, waiting included |
//! | `scan_detector_seconds` | detector | one detector, one message |
//! | `scan_detector_errors_total` | detector | asked and could not answer: **alert if it grows** |
//! | `scan_findings_total` | detector | findings |
//! | `scan_troubles_total` | reason | messages that could not be scanned to their end |
//! | `scan_waiting` | | messages waiting for a thread |
//! | `scan_threads` | threads (`all`, `busy`) | threads of the pool |
//! | `scan_unchecked_total` | | parts and files that nobody looked into |
//! | `classifier_lessons_total` | | released messages that taught their tenant's classifier that they are good |
//! | `signatures_set` | | number of the signature set in force |
//! | `signatures_created_timestamp_seconds` | | when it was made: **alert if it grows old** |
//! | `signatures_canary_set` | | number of the set on trial; 0: none |
//! | `signatures_swaps_total` | | sets that came into force |
//! | `signatures_returns_total` | | sets taken back by themselves: **alert if it grows** |
//! | `signatures_refusals_total` | | sets refused |
//! | `suspensions` | stage | measures against outbound senders in force |
//! | `suspension_changes_total` | change | begun and raised (`warn`, `throttle`, `suspend`), ended (`lifted`, `confirmed`, `expired`) |
//! | `suspension_refused_total` | stage | MAIL, RCPT and messages refused for a measure |
//! | `suspension_notices_total` | | notices to tenants' administrators |
//! | `suspension_notices_dropped_total` | | not sent: nobody is named, or too many in a day |
//! | `suspension_unwritten` | | measures enforced and not written: **alert if not 0 for long** |
//! | `suspension_store_failures_total` | | failed writes to the store of measures: **alert if it grows** |
//! | `mail_log_lines_total` | | lines handed to the writer |
//! | `mail_log_lost_total` | | lines lost: **alert if it grows** |
//! | `build_info` | version | 1 |
