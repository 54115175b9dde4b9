//! Whether this node works, folded from the rooms that know.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::net::admission::Admission;
use crate::spool::{Health, Spool};

#[derive(Debug)]
pub struct NodeHealth {
    pub spool: Spool,
    pub admission: Arc<Admission>,
    pub shutdown: CancellationToken,
}

impl admin::Health for NodeHealth {
    fn dead(&self) -> Vec<String> {
        match self.spool.health() {
            Health::Wedged(why) => vec![format!("spool: {why}; restart after the disk is well again")],
            Health::Ok | Health::Low(_) => Vec::new(),
        }
    }

    fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.shutdown.is_cancelled() {
            reasons.push("draining".to_owned());
        }
        if let Health::Low(why) = self.spool.health() {
            reasons.push(format!("spool: {why}"));
        }
        if self.admission.is_memory_low() {
            reasons.push("memory: below the reserve".to_owned());
        }
        reasons
    }
}
