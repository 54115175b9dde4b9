//! What an operator can see of the running gateway: counters, the balance of recipients, the mail log.
//!
//! [`Metrics`] is built once and shared; [`MailLog`] is cheap to clone. Neither can stop mail: counting never blocks, and
//! a mail log whose disk does not keep up loses lines, which are counted, rather than holding messages back.
//!
//! **Elsewhere**: `/metrics` is served by `admin`; diagnostics for people (`tracing`) are set up in `main`.

pub mod account_metrics;
pub mod balance;
pub mod event;
mod event_json;
pub mod identity_metrics;
pub mod mail_log;
pub mod metrics;
pub mod scan_metrics;
pub mod series;

pub use balance::Balance;
pub use event::{Event, EventName};
pub use mail_log::MailLog;
pub use metrics::Metrics;
