//! Which entry shadows which: an entry that can never decide, because another one always does before it.

use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::{Address, Domain, Timestamp};

use super::block::{Audience, Block, Found, Value, network_octets};
use super::entry::{Entry, Pattern, Place};
use super::index::Lists;
use super::judge::{covers, each_sender_value, rank, without_detail};

impl Lists {
    /// The oldest entry that always decides in the place of this one: it matches whatever this one matches, for at least as
    /// long and for everybody this one is for, comes before it and counts whenever it would. `None`: this one can decide.
    #[must_use]
    pub fn shadow_of(&self, entry: &Entry, now: Timestamp) -> Option<EntryId> {
        let mut oldest: Option<EntryId> = None;
        let mut look = |block: &Block, audiences: &[Audience<'_>], value: &Value<'_>| {
            for audience in audiences {
                for found in block.probe(audience, value) {
                    if found.id != entry.id && shadows(&found, (audience.scope, value), entry, now) {
                        oldest = Some(oldest.map_or(found.id, |oldest| oldest.min(found.id)));
                    }
                }
            }
        };
        let operator = [self.audience(Scope::Operator, b"")];
        self.each_value(&self.operator, &entry.rule.pattern, &mut |value| look(&self.operator, &operator, value));
        let place = &entry.rule.place;
        if let Some(block) = place.tenant().and_then(|tenant| self.block(Some(tenant))) {
            let names = names_around(place);
            let mut audiences = vec![self.audience(Scope::Tenant, b"")];
            audiences.extend(names.iter().map(|(scope, name)| self.audience(*scope, name.as_bytes())));
            self.each_value(block, &entry.rule.pattern, &mut |value| look(block, &audiences, value));
        }
        oldest
    }

    /// Every value that covers the pattern and comes before it or beside it in the order.
    fn each_value(&self, block: &Block, pattern: &Pattern, each: &mut dyn FnMut(&Value<'_>)) {
        let value = |kind: EntryKind, octets: &[u8], each: &mut dyn FnMut(&Value<'_>)| {
            each(&Value { kind, octets, hash: self.tags.value(kind, octets) });
        };
        match pattern {
            Pattern::Address(address) => {
                each_sender_value(self, block, Some((&address.key(), address.domain().as_str())), each);
            }
            // A wider network comes after a narrower one: only the same one can shadow.
            Pattern::Domain(domain) => each_sender_value(self, block, Some(("", domain.as_str())), each),
            Pattern::Network(network) => {
                let mut buffer = [0; 17];
                let end = network_octets(network.addr(), network.prefix_len(), &mut buffer);
                value(EntryKind::Network, buffer.get(..end).unwrap_or_default(), each);
            }
            Pattern::Country(country) => value(EntryKind::Country, country.as_str().as_bytes(), each),
        }
    }
}

/// The domain and mailboxes whose entries are for everybody this place is for.
fn names_around(place: &Place) -> Vec<(Scope, String)> {
    let of_domain = |domain: &Domain| (Scope::Domain, domain.to_string());
    match place {
        Place::Operator | Place::Tenant(_) => Vec::new(),
        Place::Domain(_, domain) => vec![of_domain(domain)],
        Place::Mailbox(_, mailbox) => mailbox_names(mailbox).chain([of_domain(mailbox.domain())]).collect(),
    }
}

fn mailbox_names(mailbox: &Address) -> impl Iterator<Item = (Scope, String)> {
    let key = mailbox.key();
    let folded = without_detail(&key);
    [Some(key), folded].into_iter().flatten().map(|key| (Scope::Mailbox, key))
}

fn shadows(other: &Found<'_>, (scope, value): (Scope, &Value<'_>), entry: &Entry, now: Timestamp) -> bool {
    let seconds = now.as_millis() / 1000;
    let ends = |at: Option<u64>| at.unwrap_or(u64::MAX);
    let expires = entry.expires.map(|at| at.as_millis() / 1000);
    let lasts = !other.expired(seconds) && ends(other.expires.map(u64::from)) >= ends(expires);
    lasts && before(other, (scope, value), entry) && counts_whenever(other, entry)
}

fn before(other: &Found<'_>, (scope, value): (Scope, &Value<'_>), entry: &Entry) -> bool {
    let rule = &entry.rule;
    let own_scope = rule.place.scope();
    match value.kind {
        EntryKind::Address | EntryKind::Domain => {
            let (theirs, own) = (rank(other.action, scope), rank(rule.action, own_scope));
            // Within a rank the narrower entry comes first, so a covering one never does; but of two with one pattern, one
            // bound wider than the other, the older comes first.
            let same_value = match &rule.pattern {
                Pattern::Domain(domain) => value.octets == domain.as_str().as_bytes(),
                pattern => value.kind == pattern.kind(),
            };
            let same = theirs == own && scope == own_scope && same_value;
            theirs < own || (same && other.id < entry.id)
        }
        EntryKind::Network | EntryKind::Country => {
            let (theirs, own) = (other.action.code(), rule.action.code());
            theirs < own || (theirs == own && scope == own_scope && other.id < entry.id)
        }
    }
}

/// An allow counts by authentication or by its bound network; a shadow must count wherever the shadowed one does.
fn counts_whenever(other: &Found<'_>, entry: &Entry) -> bool {
    let of_client = matches!(entry.rule.pattern.kind(), EntryKind::Network | EntryKind::Country);
    match (other.action, other.bound(), entry.rule.bound) {
        (Action::Block, ..) => true,
        _ if of_client => true,
        (Action::Allow, Some(wide), Some(narrow)) => covers(&wide, &narrow),
        (Action::Allow, None, None) => true,
        (Action::Allow, ..) => false,
    }
}
