//! Signing keys in SQLite: `keys.db` in the data directory, its owner's alone (0600), apart from everything else so that it can be
//! backed up, or left out of a backup, by itself.
//!
//! **Failure**: a key that can't be read is named, without its private part.
//! **Invariants**: every edit is one immediate transaction and counts the version up by one; what is erased is overwritten in
//! the database and its write-ahead log is folded in.

use std::path::Path;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Connection, Row, SqliteConnection};

use super::database::{self, unsigned};
use super::keys::{KeyEdit, KeyStore, MAX_KEYS, Signing, Wish, allowed};
use super::{Answer, StoreError};
use crate::model::signing::{KeyAlgorithm, KeyFacts, KeyName, KeyPair, KeyState, PrivateKey, Selector};
use crate::model::{Domain, Timestamp};

const DATABASE: database::Kind = database::Kind { file: "keys.db", schema: &[include_str!("keys_1.sql")] };

/// All but the private part.
const FACTS: &str = "SELECT domain, selector, algorithm, state, record, created, activated, retired FROM keys ";

/// The keys of a data directory.
#[derive(Debug)]
pub struct SqliteKeys {
    pool: SqlitePool,
}

impl SqliteKeys {
    /// Opens the keys of a data directory, which is made if there is none.
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

    async fn read_active(&self) -> Result<(u64, Vec<KeyPair>), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut reading = connection.begin().await?;
        let (version,): (i64,) = sqlx::query_as("SELECT version FROM state").fetch_one(&mut *reading).await?;
        let rows = sqlx::query("SELECT * FROM keys WHERE state = 'active' ORDER BY domain, algorithm")
            .fetch_all(&mut *reading)
            .await?;
        let pair = |row: &SqliteRow| {
            let facts = read_facts(row)?;
            let private: Option<Vec<u8>> = row.try_get("private")?;
            let private = private.ok_or_else(|| damaged(&facts.name.record_name(), "it is active and erased"))?;
            Ok(KeyPair { facts, private: PrivateKey::new(private) })
        };
        let pairs = rows.iter().map(pair).collect::<Result<_, StoreError>>()?;
        Ok((unsigned(version), pairs))
    }

    async fn write_new(&self, key: &KeyPair) -> Result<KeyEdit, StoreError> {
        let name = &key.facts.name;
        let facts = KeyFacts { state: KeyState::New, activated: None, retired: None, ..key.facts.clone() };
        let mut connection = self.pool.acquire().await?;
        let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
        if find(&mut editing, name).await?.is_some() {
            return Ok(KeyEdit::Taken);
        }
        let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM keys WHERE domain = ?")
            .bind(name.domain().as_str())
            .fetch_one(&mut *editing)
            .await?;
        if count >= database::signed(MAX_KEYS) {
            return Ok(KeyEdit::Full);
        }
        sqlx::query(
            "INSERT INTO keys (domain, selector, algorithm, state, record, private, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(name.domain().as_str())
        .bind(name.selector().as_str())
        .bind(facts.algorithm.as_str())
        .bind(facts.state.as_str())
        .bind(&*facts.record)
        .bind(key.private.reveal())
        .bind(millis(facts.created))
        .execute(&mut *editing)
        .await?;
        count_up(&mut editing).await?;
        editing.commit().await?;
        Ok(KeyEdit::Done { key: facts, replaced: None })
    }

    async fn edit(&self, name: &KeyName, wish: Wish, now: Timestamp) -> Result<KeyEdit, StoreError> {
        let mut connection = self.pool.acquire().await?;
        // Of this connection; pages that are given up are written over.
        sqlx::raw_sql("PRAGMA secure_delete = ON").execute(&mut *connection).await?;
        let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
        let Some(facts) = find(&mut editing, name).await? else { return Ok(KeyEdit::Missing) };
        if !allowed(facts.state, wish) {
            return Ok(KeyEdit::Not(facts.state));
        }
        let (key, replaced) = match wish {
            Wish::Activate => {
                let before = sqlx::query(sqlx::AssertSqlSafe(format!(
                    "{FACTS} WHERE domain = ? AND algorithm = ? AND state = 'active'"
                )))
                .bind(name.domain().as_str())
                .bind(facts.algorithm.as_str())
                .fetch_optional(&mut *editing)
                .await?;
                let mut before = before.as_ref().map(read_facts).transpose()?;
                if let Some(before) = &mut before {
                    before.state = KeyState::Replaced;
                    set(&mut editing, before).await?;
                }
                let key = KeyFacts { state: KeyState::Active, activated: Some(now), ..facts };
                set(&mut editing, &key).await?;
                (key, before)
            }
            Wish::Retire(_) => {
                let key = KeyFacts { state: KeyState::Retired, retired: Some(now), ..facts };
                set(&mut editing, &key).await?;
                (key, None)
            }
            Wish::Remove => {
                sqlx::query("DELETE FROM keys WHERE domain = ? AND selector = ?")
                    .bind(name.domain().as_str())
                    .bind(name.selector().as_str())
                    .execute(&mut *editing)
                    .await?;
                (facts, None)
            }
        };
        count_up(&mut editing).await?;
        editing.commit().await?;
        if wish != Wish::Activate {
            // Somebody reading may hold it up: then the log is folded in by the next one, or when the last one closes.
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *connection).await?;
        }
        Ok(KeyEdit::Done { key, replaced })
    }
}

async fn find(connection: &mut SqliteConnection, name: &KeyName) -> Result<Option<KeyFacts>, StoreError> {
    sqlx::query(sqlx::AssertSqlSafe(format!("{FACTS} WHERE domain = ? AND selector = ?")))
        .bind(name.domain().as_str())
        .bind(name.selector().as_str())
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(read_facts)
        .transpose()
}

/// Writes state and times; the private part of a retired key goes.
async fn set(connection: &mut SqliteConnection, key: &KeyFacts) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE keys SET state = ?1, activated = ?2, retired = ?3, private = iif(?1 = 'retired', NULL, private) \
         WHERE domain = ?4 AND selector = ?5",
    )
    .bind(key.state.as_str())
    .bind(key.activated.map(millis))
    .bind(key.retired.map(millis))
    .bind(key.name.domain().as_str())
    .bind(key.name.selector().as_str())
    .execute(connection)
    .await?;
    Ok(())
}

async fn count_up(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("UPDATE state SET version = version + 1").execute(connection).await?;
    Ok(())
}

fn read_facts(row: &SqliteRow) -> Result<KeyFacts, StoreError> {
    let text = |name: &str| row.try_get::<&str, _>(name);
    let label = format!("{}._domainkey.{}", text("selector")?, text("domain")?);
    let wrong = |reason: &dyn std::fmt::Display| damaged(&label, reason);
    let domain = Domain::parse(text("domain")?).map_err(|error| wrong(&error))?;
    let selector = Selector::parse(text("selector")?).map_err(|error| wrong(&error))?;
    let at = |millis: i64| Timestamp::from_millis(unsigned(millis));
    Ok(KeyFacts {
        name: KeyName::new(domain, selector).map_err(|error| wrong(&error))?,
        algorithm: KeyAlgorithm::parse(text("algorithm")?).map_err(|error| wrong(&error))?,
        state: KeyState::parse(text("state")?).ok_or_else(|| wrong(&"its state is unknown"))?,
        record: text("record")?.into(),
        created: at(row.try_get("created")?),
        activated: row.try_get::<Option<i64>, _>("activated")?.map(at),
        retired: row.try_get::<Option<i64>, _>("retired")?.map(at),
    })
}

fn damaged(name: &str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::DamagedKey { name: name.into(), reason: reason.to_string() }
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

impl KeyStore for SqliteKeys {
    fn version(&self) -> Answer<'_, u64> {
        Box::pin(async {
            let (version,): (i64,) = sqlx::query_as("SELECT version FROM state").fetch_one(&self.pool).await?;
            Ok(unsigned(version))
        })
    }

    fn list<'a>(&'a self, domain: Option<&'a Domain>) -> Answer<'a, Vec<KeyFacts>> {
        Box::pin(async move {
            let query = format!("{FACTS} WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, created, selector");
            let rows = sqlx::query(sqlx::AssertSqlSafe(query)).bind(domain.map(Domain::as_str));
            rows.fetch_all(&self.pool).await?.iter().map(read_facts).collect()
        })
    }

    fn active(&self) -> Answer<'_, (u64, Vec<KeyPair>)> {
        Box::pin(self.read_active())
    }

    fn insert<'a>(&'a self, key: &'a KeyPair) -> Answer<'a, KeyEdit> {
        Box::pin(self.write_new(key))
    }

    fn activate<'a>(&'a self, name: &'a KeyName, now: Timestamp) -> Answer<'a, KeyEdit> {
        Box::pin(self.edit(name, Wish::Activate, now))
    }

    fn retire<'a>(&'a self, name: &'a KeyName, signing: Signing, now: Timestamp) -> Answer<'a, KeyEdit> {
        Box::pin(self.edit(name, Wish::Retire(signing), now))
    }

    fn remove<'a>(&'a self, name: &'a KeyName) -> Answer<'a, KeyEdit> {
        Box::pin(self.edit(name, Wish::Remove, Timestamp(0)))
    }
}
