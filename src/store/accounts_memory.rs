//! Accounts in memory: for tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::accounts::{
    AccountStore, Answer, Batch, DayRow, Erased, Listed, Loaded, Others, Registered, Registration, Standing, Told,
};
use crate::model::TenantId;
use crate::tenant::Day;

#[derive(Debug, Default)]
pub struct MemoryAccounts {
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    standing: Standing,
    tenants: BTreeMap<TenantId, Kept>,
}

#[derive(Debug, Default, Clone)]
struct Kept {
    accounts: BTreeMap<Box<str>, Account>,
    aliases: BTreeMap<Box<str>, Box<str>>,
    days: BTreeMap<Day, DayRow>,
    told: Told,
    edited: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Account {
    registered: bool,
    first: Option<Day>,
    last: Option<Day>,
}

impl Account {
    fn saw(&mut self, first: Option<Day>, last: Option<Day>) {
        // Of two days that are, the earlier and the later one.
        self.first = [self.first, first].into_iter().flatten().min();
        self.last = self.last.max(last);
    }
}

impl MemoryAccounts {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn loaded(&self) -> Loaded {
        let accounts = self.accounts.iter().map(|(address, own)| (address.clone(), own.registered, own.last));
        Loaded {
            accounts: accounts.collect(),
            aliases: self.aliases.iter().map(|(alias, account)| (alias.clone(), account.clone())).collect(),
            closed: self.days.keys().next_back().copied(),
            first: self.accounts.values().filter_map(|own| own.first).min(),
            told: self.told,
        }
    }

    fn register(&mut self, addresses: &[Registration], others: Others) -> Registered {
        let mut done = Registered::default();
        let wanted: HashMap<&str, Option<&str>> =
            addresses.iter().map(|one| (&*one.address, one.alias_of.as_deref())).collect();
        let heads: std::collections::BTreeSet<&str> =
            wanted.iter().map(|(address, account)| account.unwrap_or(address)).collect();
        if others == Others::Go {
            let before = self.aliases.len();
            self.aliases.retain(|alias, _| wanted.get(&**alias).is_some_and(Option::is_some));
            done.removed += (before - self.aliases.len()) as u64;
            for (address, own) in &mut self.accounts {
                if own.registered && !heads.contains(&**address) {
                    own.registered = false;
                    done.removed += 1;
                }
            }
            self.accounts.retain(|_, own| own.registered || own.last.is_some());
        }
        for (alias, account) in &wanted {
            let Some(account) = *account else { continue };
            if self.aliases.insert((*alias).into(), account.into()).as_deref() != Some(account) {
                done.aliases += 1;
            }
        }
        for head in heads {
            let own = self.accounts.entry(head.into()).or_default();
            done.accounts += u64::from(!own.registered);
            own.registered = true;
        }
        for (alias, account) in &self.aliases {
            if let Some(seen) = self.accounts.remove(alias) {
                self.accounts.entry(account.clone()).or_default().saw(seen.first, seen.last);
            }
        }
        done.unchanged = (wanted.len() as u64).saturating_sub(done.accounts + done.aliases);
        done
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl AccountStore for MemoryAccounts {
    fn standing(&self) -> Answer<'_, Standing> {
        ready(self.state().standing)
    }

    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(TenantId, Loaded) + Send)) -> Answer<'a, ()> {
        self.state().tenants.iter().for_each(|(id, kept)| each(id.clone(), kept.loaded()));
        ready(())
    }

    fn load_one<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Loaded> {
        ready(self.state().tenants.get(tenant).map(Kept::loaded).unwrap_or_default())
    }

    fn edited_since(&self, version: u64) -> Answer<'_, Option<Vec<TenantId>>> {
        let state = self.state();
        let edited = state.tenants.iter().filter(|(_, kept)| kept.edited > version);
        ready(Some(edited.map(|(id, _)| id.clone()).collect()))
    }

    fn write<'a>(&'a self, batch: &'a Batch) -> Answer<'a, ()> {
        let mut state = self.state();
        for seen in &batch.seen {
            let kept = state.tenants.entry(seen.tenant.clone()).or_default();
            let account = kept.aliases.get(&seen.account).unwrap_or(&seen.account).clone();
            kept.accounts.entry(account).or_default().saw(Some(seen.day), Some(seen.day));
        }
        for row in &batch.closed {
            let kept = state.tenants.entry(row.tenant.clone()).or_default();
            kept.days.entry(row.day).or_insert_with(|| row.clone());
        }
        for (tenant, told) in &batch.told {
            state.tenants.entry(tenant.clone()).or_default().told = *told;
        }
        state.standing.written = Some(batch.at);
        ready(())
    }

    fn register<'a>(
        &'a self,
        tenant: &'a TenantId,
        addresses: &'a [Registration],
        others: Others,
        dry: bool,
    ) -> Answer<'a, Registered> {
        let mut state = self.state();
        let mut kept = state.tenants.get(tenant).cloned().unwrap_or_default();
        let done = kept.register(addresses, others);
        if !dry && done.accounts + done.aliases + done.removed > 0 {
            state.standing.version += 1;
            kept.edited = state.standing.version;
            state.tenants.insert(tenant.clone(), kept);
        }
        ready(done)
    }

    fn list<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        each: &'a mut (dyn FnMut(Listed) -> bool + Send),
    ) -> Answer<'a, ()> {
        let state = self.state();
        let chosen = state.tenants.iter().filter(|(id, _)| tenant.is_none_or(|only| only == *id));
        let listed = chosen.flat_map(|(id, kept)| {
            kept.accounts.iter().map(|(address, own)| Listed {
                tenant: id.clone(),
                address: address.clone(),
                registered: own.registered,
                first: own.first,
                last: own.last,
                aliases: kept.aliases.iter().filter(|(_, of)| *of == address).map(|(alias, _)| alias.clone()).collect(),
            })
        });
        for one in listed {
            if !each(one) {
                break;
            }
        }
        ready(())
    }

    fn days<'a>(&'a self, tenant: Option<&'a TenantId>, first: Day, last: Day) -> Answer<'a, Vec<DayRow>> {
        let state = self.state();
        let chosen = state.tenants.iter().filter(|(id, _)| tenant.is_none_or(|only| only == *id));
        ready(chosen.flat_map(|(_, kept)| kept.days.range(first..=last).map(|(_, row)| row.clone())).collect())
    }

    fn erase<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Erased> {
        let mut state = self.state();
        let Some(kept) = state.tenants.get_mut(tenant) else { return ready(Erased::default()) };
        let erased = Erased { accounts: kept.accounts.len() as u64, aliases: kept.aliases.len() as u64 };
        *kept = Kept { days: std::mem::take(&mut kept.days), ..Kept::default() };
        ready(erased)
    }
}
