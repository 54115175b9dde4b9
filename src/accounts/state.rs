//! The accounts of one tenant: which there are, when each was seen last, how many that makes on a day.
//!
//! **Invariants**: exact: the number is kept with every change and equals a count of the table (a test holds it to that). A day is
//! closed before anything of the next one is counted. Nothing here is bounded by strangers: an address comes here only when mail
//! for it was delivered, or a client of the tenant's sent with it.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::time::Duration;

use super::key::{AsIs, Hashing, Key, Keys};
use super::port::{DayRow, Loaded};
use crate::model::{TenantId, Timestamp};
use crate::tenant::{Day, Zone};

/// An account that was seen counts for so many days, that day among them.
pub const WINDOW_DAYS: u16 = 30;
/// One that was seen within so many days is no new one, though it counts no more.
pub const REMEMBERED_DAYS: u16 = 400;
/// Days that nobody closed are closed at the next start, up to so many.
const MOST_CLOSED: u16 = 62;
/// How long a place is kept for a new account whose first mail was let in and is not delivered yet.
const RESERVED_FOR: Duration = Duration::from_hours(1);

type Table<V> = HashMap<Key, V, BuildHasherDefault<AsIs>>;

#[derive(Debug, Clone, Copy)]
struct Account {
    /// `Day::FIRST`: never.
    last: Day,
    registered: bool,
}

#[derive(Debug)]
pub(super) struct State {
    id: TenantId,
    zone: Zone,
    /// The number agreed on, for the rows of days.
    pub contracted: Option<u32>,
    today: Day,
    /// Today's bounds.
    from: Timestamp,
    until: Timestamp,
    accounts: Table<Account>,
    /// The account of each alias: its key, and how it is kept.
    aliases: Table<(Key, Box<str>)>,
    registered: u32,
    seen: ByDay,
    registered_seen: ByDay,
    reserved: Table<Timestamp>,
}

/// What a sight of an address is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// The first of the day: to be written down, under the alias's account if there is one.
    First {
        day: Day,
        account: Option<Box<str>>,
    },
    Again,
}

impl State {
    pub fn new(id: TenantId, zone: Zone, loaded: &Loaded, hashing: &Hashing, now: Timestamp) -> Self {
        // The day that is open: the one behind the last closed one.
        let today = loaded.closed.map(|day| day.plus(1)).or(loaded.first).unwrap_or_else(|| zone.day(now));
        let mut state = Self {
            id,
            zone,
            contracted: None,
            today,
            from: Timestamp(0),
            until: Timestamp(0),
            accounts: Table::with_capacity_and_hasher(loaded.accounts.len(), BuildHasherDefault::default()),
            aliases: Table::default(),
            registered: 0,
            seen: ByDay::default(),
            registered_seen: ByDay::default(),
            reserved: Table::default(),
        };
        for (address, registered, last) in &loaded.accounts {
            let account = Account { last: last.unwrap_or(Day::FIRST), registered: *registered };
            state.put(hashing.of_text(address), account);
        }
        for (alias, account) in &loaded.aliases {
            state.aliases.insert(hashing.of_text(alias), (hashing.of_text(account), account.clone()));
        }
        state
    }

    /// Takes what an operator registered; what was seen since it was read stays.
    pub fn reload(&mut self, loaded: &Loaded, hashing: &Hashing) {
        let mut fresh = Self::new(self.id.clone(), self.zone.clone(), loaded, hashing, Timestamp(0));
        for (key, account) in &self.accounts {
            if account.last > Day::FIRST {
                let key = fresh.aliases.get(key).map_or(*key, |(account, _)| *account);
                fresh.sight(key, account.last);
            }
        }
        self.accounts = fresh.accounts;
        self.aliases = fresh.aliases;
        self.registered = fresh.registered;
        self.seen = fresh.seen;
        self.registered_seen = fresh.registered_seen;
        let known = &self.accounts;
        self.reserved.retain(|key, _| !known.contains_key(key));
    }

    pub fn set_zone(&mut self, zone: &Zone) {
        if self.zone != *zone {
            self.zone = zone.clone();
            (self.from, self.until) = (Timestamp(0), Timestamp(0));
        }
    }

    /// Brings it to the day of `now`; the rows of days that ended by that go to `closed`. A day that comes again (the clock was
    /// set back) is not closed twice: the first row stands.
    pub fn turn(&mut self, now: Timestamp, closed: &mut Vec<DayRow>) {
        if self.from <= now && now < self.until {
            return;
        }
        let day = self.zone.day(now);
        if day > self.today {
            let mut ended = self.today.max(day.minus(MOST_CLOSED));
            while ended < day {
                closed.push(self.row(ended));
                ended = ended.plus(1);
            }
            self.forget(day);
        }
        self.today = day;
        (self.from, self.until) = (self.zone.midnight(day), self.zone.midnight(day.plus(1)));
        self.reserved.retain(|_, until| *until > now);
    }

    /// The row of a day that nothing later was counted for.
    pub fn row(&self, day: Day) -> DayRow {
        let (others, registered_seen) = (self.seen.within(day), self.registered_seen.within(day));
        DayRow {
            tenant: self.id.clone(),
            day,
            accounts: self.registered.saturating_add(others),
            registered: self.registered,
            observed: others.saturating_add(registered_seen),
            contracted: self.contracted,
        }
    }

    /// How many accounts use the service today.
    pub fn number(&self) -> u32 {
        self.registered.saturating_add(self.seen.within(self.today))
    }

    /// With the places that are kept for new ones.
    pub fn number_with_reserved(&mut self, now: Timestamp) -> u32 {
        if !self.reserved.is_empty() {
            self.reserved.retain(|_, until| *until > now);
        }
        self.number().saturating_add(u32::try_from(self.reserved.len()).unwrap_or(u32::MAX))
    }

    /// Whether it is no new account, or one that a place is kept for.
    pub fn knows(&self, keys: Keys) -> bool {
        let (key, _) = self.resolve(keys);
        self.accounts.contains_key(&key) || self.reserved.contains_key(&key)
    }

    pub fn reserve(&mut self, keys: Keys, now: Timestamp) {
        let (key, _) = self.resolve(keys);
        self.reserved.insert(key, now.plus(RESERVED_FOR));
    }

    /// Today, which [`Self::turn`] has brought up.
    pub fn observe(&mut self, keys: Keys) -> Sight {
        let (key, account) = self.resolve(keys);
        if self.accounts.get(&key).is_some_and(|account| account.last >= self.today) {
            return Sight::Again;
        }
        let account = account.map(Box::from);
        if !self.reserved.is_empty() {
            self.reserved.remove(&key);
        }
        self.sight(key, self.today);
        Sight::First { day: self.today, account }
    }

    /// The account of an address: an alias's, or the folded one.
    fn resolve(&self, keys: Keys) -> (Key, Option<&str>) {
        let alias = |key: &Key| self.aliases.get(key).map(|(key, account)| (*key, Some(&**account)));
        if keys.whole == keys.folded {
            return if self.aliases.is_empty() { None } else { alias(&keys.whole) }.unwrap_or((keys.whole, None));
        }
        alias(&keys.whole).or_else(|| alias(&keys.folded)).unwrap_or((keys.folded, None))
    }

    /// Counts an account as seen on a day, unless it was seen later.
    fn sight(&mut self, key: Key, day: Day) {
        let before = self.accounts.get(&key).copied().unwrap_or(Account { last: Day::FIRST, registered: false });
        if before.last >= day {
            return;
        }
        let days = if before.registered { &mut self.registered_seen } else { &mut self.seen };
        days.take(before.last);
        days.put(day);
        self.accounts.insert(key, Account { last: day, ..before });
    }

    fn put(&mut self, key: Key, account: Account) {
        if account.registered {
            self.registered += 1;
            self.registered_seen.put(account.last);
        } else {
            self.seen.put(account.last);
        }
        self.accounts.insert(key, account);
    }

    fn forget(&mut self, day: Day) {
        let oldest = day.minus(REMEMBERED_DAYS);
        if oldest > self.seen.oldest() {
            let (accounts, seen) = (&mut self.accounts, &mut self.seen);
            accounts.retain(|_, account| {
                let stays = account.registered || account.last >= oldest;
                if !stays {
                    seen.take(account.last);
                }
                stays
            });
        }
    }
}

/// How many accounts were seen last on which day; few days, the latest at the end.
#[derive(Debug, Default)]
struct ByDay(Vec<(Day, u32)>);

impl ByDay {
    /// `Day::FIRST` stands for never, and counts nowhere.
    fn put(&mut self, day: Day) {
        if day == Day::FIRST {
            return;
        }
        let at = self.0.partition_point(|(other, _)| *other < day);
        match self.0.get_mut(at) {
            Some((other, count)) if *other == day => *count += 1,
            _ => self.0.insert(at, (day, 1)),
        }
    }

    fn take(&mut self, day: Day) {
        let at = self.0.partition_point(|(other, _)| *other < day);
        if let Some((other, count)) = self.0.get_mut(at)
            && *other == day
        {
            *count -= 1;
            if *count == 0 {
                self.0.remove(at);
            }
        }
    }

    /// Seen last within the window that ends with `day`, or later.
    fn within(&self, day: Day) -> u32 {
        let first = day.minus(WINDOW_DAYS - 1);
        self.0.iter().rev().take_while(|(seen, _)| *seen >= first).map(|(_, count)| count).sum()
    }

    fn oldest(&self) -> Day {
        self.0.first().map_or(Day::LAST, |(day, _)| *day)
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
