//! How many accounts the tenants use, and where their contracts stand.
//!
//! **Invariants**: the one place with series of tenants: the fullest ones, at most as many as the settings say.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use super::series::{Counters, Gauges, Registrar, label_set, opts};
use crate::model::Direction;

label_set! {
    /// Where a contract stands.
    PhaseKind("phase") {
        Upcoming = "upcoming",
        Active = "active",
        Grace = "grace",
        FrozenDeferred = "frozen_deferred",
        FrozenRefused = "frozen_refused",
        Ended = "ended",
    }
}

label_set! {
    /// Percent of the number agreed on.
    Level("percent") { Near = "80", Full = "100", Over = "110" }
}

/// The number of one tenant, or of a group under its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantAccounts {
    pub tenant: String,
    pub accounts: u32,
    pub contracted: Option<u32>,
}

#[derive(Debug)]
pub struct AccountMetrics {
    pub tenants: Fullest,
    pub phases: Gauges<PhaseKind>,
    /// First sights of a day.
    pub observed: IntCounter,
    /// Sights that wait to be written.
    pub waiting: IntGauge,
    /// Sights that found no room to wait in.
    pub lost: IntCounter,
    pub write_failures: IntCounter,
    alarms: Counters<Level>,
    /// Mail of or to a new account beyond the number.
    pub refused: Counters<Direction>,
    /// Mail that a contract's phase put off or refused.
    pub frozen: Counters<Direction>,
}

impl AccountMetrics {
    pub(super) fn new(r: &Registrar<'_>) -> Self {
        let tenants = Fullest::default();
        r.register(tenants.clone());
        Self {
            tenants,
            phases: r.gauges("tenant_contracts", "Tenants, by the phase of their contract."),
            observed: r.counter("accounts_observed_total", "Accounts seen for the first time on a day."),
            waiting: r.gauge("accounts_waiting", "Accounts that were seen and are not written down yet."),
            lost: r.counter("accounts_lost_total", "Accounts that were seen and found no room to wait in."),
            write_failures: r.counter("accounts_write_failures_total", "Failures to write down accounts."),
            alarms: r.counters("accounts_alarms_total", "Contracts that reached this much of their number."),
            refused: r.counters("accounts_refused_total", "Answers that put off a new account beyond the number."),
            frozen: r.counters("contract_refused_total", "Answers that put off or refused for a contract's phase."),
        }
    }

    /// A contract reached so many percent.
    pub fn alarm(&self, percent: u8) {
        self.alarms.inc(match percent {
            0..100 => Level::Near,
            100..110 => Level::Full,
            _ => Level::Over,
        });
    }
}

/// The tenants that are shown one by one.
#[derive(Debug, Clone)]
pub struct Fullest {
    rows: Arc<ArcSwap<Vec<TenantAccounts>>>,
    descriptions: Arc<[Desc]>,
}

impl Default for Fullest {
    fn default() -> Self {
        let descriptions = families().iter().flat_map(|family| family.desc().into_iter().cloned()).collect();
        Self { rows: Arc::default(), descriptions }
    }
}

impl Fullest {
    /// Shows the fullest `most` of these: by what they use of their number, and those without one by how many they are.
    pub fn show(&self, mut rows: Vec<TenantAccounts>, most: usize) {
        let fill = |row: &TenantAccounts| match row.contracted {
            Some(number) => u64::from(row.accounts) * 1000 / u64::from(number.max(1)),
            None => 0,
        };
        rows.sort_by_cached_key(|row| (std::cmp::Reverse((fill(row), row.accounts)), row.tenant.clone()));
        rows.truncate(most);
        self.rows.store(Arc::new(rows));
    }
}

impl Collector for Fullest {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let [used, contracted] = families();
        for row in self.rows.load().iter() {
            used.with_label_values(&[&row.tenant]).set(row.accounts.into());
            if let Some(number) = row.contracted {
                contracted.with_label_values(&[&row.tenant]).set(number.into());
            }
        }
        [used, contracted].iter().flat_map(Collector::collect).collect()
    }
}

#[allow(clippy::expect_used, reason = "names and labels are literals of this file; a test builds every one of them")]
fn families() -> [IntGaugeVec; 2] {
    let family =
        |name: &str, help: &str| IntGaugeVec::new(opts(name, help), &["tenant"]).expect("a well-formed metric");
    [
        family("tenant_accounts", "Accounts that a tenant, or its group, uses; the fullest tenants only."),
        family("tenant_accounts_contracted", "Accounts agreed on with a tenant; the fullest tenants only."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn only_the_fullest_have_series_of_their_own() {
        let metrics = Metrics::new();
        let row = |tenant: &str, accounts, contracted| TenantAccounts { tenant: tenant.into(), accounts, contracted };
        let rows = vec![
            row("half", 50, Some(100)),
            row("over", 3, Some(2)),
            row("free", 9_000, None),
            row("full", 70, Some(70)),
        ];
        metrics.accounts.tenants.show(rows, 3);
        let text = metrics.render();
        let shown: Vec<&str> = text.lines().filter(|line| line.starts_with("sekisho_tenant_accounts{")).collect();
        assert_eq!(
            shown,
            [
                "sekisho_tenant_accounts{tenant=\"full\"} 70",
                "sekisho_tenant_accounts{tenant=\"half\"} 50",
                "sekisho_tenant_accounts{tenant=\"over\"} 3",
            ]
        );
        assert!(text.contains("sekisho_tenant_accounts_contracted{tenant=\"over\"} 2"), "{text}");
        metrics.accounts.tenants.show(Vec::new(), 3);
        assert!(!metrics.render().contains("sekisho_tenant_accounts{"));
    }
}
