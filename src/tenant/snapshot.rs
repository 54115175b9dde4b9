//! All tenants at one version, compiled for look-up.
//!
//! **Invariants**: a domain, network, user name or certificate leads to one tenant only. [`Snapshot::edited`] leaves
//! the old snapshot as it is and shares with it every tenant and every shard that the edit does not touch.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::model::TenantId;

use super::compiled::{Tenant, TenantDomain};
use super::lists::Lists;
use super::sharded::ShardedSet;
use super::spec::{Claim, ClientSpec};

/// Two tenants claim the same thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{claim} belongs to tenant {owner} and is claimed by tenant {claimant} too")]
pub struct SnapshotError {
    pub claim: String,
    pub owner: TenantId,
    pub claimant: TenantId,
}

/// One step from a snapshot to the next.
#[derive(Debug, Clone)]
pub enum TenantChange {
    Put(Arc<Tenant>),
    Remove(TenantId),
}

impl TenantChange {
    fn id(&self) -> &TenantId {
        match self {
            Self::Put(tenant) => &tenant.id,
            Self::Remove(id) => id,
        }
    }
}

/// A domain and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct DomainRef<'s> {
    pub tenant: &'s Arc<Tenant>,
    pub domain: &'s TenantDomain,
}

/// What a tenant is found by.
trait Key {
    fn of(tenant: &Tenant, at: usize) -> &str;
}

#[derive(Debug, Clone)]
struct Id;
#[derive(Debug, Clone)]
struct DomainName;
#[derive(Debug, Clone)]
struct Username;
#[derive(Debug, Clone)]
struct Certificate;
#[derive(Debug, Clone)]
struct Secret;

impl Key for Id {
    fn of(tenant: &Tenant, _: usize) -> &str {
        tenant.id.as_str()
    }
}

impl Key for DomainName {
    fn of(tenant: &Tenant, at: usize) -> &str {
        tenant.domains.get(at).map_or("", |domain| domain.name.as_str())
    }
}

impl Key for Username {
    fn of(tenant: &Tenant, at: usize) -> &str {
        match tenant.clients.get(at) {
            Some(ClientSpec::Login { username, .. }) => username,
            _ => "",
        }
    }
}

impl Key for Certificate {
    fn of(tenant: &Tenant, at: usize) -> &str {
        match tenant.clients.get(at) {
            Some(ClientSpec::Certificate(print)) => print,
            _ => "",
        }
    }
}

impl Key for Secret {
    fn of(tenant: &Tenant, at: usize) -> &str {
        match tenant.clients.get(at) {
            Some(ClientSpec::Header(proof)) => proof.secret(),
            _ => "",
        }
    }
}

/// Points into a tenant and is found by the text that stands there, so that no key is held twice.
#[derive(Debug, Clone)]
struct Handle<K> {
    tenant: Arc<Tenant>,
    at: u32,
    key: PhantomData<K>,
}

impl<K: Key> Handle<K> {
    fn new(tenant: &Arc<Tenant>, at: u32) -> Self {
        Self { tenant: Arc::clone(tenant), at, key: PhantomData }
    }
}

impl<K: Key> Borrow<str> for Handle<K> {
    fn borrow(&self) -> &str {
        K::of(&self.tenant, self.at as usize)
    }
}

impl<K: Key> PartialEq for Handle<K> {
    fn eq(&self, other: &Self) -> bool {
        Borrow::<str>::borrow(self) == Borrow::<str>::borrow(other)
    }
}

impl<K: Key> Eq for Handle<K> {}

impl<K: Key> Hash for Handle<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<str>::borrow(self).hash(state);
    }
}

#[derive(Debug, Clone)]
struct ByNetwork {
    network: IpNet,
    tenant: Arc<Tenant>,
}

impl Borrow<IpNet> for ByNetwork {
    fn borrow(&self) -> &IpNet {
        &self.network
    }
}

impl PartialEq for ByNetwork {
    fn eq(&self, other: &Self) -> bool {
        self.network == other.network
    }
}

impl Eq for ByNetwork {}

impl Hash for ByNetwork {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.network.hash(state);
    }
}

/// All tenants at one version.
#[derive(Debug, Clone)]
pub struct Snapshot {
    version: u64,
    tenants: ShardedSet<Handle<Id>>,
    domains: ShardedSet<Handle<DomainName>>,
    networks: ShardedSet<ByNetwork>,
    usernames: ShardedSet<Handle<Username>>,
    certificates: ShardedSet<Handle<Certificate>>,
    secrets: ShardedSet<Handle<Secret>>,
    /// Networks whose addresses prove nothing, and how often they are claimed so. Few: clouds have some dozen.
    shared: BTreeMap<IpNet, u32>,
    /// Prefix lengths in use and how often, by (IPv6?, length): a look-up tries them from the longest.
    lengths: BTreeMap<(bool, u8), u32>,
    /// Of their own version.
    lists: Arc<Lists>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self::empty()
    }
}

impl Snapshot {
    /// No tenants, version 0.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            version: 0,
            tenants: ShardedSet::new(),
            domains: ShardedSet::new(),
            networks: ShardedSet::new(),
            usernames: ShardedSet::new(),
            certificates: ShardedSet::new(),
            secrets: ShardedSet::new(),
            shared: BTreeMap::new(),
            lengths: BTreeMap::new(),
            lists: Arc::default(),
        }
    }

    /// All these tenants.
    ///
    /// # Errors
    /// [`SnapshotError`] if two of them claim the same.
    pub fn compile(version: u64, tenants: impl IntoIterator<Item = Tenant>) -> Result<Self, SnapshotError> {
        let mut snapshot = Self { version, ..Self::empty() };
        for tenant in tenants {
            snapshot.put(&Arc::new(tenant))?;
        }
        Ok(snapshot)
    }

    /// The next snapshot; this one stays as it is. What a removed or changed tenant gives up may be claimed by another
    /// one in the same step.
    ///
    /// # Errors
    /// [`SnapshotError`] if a claim is taken; there is no next snapshot then.
    pub fn edited(&self, version: u64, changes: &[TenantChange]) -> Result<Self, SnapshotError> {
        let mut next = Self { version, ..self.clone() };
        for change in changes {
            next.take_out(change.id());
        }
        for change in changes {
            if let TenantChange::Put(tenant) = change {
                next.put(tenant)?;
            }
        }
        Ok(next)
    }

    /// Adds a tenant that is not in yet.
    ///
    /// # Errors
    /// [`SnapshotError`]; the snapshot is of no use then.
    pub fn put(&mut self, tenant: &Arc<Tenant>) -> Result<(), SnapshotError> {
        let taken = |claim: String, owner: &Arc<Tenant>| SnapshotError {
            claim,
            owner: owner.id.clone(),
            claimant: tenant.id.clone(),
        };
        self.tenants.insert(Handle::new(tenant, 0)).map_err(|there| taken("the id".into(), &there.tenant))?;
        for (at, domain) in (0u32..).zip(&tenant.domains) {
            let entered = self.domains.insert(Handle::new(tenant, at));
            entered.map_err(|there| taken(Claim::Domain(&domain.name).to_string(), &there.tenant))?;
        }
        for (at, client) in (0u32..).zip(&tenant.clients) {
            let owner = match client {
                ClientSpec::Network(network) => {
                    *self.lengths.entry(length_of(network)).or_default() += 1;
                    let entry = ByNetwork { network: *network, tenant: Arc::clone(tenant) };
                    if self.shared.contains_key(network) {
                        return Err(taken(format!("the shared {}", client.claim()), tenant));
                    }
                    self.networks.insert(entry).map_err(|there| there.tenant)
                }
                ClientSpec::Login { .. } => {
                    self.usernames.insert(Handle::new(tenant, at)).map_err(|there| there.tenant)
                }
                ClientSpec::Certificate(_) => {
                    self.certificates.insert(Handle::new(tenant, at)).map_err(|there| there.tenant)
                }
                ClientSpec::Header(proof) => {
                    let alone = proof.networks.iter().find_map(|network| self.networks.find(network));
                    for network in &proof.networks {
                        *self.shared.entry(*network).or_default() += 1;
                    }
                    match alone {
                        Some(there) => Err(Arc::clone(&there.tenant)),
                        None => self.secrets.insert(Handle::new(tenant, at)).map_err(|there| there.tenant),
                    }
                }
            };
            owner.map_err(|there| taken(client.claim().to_string(), &there))?;
        }
        Ok(())
    }

    fn take_out(&mut self, id: &TenantId) {
        let Some(tenant) = self.tenant(id).cloned() else { return };
        self.tenants.remove(&Handle::new(&tenant, 0));
        for (at, _) in (0u32..).zip(&tenant.domains) {
            self.domains.remove(&Handle::new(&tenant, at));
        }
        for (at, client) in (0u32..).zip(&tenant.clients) {
            match client {
                ClientSpec::Network(network) => {
                    self.networks.remove(&ByNetwork { network: *network, tenant: Arc::clone(&tenant) });
                    self.forget_length(length_of(network));
                }
                ClientSpec::Login { .. } => {
                    self.usernames.remove(&Handle::new(&tenant, at));
                }
                ClientSpec::Certificate(_) => {
                    self.certificates.remove(&Handle::new(&tenant, at));
                }
                ClientSpec::Header(proof) => {
                    self.secrets.remove(&Handle::new(&tenant, at));
                    for network in &proof.networks {
                        if let Some(count) = self.shared.get_mut(network) {
                            *count = count.saturating_sub(1);
                        }
                    }
                    self.shared.retain(|_, count| *count > 0);
                }
            }
        }
    }

    fn forget_length(&mut self, length: (bool, u8)) {
        if let Some(count) = self.lengths.get_mut(&length) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
    }

    /// The same, as of another version.
    #[must_use]
    pub fn at(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Counts up with every change of the store.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The same tenants with these lists.
    #[must_use]
    pub fn with_lists(self, lists: Arc<Lists>) -> Self {
        Self { lists, ..self }
    }

    /// Allow and block entries; they have a version of their own.
    #[must_use]
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// To be carried over into another snapshot.
    #[must_use]
    pub fn shared_lists(&self) -> &Arc<Lists> {
        &self.lists
    }

    /// How many tenants there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn tenant(&self, id: &TenantId) -> Option<&Arc<Tenant>> {
        self.tenants.find(id.as_str()).map(|entry| &entry.tenant)
    }

    /// In no particular order.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.iter().map(|entry| &entry.tenant)
    }

    /// By its comparable form, see [`crate::model::Domain`].
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<DomainRef<'_>> {
        let entry = self.domains.find(name)?;
        let domain = entry.tenant.domains.get(entry.at as usize)?;
        Some(DomainRef { tenant: &entry.tenant, domain })
    }

    /// The tenant whose network has this address; of several, the one with the longest prefix. None if a shared network's is as
    /// long or longer.
    #[must_use]
    pub fn client_by_ip(&self, ip: IpAddr) -> Option<&Arc<Tenant>> {
        let ip = ip.to_canonical();
        let shared = self.shared.keys().filter(|network| network.contains(&ip)).map(IpNet::prefix_len).max();
        let least = shared.map_or(u8::MIN, |length| length.saturating_add(1));
        let family = (ip.is_ipv6(), least)..=(ip.is_ipv6(), u8::MAX);
        self.lengths.range(family).rev().find_map(|((_, length), _)| {
            let network = IpNet::new(ip, *length).ok()?.trunc();
            self.networks.find(&network).map(|entry| &entry.tenant)
        })
    }

    /// The tenant of a user name and the argon2 hash of its password.
    #[must_use]
    pub fn client_by_username(&self, username: &str) -> Option<(&Arc<Tenant>, &str)> {
        let entry = self.usernames.find(username)?;
        match entry.tenant.clients.get(entry.at as usize)? {
            ClientSpec::Login { password_hash, .. } => Some((&entry.tenant, password_hash.as_str())),
            _ => None,
        }
    }

    /// The tenant of a client certificate, by its SHA-256 in lower-case hex.
    #[must_use]
    pub fn client_by_certificate(&self, fingerprint: &str) -> Option<&Arc<Tenant>> {
        self.certificates.find(fingerprint).map(|entry| &entry.tenant)
    }

    /// How many shards of the maps are not the same allocation in both snapshots.
    #[must_use]
    pub fn shards_not_shared_with(&self, other: &Self) -> usize {
        self.tenants.unshared(&other.tenants)
            + self.domains.unshared(&other.domains)
            + self.networks.unshared(&other.networks)
            + self.usernames.unshared(&other.usernames)
            + self.certificates.unshared(&other.certificates)
            + self.secrets.unshared(&other.secrets)
    }
}

fn length_of(network: &IpNet) -> (bool, u8) {
    (network.addr().is_ipv6(), network.prefix_len())
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
