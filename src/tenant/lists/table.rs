//! Entries as rows of a table, for import and export: columns, how a row is read, how one is written, the formula guard.
//!
//! **Failure**: [`RowError`] says what is wrong with a row; nothing is guessed that could mean two things.
//! **Invariants**: what was written reads back as the same entry (a fuzz check holds it to that).

use std::collections::HashMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::lists::{Action, EntryKind, Scope};
use crate::model::{Address, Domain, TenantId, Timestamp};

use super::entry::{Entry, EntryError, NewEntry, Note, Pattern, Place, Rule};

/// The columns, in the order of an export.
pub const COLUMNS: [&str; 11] =
    ["action", "kind", "value", "scope", "tenant", "for", "from_network", "expires", "owner", "reason", "created"];

/// Why a row is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("there is no column {0:?}; known are {known}", known = COLUMNS.join(", "))]
    NoColumn(String),
    #[error("column {0:?} stands twice")]
    Twice(String),
    #[error("the header has no column {0:?}")]
    Missing(&'static str),
    #[error("{found} fields, the header has {expected}")]
    Fields { found: usize, expected: usize },
    #[error("octets that are no text in this encoding")]
    Encoding,
    #[error("{column} {value:?}: {help}")]
    Word { column: &'static str, value: String, help: &'static str },
    #[error("{column} {value:?} is no time; write 2026-11-20T12:07:31Z or 2026-11-20")]
    Time { column: &'static str, value: String },
    #[error("it is not said for whom: a scope, a tenant or a domain or mailbox is needed")]
    ForWhom,
    #[error("scope {0} and the other columns contradict each other")]
    Contradiction(&'static str),
    #[error("{0} is no domain of any tenant")]
    NobodysDomain(Domain),
    #[error("{0} is no domain of tenant {1}")]
    NotOfTenant(Domain, TenantId),
    #[error("there is no tenant {0}")]
    NoTenant(TenantId),
    #[error(transparent)]
    Tenant(#[from] crate::model::ids::NotATenantId),
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// Whose domains are whose.
pub trait Owners {
    fn owner(&self, domain: &Domain) -> Option<TenantId>;
    fn exists(&self, tenant: &TenantId) -> bool;
}

/// For rows that don't say it.
#[derive(Debug, Clone)]
pub struct Defaults {
    pub place: Option<Place>,
    pub owner: Box<str>,
    pub now: Timestamp,
}

/// Where the columns stand.
#[derive(Debug, Clone)]
pub struct Header {
    places: HashMap<&'static str, usize>,
    count: usize,
}

impl Header {
    /// # Errors
    /// An unknown, missing or repeated column.
    pub fn read<'f>(fields: impl Iterator<Item = &'f str>) -> Result<Self, RowError> {
        let mut places = HashMap::new();
        let mut count = 0;
        for (at, field) in fields.enumerate() {
            let name = narrow(field).to_ascii_lowercase();
            let known = COLUMNS.into_iter().find(|column| **column == name);
            let column = known.ok_or_else(|| RowError::NoColumn(field.to_owned()))?;
            if places.insert(column, at).is_some() {
                return Err(RowError::Twice(name));
            }
            count += 1;
        }
        for needed in ["action", "value"] {
            if !places.contains_key(needed) {
                return Err(RowError::Missing(needed));
            }
        }
        Ok(Self { places, count })
    }

    /// Reads one row. `true` beside the entry: characters were made narrow or blanks cut off.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn row(&self, fields: &[&str], defaults: &Defaults, owners: &dyn Owners) -> Result<(NewEntry, bool), RowError> {
        if fields.len() != self.count {
            return Err(RowError::Fields { found: fields.len(), expected: self.count });
        }
        if fields.iter().any(|field| field.contains('\u{fffd}')) {
            return Err(RowError::Encoding);
        }
        let row = Row { header: self, fields };
        let entry = row.entry(defaults, owners)?;
        let words = COLUMNS.iter().filter(|column| !FREE.contains(column));
        let normalised = words.filter_map(|column| row.raw(column)).any(|field| narrow(field) != field);
        Ok((entry, normalised))
    }
}

/// Columns whose text is people's own.
const FREE: [&str; 2] = ["owner", "reason"];

struct Row<'r> {
    header: &'r Header,
    fields: &'r [&'r str],
}

impl<'r> Row<'r> {
    /// Without the guard; `None`: empty or no such column.
    fn raw(&self, column: &str) -> Option<&'r str> {
        let at = *self.header.places.get(column)?;
        self.fields.get(at).map(|field| unguarded(field)).filter(|field| !field.is_empty())
    }

    fn word(&self, column: &'static str) -> Option<String> {
        self.raw(column).map(narrow).filter(|word| !word.is_empty())
    }

    fn entry(&self, defaults: &Defaults, owners: &dyn Owners) -> Result<NewEntry, RowError> {
        let wrong = |column, value: &str, help| RowError::Word { column, value: value.to_owned(), help };
        let action = self.word("action").unwrap_or_default().to_ascii_lowercase();
        let action = Action::parse(&action).ok_or_else(|| wrong("action", &action, "write allow or block"))?;
        let value = self.word("value").unwrap_or_default();
        let kind = match self.word("kind").map(|kind| kind.to_ascii_lowercase()) {
            None => Pattern::guess(&value),
            Some(kind) => EntryKind::parse(&kind)
                .ok_or_else(|| wrong("kind", &kind, "write address, domain, network or country"))?,
        };
        let pattern = Pattern::parse(kind, &value)?;
        let bound = self.word("from_network").map(|bound| Rule::read_bound(&bound)).transpose()?;
        let rule = Rule::new(self.place(defaults, owners)?, action, pattern, bound)?;
        let expires = self.time("expires")?;
        let created = self.time("created")?.unwrap_or(defaults.now);
        let owner = self.raw("owner").map_or_else(|| defaults.owner.clone(), Into::into);
        let reason = self.raw("reason").unwrap_or_default().into();
        Ok(NewEntry::new(rule, expires, Note { owner, reason, created })?)
    }

    fn place(&self, defaults: &Defaults, owners: &dyn Owners) -> Result<Place, RowError> {
        let scope = match self.word("scope").map(|scope| scope.to_ascii_lowercase()) {
            None => None,
            Some(scope) => Some(Scope::parse(&scope).ok_or(RowError::Word {
                column: "scope",
                value: scope,
                help: "write operator, tenant, domain or mailbox",
            })?),
        };
        let tenant = self.word("tenant").map(|id| TenantId::parse(&id)).transpose()?;
        let name = self.word("for");
        if let (None, None, None, Some(place)) = (scope, &tenant, &name, &defaults.place) {
            return Ok(place.clone());
        }
        let tenant = tenant.or_else(|| defaults.place.as_ref().and_then(Place::tenant).cloned());
        place_of(scope, tenant, name.as_deref(), owners)
    }

    fn time(&self, column: &'static str) -> Result<Option<Timestamp>, RowError> {
        let Some(word) = self.word(column) else { return Ok(None) };
        read_time(&word).map(Some).ok_or(RowError::Time { column, value: word })
    }
}

/// The place that is meant, its tenant found by the domain where it isn't said.
///
/// # Errors
/// [`RowError`]: contradictions, unknown tenants, domains of others.
pub fn place_of(
    scope: Option<Scope>,
    tenant: Option<TenantId>,
    name: Option<&str>,
    owners: &dyn Owners,
) -> Result<Place, RowError> {
    if let Some(tenant) = tenant.as_ref().filter(|tenant| !owners.exists(tenant)) {
        return Err(RowError::NoTenant(tenant.clone()));
    }
    let guessed = match (name, &tenant) {
        (Some(name), _) if name.char_indices().any(|(at, c)| c == '@' && at > 0) => Scope::Mailbox,
        (Some(_), _) => Scope::Domain,
        (None, Some(_)) => Scope::Tenant,
        (None, None) => scope.filter(|scope| *scope == Scope::Operator).ok_or(RowError::ForWhom)?,
    };
    let scope = scope.unwrap_or(guessed);
    if scope != guessed || (scope == Scope::Operator && tenant.is_some()) {
        return Err(RowError::Contradiction(scope.as_str()));
    }
    let of_tenant = |domain: &Domain| match (owners.owner(domain), tenant.clone()) {
        (None, None) => Err(RowError::NobodysDomain(domain.clone())),
        (Some(owner), tenant) if tenant.as_ref().is_none_or(|tenant| *tenant == owner) => Ok(owner),
        (_, Some(tenant)) => Err(RowError::NotOfTenant(domain.clone(), tenant)),
        (Some(owner), None) => Ok(owner),
    };
    match (scope, tenant.clone(), name.unwrap_or_default()) {
        (Scope::Tenant, Some(tenant), _) => Ok(Place::Tenant(tenant)),
        (Scope::Domain, _, name) => {
            let domain = Domain::parse(name).map_err(|error| EntryError::Domain(name.to_owned(), error))?;
            Ok(Place::Domain(of_tenant(&domain)?, domain))
        }
        (Scope::Mailbox, _, name) => {
            let mailbox = Address::parse(name).map_err(|error| EntryError::Address(name.to_owned(), error))?;
            Ok(Place::mailbox(of_tenant(mailbox.domain())?, &mailbox)?)
        }
        _ => Ok(Place::Operator),
    }
}

/// RFC 3339, or a date (its first moment, UTC).
#[must_use]
pub fn read_time(text: &str) -> Option<Timestamp> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let at = OffsetDateTime::parse(&whole, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp::from_millis)
}

/// RFC 3339 in seconds, UTC.
#[must_use]
pub fn write_time(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// One entry as the fields of a row, guarded.
#[must_use]
pub fn write_row(entry: &Entry, note: &Note) -> [String; 11] {
    let rule = &entry.rule;
    [
        rule.action.as_str().to_owned(),
        rule.pattern.kind().as_str().to_owned(),
        rule.pattern.to_string(),
        rule.place.scope().as_str().to_owned(),
        rule.place.tenant().map_or(String::new(), ToString::to_string),
        rule.place.name(),
        rule.bound.map_or(String::new(), |bound| bound.to_string()),
        entry.expires.map_or(String::new(), write_time),
        note.owner.to_string(),
        note.reason.to_string(),
        write_time(note.created),
    ]
    .map(guarded)
}

/// A cell that a spreadsheet would take for a formula gets a `'` before it (OWASP, CSV injection); one that has such quotes
/// before a formula gets one more, so that reading takes away exactly what writing added.
#[must_use]
pub fn guarded(cell: String) -> String {
    if is_formula(cell.trim_start_matches('\'')) { format!("'{cell}") } else { cell }
}

/// What stood in the cell.
#[must_use]
pub fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// Full-width ASCII (`＠`, `．`, `１`) becomes ASCII, blanks around are cut off.
#[must_use]
pub fn narrow(text: &str) -> String {
    let narrowed = |c: char| match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    text.chars().map(narrowed).collect::<String>().trim().to_owned()
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
