//! Which of the entries that match goes first. Entries may come in any order.
//!
//! Sender entries: mailbox block, administrator's block, mailbox allow, administrator's allow; among an administrator's
//! the narrower scope first. Client entries: the longest prefix, at equal prefixes allow before block, then the narrower
//! scope; without a network an allowed country, then a blocked one.

use std::cmp::Reverse as Descending;
use std::net::IpAddr;

use crate::model::lists::{Action, EntryKind, Matched};
use crate::model::rule::{Effect, Rule, Stage};
use crate::model::sender::Country;

use super::proof::Proof;
use super::ruling::Walk;

/// What the sender lists say.
#[derive(Debug, Clone, Copy)]
pub(super) enum SenderLists {
    Silent,
    Blocked(Matched),
    /// The entry counts.
    Allowed(Matched),
    /// The entry would count if the sender were authenticated; for now it is not.
    Unproven(Matched),
}

/// `entries`: each with how sure its sender is.
pub(super) fn sender_lists(
    entries: impl Iterator<Item = (Matched, Proof)>,
    client: IpAddr,
    walk: &mut Walk,
) -> SenderLists {
    let mut sorted: Vec<_> =
        entries.filter(|(entry, _)| matches!(entry.kind, EntryKind::Address | EntryKind::Domain)).collect();
    if sorted.is_empty() {
        walk.note(Stage::SenderLists, Effect::Passed);
        return SenderLists::Silent;
    }
    sorted.sort_by_key(|(entry, _)| sender_order(entry));
    let mut found = SenderLists::Silent;
    for (entry, proof) in sorted {
        let (effect, said) = match (found, entry.action) {
            (SenderLists::Blocked(_) | SenderLists::Allowed(_), _) => (Effect::Shadowed, found),
            (_, Action::Block) => (Effect::Refused, SenderLists::Blocked(entry)),
            (_, Action::Allow) => match (entry.bound, proof) {
                (Some(bound), _) if bound.contains(&client) => (Effect::Allowed, SenderLists::Allowed(entry)),
                (Some(_), _) => (Effect::OutsideNetwork, found),
                (None, Proof::Proven) => (Effect::Allowed, SenderLists::Allowed(entry)),
                (None, _) if matches!(found, SenderLists::Unproven(_)) => (Effect::Unauthenticated, found),
                (None, _) => (Effect::Unauthenticated, SenderLists::Unproven(entry)),
            },
        };
        walk.rule(Stage::SenderLists, Rule::of_entry(&entry, None), effect);
        found = said;
    }
    found
}

/// Blocks before allows, the mailbox owner before administrators, narrow before wide; addresses before domains.
fn sender_order(entry: &Matched) -> impl Ord + use<> {
    (entry.action == Action::Allow, Descending(entry.scope), entry.kind, entry.id)
}

/// What the client lists say.
#[derive(Debug, Clone, Copy)]
pub(super) enum ClientLists {
    Silent,
    Blocked(Matched),
    AllowedNetwork(Matched),
    AllowedCountry(Matched),
}

pub(super) fn client_lists(entries: &[Matched], country: Option<Country>, walk: &mut Walk) -> ClientLists {
    let mut sorted: Vec<&Matched> =
        entries.iter().filter(|entry| matches!(entry.kind, EntryKind::Network | EntryKind::Country)).collect();
    sorted.sort_by_key(|entry| client_order(entry));
    let Some(first) = sorted.first() else {
        walk.note(Stage::ClientLists, Effect::Passed);
        return ClientLists::Silent;
    };
    let (found, effect) = match (first.action, first.kind) {
        (Action::Block, _) => (ClientLists::Blocked(**first), Effect::Refused),
        (Action::Allow, EntryKind::Country) => (ClientLists::AllowedCountry(**first), Effect::Allowed),
        (Action::Allow, _) => (ClientLists::AllowedNetwork(**first), Effect::Allowed),
    };
    walk.rule(Stage::ClientLists, Rule::of_entry(first, country), effect);
    for entry in sorted.iter().skip(1) {
        walk.rule(Stage::ClientLists, Rule::of_entry(entry, country), Effect::Shadowed);
    }
    found
}

fn client_order(entry: &Matched) -> impl Ord + use<> {
    let prefix = if entry.kind == EntryKind::Network { entry.prefix.unwrap_or(0) } else { 0 };
    (entry.kind, Descending(prefix), entry.action, Descending(entry.scope), entry.id)
}
