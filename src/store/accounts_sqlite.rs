//! Accounts in SQLite: `accounts.db` in the data directory.
//!
//! **Failure**: what can't be read is named. **Invariants**: every batch and every edit is one immediate transaction; the row of a
//! closed day stands as it was written first; what is erased is written over.

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Connection, Row, SqliteConnection};

use super::StoreError;
use super::database::{self, unsigned};
use crate::accounts::{
    AccountStore, AccountsError, Answer, Batch, DayRow, Erased, Listed, Loaded, Others, Registered, Registration, Seen,
    Standing, Told,
};
use crate::model::{TenantId, Timestamp};
use crate::tenant::{Day, Phase};

const DATABASE: database::Kind = database::Kind { file: "accounts.db", schema: &[include_str!("accounts_1.sql")] };

/// Rows handed over as one JSON text.
const BATCH: usize = 5_000;
/// Accounts read at once for a listing.
const PAGE: i64 = 1_000;
/// No address has these: they tell fields and records apart.
const FIELD: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// The accounts of a data directory.
#[derive(Debug)]
pub struct SqliteAccounts {
    pub(super) pool: SqlitePool,
}

impl SqliteAccounts {
    /// Opens the accounts of a data directory, which is made if there is none.
    ///
    /// # Errors
    /// [`StoreError::Open`] or [`StoreError::Newer`].
    pub async fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { pool: database::open(DATABASE, data_dir).await? })
    }

    /// Closes all connections, so that the write-ahead log is folded in.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Adds the record of a purge; its hash is made by `chain` of the hash before it and the record.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_purge(&self, record: &str, chain: fn(&str, &str) -> String) -> Result<String, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut adding = connection.begin_with("BEGIN IMMEDIATE").await?;
        let before: Option<(String,)> =
            sqlx::query_as("SELECT hash FROM purges ORDER BY number DESC LIMIT 1").fetch_optional(&mut *adding).await?;
        let hash = chain(before.as_ref().map_or("", |(hash,)| hash), record);
        sqlx::query("INSERT INTO purges (record, hash) VALUES (?, ?)")
            .bind(record)
            .bind(&hash)
            .execute(&mut *adding)
            .await?;
        adding.commit().await?;
        Ok(hash)
    }

    /// Number, record and hash of every purge, in order.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn purges(&self) -> Result<Vec<(i64, String, String)>, StoreError> {
        let query = "SELECT number, record, hash FROM purges ORDER BY number";
        Ok(sqlx::query_as(query).fetch_all(&self.pool).await?)
    }

    #[cfg(test)]
    pub(crate) async fn change_purge_for_tests(&self, number: i64, record: &str) {
        let query = sqlx::query("UPDATE purges SET record = ? WHERE number = ?").bind(record).bind(number);
        query.execute(&self.pool).await.unwrap();
    }

    async fn read_standing(&self) -> Result<Standing, StoreError> {
        let row: (i64, Option<i64>) =
            sqlx::query_as("SELECT version, written FROM state").fetch_one(&self.pool).await?;
        let written = row.1.map(|millis| Timestamp::from_millis(unsigned(millis)));
        Ok(Standing { version: unsigned(row.0), written })
    }

    async fn read_all(&self, only: Option<&TenantId>) -> Result<HashMap<TenantId, Loaded>, StoreError> {
        let (first, last) = span(only);
        let mut connection = self.pool.acquire().await?;
        let mut reading = connection.begin().await?;
        let mut all: HashMap<TenantId, Loaded> = HashMap::new();
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT tenant, group_concat(address || x'1f' || registered || x'1f' || ifnull(last, ''), x'1e') \
             FROM accounts WHERE tenant BETWEEN ?1 AND ?2 GROUP BY tenant",
        )
        .bind(first)
        .bind(last)
        .fetch_all(&mut *reading)
        .await?;
        for (tenant, text) in rows {
            let accounts = text.split(RECORD).map(read_account).collect::<Option<_>>();
            let accounts = accounts.ok_or_else(|| damaged(&tenant, "an account"))?;
            all.entry(read_tenant(&tenant)?).or_default().accounts = accounts;
        }
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT tenant, alias, account FROM aliases WHERE tenant BETWEEN ?1 AND ?2")
                .bind(first)
                .bind(last)
                .fetch_all(&mut *reading)
                .await?;
        for (tenant, alias, account) in rows {
            all.entry(read_tenant(&tenant)?).or_default().aliases.push((alias.into(), account.into()));
        }
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT tenant, max(day) FROM days WHERE tenant BETWEEN ?1 AND ?2 GROUP BY tenant")
                .bind(first)
                .bind(last)
                .fetch_all(&mut *reading)
                .await?;
        for (tenant, day) in rows {
            all.entry(read_tenant(&tenant)?).or_default().closed = read_day(day);
        }
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT tenant, min(first) FROM accounts WHERE first IS NOT NULL AND tenant BETWEEN ?1 AND ?2 GROUP BY tenant",
        )
        .bind(first)
        .bind(last)
        .fetch_all(&mut *reading)
        .await?;
        for (tenant, day) in rows {
            all.entry(read_tenant(&tenant)?).or_default().first = read_day(day);
        }
        let rows: Vec<(String, i64, Option<String>)> =
            sqlx::query_as("SELECT tenant, level, phase FROM told WHERE tenant BETWEEN ?1 AND ?2")
                .bind(first)
                .bind(last)
                .fetch_all(&mut *reading)
                .await?;
        for (tenant, level, phase) in rows {
            let level = u8::try_from(level).unwrap_or_default();
            all.entry(read_tenant(&tenant)?).or_default().told =
                Told { level, phase: phase.as_deref().and_then(Phase::parse) };
        }
        Ok(all)
    }

    async fn write_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut writing = connection.begin_with("BEGIN IMMEDIATE").await?;
        for seen in batch.seen.chunks(BATCH) {
            put_seen(&mut writing, seen).await?;
        }
        for closed in batch.closed.chunks(BATCH) {
            put_closed(&mut writing, closed).await?;
        }
        for (tenant, told) in &batch.told {
            sqlx::query("INSERT OR REPLACE INTO told (tenant, level, phase) VALUES (?, ?, ?)")
                .bind(tenant.as_str())
                .bind(i64::from(told.level))
                .bind(told.phase.map(Phase::as_str))
                .execute(&mut *writing)
                .await?;
        }
        sqlx::query("UPDATE state SET written = ?").bind(millis(batch.at)).execute(&mut *writing).await?;
        writing.commit().await?;
        Ok(())
    }

    async fn write_registered(
        &self,
        tenant: &TenantId,
        addresses: &[Registration],
        others: Others,
        dry: bool,
    ) -> Result<Registered, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
        let done = register(&mut editing, tenant, addresses, others).await?;
        if dry || done.accounts + done.aliases + done.removed == 0 {
            editing.rollback().await?;
            return Ok(done);
        }
        sqlx::query("UPDATE state SET version = version + 1").execute(&mut *editing).await?;
        sqlx::query("INSERT OR REPLACE INTO edits (tenant, version) SELECT ?, version FROM state")
            .bind(tenant.as_str())
            .execute(&mut *editing)
            .await?;
        editing.commit().await?;
        Ok(done)
    }

    async fn show(
        &self,
        tenant: Option<&TenantId>,
        each: &mut (dyn FnMut(Listed) -> bool + Send),
    ) -> Result<(), StoreError> {
        let (first, last) = span(tenant);
        let mut behind = (first.to_owned(), String::new());
        loop {
            let rows = sqlx::query(
                "SELECT tenant, address, registered, first, last, (SELECT group_concat(alias, x'1e') FROM aliases \
                 WHERE aliases.tenant = accounts.tenant AND account = address) AS aliases FROM accounts \
                 WHERE tenant <= ?1 AND (tenant, address) > (?2, ?3) ORDER BY tenant, address LIMIT ?4",
            )
            .bind(last)
            .bind(&behind.0)
            .bind(&behind.1)
            .bind(PAGE)
            .fetch_all(&self.pool)
            .await?;
            let Some(shown) = rows.last() else { return Ok(()) };
            behind = (shown.try_get("tenant")?, shown.try_get("address")?);
            for row in &rows {
                if !each(read_listed(row)?) {
                    return Ok(());
                }
            }
        }
    }

    async fn read_days(&self, tenant: Option<&TenantId>, first: Day, last: Day) -> Result<Vec<DayRow>, StoreError> {
        let (from, to) = span(tenant);
        let rows: Vec<(String, i64, i64, i64, i64, Option<i64>)> = sqlx::query_as(
            "SELECT tenant, day, accounts, registered, observed, contracted FROM days \
             WHERE tenant BETWEEN ?1 AND ?2 AND day BETWEEN ?3 AND ?4 ORDER BY tenant, day",
        )
        .bind(from)
        .bind(to)
        .bind(i64::from(first.number()))
        .bind(i64::from(last.number()))
        .fetch_all(&self.pool)
        .await?;
        let small = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        let row = |(tenant, day, accounts, registered, observed, contracted): (String, _, _, _, _, Option<i64>)| {
            Ok(DayRow {
                tenant: read_tenant(&tenant)?,
                day: read_day(day).ok_or_else(|| damaged(&tenant, "a day"))?,
                accounts: small(accounts),
                registered: small(registered),
                observed: small(observed),
                contracted: contracted.map(small),
            })
        };
        rows.into_iter().map(row).collect()
    }

    async fn forget(&self, tenant: &TenantId) -> Result<Erased, StoreError> {
        let mut connection = self.pool.acquire().await?;
        // Of this connection; pages that are given up are written over.
        sqlx::raw_sql("PRAGMA secure_delete = ON").execute(&mut *connection).await?;
        let mut erasing = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut counts = [0; 2];
        for (count, table) in counts.iter_mut().zip(["accounts", "aliases"]) {
            let query = format!("DELETE FROM {table} WHERE tenant = ?");
            let done = sqlx::query(sqlx::AssertSqlSafe(query)).bind(tenant.as_str()).execute(&mut *erasing).await?;
            *count = done.rows_affected();
        }
        for query in ["DELETE FROM told WHERE tenant = ?", "DELETE FROM edits WHERE tenant = ?"] {
            sqlx::query(query).bind(tenant.as_str()).execute(&mut *erasing).await?;
        }
        erasing.commit().await?;
        // Somebody reading may hold it up: then the log is folded in by the next one.
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *connection).await?;
        let [accounts, aliases] = counts;
        Ok(Erased { accounts, aliases })
    }
}

/// The first and the last tenant that is meant, so that a key answers for one and for all alike: `?1 IS NULL OR tenant = ?1` would
/// read every row for each tenant.
fn span(only: Option<&TenantId>) -> (&str, &str) {
    only.map_or(("", "\u{10ffff}"), |tenant| (tenant.as_str(), tenant.as_str()))
}

/// An alias that was registered since the sight counts for its account.
async fn put_seen(connection: &mut SqliteConnection, seen: &[Seen]) -> Result<(), StoreError> {
    let rows: Vec<_> = seen.iter().map(|one| json!([one.tenant, one.account, one.day.number()])).collect();
    sqlx::query(
        "INSERT INTO accounts (tenant, address, registered, first, last) \
         SELECT tenant, ifnull((SELECT account FROM aliases WHERE aliases.tenant = seen.tenant AND alias = address), address), \
         0, day, day FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS address, value ->> 2 AS day FROM json_each(?)) AS seen \
         WHERE true \
         ON CONFLICT DO UPDATE SET first = ifnull(first, excluded.first), last = max(ifnull(last, 0), excluded.last)",
    )
    .bind(serde_json::Value::from(rows).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_closed(connection: &mut SqliteConnection, closed: &[DayRow]) -> Result<(), StoreError> {
    let row = |one: &DayRow| {
        json!([one.tenant, one.day.number(), one.accounts, one.registered, one.observed, one.contracted])
    };
    let rows: Vec<_> = closed.iter().map(row).collect();
    sqlx::query(
        "INSERT INTO days (tenant, day, accounts, registered, observed, contracted) SELECT value ->> 0, value ->> 1, \
         value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(serde_json::Value::from(rows).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn register(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    addresses: &[Registration],
    others: Others,
) -> Result<Registered, StoreError> {
    let id = tenant.as_str();
    let mut done = Registered::default();
    sqlx::raw_sql("CREATE TEMP TABLE IF NOT EXISTS wanted (address TEXT PRIMARY KEY, account TEXT) WITHOUT ROWID; DELETE FROM wanted")
        .execute(&mut *connection)
        .await?;
    for chunk in addresses.chunks(BATCH) {
        let rows: Vec<_> = chunk.iter().map(|one| json!([one.address, one.alias_of])).collect();
        sqlx::query("INSERT OR REPLACE INTO wanted SELECT value ->> 0, value ->> 1 FROM json_each(?)")
            .bind(serde_json::Value::from(rows).to_string())
            .execute(&mut *connection)
            .await?;
    }
    let run = async |connection: &mut SqliteConnection, query: &'static str| {
        sqlx::query(query).bind(id).execute(connection).await.map(|done| done.rows_affected())
    };
    if others == Others::Go {
        done.removed += run(
            connection,
            "DELETE FROM aliases WHERE tenant = ?1 AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.address = alias \
             AND wanted.account IS NOT NULL)",
        )
        .await?;
        done.removed += run(
            connection,
            "UPDATE accounts SET registered = 0 WHERE tenant = ?1 AND registered = 1 AND NOT EXISTS \
             (SELECT 1 FROM wanted WHERE ifnull(account, wanted.address) = accounts.address)",
        )
        .await?;
        run(connection, "DELETE FROM accounts WHERE tenant = ?1 AND registered = 0 AND last IS NULL").await?;
    }
    done.aliases = run(
        connection,
        "INSERT INTO aliases (tenant, alias, account) SELECT ?1, address, account FROM wanted WHERE account IS NOT NULL \
         ON CONFLICT DO UPDATE SET account = excluded.account WHERE account <> excluded.account",
    )
    .await?;
    done.accounts = run(
        connection,
        "INSERT INTO accounts (tenant, address, registered) SELECT DISTINCT ?1, ifnull(account, address), 1 FROM wanted WHERE true \
         ON CONFLICT DO UPDATE SET registered = 1 WHERE registered = 0",
    )
    .await?;
    // What was seen under an alias was its account's.
    run(
        connection,
        "UPDATE accounts SET first = min(ifnull(accounts.first, old.first), old.first), \
         last = max(ifnull(accounts.last, 0), old.last) \
         FROM (SELECT account, min(first) AS first, max(last) AS last FROM aliases \
         JOIN accounts AS seen ON seen.tenant = aliases.tenant AND seen.address = alias \
         WHERE aliases.tenant = ?1 AND last IS NOT NULL GROUP BY account) AS old \
         WHERE accounts.tenant = ?1 AND accounts.address = old.account",
    )
    .await?;
    run(
        connection,
        "DELETE FROM accounts WHERE tenant = ?1 AND address IN (SELECT alias FROM aliases WHERE tenant = ?1)",
    )
    .await?;
    let (wanted,): (i64,) = sqlx::query_as("SELECT count(*) FROM wanted").fetch_one(&mut *connection).await?;
    done.unchanged = unsigned(wanted).saturating_sub(done.accounts + done.aliases);
    Ok(done)
}

fn read_account(record: &str) -> Option<(Box<str>, bool, Option<Day>)> {
    let mut parts = record.split(FIELD);
    let (address, registered, last) = (parts.next()?, parts.next()?, parts.next()?);
    let last = if last.is_empty() { None } else { Some(Day::from_number(last.parse().ok()?)) };
    Some((address.into(), registered == "1", last))
}

fn read_listed(row: &SqliteRow) -> Result<Listed, StoreError> {
    let day = |name: &str| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(name)?.and_then(read_day));
    let aliases: Option<&str> = row.try_get("aliases")?;
    Ok(Listed {
        tenant: read_tenant(row.try_get("tenant")?)?,
        address: row.try_get::<&str, _>("address")?.into(),
        registered: row.try_get("registered")?,
        first: day("first")?,
        last: day("last")?,
        aliases: aliases.map(|all| all.split(RECORD).map(Into::into).collect()).unwrap_or_default(),
    })
}

fn read_tenant(text: &str) -> Result<TenantId, StoreError> {
    TenantId::parse(text).map_err(|error| damaged(text, &error.to_string()))
}

fn read_day(number: i64) -> Option<Day> {
    u16::try_from(number).ok().map(Day::from_number)
}

fn damaged(tenant: &str, reason: &str) -> StoreError {
    StoreError::Damaged { id: tenant.to_owned(), reason: format!("its accounts: {reason}") }
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

impl From<StoreError> for AccountsError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl AccountStore for SqliteAccounts {
    fn standing(&self) -> Answer<'_, Standing> {
        Box::pin(async { Ok(self.read_standing().await?) })
    }

    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(TenantId, Loaded) + Send)) -> Answer<'a, ()> {
        Box::pin(async {
            self.read_all(None).await?.into_iter().for_each(|(tenant, loaded)| each(tenant, loaded));
            Ok(())
        })
    }

    fn load_one<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Loaded> {
        Box::pin(async { Ok(self.read_all(Some(tenant)).await?.remove(tenant).unwrap_or_default()) })
    }

    fn edited_since(&self, version: u64) -> Answer<'_, Option<Vec<TenantId>>> {
        Box::pin(async move {
            let version = i64::try_from(version).unwrap_or(i64::MAX);
            let rows: Result<Vec<(String,)>, _> =
                sqlx::query_as("SELECT tenant FROM edits WHERE version > ?").bind(version).fetch_all(&self.pool).await;
            let rows = rows.map_err(StoreError::from)?;
            let tenants: Result<Vec<_>, StoreError> = rows.iter().map(|(tenant,)| read_tenant(tenant)).collect();
            Ok(Some(tenants?))
        })
    }

    fn write<'a>(&'a self, batch: &'a Batch) -> Answer<'a, ()> {
        Box::pin(async { Ok(self.write_batch(batch).await?) })
    }

    fn register<'a>(
        &'a self,
        tenant: &'a TenantId,
        addresses: &'a [Registration],
        others: Others,
        dry: bool,
    ) -> Answer<'a, Registered> {
        Box::pin(async move { Ok(self.write_registered(tenant, addresses, others, dry).await?) })
    }

    fn list<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        each: &'a mut (dyn FnMut(Listed) -> bool + Send),
    ) -> Answer<'a, ()> {
        Box::pin(async move { Ok(self.show(tenant, each).await?) })
    }

    fn days<'a>(&'a self, tenant: Option<&'a TenantId>, first: Day, last: Day) -> Answer<'a, Vec<DayRow>> {
        Box::pin(async move { Ok(self.read_days(tenant, first, last).await?) })
    }

    fn erase<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Erased> {
        Box::pin(async move { Ok(self.forget(tenant).await?) })
    }
}
