//! Black-box scenarios against the real binary, one file each, named for what happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::too_many_lines)]

#[path = "../support/mod.rs"]
mod support;

mod apply_dry_run_and_diff;
mod apply_is_live_within_a_second;
mod as_the_manual_says;
mod auth_only_after_tls;
mod authentication_at_end_of_data;
mod call_ahead_cached;
mod changed_mail_is_sealed;
mod client_certificate;
mod connection_limits;
mod content_decides;
mod demo_tells_its_story;
mod dsn_failure_and_delay;
mod early_talk;
mod end_of_data_variants;
mod every_rcpt_is_logged;
mod exactly_once;
mod explain_smtp;
mod golden_talks;
mod greylisting_next_hop;
mod inline_custody;
mod known_source_refused_answers;
mod lanes_two_tenants;
mod lists_do_what_they_say;
mod loop_detected;
mod mail_log_schema;
mod memory_is_bounded;
mod metrics_balance;
mod mixed_sender;
mod never_open_relay;
mod next_hop_down_then_back;
mod next_hop_manners;
mod one_of_three_refused;
mod pipelining_after_data;
mod proxy_v1_v2;
mod quarantine_cli;
mod queue_cli;
mod relay_inbound;
mod relay_outbound_mx;
mod reload_invalid_keeps_running;
mod reputation_cli;
mod resources_run_short;
mod restart_keeps_queue;
mod sender_domain_must_be_the_tenants;
mod settings_errors;
mod sigterm_drains;
mod sizes_and_limits;
mod slow_client_is_cut;
mod starttls_injection;
mod the_harness_itself;
mod tls_listeners;
mod unknown_recipient_list;
mod xclient_trusted_only;
