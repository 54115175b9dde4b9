//! Tenants in SQLite: `tenants.db` in the data directory, read and written by several processes at once (WAL).
//!
//! A tenant is one row of JSON, because it is read and replaced as a whole; its SHA-256 stands beside it, so that
//! `apply` reads and writes only what differs.
//!
//! **Failure**: a row that can't be read is named.
//! **Invariants**: every edit is one immediate transaction and counts the version up by one.

use std::collections::HashMap;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use crate::model::TenantId;
use crate::tenant::{Changed as ChangedTenant, Diff, TenantSpec, differences};

use super::database::{self, BATCH, signed, unsigned};
use super::{Answer, Changed, Changes, Mode, SpecChange, StoreError, TenantStore, check_claims};

/// The file in the data directory.
const DATABASE: database::Kind = database::Kind { file: "tenants.db", schema: &[include_str!("schema_1.sql")] };
/// Versions after which a removed tenant's row goes; whoever is further behind loads everything.
const REMEMBERED: i64 = 1_000;

type Digest = [u8; 32];

/// The tenants of a data directory.
#[derive(Debug)]
pub struct SqliteTenants {
    pool: SqlitePool,
}

impl SqliteTenants {
    /// Opens the store of a data directory, which is made if there is none.
    ///
    /// # Errors
    /// [`StoreError::Open`] or [`StoreError::Newer`].
    pub async fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let pool = database::open(DATABASE, data_dir).await?;
        Ok(Self { pool })
    }

    /// Closes all connections, so that the write-ahead log is folded in.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn read_all(&self, each: &mut (dyn FnMut(TenantSpec) + Send)) -> Result<u64, StoreError> {
        let mut connection = self.pool.acquire().await?;
        // A read transaction: all batches are of one version, whatever is written meanwhile.
        let mut reading = connection.begin().await?;
        let (version, _) = state(&mut reading).await?;
        let mut last = String::new();
        loop {
            let rows: Vec<(String, String)> =
                sqlx::query_as("SELECT id, spec FROM tenants WHERE id > ? AND spec IS NOT NULL ORDER BY id LIMIT ?")
                    .bind(&last)
                    .bind(signed(BATCH))
                    .fetch_all(&mut *reading)
                    .await?;
            for (id, spec) in &rows {
                each(parse(id, spec)?);
            }
            match rows.into_iter().next_back() {
                Some((id, _)) => last = id,
                None => return Ok(unsigned(version)),
            }
        }
    }

    async fn read_one(&self, id: &TenantId) -> Result<Option<TenantSpec>, StoreError> {
        let row: Option<(Option<String>,)> = sqlx::query_as("SELECT spec FROM tenants WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.and_then(|(spec,)| spec).map(|spec| parse(id.as_str(), &spec)).transpose()
    }

    async fn read_changes(&self, since: u64) -> Result<Changes, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut reading = connection.begin().await?;
        let (version, horizon) = state(&mut reading).await?;
        let since = i64::try_from(since).unwrap_or(i64::MAX);
        if since < horizon || since > version {
            return Ok(Changes { version: unsigned(version), changes: Changed::Everything });
        }
        let rows: Vec<(String, Option<String>)> = sqlx::query_as("SELECT id, spec FROM tenants WHERE version > ?")
            .bind(since)
            .fetch_all(&mut *reading)
            .await?;
        let changes = rows.into_iter().map(|(id, spec)| match spec {
            Some(spec) => parse(&id, &spec).map(SpecChange::Put),
            None => TenantId::parse(&id).map(SpecChange::Remove).map_err(|error| damaged(&id, &error)),
        });
        let changes = changes.collect::<Result<_, _>>()?;
        Ok(Changes { version: unsigned(version), changes: Changed::Tenants(changes) })
    }

    async fn make_equal(&self, specs: &[TenantSpec], mode: Mode) -> Result<Diff, StoreError> {
        check_claims(specs)?;
        let mut connection = self.pool.acquire().await?;
        let mut editing = match mode {
            // Immediate: what is compared can't change before it is written.
            Mode::Write => connection.begin_with("BEGIN IMMEDIATE").await?,
            Mode::DryRun => connection.begin().await?,
        };
        let (version, _) = state(&mut editing).await?;
        let mut stored = digests(&mut editing).await?;
        let mut diff = Diff { version: unsigned(version), ..Diff::default() };
        let mut rows = Vec::new();
        let mut changed = Vec::new();
        for spec in specs {
            let json = serde_json::to_string(spec).map_err(|error| damaged(spec.id.as_str(), &error))?;
            let hash = hash_of(&json);
            match stored.remove(spec.id.as_str()) {
                Some(there) if there == hash => {
                    diff.unchanged += 1;
                    continue;
                }
                Some(_) => changed.push(spec),
                None => diff.added.push(spec.id.clone()),
            }
            rows.push((spec.id.as_str(), hash, json));
        }
        for new in changed {
            let differences = match stored_spec(&mut editing, new.id.as_str()).await? {
                Some(old) => differences(&old, new),
                None => Vec::new(),
            };
            diff.changed.push(ChangedTenant { id: new.id.clone(), differences });
        }
        let mut removed: Vec<String> = stored.into_keys().collect();
        removed.sort_unstable();
        for id in &removed {
            diff.removed.push(TenantId::parse(id).map_err(|error| damaged(id, &error))?);
        }
        if mode == Mode::Write && !diff.is_empty() {
            let next = version + 1;
            write(&mut editing, next, &rows, &removed).await?;
            editing.commit().await?;
            diff.version = unsigned(next);
        }
        Ok(diff)
    }
}

async fn state(connection: &mut SqliteConnection) -> Result<(i64, i64), StoreError> {
    Ok(sqlx::query_as("SELECT version, horizon FROM state").fetch_one(connection).await?)
}

async fn digests(connection: &mut SqliteConnection) -> Result<HashMap<String, Digest>, StoreError> {
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT id, hash FROM tenants WHERE spec IS NOT NULL").fetch_all(connection).await?;
    // A hash of another length equals none: the row is written anew.
    Ok(rows.into_iter().map(|(id, hash)| (id, hash.try_into().unwrap_or_default())).collect())
}

async fn stored_spec(connection: &mut SqliteConnection, id: &str) -> Result<Option<TenantSpec>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT spec FROM tenants WHERE id = ? AND spec IS NOT NULL")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    // What can't be read is replaced all the same.
    Ok(row.and_then(|(spec,)| serde_json::from_str(&spec).ok()))
}

async fn write(
    connection: &mut SqliteConnection,
    version: i64,
    rows: &[(&str, Digest, String)],
    removed: &[String],
) -> Result<(), StoreError> {
    for batch in rows.chunks(BATCH) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO tenants (id, version, hash, spec) ");
        insert.push_values(batch, |mut row, (id, hash, json)| {
            row.push_bind(*id).push_bind(version).push_bind(hash.as_slice()).push_bind(json.as_str());
        });
        insert.push(
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version, hash = excluded.hash, spec = excluded.spec",
        );
        insert.build().execute(&mut *connection).await?;
    }
    for id in removed {
        sqlx::query("UPDATE tenants SET version = ?, hash = x'', spec = NULL WHERE id = ?")
            .bind(version)
            .bind(id)
            .execute(&mut *connection)
            .await?;
    }
    let horizon = version - REMEMBERED;
    sqlx::query("DELETE FROM tenants WHERE spec IS NULL AND version <= ?")
        .bind(horizon)
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE state SET version = ?, horizon = max(horizon, ?)")
        .bind(version)
        .bind(horizon)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

fn parse(id: &str, json: &str) -> Result<TenantSpec, StoreError> {
    serde_json::from_str(json).map_err(|error| damaged(id, &error))
}

fn damaged(id: &str, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged { id: id.to_owned(), reason: reason.to_string() }
}

fn hash_of(json: &str) -> Digest {
    digest(&SHA256, json.as_bytes()).as_ref().try_into().unwrap_or_default()
}

impl TenantStore for SqliteTenants {
    fn version(&self) -> Answer<'_, u64> {
        Box::pin(async {
            let (version,): (i64,) = sqlx::query_as("SELECT version FROM state").fetch_one(&self.pool).await?;
            Ok(unsigned(version))
        })
    }

    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(TenantSpec) + Send)) -> Answer<'a, u64> {
        Box::pin(self.read_all(each))
    }

    fn find<'a>(&'a self, id: &'a TenantId) -> Answer<'a, Option<TenantSpec>> {
        Box::pin(self.read_one(id))
    }

    fn changes_since(&self, version: u64) -> Answer<'_, Changes> {
        Box::pin(self.read_changes(version))
    }

    fn apply<'a>(&'a self, specs: &'a [TenantSpec], mode: Mode) -> Answer<'a, Diff> {
        Box::pin(self.make_equal(specs, mode))
    }
}
