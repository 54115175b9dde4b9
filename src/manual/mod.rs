//! The why-book: what the code can't say about itself.
//!
//! | read | for |
//! |---|---|
//! | [`message_path`] | one message from connect to outcome, and the table that finds the room for a change |
//! | [`durability`] | when a 250 is given, what survives what, how the log on disk works |
//! | [`tenancy`] | tenants, snapshots, lanes, custody |
//! | [`accounts`] | contracts and their phases, how accounts are counted, what a bill rests on |
//! | [`sender`] | how a sender is judged, lists, what a tenant may set |
//! | [`content`] | how the content of mail is judged, what a tenant may set |
//! | [`egress`] | what may leave for the internet, what nobody can edit, and by which addresses |
//! | [`bulk`] | rates of outbound mail, alike messages to many, what is known of senders |
//! | [`explanation`] | the record of one judgement, `explanation/v1` |
//! | [`reputation`] | what is counted about sources, the numbers of the levels, and why |
//! | [`lists`] | allow and block lists: which entry decides, import and export |
//! | [`signatures`] | packs, sets, how they come in force and are taken back |
//! | [`signing`] | keys that sign, their life and commands, what is sealed |
//! | [`outbound`] | who may send as whom: clients, authors, forwards |
//! | [`threats`] | what an attacker tries and where it ends |
//! | [`testing`] | kinds of tests, and which one to write |
//! | [`operations`] | settings, signals, queue, mail log and metrics references, exit codes |
//! | [`decisions`] | what was decided for good, and why |

pub mod accounts;
pub mod bulk;
pub mod content;
pub mod decisions;
pub mod durability;
pub mod egress;
pub mod explanation;
pub mod lists;
pub mod message_path;
pub mod operations;
pub mod outbound;
pub mod reputation;
pub mod sender;
pub mod signatures;
pub mod signing;
pub mod tenancy;
pub mod testing;
pub mod threats;

#[cfg(test)]
mod tests {
    use crate::telemetry::{EventName, Metrics};

    const OPERATIONS: &str = include_str!("operations.rs");

    #[test]
    fn every_metric_is_in_the_reference() {
        let text = Metrics::new().render();
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE sekisho_")?.split(' ').next());
        let missing: Vec<&str> = names.filter(|name| !OPERATIONS.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "not in manual::operations: {missing:?}");
    }

    #[test]
    fn every_event_of_the_mail_log_is_in_the_reference() {
        for name in EventName::ALL {
            assert!(OPERATIONS.contains(&format!("| `{}` |", name.as_str())), "{}", name.as_str());
        }
    }

    #[test]
    fn every_decision_is_included() {
        let included = include_str!("decisions.rs");
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/decisions");
        for entry in std::fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(included.contains(&format!("decisions/{name}")), "{name} is not in decisions.rs");
        }
    }
}
