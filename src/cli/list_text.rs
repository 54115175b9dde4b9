//! List entries as text and JSON.

use std::io::Write;

use serde_json::{Value, json};

use super::Style;
use crate::model::Timestamp;
use crate::model::lists::EntryId;
use crate::store::Put;
use crate::telemetry::event::deceives;
use crate::tenant::lists::table::write_time;
use crate::tenant::lists::{Entry, Kept, NewEntry, Note};

/// The mailbox or tenant has as many entries as it may have.
pub(super) fn full(new: &NewEntry, most: u32) -> String {
    format!("{}: {} has {most} entries, as many as it may have", new.rule.pattern, new.rule.place)
}

/// What putting an entry leads to: `+ #7 block domain x.example for tenant acme`. Number 0 is not shown.
pub(super) fn put(line: Option<u64>, new: &NewEntry, put: &Put, style: Style) -> String {
    let (word, sign, id) = match put {
        Put::Added(id) => ("added", '+', Some(*id)),
        Put::Changed(id, _) => ("changed", '~', Some(*id)),
        Put::Unchanged(id) => ("unchanged", '=', Some(*id)),
        Put::Full(_) => ("refused", '!', None),
    };
    let id = id.filter(|id| id.0 > 0);
    let differences = differences(new, put);
    if style.json {
        let mut value = json!({ "v": 1, "event": "row", "change": word, "rule": new.rule.to_string() });
        let mut add = |key: &str, member: Value| {
            if let Some(object) = value.as_object_mut() {
                object.insert(key.to_owned(), member);
            }
        };
        if let Some(id) = id {
            add("id", json!(id));
        }
        if let Some(line) = line {
            add("line", json!(line));
        }
        if !differences.is_empty() {
            add("differences", json!(differences));
        }
        return value.to_string();
    }
    let id = id.map_or(String::new(), |id| format!("#{id} "));
    let mut text = clean(&format!("{sign} {id}{}", new.rule));
    for difference in differences {
        text.push_str("\n    ");
        text.push_str(&clean(&difference));
    }
    text
}

fn differences(new: &NewEntry, put: &Put) -> Vec<String> {
    let Put::Changed(_, old) = put else { return Vec::new() };
    let mut lines = Vec::new();
    let mut compare = |what: &str, old: &str, new: &str| {
        if old != new {
            lines.push(format!("{what}: {old:?} -> {new:?}"));
        }
    };
    let time = |at: Option<Timestamp>| at.map_or("never".into(), write_time);
    compare("expires", &time(old.entry.expires), &time(new.expires));
    compare("owner", &old.note.owner, &new.note.owner);
    compare("reason", &old.note.reason, &new.note.reason);
    lines
}

pub(super) fn removed(kept: &Kept, style: Style) -> String {
    let Entry { id, rule, .. } = &kept.entry;
    if style.json {
        return json!({ "v": 1, "event": "row", "change": "removed", "id": id, "rule": rule.to_string() }).to_string();
    }
    clean(&format!("- #{id} {rule}"))
}

/// One entry for programs.
fn to_json(kept: &Kept, shadow: Option<EntryId>, now: Timestamp) -> Value {
    let Kept { entry: Entry { id, rule, expires }, note: Note { owner, reason, created }, hits, last_hit } = kept;
    json!({
        "v": 1,
        "id": id,
        "action": rule.action,
        "kind": rule.pattern.kind(),
        "value": rule.pattern.to_string(),
        "scope": rule.place.scope(),
        "tenant": rule.place.tenant(),
        "for": Some(rule.place.name()).filter(|name| !name.is_empty()),
        "from_network": rule.bound,
        "expires": expires.map(write_time),
        "expired": expires.is_some_and(|at| at <= now),
        "owner": owner,
        "reason": reason,
        "created": write_time(*created),
        "hits": hits,
        "last_hit": last_hit.map(write_time),
        "shadowed_by": shadow,
    })
}

/// A listing, row by row: it may be long.
pub(super) struct Table {
    style: Style,
    now: Timestamp,
    begun: bool,
}

impl Table {
    pub(super) fn new(style: Style, now: Timestamp) -> Self {
        Self { style, now, begun: false }
    }

    pub(super) fn row(&mut self, kept: &Kept, shadow: Option<EntryId>, out: &mut impl Write) -> std::io::Result<()> {
        if self.style.json {
            return writeln!(out, "{}", to_json(kept, shadow, self.now));
        }
        if !self.begun {
            self.begun = true;
            line(out, ["ID", "ACTION", "KIND", "VALUE", "FOR", "HITS", "LAST HIT", "EXPIRES", "OWNER", "REASON"])?;
        }
        let Entry { id, rule, expires } = &kept.entry;
        let time = |at: Option<Timestamp>| at.map_or("-".into(), write_time);
        let mut value = rule.pattern.to_string();
        if let Some(bound) = rule.bound {
            value = format!("{value} from {bound}");
        }
        let mut until = time(*expires);
        if expires.is_some_and(|at| at <= self.now) {
            until.push_str(" (expired)");
        }
        line(
            out,
            [
                &id.to_string(),
                rule.action.as_str(),
                rule.pattern.kind().as_str(),
                &value,
                &rule.place.to_string(),
                &kept.hits.to_string(),
                &time(kept.last_hit),
                &until,
                &kept.note.owner,
                &kept.note.reason,
            ],
        )?;
        match shadow {
            Some(shadow) => writeln!(out, "        shadowed by #{shadow}: never decides"),
            None => Ok(()),
        }
    }

    pub(super) fn end(&self, out: &mut impl Write) -> std::io::Result<()> {
        if !self.begun && !self.style.json {
            eprintln!("sekisho: no such entries");
        }
        out.flush()
    }
}

/// Columns of fixed width: a long listing is printed while it is read.
fn line(out: &mut impl Write, cells: [&str; 10]) -> std::io::Result<()> {
    const WIDTHS: [usize; 10] = [8, 6, 8, 32, 34, 6, 21, 21, 12, 0];
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        text.push_str(&format!("{:<width$} ", clean(cell)));
    }
    writeln!(out, "{}", text.trim_end())
}

/// What people wrote, without controls and bidirectional marks.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if deceives(c) { '?' } else { c }).collect()
}

/// RFC 4180, with its line end.
pub(super) fn csv_line(fields: &[String]) -> String {
    let mut line = String::new();
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        if field.contains(['"', ',', '\r', '\n']) || field.starts_with(' ') || field.ends_with(' ') {
            line.push('"');
            line.push_str(&field.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(field);
        }
    }
    line.push_str("\r\n");
    line
}
