//! Who may connect: a total, a share per source address, and reserves of descriptors and memory.
//!
//! A permit is taken before anything is allocated for a connection and gives its place back when dropped. Behind a proxy the
//! client is known later than the connection: its share of the address is taken when it is.
//! **Failure**: no place means a [`Refusal`], which the listener answers with 421 at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Shards of the per-address table: enough that two accepting threads rarely meet.
const SHARDS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Most connections at once.
    pub max_connections: usize,
    /// Most connections at once from one address (IPv6: from one /64); `None`: as many as there are.
    pub max_per_ip: Option<usize>,
}

/// Why a connection gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Full,
    FullForAddress,
    Memory,
}

/// The counters of one listener, or of the node above its listeners.
#[derive(Debug)]
pub struct Admission {
    /// Where a place is needed too.
    node: Option<Arc<Admission>>,
    config: Config,
    open: AtomicUsize,
    memory_low: AtomicBool,
    per_ip: Vec<Mutex<HashMap<IpAddr, u32>>>,
}

impl Admission {
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        Self::build(config, None)
    }

    /// A listener's part of the node's places.
    #[must_use]
    pub fn within(node: &Arc<Self>, config: Config) -> Arc<Self> {
        Self::build(config, Some(Arc::clone(node)))
    }

    fn build(config: Config, node: Option<Arc<Self>>) -> Arc<Self> {
        let per_ip = (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect();
        Arc::new(Self { node, config, open: AtomicUsize::new(0), memory_low: AtomicBool::new(false), per_ip })
    }

    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Told by the resource watch; while set, nobody new is let in.
    pub fn memory_is_low(&self, low: bool) {
        self.memory_low.store(low, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_memory_low(&self) -> bool {
        self.memory_low.load(Ordering::Relaxed)
    }

    /// Takes a place for `ip`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was taken.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Permit, Refusal> {
        let mut permit = self.admit_unknown()?;
        permit.belongs_to(ip)?;
        Ok(permit)
    }

    /// Takes a place for a client whose address is not known yet, see [`Permit::belongs_to`].
    ///
    /// # Errors
    /// [`Refusal`]; nothing was taken.
    pub fn admit_unknown(self: &Arc<Self>) -> Result<Permit, Refusal> {
        let above = self.node.as_ref().map(|node| node.admit_unknown().map(Box::new)).transpose()?;
        if self.is_memory_low() {
            return Err(Refusal::Memory);
        }
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.config.max_connections {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Full);
        }
        Ok(Permit { admission: Arc::clone(self), key: None, above })
    }

    fn count_up(&self, key: IpAddr, most: usize) -> bool {
        let Some(shard) = self.per_ip.get(shard_of(key)) else { return false };
        let mut counts = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_insert(0);
        let fits = (*count as usize) < most;
        *count += u32::from(fits);
        fits
    }
}

/// One place; dropped, it is free again.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    key: Option<IpAddr>,
    above: Option<Box<Permit>>,
}

impl Permit {
    /// Takes the place out of the share of `ip` too; once is enough.
    ///
    /// # Errors
    /// [`Refusal::FullForAddress`]; drop the permit.
    pub fn belongs_to(&mut self, ip: IpAddr) -> Result<(), Refusal> {
        if let Some(above) = &mut self.above {
            above.belongs_to(ip)?;
        }
        let Some(most) = self.admission.config.max_per_ip.filter(|_| self.key.is_none()) else { return Ok(()) };
        let key = network_of(ip);
        if !self.admission.count_up(key, most) {
            return Err(Refusal::FullForAddress);
        }
        self.key = Some(key);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        let Some(key) = self.key else { return };
        let Some(shard) = self.admission.per_ip.get(shard_of(key)) else { return };
        let mut counts = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

/// IPv6 hosts own a /64 each, so that is what shares a limit.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

fn shard_of(key: IpAddr) -> usize {
    let bits = match key {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    };
    (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let admission = Admission::new(Config { max_connections: 3, max_per_ip: Some(2) });
        let a: IpAddr = "192.0.2.1".parse().unwrap();
        let first = admission.admit(a).unwrap();
        let _second = admission.admit(a).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), Refusal::FullForAddress);
        let _third = admission.admit("192.0.2.2".parse().unwrap()).unwrap();
        assert_eq!(admission.admit("192.0.2.3".parse().unwrap()).unwrap_err(), Refusal::Full);
        drop(first);
        assert_eq!(admission.open(), 2);
        assert!(admission.admit(a).is_ok());
        admission.memory_is_low(true);
        assert_eq!(admission.admit(a).unwrap_err(), Refusal::Memory);
    }

    #[test]
    fn a_listener_takes_its_places_from_the_nodes() {
        let node = Admission::new(Config { max_connections: 1, max_per_ip: None });
        let listener = Admission::within(&node, Config { max_connections: 9, max_per_ip: Some(9) });
        let a: IpAddr = "192.0.2.1".parse().unwrap();
        let held = listener.admit(a).unwrap();
        assert_eq!(listener.admit(a).unwrap_err(), Refusal::Full);
        drop(held);
        assert_eq!((node.open(), listener.open()), (0, 0));
    }

    #[test]
    fn a_client_behind_a_proxy_takes_its_share_when_it_is_known() {
        let admission = Admission::new(Config { max_connections: 9, max_per_ip: Some(1) });
        let [a, b]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let [mut first, mut second, mut third] = std::array::from_fn(|_| admission.admit_unknown().unwrap());
        assert_eq!((first.belongs_to(a), second.belongs_to(b)), (Ok(()), Ok(())));
        assert_eq!(third.belongs_to(a), Err(Refusal::FullForAddress));
        drop((first, third));
        assert!(admission.admit(a).is_ok());
        assert_eq!(admission.open(), 1);
    }

    #[test]
    fn an_ipv6_network_shares_one_limit() {
        let admission = Admission::new(Config { max_connections: 9, max_per_ip: Some(1) });
        let _held = admission.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(admission.admit("2001:db8::2".parse().unwrap()).is_err());
        assert!(admission.admit("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }
}
