//! Lists in SQLite: `lists.db` in the data directory, read and written by several processes at once (WAL).
//!
//! Two tables hold an entry: `entries` is narrow and clustered in the order of the index, so that ten million of them are
//! read in seconds; `notes` has what people wrote and is found by id. Entries are read in pages that SQLite puts into one text
//! each: a row that crosses into this program by itself costs more than the look-up of it.
//!
//! **Failure**: an entry that can't be read is named.
//! **Invariants**: every edit is one immediate transaction and counts the version up by one.

use std::collections::HashMap;
use std::path::Path;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};

use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::{Address, Domain, TenantId, Timestamp};
use crate::tenant::lists::{
    Compiler, Entry, Hit, Kept, ListChange, MAX_IN_MAILBOX, MAX_IN_TENANT, NewEntry, Note, Pattern, Place, Rule,
    Written,
};

use super::database::{self, unsigned};
use super::lists::{Checkpoint, FileHash, ListChanges, ListFilter, ListStore, Put, Whose, differs, seconds};
use super::{Answer, Mode, StoreError};

const DATABASE: database::Kind = database::Kind { file: "lists.db", schema: &[include_str!("lists_1.sql")] };
/// Versions whose changes are remembered; whoever is further behind loads everything.
const REMEMBERED: i64 = 1_000;
/// More changes than this are slower to take than to load everything.
const MANY: i64 = 1_000_000;
/// Entries in one text.
const PAGE: i64 = 4_096;
/// Rows that one statement reads for a listing.
const LISTED: i64 = 500;
/// Ids in one statement.
const IDS: usize = 500;

/// Everything of an entry; `{}` is the condition and order.
const KEPT: &str = "SELECT e.id, t.id AS tenant, e.tenant AS number, e.scope, e.name, e.kind, e.value, e.action, e.bound, e.expires, \
     n.owner, n.reason, n.created, h.count, h.last \
     FROM entries e JOIN tenants t ON t.number = e.tenant JOIN notes n ON n.id = e.id LEFT JOIN hits h ON h.id = e.id ";
/// The way from an id to its entry.
const BY_NOTE: &str = "SELECT e.id, t.id AS tenant, e.tenant AS number, e.scope, e.name, e.kind, e.value, e.action, e.bound, e.expires, \
     n.owner, n.reason, n.created, h.count, h.last \
     FROM notes n JOIN entries e ON (e.tenant, e.scope, e.name, e.kind, e.value, e.action, e.bound) = \
     (n.tenant, n.scope, n.name, n.kind, n.value, n.action, n.bound) \
     JOIN tenants t ON t.number = n.tenant LEFT JOIN hits h ON h.id = n.id ";

/// The lists of a data directory.
#[derive(Debug)]
pub struct SqliteLists {
    pool: SqlitePool,
}

/// The clustered key of an entry.
#[derive(Debug, Clone, Default)]
struct Key {
    tenant: i64,
    scope: i64,
    name: String,
    kind: i64,
    value: String,
    action: i64,
    bound: String,
}

impl Key {
    fn of(number: i64, rule: &Rule) -> Self {
        Self {
            tenant: number,
            scope: rule.place.scope().code().into(),
            name: rule.place.name(),
            kind: rule.pattern.kind().code().into(),
            value: rule.pattern.to_string(),
            action: rule.action.code().into(),
            bound: rule.bound.map_or(String::new(), |bound| bound.to_string()),
        }
    }

    /// Before every other key.
    fn first() -> Self {
        Self { tenant: -1, ..Self::default() }
    }

    fn push(&self, query: &mut QueryBuilder<Sqlite>) {
        let mut values = query.separated(", ");
        values.push_bind(self.tenant).push_bind(self.scope).push_bind(self.name.as_str()).push_bind(self.kind);
        values.push_bind(self.value.as_str()).push_bind(self.action).push_bind(self.bound.as_str());
    }
}

impl SqliteLists {
    /// Opens the lists of a data directory, which is made if there is none.
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

    async fn read_all(&self, compiler: &mut Compiler) -> Result<u64, StoreError> {
        let mut connection = self.pool.acquire().await?;
        // A read transaction: all pages are of one version, whatever is written meanwhile.
        let mut reading = connection.begin().await?;
        let (version, _) = state(&mut reading).await?;
        let tenants: Vec<(i64, String)> =
            sqlx::query_as("SELECT number, id FROM tenants").fetch_all(&mut *reading).await?;
        let mut tenants: HashMap<i64, String> = tenants.into_iter().collect();
        let mut page = page_after(&mut reading, &Key::first()).await?;
        let mut begun = None;
        while let Some(text) = page {
            let last = text.rsplit(RECORD).next().and_then(fields).ok_or_else(|| damaged(0, &"a page without end"))?;
            let last = Key {
                tenant: last.tenant,
                scope: last.written.scope.code().into(),
                name: last.written.name.to_owned(),
                kind: last.written.kind.code().into(),
                value: last.written.value.to_owned(),
                action: last.written.action.code().into(),
                bound: last.written.bound.to_owned(),
            };
            // SQLite works on the next page in its own thread while this one is compiled.
            let compile = async { compile(&text, &mut tenants, &mut begun, compiler) };
            let (next, compiled) = tokio::join!(page_after(&mut reading, &last), compile);
            compiled?;
            page = next?;
        }
        Ok(unsigned(version))
    }

    async fn read_changes(&self, since: u64) -> Result<ListChanges, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut reading = connection.begin().await?;
        let (version, horizon) = state(&mut reading).await?;
        let since = i64::try_from(since).unwrap_or(i64::MAX);
        let everything = ListChanges { version: unsigned(version), changes: None };
        if since < horizon || since > version {
            return Ok(everything);
        }
        let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM changes WHERE version > ?")
            .bind(since)
            .fetch_one(&mut *reading)
            .await?;
        if count > MANY {
            return Ok(everything);
        }
        let changed: Vec<(i64, String)> = sqlx::query_as(
            "SELECT DISTINCT c.id, t.id FROM changes c JOIN tenants t ON t.number = c.tenant WHERE c.version > ?",
        )
        .bind(since)
        .fetch_all(&mut *reading)
        .await?;
        let mut changes = Vec::with_capacity(changed.len());
        for batch in changed.chunks(IDS) {
            let ids: Vec<EntryId> = batch.iter().map(|(id, _)| EntryId(unsigned(*id))).collect();
            let mut there: HashMap<EntryId, Entry> =
                by_id(&mut reading, &ids).await?.into_iter().map(|kept| (kept.entry.id, kept.entry)).collect();
            for (id, (_, tenant)) in ids.iter().zip(batch) {
                changes.push(match there.remove(id) {
                    Some(entry) => ListChange::Put(entry),
                    None => ListChange::Remove(read_tenant(id.0, tenant)?, *id),
                });
            }
        }
        Ok(ListChanges { version: unsigned(version), changes: Some(changes) })
    }

    async fn read_list(
        &self,
        filter: &ListFilter,
        each: &mut (dyn FnMut(Kept) -> bool + Send),
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut reading = connection.begin().await?;
        let whose = match &filter.whose {
            Whose::Everybody => None,
            Whose::Tenant(tenant) => Some(tenant.as_ref()),
            Whose::Place(place) => Some(place.tenant()),
        };
        let number = match whose {
            None => None,
            Some(tenant) => match number_of(&mut reading, tenant).await? {
                Some(number) => Some(number),
                None => return Ok(()),
            },
        };
        let mut last = Key { tenant: number.unwrap_or(0), scope: -1, ..Key::default() };
        loop {
            let mut query = QueryBuilder::<Sqlite>::new(KEPT);
            query.push("WHERE (e.tenant, e.scope, e.name, e.kind, e.value, e.action, e.bound) > (");
            last.push(&mut query);
            query.push(")");
            if let Some(number) = number {
                query.push(" AND e.tenant = ").push_bind(number);
            }
            query
                .push(" ORDER BY e.tenant, e.scope, e.name, e.kind, e.value, e.action, e.bound LIMIT ")
                .push_bind(LISTED);
            let rows = query.build().fetch_all(&mut *reading).await?;
            let Some(end) = rows.last() else { return Ok(()) };
            let next = Key {
                tenant: end.try_get("number")?,
                scope: end.try_get("scope")?,
                name: end.try_get("name")?,
                kind: end.try_get("kind")?,
                value: end.try_get("value")?,
                action: end.try_get("action")?,
                bound: end.try_get("bound")?,
            };
            for row in &rows {
                let kept = read_kept(row)?;
                if filter.has(&kept.entry) && !each(kept) {
                    return Ok(());
                }
            }
            last = next;
        }
    }

    async fn write_entries(
        &self,
        entries: &[NewEntry],
        mode: Mode,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Vec<Put>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        // A dry run does the same and takes it back.
        let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut edit = Edit::begin(&mut editing).await?;
        let mut puts = Vec::with_capacity(entries.len());
        for new in entries {
            puts.push(edit.put(&mut editing, new).await?);
        }
        edit.end(&mut editing).await?;
        if let Some(Checkpoint { file, row }) = checkpoint {
            let row = i64::try_from(row).unwrap_or(i64::MAX);
            sqlx::query(
                "INSERT INTO imports (file, row) VALUES (?, ?) ON CONFLICT (file) DO UPDATE SET row = excluded.row",
            )
            .bind(file.as_slice())
            .bind(row)
            .execute(&mut *editing)
            .await?;
        }
        match mode {
            Mode::Write => editing.commit().await?,
            Mode::DryRun => editing.rollback().await?,
        }
        Ok(puts)
    }

    async fn remove_entries(&self, ids: &[EntryId], mode: Mode) -> Result<Vec<Kept>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut removed = Vec::new();
        let mut edit = Edit::begin(&mut editing).await?;
        let mut seen = std::collections::HashSet::new();
        let ids: Vec<EntryId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
        for batch in ids.chunks(IDS) {
            for kept in by_id(&mut editing, batch).await? {
                edit.remove(&mut editing, &kept).await?;
                removed.push(kept);
            }
        }
        edit.end(&mut editing).await?;
        match mode {
            Mode::Write => editing.commit().await?,
            Mode::DryRun => editing.rollback().await?,
        }
        Ok(removed)
    }

    async fn write_hits(&self, hits: &[Hit]) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut editing = connection.begin_with("BEGIN IMMEDIATE").await?;
        for hit in hits {
            // Hits of an entry that is gone are nobody's.
            sqlx::query(
                "INSERT INTO hits (id, count, last) SELECT id, ?2, ?3 FROM notes WHERE id = ?1 \
                 ON CONFLICT (id) DO UPDATE SET count = count + excluded.count, last = max(last, excluded.last)",
            )
            .bind(signed_id(hit.id))
            .bind(i64::try_from(hit.count).unwrap_or(i64::MAX))
            .bind(i64::try_from(hit.last.as_millis()).unwrap_or(i64::MAX))
            .execute(&mut *editing)
            .await?;
        }
        editing.commit().await?;
        Ok(())
    }
}

/// An edit under way.
struct Edit {
    version: i64,
    next_id: i64,
    /// Numbers of tenants, and how many entries they have.
    tenants: HashMap<Option<TenantId>, (i64, i64)>,
    changed: bool,
}

impl Edit {
    async fn begin(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let (version, next_id): (i64, i64) =
            sqlx::query_as("SELECT version + 1, next_id FROM state").fetch_one(connection).await?;
        Ok(Self { version, next_id, tenants: HashMap::new(), changed: false })
    }

    async fn tenant(
        &mut self,
        connection: &mut SqliteConnection,
        tenant: Option<&TenantId>,
    ) -> Result<(i64, i64), StoreError> {
        let tenant = tenant.cloned();
        if let Some(known) = self.tenants.get(&tenant) {
            return Ok(*known);
        }
        let id = tenant.as_ref().map_or("", TenantId::as_str);
        sqlx::query("INSERT INTO tenants (id, entries) VALUES (?, 0) ON CONFLICT (id) DO NOTHING")
            .bind(id)
            .execute(&mut *connection)
            .await?;
        let found: (i64, i64) = sqlx::query_as("SELECT number, entries FROM tenants WHERE id = ?")
            .bind(id)
            .fetch_one(&mut *connection)
            .await?;
        self.tenants.insert(tenant, found);
        Ok(found)
    }

    async fn put(&mut self, connection: &mut SqliteConnection, new: &NewEntry) -> Result<Put, StoreError> {
        let tenant = new.rule.place.tenant();
        let (number, count) = self.tenant(connection, tenant).await?;
        let key = Key::of(number, &new.rule);
        if let Some(old) = by_key(connection, &key).await? {
            let id = old.entry.id;
            if !differs(&old, new) {
                return Ok(Put::Unchanged(id));
            }
            sqlx::query(
                "UPDATE entries SET expires = ? WHERE tenant = ? AND scope = ? AND name = ? AND kind = ? AND value = ? \
                 AND action = ? AND bound = ?",
            )
            .bind(i64::try_from(seconds(new.expires)).unwrap_or(i64::MAX))
            .bind(key.tenant)
            .bind(key.scope)
            .bind(&key.name)
            .bind(key.kind)
            .bind(&key.value)
            .bind(key.action)
            .bind(&key.bound)
            .execute(&mut *connection)
            .await?;
            sqlx::query("UPDATE notes SET owner = ?, reason = ? WHERE id = ?")
                .bind(&*new.note.owner)
                .bind(&*new.note.reason)
                .bind(signed_id(id))
                .execute(&mut *connection)
                .await?;
            self.note_change(connection, signed_id(id), number).await?;
            return Ok(Put::Changed(id, Box::new(old)));
        }
        if count >= MAX_IN_TENANT.into() {
            return Ok(Put::Full(MAX_IN_TENANT));
        }
        if new.rule.place.scope() == Scope::Mailbox {
            let (count,): (i64,) =
                sqlx::query_as("SELECT count(*) FROM entries WHERE tenant = ? AND scope = ? AND name = ?")
                    .bind(number)
                    .bind(key.scope)
                    .bind(&key.name)
                    .fetch_one(&mut *connection)
                    .await?;
            if count >= MAX_IN_MAILBOX.into() {
                return Ok(Put::Full(MAX_IN_MAILBOX));
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        self.insert(connection, id, &key, new).await?;
        self.count(tenant, 1);
        self.note_change(connection, id, number).await?;
        Ok(Put::Added(EntryId(unsigned(id))))
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
        key: &Key,
        new: &NewEntry,
    ) -> Result<(), StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO entries (tenant, scope, name, kind, value, action, bound, id, expires) VALUES (",
        );
        key.push(&mut query);
        query.push(", ").push_bind(id).push(", ");
        query.push_bind(i64::try_from(seconds(new.expires)).unwrap_or(i64::MAX)).push(")");
        query.build().execute(&mut *connection).await?;
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO notes (tenant, scope, name, kind, value, action, bound, id, owner, reason, created) VALUES (",
        );
        key.push(&mut query);
        query.push(", ").push_bind(id).push(", ").push_bind(&*new.note.owner).push(", ").push_bind(&*new.note.reason);
        let created = i64::try_from(new.note.created.as_millis() / 1000).unwrap_or(i64::MAX);
        query.push(", ").push_bind(created).push(")");
        query.build().execute(&mut *connection).await?;
        Ok(())
    }

    async fn remove(&mut self, connection: &mut SqliteConnection, kept: &Kept) -> Result<(), StoreError> {
        let tenant = kept.entry.rule.place.tenant();
        let (number, _) = self.tenant(connection, tenant).await?;
        let key = Key::of(number, &kept.entry.rule);
        let id = signed_id(kept.entry.id);
        let mut query = QueryBuilder::<Sqlite>::new(
            "DELETE FROM entries WHERE (tenant, scope, name, kind, value, action, bound) = (",
        );
        key.push(&mut query);
        query.push(")").build().execute(&mut *connection).await?;
        sqlx::query("DELETE FROM notes WHERE id = ?").bind(id).execute(&mut *connection).await?;
        sqlx::query("DELETE FROM hits WHERE id = ?").bind(id).execute(&mut *connection).await?;
        self.count(tenant, -1);
        self.note_change(connection, id, number).await
    }

    fn count(&mut self, tenant: Option<&TenantId>, by: i64) {
        if let Some((_, count)) = self.tenants.get_mut(&tenant.cloned()) {
            *count += by;
        }
    }

    async fn note_change(&mut self, connection: &mut SqliteConnection, id: i64, tenant: i64) -> Result<(), StoreError> {
        self.changed = true;
        sqlx::query("INSERT INTO changes (version, id, tenant) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(self.version)
            .bind(id)
            .bind(tenant)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Without a change there is no new version.
    async fn end(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if !self.changed {
            return Ok(());
        }
        for (number, count) in self.tenants.values() {
            sqlx::query("UPDATE tenants SET entries = ? WHERE number = ?")
                .bind(count)
                .bind(number)
                .execute(&mut *connection)
                .await?;
        }
        let horizon = self.version - REMEMBERED;
        sqlx::query("DELETE FROM changes WHERE version <= ?").bind(horizon).execute(&mut *connection).await?;
        sqlx::query("UPDATE state SET version = ?, next_id = ?, horizon = max(horizon, ?)")
            .bind(self.version)
            .bind(self.next_id)
            .bind(horizon)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }
}

/// No text of an entry has control characters: fields and records are told apart by two of them.
const FIELD: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// Up to [`PAGE`] entries behind a key.
async fn page_after(connection: &mut SqliteConnection, last: &Key) -> Result<Option<String>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT group_concat(tenant || x'1f' || scope || x'1f' || name || x'1f' || kind || x'1f' || value || x'1f' || action \
         || x'1f' || bound || x'1f' || id || x'1f' || expires, x'1e') FROM (SELECT * FROM entries \
         WHERE (tenant, scope, name, kind, value, action, bound) > (",
    );
    last.push(&mut query);
    query.push(") ORDER BY tenant, scope, name, kind, value, action, bound LIMIT ").push_bind(PAGE).push(")");
    let (text,): (Option<String>,) = query.build_query_as().fetch_one(connection).await?;
    Ok(text)
}

struct Fields<'t> {
    tenant: i64,
    written: Written<'t>,
}

fn fields(record: &str) -> Option<Fields<'_>> {
    let mut parts = record.split(FIELD);
    let mut next = || parts.next();
    let tenant = next()?.parse().ok()?;
    let scope = Scope::from_code(next()?.parse().ok()?)?;
    let name = next()?;
    let kind = EntryKind::from_code(next()?.parse().ok()?)?;
    let value = next()?;
    let action = Action::from_code(next()?.parse().ok()?)?;
    let bound = next()?;
    let id = EntryId(next()?.parse().ok()?);
    // Beyond 2106: never, as far as this index goes.
    let expires = u32::try_from(next()?.parse::<u64>().ok()?).unwrap_or(u32::MAX);
    Some(Fields { tenant, written: Written { id, scope, name, action, kind, value, bound, expires } })
}

fn compile(
    text: &str,
    tenants: &mut HashMap<i64, String>,
    begun: &mut Option<i64>,
    compiler: &mut Compiler,
) -> Result<(), StoreError> {
    for record in text.split(RECORD) {
        let Fields { tenant, written } = fields(record).ok_or_else(|| damaged(0, &format!("{record:?}")))?;
        if *begun != Some(tenant) {
            *begun = Some(tenant);
            // Each tenant comes once, its name is needed no more.
            let id = tenants.remove(&tenant).ok_or_else(|| damaged(written.id.0, &"it has no tenant"))?;
            compiler.tenant(read_tenant(written.id.0, &id)?);
        }
        compiler.entry(&written).map_err(|error| damaged(written.id.0, &error))?;
    }
    Ok(())
}

async fn state(connection: &mut SqliteConnection) -> Result<(i64, i64), StoreError> {
    Ok(sqlx::query_as("SELECT version, horizon FROM state").fetch_one(connection).await?)
}

async fn number_of(connection: &mut SqliteConnection, tenant: Option<&TenantId>) -> Result<Option<i64>, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as("SELECT number FROM tenants WHERE id = ?")
        .bind(tenant.map_or("", TenantId::as_str))
        .fetch_optional(connection)
        .await?;
    Ok(found.map(|(number,)| number))
}

async fn by_id(connection: &mut SqliteConnection, ids: &[EntryId]) -> Result<Vec<Kept>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for batch in ids.chunks(IDS) {
        let mut query = QueryBuilder::<Sqlite>::new(BY_NOTE);
        query.push("WHERE n.id IN (");
        let mut values = query.separated(", ");
        for id in batch {
            values.push_bind(signed_id(*id));
        }
        query.push(")");
        for row in query.build().fetch_all(&mut *connection).await? {
            let kept = read_kept(&row)?;
            found.insert(kept.entry.id, kept);
        }
    }
    Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
}

async fn by_key(connection: &mut SqliteConnection, key: &Key) -> Result<Option<Kept>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(KEPT);
    query.push("WHERE (e.tenant, e.scope, e.name, e.kind, e.value, e.action, e.bound) = (");
    key.push(&mut query);
    query.push(")");
    query.build().fetch_optional(connection).await?.as_ref().map(read_kept).transpose()
}

fn read_kept(row: &SqliteRow) -> Result<Kept, StoreError> {
    let id = unsigned(row.try_get("id")?);
    let wrong = |error: &dyn std::fmt::Display| damaged(id, error);
    let code = |name: &str| Ok::<_, StoreError>(u8::try_from(row.try_get::<i64, _>(name)?).unwrap_or(u8::MAX));
    let text = |name: &str| row.try_get::<&str, _>(name);
    let scope = Scope::from_code(code("scope")?).ok_or_else(|| wrong(&"its scope is unknown"))?;
    let kind = EntryKind::from_code(code("kind")?).ok_or_else(|| wrong(&"its kind is unknown"))?;
    let action = Action::from_code(code("action")?).ok_or_else(|| wrong(&"its action is unknown"))?;
    let place = match (scope, read_tenant(id, text("tenant")?)?) {
        (Scope::Operator, None) => Place::Operator,
        (Scope::Tenant, Some(tenant)) => Place::Tenant(tenant),
        (Scope::Domain, Some(tenant)) => {
            Place::Domain(tenant, Domain::parse(text("name")?).map_err(|error| wrong(&error))?)
        }
        (Scope::Mailbox, Some(tenant)) => {
            Place::Mailbox(tenant, Address::parse(text("name")?).map_err(|error| wrong(&error))?)
        }
        _ => return Err(wrong(&"its scope and tenant don't go together")),
    };
    let pattern = Pattern::parse(kind, text("value")?).map_err(|error| wrong(&error))?;
    let bound = match text("bound")? {
        "" => None,
        bound => Some(Rule::read_bound(bound).map_err(|error| wrong(&error))?),
    };
    let rule = Rule::new(place, action, pattern, bound).map_err(|error| wrong(&error))?;
    let from_seconds = |at: i64| Timestamp::from_millis(unsigned(at).saturating_mul(1000));
    let expires = Some(row.try_get::<i64, _>("expires")?).filter(|at| *at > 0).map(from_seconds);
    let note = Note {
        owner: text("owner")?.into(),
        reason: text("reason")?.into(),
        created: from_seconds(row.try_get("created")?),
    };
    let hits = row.try_get::<Option<i64>, _>("count")?.map_or(0, unsigned);
    let last_hit = row.try_get::<Option<i64>, _>("last")?.map(|at| Timestamp::from_millis(unsigned(at)));
    Ok(Kept { entry: Entry { id: EntryId(id), rule, expires }, note, hits, last_hit })
}

/// The empty name is the operator's.
fn read_tenant(entry: u64, id: &str) -> Result<Option<TenantId>, StoreError> {
    if id.is_empty() {
        return Ok(None);
    }
    TenantId::parse(id).map(Some).map_err(|error| damaged(entry, &error))
}

fn damaged(id: u64, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::DamagedEntry { id, reason: reason.to_string() }
}

fn signed_id(id: EntryId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

impl ListStore for SqliteLists {
    fn version(&self) -> Answer<'_, u64> {
        Box::pin(async {
            let (version,): (i64,) = sqlx::query_as("SELECT version FROM state").fetch_one(&self.pool).await?;
            Ok(unsigned(version))
        })
    }

    fn load<'a>(&'a self, compiler: &'a mut Compiler) -> Answer<'a, u64> {
        Box::pin(self.read_all(compiler))
    }

    fn changes_since(&self, version: u64) -> Answer<'_, ListChanges> {
        Box::pin(self.read_changes(version))
    }

    fn find<'a>(&'a self, ids: &'a [EntryId]) -> Answer<'a, Vec<Kept>> {
        Box::pin(async { by_id(&mut *self.pool.acquire().await?, ids).await })
    }

    fn list<'a>(&'a self, filter: &'a ListFilter, each: &'a mut (dyn FnMut(Kept) -> bool + Send)) -> Answer<'a, ()> {
        Box::pin(self.read_list(filter, each))
    }

    fn put<'a>(&'a self, entries: &'a [NewEntry], mode: Mode, checkpoint: Option<Checkpoint>) -> Answer<'a, Vec<Put>> {
        Box::pin(self.write_entries(entries, mode, checkpoint))
    }

    fn remove<'a>(&'a self, ids: &'a [EntryId], mode: Mode) -> Answer<'a, Vec<Kept>> {
        Box::pin(self.remove_entries(ids, mode))
    }

    fn checkpoint<'a>(&'a self, file: &'a FileHash) -> Answer<'a, Option<u64>> {
        Box::pin(async {
            let row: Option<(i64,)> = sqlx::query_as("SELECT row FROM imports WHERE file = ?")
                .bind(file.as_slice())
                .fetch_optional(&self.pool)
                .await?;
            Ok(row.map(|(row,)| unsigned(row)))
        })
    }

    fn forget_checkpoint<'a>(&'a self, file: &'a FileHash) -> Answer<'a, ()> {
        Box::pin(async {
            sqlx::query("DELETE FROM imports WHERE file = ?").bind(file.as_slice()).execute(&self.pool).await?;
            Ok(())
        })
    }

    fn add_hits<'a>(&'a self, hits: &'a [Hit]) -> Answer<'a, ()> {
        Box::pin(self.write_hits(hits))
    }
}
