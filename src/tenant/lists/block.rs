//! The entries of one tenant (or of the operator), packed: five arrays, found by a 32-bit tag, told apart by their text.
//!
//! A tag is the upper half of a keyed hash over kind, value, scope and name, so that an entry is found by what it matches and
//! for whom at once. Tags stand sorted; a directory over their upper bits leads to about four of them. An entry takes 24
//! octets, its tag and its share of the directory 5, its text what it is long.
//!
//! **Invariants**: a tag that is equal by chance costs a comparison, never a wrong answer: kind, scope, value and name are
//! compared as well.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::sender::Country;

use super::entry::{Entry, Pattern, Place};

/// The keyed hash: one key for all blocks of a [`Lists`](super::Lists), so that a probe is hashed once.
#[derive(Debug, Clone)]
pub(super) struct Tags(RandomState);

impl Tags {
    pub(super) fn new() -> Self {
        Self(RandomState::new())
    }

    fn hash(&self, kind: u8, octets: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u8(kind);
        hasher.write(octets);
        hasher.finish()
    }

    pub(super) fn value(&self, kind: EntryKind, octets: &[u8]) -> u64 {
        self.hash(kind.code(), octets)
    }

    pub(super) fn name(&self, scope: Scope, octets: &[u8]) -> u64 {
        self.hash(0x80 | scope.code(), octets)
    }

    /// Both hashes are keyed; a multiplication mixes them into the upper half.
    pub(super) fn tag(value: u64, name: u64) -> u32 {
        ((value ^ name.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }
}

/// A small set of numbers up to 191: labels of domains, lengths of prefixes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Few([u64; 3]);

impl Few {
    fn add(&mut self, n: u8) {
        if let Some(word) = self.0.get_mut(usize::from(n) / 64) {
            *word |= 1 << (n % 64);
        }
    }

    pub(super) fn has(&self, n: usize) -> bool {
        self.0.get(n / 64).is_some_and(|word| word & (1 << (n % 64)) != 0)
    }

    /// Largest first.
    pub(super) fn descending(self) -> impl Iterator<Item = u8> {
        let words = self.0.into_iter().zip([0u8, 64, 128]).rev();
        words.flat_map(|(mut word, base)| {
            std::iter::from_fn(move || {
                let top = word.checked_ilog2()?;
                word ^= 1 << top;
                Some(base + top as u8)
            })
        })
    }
}

/// What kinds of probes a block can answer at all.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// For each scope, a bit for each kind.
    kinds: [u16; 4],
    pub(super) labels: Few,
    pub(super) v4: Few,
    pub(super) v6: Few,
}

impl Shape {
    pub(super) fn has_scope(&self, scope: Scope) -> bool {
        self.kinds.get(usize::from(scope.code())).is_some_and(|kinds| *kinds != 0)
    }

    pub(super) fn has(&self, scope: Scope, kind: EntryKind) -> bool {
        self.kinds.get(usize::from(scope.code())).is_some_and(|kinds| kinds & (1 << kind.code()) != 0)
    }

    fn add(&mut self, flags: Flags, value: &[u8]) {
        if let Some(kinds) = self.kinds.get_mut(usize::from(flags.scope_code())) {
            *kinds |= 1 << flags.kind_code();
        }
        match (EntryKind::from_code(flags.kind_code()), value) {
            (Some(EntryKind::Domain), name) => self.labels.add(u8::try_from(labels(name)).unwrap_or(u8::MAX)),
            (Some(EntryKind::Network), [length, octets @ ..]) if octets.len() == 4 => self.v4.add(*length),
            (Some(EntryKind::Network), [length, ..]) => self.v6.add(*length),
            _ => {}
        }
    }
}

/// Labels of a domain.
pub(super) fn labels(name: &[u8]) -> usize {
    1 + memchr::memchr_iter(b'.', name).count()
}

/// Bit 0: action; 1 to 4: kind; 5 and 6: scope; 7: bound.
#[derive(Debug, Clone, Copy)]
struct Flags(u8);

impl Flags {
    fn new(action: Action, kind: EntryKind, scope: Scope, bound: bool) -> Self {
        Self(action.code() | kind.code() << 1 | scope.code() << 5 | u8::from(bound) << 7)
    }

    fn kind_code(self) -> u8 {
        self.0 >> 1 & 0xf
    }

    fn scope_code(self) -> u8 {
        self.0 >> 5 & 3
    }

    /// Kind and scope alone.
    fn probe(self) -> u8 {
        self.0 & 0x7e
    }
}

/// One entry. Its text: the value, then (if bound) the network.
#[derive(Debug, Clone, Copy)]
struct Slot {
    id: u64,
    at: u32,
    /// Seconds since 1970; 0: never.
    expires: u32,
    /// Place in `names`, plus one; 0: the scope has no name.
    name: u32,
    /// Of the value, in octets.
    length: u16,
    flags: Flags,
}

/// A domain's or mailbox's name in the text.
#[derive(Debug, Clone, Copy)]
struct Name {
    at: u32,
    length: u16,
}

/// Packed entries.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The directory (where the tags of a bucket begin, one more at the end), then the tags: what a probe reads stands in one
    /// allocation.
    head: Box<[u32]>,
    buckets: u32,
    slots: Box<[Slot]>,
    names: Box<[Name]>,
    text: Box<[u8]>,
    pub(super) shape: Shape,
}

/// An entry that a probe found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'b> {
    pub(super) id: EntryId,
    pub(super) action: Action,
    /// Seconds since 1970.
    pub(super) expires: Option<u32>,
    bound: Option<&'b [u8]>,
}

impl Found<'_> {
    pub(super) fn bound(&self) -> Option<IpNet> {
        read_network(self.bound?)
    }

    pub(super) fn expired(&self, seconds: u64) -> bool {
        self.expires.is_some_and(|at| u64::from(at) <= seconds)
    }
}

/// Whose entries are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Audience<'a> {
    pub(super) scope: Scope,
    pub(super) name: &'a [u8],
    pub(super) hash: u64,
}

/// What they are asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) kind: EntryKind,
    pub(super) octets: &'a [u8],
    pub(super) hash: u64,
}

impl Block {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// In octets, of everything it holds.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.head)
            + size_of_val(&*self.slots)
            + size_of_val(&*self.names)
            + self.text.len()
    }

    /// Every entry of this audience with this value, expired ones included.
    pub(super) fn probe<'b>(&'b self, audience: &Audience<'b>, value: &Value<'b>) -> impl Iterator<Item = Found<'b>> {
        let tag = Tags::tag(value.hash, audience.hash);
        let looked_for = value.kind.code() << 1 | audience.scope.code() << 5;
        let (name, octets) = (audience.name, value.octets);
        let bucket = self.bucket(tag);
        let tags = self.tags().get(bucket.clone()).unwrap_or_default();
        let slots = self.slots.get(bucket).unwrap_or_default();
        let equal = tags.iter().zip(slots).filter(move |(there, _)| **there == tag).map(|(_, slot)| slot);
        equal
            .filter(move |slot| {
                slot.flags.probe() == looked_for && self.value(slot) == octets && self.name(slot) == name
            })
            .map(|slot| self.found(slot))
    }

    fn bucket(&self, tag: u32) -> std::ops::Range<usize> {
        // A power of two: this many of the upper bits.
        let bucket = ((u64::from(tag) * u64::from(self.buckets)) >> 32) as usize;
        match self.head.get(bucket..bucket + 2) {
            Some([begin, end]) => *begin as usize..*end as usize,
            _ => 0..0,
        }
    }

    fn tags(&self) -> &[u32] {
        self.head.get(self.buckets as usize + 1..).unwrap_or_default()
    }

    fn found(&self, slot: &Slot) -> Found<'_> {
        Found {
            id: EntryId(slot.id),
            action: if slot.flags.0 & 1 == 0 { Action::Allow } else { Action::Block },
            expires: (slot.expires > 0).then_some(slot.expires),
            bound: self.bound(slot),
        }
    }

    fn value(&self, slot: &Slot) -> &[u8] {
        let at = slot.at as usize;
        self.text.get(at..at + usize::from(slot.length)).unwrap_or_default()
    }

    fn bound(&self, slot: &Slot) -> Option<&[u8]> {
        if slot.flags.0 & 0x80 == 0 {
            return None;
        }
        let at = slot.at as usize + usize::from(slot.length);
        let length = usize::from(*self.text.get(at)?);
        self.text.get(at + 1..at + 1 + length)
    }

    fn name(&self, slot: &Slot) -> &[u8] {
        let name = (slot.name as usize).checked_sub(1).and_then(|at| self.names.get(at));
        let Some(name) = name else { return &[] };
        let at = name.at as usize;
        self.text.get(at..at + usize::from(name.length)).unwrap_or_default()
    }
}

/// Gathers entries, then packs them. Meant to be used again and again.
#[derive(Debug, Default)]
pub(super) struct Builder {
    text: Vec<u8>,
    drafts: Vec<Draft>,
}

/// An entry on its way: its texts one after the other, value, bound (with its length before it), name.
#[derive(Debug, Clone, Copy)]
struct Draft {
    tag: u32,
    expires: u32,
    id: u64,
    at: usize,
    value: u16,
    bound: u8,
    name: u16,
    flags: Flags,
}

/// What a value is while it is put in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw<'a> {
    /// [`Address::key`](crate::model::Address::key) or [`Domain::as_str`](crate::model::Domain::as_str).
    Text(EntryKind, &'a str),
    Network(IpNet),
    Country(Country),
}

impl Builder {
    pub(super) fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    pub(super) fn entry(&mut self, tags: &Tags, entry: &Entry) {
        let rule = &entry.rule;
        let name = match &rule.place {
            Place::Operator | Place::Tenant(_) => String::new(),
            Place::Domain(_, domain) => domain.to_string(),
            Place::Mailbox(_, mailbox) => mailbox.key(),
        };
        let key;
        let raw = match &rule.pattern {
            Pattern::Address(address) => {
                key = address.key();
                Raw::Text(EntryKind::Address, &key)
            }
            Pattern::Domain(domain) => Raw::Text(EntryKind::Domain, domain.as_str()),
            Pattern::Network(network) => Raw::Network(*network),
            Pattern::Country(country) => Raw::Country(*country),
        };
        let expires = entry.expires.map_or(0, |at| u32::try_from(at.as_millis() / 1000).unwrap_or(u32::MAX).max(1));
        self.raw(tags, entry.id, (rule.place.scope(), &name), rule.action, raw, (rule.bound, expires));
    }

    pub(super) fn raw(
        &mut self,
        tags: &Tags,
        id: EntryId,
        (scope, name): (Scope, &str),
        action: Action,
        raw: Raw<'_>,
        (bound, expires): (Option<IpNet>, u32),
    ) {
        let at = self.text.len();
        let kind = match raw {
            Raw::Text(kind, text) => {
                self.text.extend_from_slice(text.as_bytes());
                kind
            }
            Raw::Network(network) => {
                write_network(network, &mut self.text);
                EntryKind::Network
            }
            Raw::Country(country) => {
                self.text.extend_from_slice(country.as_str().as_bytes());
                EntryKind::Country
            }
        };
        let value = self.text.len() - at;
        let hash = tags.value(kind, self.text.get(at..).unwrap_or_default());
        let tag = Tags::tag(hash, tags.name(scope, name.as_bytes()));
        if let Some(bound) = bound {
            self.text.push(if bound.addr().is_ipv4() { 5 } else { 17 });
            write_network(bound, &mut self.text);
        }
        let bound = self.text.len() - at - value;
        self.text.extend_from_slice(name.as_bytes());
        let flags = Flags::new(action, kind, scope, bound > 0);
        // No text of an entry is longer than an address.
        let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
        let (value, bound, name) = (short(value), short(bound).to_be_bytes()[1], short(name.len()));
        self.drafts.push(Draft { tag, expires, id: id.0, at, value, bound, name, flags });
    }

    /// The entries of a block that are to stay.
    pub(super) fn absorb(&mut self, block: &Block, stays: impl Fn(EntryId) -> bool) {
        for (tag, slot) in block.tags().iter().zip(&block.slots).filter(|(_, slot)| stays(EntryId(slot.id))) {
            let at = self.text.len();
            let bound = block.bound(slot).map_or(0, |bound| bound.len() + 1);
            let from = slot.at as usize;
            let to = from + usize::from(slot.length) + bound;
            self.text.extend_from_slice(block.text.get(from..to).unwrap_or_default());
            let name = block.name(slot);
            self.text.extend_from_slice(name);
            self.drafts.push(Draft {
                tag: *tag,
                expires: slot.expires,
                id: slot.id,
                at,
                value: slot.length,
                bound: u8::try_from(bound).unwrap_or_default(),
                name: u16::try_from(name.len()).unwrap_or_default(),
                flags: slot.flags,
            });
        }
    }

    /// Packs what was gathered and is empty again.
    pub(super) fn finish(&mut self) -> Block {
        // Absorbed entries come sorted: the stable sort sees long runs.
        self.drafts.sort_by_key(|draft| draft.tag);
        let mut block = Parts { text: Vec::with_capacity(self.text.len()), ..Parts::default() };
        block.slots.reserve_exact(self.drafts.len());
        block.tags.reserve_exact(self.drafts.len());
        let mut names: HashMap<&[u8], u32> = HashMap::new();
        for draft in &self.drafts {
            let value_ends = draft.at + usize::from(draft.value);
            let name_begins = value_ends + usize::from(draft.bound);
            let text = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
            block.shape.add(draft.flags, text(draft.at, value_ends));
            let name = match text(name_begins, name_begins + usize::from(draft.name)) {
                [] => 0,
                name => *names.entry(name).or_insert_with(|| block.name(name)),
            };
            let at = block.write(text(draft.at, name_begins));
            let (id, expires, length, flags) = (draft.id, draft.expires, draft.value, draft.flags);
            block.slots.push(Slot { id, at, expires, name, length, flags });
            block.tags.push(draft.tag);
        }
        let block = block.close();
        self.text.clear();
        self.drafts.clear();
        block
    }
}

#[derive(Default)]
struct Parts {
    tags: Vec<u32>,
    slots: Vec<Slot>,
    names: Vec<Name>,
    text: Vec<u8>,
    shape: Shape,
}

impl Parts {
    fn write(&mut self, octets: &[u8]) -> u32 {
        // MAX_IN_TENANT of the longest entries fit.
        let at = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.extend_from_slice(octets);
        at
    }

    /// Its place plus one.
    fn name(&mut self, name: &[u8]) -> u32 {
        let at = self.write(name);
        self.names.push(Name { at, length: u16::try_from(name.len()).unwrap_or_default() });
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    fn close(self) -> Block {
        let count = self.tags.len();
        let buckets = (count / 4).max(1).next_power_of_two();
        let mut head = Vec::with_capacity(buckets + 1 + count);
        let mut begin = 0;
        for bucket in 0..=buckets {
            let ends = |tag: &u32| ((u64::from(*tag) * buckets as u64) >> 32) < bucket as u64;
            while self.tags.get(begin).is_some_and(ends) {
                begin += 1;
            }
            head.push(u32::try_from(begin).unwrap_or(u32::MAX));
        }
        head.extend_from_slice(&self.tags);
        Block {
            head: head.into(),
            buckets: u32::try_from(buckets).unwrap_or(u32::MAX),
            slots: self.slots.into(),
            names: self.names.into(),
            text: self.text.into(),
            shape: self.shape,
        }
    }
}

/// The length of the prefix, then the address.
fn write_network(network: IpNet, out: &mut Vec<u8>) {
    out.push(network.prefix_len());
    match network.addr() {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
}

fn read_network(octets: &[u8]) -> Option<IpNet> {
    let (length, address) = octets.split_first()?;
    let address = match address.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
    };
    IpNet::new(address, *length).ok()
}

/// What a network of this prefix length that has the address is kept as; no allocation.
pub(super) fn network_octets(ip: IpAddr, length: u8, buffer: &mut [u8; 17]) -> usize {
    let mut write = |octets: &[u8]| {
        buffer[0] = length;
        for (place, (to, from)) in buffer[1..].iter_mut().zip(octets).enumerate() {
            let kept = usize::from(length).saturating_sub(place * 8).min(8);
            *to = if kept == 0 { 0 } else { from & (0xff << (8 - kept)) as u8 };
        }
        1 + octets.len()
    };
    match ip {
        IpAddr::V4(v4) => write(&v4.octets()),
        IpAddr::V6(v6) => write(&v6.octets()),
    }
}
