//! The look-up: which entries match one recipient, sender and client, and in what order they are evaluated.
//!
//! **Sender** (address and domain entries): mailbox block, administrator's block, mailbox allow, administrator's allow;
//! administrators are operator, tenant and domain. Within one of the four: narrower scope, then address before domain,
//! then the longer domain, then the older entry. Only which entry is *named* depends on these.
//!
//! **Client** (network and country entries): the longest prefix; of equal ones allow before block; then the narrower scope.
//! So a tenant's allow of an address beats the operator's block of the same address or of a network around it, and the
//! operator's block of an address beats a tenant's allow of a network around it. Countries come after every network:
//! allow before block, then the narrower scope.

use std::cmp::Reverse;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::lists::{Action, EntryId, EntryKind, Matched, Scope};
use crate::model::sender::Country;
use crate::model::{Address, Domain, ReversePath, TenantId, Timestamp};

use super::block::{Audience, Block, Found, Value, labels, network_octets};
use super::index::Lists;

/// More matching entries than this are not told; the ones first in order are.
pub const MAX_MATCHES: usize = 64;

/// One recipient of one sender and client.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    pub tenant: &'q TenantId,
    /// The recipient's domain, the tenant's own.
    pub domain: &'q Domain,
    /// The recipient. `user+detail` has its own entries and those of `user`.
    pub mailbox: &'q Address,
    /// Of the envelope; or the author (header From), asked for in a second look-up.
    pub sender: &'q ReversePath,
    pub ip: IpAddr,
    pub country: Option<Country>,
    pub now: Timestamp,
}

/// Every entry that matches and has not expired, in the order of evaluation. The first that counts decides; those behind
/// it are shadowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// Address and domain entries.
    pub sender: Vec<Matched>,
    /// Network and country entries.
    pub ip: Vec<Matched>,
}

impl Matches {
    /// The sender entry that decides, and those it shadows. Entries before it matched but don't count, see [`counts`].
    #[must_use]
    pub fn sender_decision(&self, ip: IpAddr, authenticated: bool) -> Option<(&Matched, &[Matched])> {
        let at = self.sender.iter().position(|matched| counts(matched, ip, authenticated))?;
        Some((self.sender.get(at)?, self.sender.get(at + 1..).unwrap_or_default()))
    }

    /// The client entry that decides, and those it shadows.
    #[must_use]
    pub fn ip_decision(&self) -> Option<(&Matched, &[Matched])> {
        self.ip.split_first()
    }
}

/// Whether a sender entry that matched counts: a block always, an allow if the sender is authenticated, a bound allow if
/// the client is in its network.
#[must_use]
pub fn counts(matched: &Matched, ip: IpAddr, authenticated: bool) -> bool {
    match (matched.action, matched.bound) {
        (Action::Block, _) => true,
        (Action::Allow, Some(bound)) => bound.contains(&ip.to_canonical()),
        (Action::Allow, None) => authenticated,
    }
}

/// The place in the order; smaller is earlier.
type Place = (u8, u8, u8, Reverse<usize>, EntryId);

impl Lists {
    /// Every entry that matches.
    #[must_use]
    pub fn judge(&self, query: &Query<'_>) -> Matches {
        let of_tenant = self.block(Some(query.tenant));
        if self.operator.len() == 0 && of_tenant.is_none() {
            return Matches::default();
        }
        let subject = Subject {
            sender: query.sender.address().map(|address| (address.key(), address.domain().as_str())),
            ip: query.ip.to_canonical(),
            country: query.country,
        };
        let mut found = Gathered { seconds: query.now.as_millis() / 1000, ..Gathered::default() };
        if self.operator.len() > 0 {
            found.search(self, &self.operator, &[self.audience(Scope::Operator, b"")], &subject);
        }
        if let Some(block) = of_tenant {
            let has_own = block.shape.has_scope(Scope::Mailbox);
            let mailbox = if has_own { query.mailbox.key() } else { String::new() };
            let folded = without_detail(&mailbox);
            let names = [
                Some((Scope::Tenant, "")),
                Some((Scope::Domain, query.domain.as_str())),
                has_own.then_some((Scope::Mailbox, mailbox.as_str())),
                folded.as_deref().map(|folded| (Scope::Mailbox, folded)),
            ];
            let mut audiences = [self.audience(Scope::Tenant, b""); 4];
            let mut count = 0;
            // A scope without entries is not even hashed.
            let asked = names.into_iter().flatten().filter(|(scope, _)| block.shape.has_scope(*scope));
            for ((scope, name), audience) in asked.zip(&mut audiences) {
                *audience = self.audience(scope, name.as_bytes());
                count += 1;
            }
            found.search(self, block, audiences.get(..count).unwrap_or_default(), &subject);
        }
        Matches { sender: in_order(found.sender), ip: in_order(found.ip) }
    }

    pub(super) fn audience<'a>(&self, scope: Scope, name: &'a [u8]) -> Audience<'a> {
        Audience { scope, name, hash: self.tags.name(scope, name) }
    }
}

fn in_order(mut found: Vec<(Place, Matched)>) -> Vec<Matched> {
    found.sort_unstable_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, matched)| matched).take(MAX_MATCHES).collect()
}

/// `user+detail@domain` is `user@domain` too (RFC 5233), as in lists of recipients.
pub(super) fn without_detail(key: &str) -> Option<String> {
    let (local, domain) = key.rsplit_once('@')?;
    let (user, _) = local.split_once('+')?;
    (!user.is_empty()).then(|| format!("{user}@{domain}"))
}

/// What entries are compared with.
pub(super) struct Subject<'s> {
    /// Comparable form of the address, and its domain.
    pub(super) sender: Option<(String, &'s str)>,
    pub(super) ip: IpAddr,
    pub(super) country: Option<Country>,
}

#[derive(Default)]
struct Gathered {
    seconds: u64,
    sender: Vec<(Place, Matched)>,
    ip: Vec<(Place, Matched)>,
}

impl Gathered {
    fn search(&mut self, lists: &Lists, block: &Block, audiences: &[Audience<'_>], subject: &Subject<'_>) {
        let sender = subject.sender.as_ref().map(|(key, domain)| (key.as_str(), *domain));
        each_sender_value(lists, block, sender, &mut |value| {
            for (audience, found) in hits(block, audiences, value) {
                let place = sender_place(audience.scope, value, &found);
                self.add(place, audience.scope, value.kind, None, &found);
            }
        });
        each_client_value(lists, block, subject, &mut |value, prefix| {
            for (audience, found) in hits(block, audiences, value) {
                let place = client_place(audience.scope, prefix, &found);
                self.add(place, audience.scope, value.kind, prefix, &found);
            }
        });
    }

    fn add(&mut self, place: Place, scope: Scope, kind: EntryKind, prefix: Option<u8>, found: &Found<'_>) {
        if found.expired(self.seconds) {
            return;
        }
        let matched = Matched { id: found.id, action: found.action, kind, scope, prefix, bound: found.bound() };
        let list = match kind {
            EntryKind::Address | EntryKind::Domain => &mut self.sender,
            EntryKind::Network | EntryKind::Country => &mut self.ip,
        };
        list.push((place, matched));
    }
}

fn hits<'b>(
    block: &'b Block,
    audiences: &'b [Audience<'b>],
    value: &'b Value<'b>,
) -> impl Iterator<Item = (&'b Audience<'b>, Found<'b>)> {
    let asked = audiences.iter().filter(|audience| block.shape.has(audience.scope, value.kind));
    asked.flat_map(|audience| block.probe(audience, value).map(move |found| (audience, found)))
}

/// The address, its domain and every domain above, as far as the block has entries of that many labels.
pub(super) fn each_sender_value(
    lists: &Lists,
    block: &Block,
    sender: Option<(&str, &str)>,
    each: &mut dyn FnMut(&Value<'_>),
) {
    let Some((address, domain)) = sender else { return };
    let has = |kind| Scope::ALL.iter().any(|scope| block.shape.has(*scope, kind));
    if has(EntryKind::Address) && !address.is_empty() {
        let (kind, octets) = (EntryKind::Address, address.as_bytes());
        each(&Value { kind, octets, hash: lists.tags.value(kind, octets) });
    }
    if !has(EntryKind::Domain) {
        return;
    }
    let mut left = labels(domain.as_bytes());
    let mut above = Some(domain);
    // An address literal has no domains above it.
    let literal = domain.starts_with('[');
    while let Some(name) = above {
        if block.shape.labels.has(left) {
            let (kind, octets) = (EntryKind::Domain, name.as_bytes());
            each(&Value { kind, octets, hash: lists.tags.value(kind, octets) });
        }
        left = left.saturating_sub(1);
        above = name.split_once('.').map(|(_, above)| above).filter(|_| !literal);
    }
}

/// The client's networks of every length that the block has, then its country.
fn each_client_value(
    lists: &Lists,
    block: &Block,
    subject: &Subject<'_>,
    each: &mut dyn FnMut(&Value<'_>, Option<u8>),
) {
    let lengths = if subject.ip.is_ipv4() { block.shape.v4 } else { block.shape.v6 };
    let mut buffer = [0; 17];
    for length in lengths.descending() {
        let end = network_octets(subject.ip, length, &mut buffer);
        let (kind, octets) = (EntryKind::Network, buffer.get(..end).unwrap_or_default());
        each(&Value { kind, octets, hash: lists.tags.value(kind, octets) }, Some(length));
    }
    if let Some(country) = subject.country {
        let (kind, octets) = (EntryKind::Country, country.as_str().as_bytes());
        each(&Value { kind, octets, hash: lists.tags.value(kind, octets) }, None);
    }
}

/// Mailbox block, administrator's block, mailbox allow, administrator's allow.
pub(super) fn rank(action: Action, scope: Scope) -> u8 {
    match (action, scope) {
        (Action::Block, Scope::Mailbox) => 0,
        (Action::Block, _) => 1,
        (Action::Allow, Scope::Mailbox) => 2,
        (Action::Allow, _) => 3,
    }
}

fn narrowest_first(scope: Scope) -> u8 {
    u8::MAX - scope.code()
}

fn sender_place(scope: Scope, value: &Value<'_>, found: &Found<'_>) -> Place {
    let length = Reverse(value.octets.len());
    (rank(found.action, scope), narrowest_first(scope), value.kind.code(), length, found.id)
}

fn client_place(scope: Scope, prefix: Option<u8>, found: &Found<'_>) -> Place {
    // Countries behind every network.
    let by_length = prefix.map_or(u8::MAX, |length| 128 - length.min(128));
    (by_length, found.action.code(), narrowest_first(scope), Reverse(0), found.id)
}

/// Whether one network has all addresses of another.
pub(super) fn covers(wide: &IpNet, narrow: &IpNet) -> bool {
    wide.contains(narrow)
}
