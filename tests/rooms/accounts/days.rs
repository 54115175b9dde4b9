//! Days are closed at midnight of each tenant's zone, over restarts, crashes and clocks that jump.

use std::time::Duration;

use sekisho::accounts::usage;
use sekisho::tenant::{Day, Month, Phase};

use super::{Bench, HOUR, contract, sqlite};

/// 14:30 UTC is 23:30 in Tokyo.
const HALF_AN_HOUR_BEFORE_TOKYOS_DECEMBER: &str = "2026-11-30T14:30:00Z";

fn two_zones() -> String {
    contract("tokyo", "accounts = 9") + &contract("utc", "accounts = 9\ntime_zone = \"UTC\"")
}

async fn november(bench: &Bench) -> Vec<(String, u32, u32, bool)> {
    let month = Month::parse("2026-11").unwrap();
    let days = bench.store.days(None, month.first, month.last).await.unwrap();
    let all = usage::of_month(month, &days);
    all.into_iter().map(|one| (one.tenant.to_string(), one.accounts, one.peak, one.closed)).collect()
}

#[tokio::test]
async fn a_month_ends_in_each_zone_at_its_own_midnight() {
    let bench = Bench::new(&two_zones(), HALF_AN_HOUR_BEFORE_TOKYOS_DECEMBER).await;
    for tenant in ["tokyo", "utc"] {
        bench.sees(tenant, &format!("a@{tenant}.example"));
    }
    bench.step().await;
    assert!(november(&bench).await.is_empty(), "no day is over");
    bench.pass(1);
    for tenant in ["tokyo", "utc"] {
        bench.sees(tenant, &format!("b@{tenant}.example"));
    }
    bench.step().await;
    assert_eq!(november(&bench).await, [("tokyo".into(), 1, 1, true)], "in UTC it is still November");
    bench.pass(9);
    bench.step().await;
    assert_eq!(november(&bench).await, [("tokyo".into(), 1, 1, true), ("utc".into(), 2, 2, true)]);
}

#[tokio::test]
async fn days_that_nobody_was_there_for_are_closed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::over(sqlite(dir.path()).await, &two_zones(), "2026-11-10T12:00:00Z").await;
    bench.sees("utc", "a@utc.example");
    bench.sees("utc", "b@utc.example");
    bench.step().await;
    bench.pass(24);
    bench.step().await;
    // The process is away for four days, and lives for none of its midnights.
    bench.clock.advance(4 * 24 * HOUR);
    bench.crash().await;
    bench.sees("utc", "c@utc.example");
    bench.step().await;
    let expected = ["2026-11-10=2", "2026-11-11=2", "2026-11-12=2", "2026-11-13=2", "2026-11-14=2"];
    assert_eq!(bench.numbers("utc").await, expected);
    bench.pass(24);
    bench.step().await;
    assert_eq!(bench.numbers("utc").await.last().unwrap(), "2026-11-15=3");
}

/// At every moment of a day a process may die; what was reported stays, and what is reported later is never less than what is durable.
#[tokio::test]
async fn a_crash_loses_nothing_that_was_reported() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::over(sqlite(dir.path()).await, &two_zones(), "2026-11-10T12:00:00Z").await;
    let mut reported = Vec::new();
    for day in 0..6 {
        for hour in 0..24 {
            let user = day * 24 + hour;
            bench.sees("utc", &format!("u{user}@utc.example"));
            bench.sees("utc", "a@utc.example");
            if hour % 5 == 0 {
                bench.step().await;
                let gauge = gauge(&bench, "utc");
                let days = bench.numbers("utc").await;
                assert!(days.starts_with(&reported), "{reported:?} became {days:?}");
                reported = days;
                if hour % 10 == 0 {
                    bench.sees("utc", "lost@utc.example");
                    bench.crash().await;
                    assert_eq!(bench.numbers("utc").await, reported);
                    bench.step().await;
                    assert_eq!(self::gauge(&bench, "utc"), gauge, "hour {hour} of day {day}");
                }
            }
            bench.pass(1);
        }
    }
    assert_eq!(reported.len(), 6, "{reported:?}");
}

fn gauge(bench: &Bench, tenant: &str) -> u32 {
    let name = format!("sekisho_tenant_accounts{{tenant=\"{tenant}\"}} ");
    bench.metrics.render().lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_no_day_and_no_contract_until_time_confirms_it() {
    let tenants: String =
        (0..50).map(|n| contract(&format!("t{n}"), "end = 2026-12-31\ntime_zone = \"UTC\"")).collect();
    let bench = Bench::new(&tenants, "2026-11-10T12:00:00Z").await;
    bench.step().await;
    bench.clock.advance(60 * 24 * HOUR);
    for _ in 0..50 {
        tokio::time::advance(Duration::from_secs(60)).await;
        bench.clock.advance(Duration::from_secs(60));
        bench.step().await;
        assert!((0..50).all(|n| bench.accounts.phase(&bench.tenant(&format!("t{n}"))) == Phase::Active));
    }
    assert!(bench.heard.take().is_empty() && bench.days("t0").await.is_empty());
    // Ten minutes more, and it is the hour that a clock has to stay.
    tokio::time::advance(Duration::from_secs(660)).await;
    bench.clock.advance(Duration::from_secs(660));
    bench.step().await;
    assert_eq!(bench.heard.take().len(), 50);
    assert_eq!(bench.accounts.phase(&bench.tenant("t0")), Phase::Grace);
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_wrong_clock_ends_nothing_either() {
    let tenants = contract("a", "end = 2026-12-31\ntime_zone = \"UTC\"");
    let mut bench = Bench::new(&tenants, "2026-11-10T12:00:00Z").await;
    bench.step().await;
    bench.clock.advance(90 * 24 * HOUR);
    bench.crash().await;
    bench.step().await;
    assert_eq!(bench.accounts.phase(&bench.tenant("a")), Phase::Active);
    assert!(bench.heard.take().is_empty() && bench.days("a").await.is_empty());
}

#[tokio::test]
async fn each_phase_is_told_once_and_over_restarts() {
    let tenants =
        contract("a", "end = 2026-11-10\ngrace_days = 2\nfrozen_days = 2\ndeferred_days = 1\ntime_zone = \"UTC\"");
    let mut bench = Bench::new(&tenants, "2026-11-10T12:00:00Z").await;
    let mut heard = Vec::new();
    for _ in 0..7 {
        bench.step().await;
        bench.step().await;
        bench.crash().await;
        bench.step().await;
        let phase = bench.accounts.phase(&bench.tenant("a"));
        heard.push((phase, bench.heard.take().concat()));
        bench.pass(24);
    }
    let told = |phase: &str| format!("a: the contract is in phase {phase}");
    assert_eq!(
        heard,
        [
            (Phase::Active, String::new()),
            (Phase::Grace, told("grace")),
            (Phase::Grace, String::new()),
            (Phase::FrozenDeferred, told("frozen-deferred")),
            (Phase::FrozenRefused, told("frozen-refused")),
            (Phase::Ended, told("ended")),
            (Phase::Ended, String::new()),
        ]
    );
    assert_eq!(bench.days("a").await.len(), 6);
    assert_eq!(bench.days("a").await[0].day, Day::parse("2026-11-10").unwrap());
}
