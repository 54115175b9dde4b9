//! Measures in SQLite: `suspensions.db` in the data directory, apart from tenants and lists, so that a damaged one costs neither.
//!
//! **Failure**: a measure that can't be read is named; the others are not believed to be all there are.
//! **Invariants**: every edit is one immediate transaction and counts the version up by one.

use std::path::Path;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Connection, Row};

use super::database::{self, signed, unsigned};
use super::suspensions::{MOST_SUSPENSIONS, SuspensionFilter, SuspensionStore};
use super::{Answer, StoreError};
use crate::model::suspension::{Suspension, SuspensionId};
use crate::model::{TenantId, Timestamp};

const DATABASE: database::Kind =
    database::Kind { file: "suspensions.db", schema: &[include_str!("suspensions_1.sql")] };

/// The measures of a data directory.
#[derive(Debug)]
pub struct SqliteSuspensions {
    pool: SqlitePool,
}

impl SqliteSuspensions {
    /// Opens the measures of a data directory, which is made if there is none.
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

    #[cfg(test)]
    pub(super) fn pool_for_tests(&self) -> SqlitePool {
        self.pool.clone()
    }

    async fn write(&self, suspensions: &[Suspension]) -> Result<u64, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut changed = 0;
        for one in suspensions {
            let body = serde_json::to_string(one).map_err(|error| damaged(one.id, error))?;
            let done = sqlx::query(
                "INSERT INTO suspensions (id, tenant, ended, body) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (id) DO UPDATE SET tenant = ?2, ended = ?3, body = ?4 \
                 WHERE suspensions.ended IS NULL AND body <> ?4",
            )
            .bind(one.id.to_string())
            .bind(one.subject.tenant.as_str())
            .bind(one.ended.as_ref().map(|ended| millis(ended.at)))
            .bind(body)
            .execute(&mut *editing)
            .await?;
            changed += done.rows_affected();
        }
        if changed > 0 {
            sqlx::query("UPDATE state SET version = version + 1").execute(&mut *editing).await?;
        }
        let (version,): (i64,) = sqlx::query_as("SELECT version FROM state").fetch_one(&mut *editing).await?;
        editing.commit().await?;
        Ok(unsigned(version))
    }

    async fn read(&self, ended_after: Timestamp) -> Result<(u64, Vec<Suspension>), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut reading = connection.begin().await?;
        let (version,): (i64,) = sqlx::query_as("SELECT version FROM state").fetch_one(&mut *reading).await?;
        let rows = sqlx::query("SELECT id, body FROM suspensions WHERE ended IS NULL OR ended > ? ORDER BY id")
            .bind(millis(ended_after))
            .fetch_all(&mut *reading)
            .await?;
        Ok((unsigned(version), rows.iter().map(suspension).collect::<Result<_, _>>()?))
    }

    async fn take_away(&self, which: Which<'_>) -> Result<u64, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
        let gone = match which {
            Which::EndedBefore(at) => sqlx::query("DELETE FROM suspensions WHERE ended < ?").bind(millis(at)),
            Which::Tenant(tenant) => sqlx::query("DELETE FROM suspensions WHERE tenant = ?").bind(tenant.as_str()),
        };
        let gone = gone.execute(&mut *editing).await?.rows_affected();
        if gone > 0 {
            sqlx::query("UPDATE state SET version = version + 1").execute(&mut *editing).await?;
        }
        editing.commit().await?;
        Ok(gone)
    }
}

/// Rows to take away.
enum Which<'a> {
    EndedBefore(Timestamp),
    Tenant(&'a TenantId),
}

fn suspension(row: &SqliteRow) -> Result<Suspension, StoreError> {
    let (id, body): (&str, &str) = (row.try_get("id")?, row.try_get("body")?);
    serde_json::from_str(body)
        .map_err(|error| StoreError::DamagedSuspension { id: id.into(), reason: error.to_string() })
}

fn damaged(id: SuspensionId, reason: impl std::fmt::Display) -> StoreError {
    StoreError::DamagedSuspension { id: id.to_string(), reason: reason.to_string() }
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

impl SuspensionStore for SqliteSuspensions {
    fn version(&self) -> Answer<'_, u64> {
        Box::pin(async {
            let (version,): (i64,) = sqlx::query_as("SELECT version FROM state").fetch_one(&self.pool).await?;
            Ok(unsigned(version))
        })
    }

    fn put<'a>(&'a self, suspensions: &'a [Suspension]) -> Answer<'a, u64> {
        Box::pin(self.write(suspensions))
    }

    fn load(&self, ended_after: Timestamp) -> Answer<'_, (u64, Vec<Suspension>)> {
        Box::pin(self.read(ended_after))
    }

    fn list<'a>(&'a self, filter: &'a SuspensionFilter) -> Answer<'a, Vec<Suspension>> {
        Box::pin(async move {
            let rows = sqlx::query(
                "SELECT id, body FROM suspensions WHERE (?1 OR ended IS NULL) AND (?2 IS NULL OR tenant = ?2) \
                 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
            )
            .bind(filter.ended)
            .bind(filter.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()))
            .bind(filter.before.map(|before| before.to_string()))
            .bind(signed(filter.limit.min(MOST_SUSPENSIONS)));
            rows.fetch_all(&self.pool).await?.iter().map(suspension).collect()
        })
    }

    fn find(&self, id: SuspensionId) -> Answer<'_, Option<Suspension>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT id, body FROM suspensions WHERE id = ?").bind(id.to_string());
            row.fetch_optional(&self.pool).await?.as_ref().map(suspension).transpose()
        })
    }

    fn forget(&self, ended_before: Timestamp) -> Answer<'_, u64> {
        Box::pin(self.take_away(Which::EndedBefore(ended_before)))
    }

    fn erase<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, u64> {
        Box::pin(self.take_away(Which::Tenant(tenant)))
    }

    fn saw(&self, now: Timestamp) -> Answer<'_, ()> {
        Box::pin(async move {
            sqlx::query("UPDATE state SET seen = ?").bind(millis(now)).execute(&self.pool).await?;
            Ok(())
        })
    }

    fn seen(&self) -> Answer<'_, Option<Timestamp>> {
        Box::pin(async {
            let (seen,): (i64,) = sqlx::query_as("SELECT seen FROM state").fetch_one(&self.pool).await?;
            Ok((seen > 0).then(|| Timestamp::from_millis(unsigned(seen))))
        })
    }
}
