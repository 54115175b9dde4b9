//! Many addresses over many tenants, counted twice: by the house, and by a plain table of everything that was seen.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use sekisho::accounts::{Others, Registration};
use sekisho::model::Address;
use sekisho::tenant::{Day, Zone};

use super::{Bench, contract, sqlite, tenant_id};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).unwrap()
    }
}

/// What was seen, in the plainest form: for each tenant the accounts registered, and each account with all its days.
#[derive(Default)]
struct Plain {
    registered: HashMap<usize, HashSet<String>>,
    aliases: HashMap<String, String>,
    seen: HashMap<usize, HashMap<String, Vec<u16>>>,
}

impl Plain {
    fn sees(&mut self, tenant: usize, written: &str, day: u16) {
        let lower = written.to_lowercase();
        let (local, domain) = lower.split_once('@').unwrap();
        let plain = format!("{}@{domain}", local.split('+').next().unwrap());
        let account = self.aliases.get(&plain).cloned().unwrap_or(plain);
        self.seen.entry(tenant).or_default().entry(account).or_default().push(day);
    }

    fn number(&self, tenant: usize, day: u16) -> u32 {
        let nobody = HashSet::new();
        let registered = self.registered.get(&tenant).unwrap_or(&nobody);
        let window = day - 29..=day;
        let is_used = |days: &Vec<u16>| days.iter().any(|seen| window.contains(seen));
        let seen = self.seen.get(&tenant).into_iter().flatten();
        let others = seen.filter(|(account, days)| !registered.contains(*account) && is_used(days)).count();
        u32::try_from(registered.len() + others).unwrap()
    }
}

fn tenants() -> usize {
    if std::env::var_os("SEKISHO_FULL").is_some() { 10_000 } else { 500 }
}

/// A hundred addresses each: ten registered, of which some have aliases; the others come with mail, on three days within 32, with
/// restarts that lose nothing between. The full form has 1,000,000 addresses over 10,000 tenants.
#[tokio::test]
async fn a_million_addresses_are_counted_exactly() {
    let (count, dir) = (tenants(), tempfile::tempdir().unwrap());
    let lines = |n: usize| if n.is_multiple_of(2) { "accounts = 100" } else { "accounts = 100\ntime_zone = \"UTC\"" };
    let file: String = (0..count).map(|n| contract(&format!("t{n}"), lines(n))).collect();
    let mut bench = Bench::over(sqlite(dir.path()).await, &file, "2026-10-01T12:00:00Z").await;
    let zones = [Zone::default(), Zone::parse("UTC").unwrap()];
    let (begun_all, mut took) = (Instant::now(), Vec::new());
    let mut done = |what: &str| took.push(format!("{what} after {} s", begun_all.elapsed().as_secs()));
    let (mut plain, mut dice) = (Plain::default(), Dice(4711));
    for n in 0..count {
        let name = |user: usize| format!("user{user}@t{n}.example");
        let mut wanted = Vec::new();
        for user in 0..10 {
            plain.registered.entry(n).or_default().insert(name(user));
            wanted.push(Registration { address: name(user).into(), alias_of: None });
            if user % 3 == 0 {
                // Addresses that will be seen by themselves, and are their accounts'.
                plain.aliases.insert(name(90 + user), name(user));
                wanted.push(Registration { address: name(90 + user).into(), alias_of: Some(name(user).into()) });
            }
        }
        bench.store.register(&tenant_id(&format!("t{n}")), &wanted, Others::Stay, false).await.unwrap();
    }
    done("registered");
    bench.step().await;
    done("read");
    let (mut sights, mut spent) = (0u64, std::time::Duration::ZERO);
    let mut addresses: HashSet<(usize, usize)> = HashSet::new();
    for round in 0..4 {
        let now = bench.accounts.now();
        let days = [zones[0].day(now).number(), zones[1].day(now).number()];
        for n in 0..count {
            let tenant = tenant_id(&format!("t{n}"));
            let sights_here = if round == 0 { 100 } else { 60 };
            for user in 0..sights_here {
                let user = if round == 0 { user } else { dice.throw(100) };
                addresses.insert((n, user));
                let written = match dice.throw(4) {
                    0 => format!("User{user}@T{n}.Example"),
                    1 => format!("user{user}+tag@t{n}.example"),
                    2 => format!("USER{user}+a+b@t{n}.example"),
                    _ => format!("user{user}@t{n}.example"),
                };
                let address = Address::parse(&written).unwrap();
                let begun = Instant::now();
                bench.accounts.observe(&tenant, &address);
                spent += begun.elapsed();
                sights += 1;
                plain.sees(n, &written, days[n % 2]);
            }
        }
        done("seen");
        bench.step().await;
        done("written");
        bench.crash().await;
        done("started again");
        bench.pass(10 * 24 + 3);
    }
    bench.step().await;
    let rows = bench.store.days(None, Day::FIRST, Day::LAST).await.unwrap();
    let mut closed = 0u64;
    for row in &rows {
        let n: usize = row.tenant.as_str()[1..].parse().unwrap();
        // Each day of a tenth of the tenants, and the days on which most changes of all of them.
        if n.is_multiple_of(10) || [0, 1, 29, 30, 31].contains(&(row.day.number() - rows[0].day.number())) {
            assert_eq!(row.accounts, plain.number(n, row.day.number()), "{} on {}", row.tenant, row.day);
            closed += 1;
        }
    }
    assert_eq!(rows.len(), count * 41, "every day of every tenant");
    done("compared");
    eprintln!(
        "{} addresses over {count} tenants, {sights} sights, {closed} numbers of {} closed days compared; {} ns for a sight",
        addresses.len(),
        rows.len(),
        spent.as_nanos() / u128::from(sights)
    );
    eprintln!("{}", took.join(", "));
}
