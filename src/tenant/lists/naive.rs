//! What the index must answer, said the long way: every entry is looked at.

use std::cmp::Ordering;

use crate::model::lists::{Action, EntryKind, Matched, Scope};
use crate::tenant::lists::{Entry, MAX_MATCHES, Matches, Pattern, Place, Query};

pub(super) fn judge(entries: &[Entry], query: &Query<'_>) -> Matches {
    let matching = entries
        .iter()
        .filter(|entry| is_for(&entry.rule.place, query) && matches(&entry.rule.pattern, query))
        .filter(|entry| entry.expires.is_none_or(|at| at > query.now));
    let (mut of_sender, mut of_client): (Vec<_>, Vec<_>) = matching.partition(|entry| is_of_sender(entry));
    let in_order = |found: &mut Vec<&Entry>| {
        found.sort_by(|a, b| order(a, b));
        found.iter().map(|entry| matched(entry)).take(MAX_MATCHES).collect()
    };
    Matches { sender: in_order(&mut of_sender), ip: in_order(&mut of_client) }
}

fn is_of_sender(entry: &Entry) -> bool {
    matches!(entry.rule.pattern, Pattern::Address(_) | Pattern::Domain(_))
}

fn is_for(place: &Place, query: &Query<'_>) -> bool {
    match place {
        Place::Operator => true,
        Place::Tenant(tenant) => tenant == query.tenant,
        Place::Domain(tenant, domain) => tenant == query.tenant && domain == query.domain,
        Place::Mailbox(tenant, mailbox) => {
            let asked = query.mailbox.local().to_lowercase();
            let folded = asked.split_once('+').map(|(user, _)| user).filter(|user| !user.is_empty());
            tenant == query.tenant
                && mailbox.domain() == query.mailbox.domain()
                && (mailbox.local() == asked || folded == Some(mailbox.local()))
        }
    }
}

fn matches(pattern: &Pattern, query: &Query<'_>) -> bool {
    match pattern {
        Pattern::Address(address) => query.sender.address().is_some_and(|sender| sender.key() == address.key()),
        Pattern::Domain(domain) => query.sender.address().is_some_and(|sender| {
            let of_sender = sender.domain().as_str();
            of_sender == domain.as_str() || (!of_sender.starts_with('[') && of_sender.ends_with(&format!(".{domain}")))
        }),
        Pattern::Network(network) => network.contains(&query.ip.to_canonical()),
        Pattern::Country(country) => query.country == Some(*country),
    }
}

fn matched(entry: &Entry) -> Matched {
    let prefix = match &entry.rule.pattern {
        Pattern::Network(network) => Some(network.prefix_len()),
        _ => None,
    };
    let (action, kind, scope) = (entry.rule.action, entry.rule.pattern.kind(), entry.rule.place.scope());
    Matched { id: entry.id, action, kind, scope, prefix, bound: entry.rule.bound }
}

/// Entries of sender and client are never compared with each other.
fn order(a: &Entry, b: &Entry) -> Ordering {
    let by_sender = |entry: &Entry| {
        let own = entry.rule.place.scope() == Scope::Mailbox;
        match (entry.rule.action, own) {
            (Action::Block, true) => "1 mailbox block",
            (Action::Block, false) => "2 admin block",
            (Action::Allow, true) => "3 mailbox allow",
            (Action::Allow, false) => "4 admin allow",
        }
    };
    let length = |entry: &Entry| match &entry.rule.pattern {
        Pattern::Network(network) => i32::from(network.prefix_len()),
        Pattern::Country(_) => -1,
        Pattern::Address(address) => 1000 + i32::try_from(address.key().len()).unwrap(),
        Pattern::Domain(domain) => i32::try_from(domain.as_str().len()).unwrap(),
    };
    let narrower = b.rule.place.scope().cmp(&a.rule.place.scope());
    let longer = length(b).cmp(&length(a));
    let allow_first = (a.rule.action == Action::Block).cmp(&(b.rule.action == Action::Block));
    let older = a.id.cmp(&b.id);
    match a.rule.pattern.kind() {
        EntryKind::Address | EntryKind::Domain => {
            by_sender(a).cmp(by_sender(b)).then(narrower).then(longer).then(older)
        }
        EntryKind::Network | EntryKind::Country => longer.then(allow_first).then(narrower).then(older),
    }
}
