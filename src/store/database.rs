//! A SQLite file of the data directory: made, opened, brought to the schema of this program.
//!
//! **Failure**: a database of a newer program is refused, never touched.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};

use super::StoreError;

/// How long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rows read or written by one statement.
pub(super) const BATCH: usize = 2_000;

/// A database and its schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// The file in the data directory.
    pub(super) file: &'static str,
    /// One script per schema version; a new one is added at the end, none is ever changed.
    pub(super) schema: &'static [&'static str],
}

/// Opens the database of a data directory, which is made if there is none.
pub(super) async fn open(kind: Kind, data_dir: &Path) -> Result<SqlitePool, StoreError> {
    let path = data_dir.join(kind.file);
    let refused = |source| StoreError::Open { path: path.clone(), source };
    create_private(data_dir, &path).map_err(|error| refused(error.into()))?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE)
        .pragma("cache_size", "-4096")
        .row_buffer_size(BATCH);
    // The one connection that polls stays, others come and go.
    let pool = SqlitePoolOptions::new().max_connections(4).idle_timeout(Duration::from_secs(10));
    let pool = pool.connect_with(options).await.map_err(|error| refused(error.into()))?;
    let mut connection = pool.acquire().await?;
    migrate(&mut connection, kind.schema, &path).await?;
    drop(connection);
    Ok(pool)
}

/// The store holds password hashes: the file is its owner's alone, and SQLite gives the files beside it the same mode.
fn create_private(data_dir: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(data_dir)?;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn migrate(connection: &mut SqliteConnection, schema: &[&'static str], path: &Path) -> Result<(), StoreError> {
    let known = signed(schema.len());
    let (found,): (i64,) = sqlx::query_as("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if found == known {
        return Ok(());
    }
    // Asked again inside: another process may be at it.
    let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
    let (found,): (i64,) = sqlx::query_as("PRAGMA user_version").fetch_one(&mut *editing).await?;
    if found > known {
        return Err(StoreError::Newer { path: PathBuf::from(path), found, known });
    }
    for script in schema.iter().skip(usize::try_from(found).unwrap_or_default()) {
        sqlx::raw_sql(*script).execute(&mut *editing).await?;
    }
    // A pragma takes no bound value; the number is ours.
    let set = format!("PRAGMA user_version = {known}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(&mut *editing).await?;
    editing.commit().await?;
    Ok(())
}

pub(super) fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}
