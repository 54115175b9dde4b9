//! What an edit changes, in words for people: computed from the JSON forms, so that a new key needs no code here.
//!
//! **Invariants**: a secret is never in a diff, only that it changed.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::TenantId;

use super::spec::TenantSpec;

/// What makes the store equal to a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The store's version afterwards (as it was, if nothing changes).
    pub version: u64,
    pub added: Vec<TenantId>,
    pub changed: Vec<Changed>,
    pub removed: Vec<TenantId>,
    pub unchanged: usize,
}

/// One changed tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    pub id: TenantId,
    /// `custody: "queued" -> "inline"`, one line per difference.
    pub differences: Vec<String>,
}

impl Diff {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// What differs between two forms of a tenant.
#[must_use]
pub fn differences(old: &TenantSpec, new: &TenantSpec) -> Vec<String> {
    let form = |spec| serde_json::to_value(spec).unwrap_or_default();
    let mut lines = Vec::new();
    walk("", &form(old), &form(new), &mut lines);
    lines
}

fn walk(path: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => objects(path, old, new, lines),
        (Value::Array(old), Value::Array(new)) => arrays(path, old, new, lines),
        _ if is_secret(path.rsplit('.').next().unwrap_or_default()) => lines.push(format!("{path}: changed")),
        _ => lines.push(format!("{path}: {} -> {}", brief(old), brief(new))),
    }
}

fn objects(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, lines: &mut Vec<String>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let absent = Value::Null;
        walk(&inner, old.get(key).unwrap_or(&absent), new.get(key).unwrap_or(&absent), lines);
    }
}

/// Elements are matched by name where they have one, otherwise by being equal.
fn arrays(path: &str, old: &[Value], new: &[Value], lines: &mut Vec<String>) {
    let before = lines.len();
    for element in old {
        match named(element, new) {
            Some(other) => walk(&format!("{path}[{}]", name_of(element)), element, other, lines),
            None if new.contains(element) => {}
            None => lines.push(format!("{path}: - {}", brief(element))),
        }
    }
    for element in new.iter().filter(|element| named(element, old).is_none() && !old.contains(element)) {
        lines.push(format!("{path}: + {}", brief(element)));
    }
    if lines.len() == before {
        lines.push(format!("{path}: other order"));
    }
}

fn name_of(element: &Value) -> &str {
    let login = element.get("login").and_then(|login| login.get("username"));
    login.or_else(|| element.get("name")).and_then(Value::as_str).unwrap_or_default()
}

fn named<'v>(element: &Value, others: &'v [Value]) -> Option<&'v Value> {
    let name = name_of(element);
    others.iter().find(|other| !name.is_empty() && name_of(other) == name)
}

/// A value in short, without secrets.
fn brief(value: &Value) -> String {
    let mut value = value.clone();
    hide_secrets(&mut value);
    let text = value.to_string();
    match text.char_indices().nth(120) {
        Some((cut, _)) => format!("{}...", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

/// Hashes from which a secret might be guessed.
fn is_secret(key: &str) -> bool {
    matches!(key, "password_hash" | "value_hash")
}

/// Takes secrets out of a tenant's JSON form.
pub fn hide_secrets(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if is_secret(key) {
                    *inner = Value::from("(hidden)");
                } else {
                    hide_secrets(inner);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(hide_secrets),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> TenantSpec {
        crate::tenant::read("t.toml", &format!("[[tenant]]\nid = 'a'\n{text}")).unwrap().remove(0)
    }

    const DOMAIN: &str = "[[tenant.domain]]\nname = 'a.example'\nnext_hops = ['h']\n";

    #[test]
    fn differences_are_told_by_name() {
        let old = spec(&format!("{DOMAIN}recipients = ['x@a.example', 'y@a.example']\n"));
        let new = spec(&format!(
            "custody = 'inline'\n{DOMAIN}recipients = ['y@a.example', 'z@a.example']\n[[tenant.domain]]\nname = 'b.example'\nnext_hops = ['h']\n"
        ));
        let lines = differences(&old, &new);
        for expected in [
            "custody: \"queued\" -> \"inline\"",
            "domains[a.example].recipients.list: - \"x@a.example\"",
            "domains[a.example].recipients.list: + \"z@a.example\"",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
        }
        assert!(lines.iter().any(|line| line.starts_with("domains: + {") && line.contains("b.example")), "{lines:#?}");
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(differences(&old, &old).is_empty());
    }

    #[test]
    fn a_secret_is_never_in_a_difference() {
        let login = |salt: &str| {
            let tail = "$Hn2eSNgPQzUwBlE5mA5Us1FGZyE1BeGGmtHqMGWE5Vk";
            let hash = format!("$argon2id$v=19$m=19456,t=2,p=1${salt}{tail}");
            spec(&format!("[[tenant.outbound_client]]\nusername = 'u'\npassword_hash = '{hash}'\n"))
        };
        let (old, new) = (login("c29tZXNhbHRzb21lc2FsdA"), login("b3RoZXJzYWx0b3RoZXJzYQ"));
        assert_eq!(differences(&old, &new), ["outbound_clients[u].login.password_hash: changed"]);
        for lines in [differences(&spec(""), &new), differences(&new, &spec(""))] {
            assert!(!lines.is_empty() && !lines.concat().contains("argon2"), "{lines:#?}");
        }
    }
}
