//! Numbers agreed on: alarms, groups, `refuse-new`.

use proptest::prelude::*;
use sekisho::accounts::{Admission, Others, Registration};

use super::{Bench, address, contract, tenant_id};

const NOON: &str = "2026-11-10T12:00:00Z";

fn admit(bench: &Bench, tenant: &str, text: &str) -> Admission {
    bench.accounts.admit(&bench.tenant(tenant), &address(text))
}

#[tokio::test]
async fn who_only_wants_to_know_is_told_of_one_place_once() {
    let bench = Bench::new(&contract("a", "accounts = 2\nover = \"refuse-new\""), NOON).await;
    bench.sees("a", "one@a.example");
    let two = [address("two@a.example")];
    let would = |text: &str, before: &[_]| bench.accounts.would_admit(&bench.tenant("a"), &address(text), before);
    assert_eq!(would("two@a.example", &[]), Admission::New);
    assert_eq!(would("three@a.example", &two), Admission::Over);
    assert_eq!(would("two+x@a.example", &two), Admission::Existing);
    // No place was kept.
    assert_eq!(would("three@a.example", &[]), Admission::New);
}

#[tokio::test]
async fn a_new_account_beyond_the_number_is_refused_and_no_other() {
    let bench = Bench::new(&contract("a", "accounts = 2\nover = \"refuse-new\""), NOON).await;
    bench.sees("a", "one@a.example");
    assert_eq!(admit(&bench, "a", "two@a.example"), Admission::New);
    // A place is kept for it until its mail is delivered.
    assert_eq!(admit(&bench, "a", "three@a.example"), Admission::Over);
    assert_eq!(admit(&bench, "a", "TWO+x@a.example"), Admission::Existing);
    bench.sees("a", "two@a.example");
    for there in ["one@a.example", "One+news@a.example", "two@a.example", "postmaster@a.example"] {
        assert_eq!(admit(&bench, "a", there), Admission::Existing, "{there}");
    }
    assert_eq!(admit(&bench, "a", "three@a.example"), Admission::Over);
    // Thirty-one days later nobody counts, and everybody is still known.
    bench.pass(31 * 24);
    assert_eq!(admit(&bench, "a", "one@a.example"), Admission::Existing);
    assert_eq!(admit(&bench, "a", "three@a.example"), Admission::New);
    // A place that nobody took is given back after an hour.
    assert_eq!(admit(&bench, "a", "four@a.example"), Admission::New);
    assert_eq!(admit(&bench, "a", "five@a.example"), Admission::Over);
    bench.pass(2);
    assert_eq!(admit(&bench, "a", "five@a.example"), Admission::New);
}

#[tokio::test]
async fn whoever_only_warns_refuses_nobody() {
    let tenants = contract("warns", "accounts = 0") + &contract("free", "over = \"refuse-new\"");
    let bench = Bench::new(&tenants, NOON).await;
    assert_eq!(admit(&bench, "warns", "x@warns.example"), Admission::New);
    assert_eq!(admit(&bench, "free", "x@free.example"), Admission::New);
}

#[tokio::test]
async fn a_group_shares_the_number_of_its_head() {
    let tenants = contract("head", "accounts = 3\nover = \"refuse-new\"")
        + &contract("east", "group = \"head\"")
        + &contract("west", "group = \"head\"\nover = \"warn\"");
    let bench = Bench::new(&tenants, NOON).await;
    for tenant in ["head", "east", "west"] {
        bench.sees(tenant, &format!("a@{tenant}.example"));
    }
    for tenant in ["head", "east", "west"] {
        assert_eq!(admit(&bench, tenant, &format!("a@{tenant}.example")), Admission::Existing);
        assert_eq!(admit(&bench, tenant, &format!("b@{tenant}.example")), Admission::Over, "{tenant}");
    }
    bench.step().await;
    assert_eq!(bench.heard.take(), ["head: 3 of 3 accounts are used: 100 percent reached"]);
    let text = bench.metrics.render();
    assert!(text.contains("sekisho_tenant_accounts{tenant=\"head\"} 3"), "{text}");
    assert!(!text.contains("tenant=\"east\""), "one number, one series");
    // Out of the group, and with a contract of its own.
    bench.edit(&(contract("head", "accounts = 3\nover = \"refuse-new\"") + &contract("east", "accounts = 9")));
    bench.step().await;
    assert_eq!(admit(&bench, "head", "b@head.example"), Admission::New);
    assert!(bench.metrics.render().contains("sekisho_tenant_accounts_contracted{tenant=\"east\"} 9"));
}

#[tokio::test]
async fn alarms_are_told_once_a_level_and_over_restarts() {
    let mut bench = Bench::new(&contract("a", "accounts = 10"), NOON).await;
    let mut heard = Vec::new();
    for user in 0..12 {
        bench.sees("a", &format!("u{user}@a.example"));
        bench.step().await;
        bench.crash().await;
        bench.step().await;
        heard.extend(bench.heard.take());
    }
    assert_eq!(
        heard,
        [
            "a: 8 of 10 accounts are used: 80 percent reached",
            "a: 10 of 10 accounts are used: 100 percent reached",
            "a: 11 of 10 accounts are used: 110 percent reached",
        ]
    );
}

#[tokio::test]
async fn registered_accounts_are_followed_while_mail_flows() {
    let bench = Bench::new(&contract("a", "accounts = 3\nover = \"refuse-new\""), NOON).await;
    for text in ["info@a.example", "taro@a.example", "jiro@a.example"] {
        bench.sees("a", text);
    }
    bench.step().await;
    assert_eq!(admit(&bench, "a", "new@a.example"), Admission::Over);
    let registration = |address: &str, alias_of: Option<&str>| Registration {
        address: address.into(),
        alias_of: alias_of.map(Into::into),
    };
    let wanted = [registration("taro@a.example", None), registration("info@a.example", Some("taro@a.example"))];
    bench.sees("a", "info+late@a.example");
    bench.store.register(&tenant_id("a"), &wanted, Others::Stay, false).await.unwrap();
    bench.step().await;
    assert_eq!(admit(&bench, "a", "info@a.example"), Admission::Existing);
    assert_eq!(admit(&bench, "a", "new@a.example"), Admission::New, "info is taro now");
    bench.pass(24);
    bench.step().await;
    let row = &bench.days("a").await[0];
    assert_eq!((row.accounts, row.registered, row.observed), (2, 1, 2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happens, in whatever order: an account that was ever delivered to or registered is never refused, and no more new ones
    /// are let in than the number allows.
    #[test]
    fn refuse_new_never_refuses_an_existing_account(
        steps in proptest::collection::vec((0u8..6, 0u8..20, 0u16..80), 1..120),
        number in 0u32..8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lines = format!("accounts = {number}\nover = \"refuse-new\"");
            let mut bench = Bench::new(&contract("a", &lines), NOON).await;
            let mut existing = std::collections::BTreeSet::new();
            for (what, user, hours) in steps {
                let account = format!("u{user}@a.example");
                match what {
                    0..3 => {
                        let admission = admit(&bench, "a", &account.replace('@', "+t@"));
                        if existing.contains(&account) {
                            prop_assert_eq!(admission, Admission::Existing);
                        }
                        if admission != Admission::Over {
                            bench.sees("a", &account);
                            existing.insert(account);
                        }
                    }
                    3 => bench.pass(u64::from(hours)),
                    4 => {
                        // What was written is found again by the next process.
                        bench.step().await;
                        bench.crash().await;
                    }
                    _ => {
                        let one = Registration { address: account.as_str().into(), alias_of: None };
                        bench.store.register(&tenant_id("a"), &[one], Others::Stay, false).await.unwrap();
                        bench.step().await;
                        existing.insert(account);
                    }
                }
            }
            Ok(())
        })?;
    }
}
