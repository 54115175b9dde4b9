//! A name server on loopback, over UDP: MX, A, AAAA, CNAME and TXT from a table, trouble on demand.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::loopback;

const A: u16 = 1;
const CNAME: u16 = 5;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;

#[derive(Debug, Default)]
struct Zone {
    records: HashMap<String, Vec<(u16, Vec<u8>)>>,
    servfail: HashSet<String>,
    silent: HashSet<String>,
    asked: Vec<(String, u16)>,
}

#[derive(Debug)]
pub struct FakeDns {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeDns {
    /// Knows no name yet: everything is NXDOMAIN.
    pub fn start() -> Self {
        let socket = UdpSocket::bind((loopback::fresh_ip(), 0)).expect("bind the fake name server");
        let address = socket.local_addr().expect("its address");
        let (zone, stopped) = (Arc::new(Mutex::new(Zone::default())), Arc::new(AtomicBool::new(false)));
        let (shared, stop) = (Arc::clone(&zone), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || serve(&socket, &shared, &stop));
        Self { address, zone, stopped, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn mx(&self, name: &str, exchanges: &[(u16, &str)]) {
        for (preference, host) in exchanges {
            let mut data = preference.to_be_bytes().to_vec();
            data.extend(encoded(host));
            self.add(name, MX, data);
        }
    }

    /// RFC 7505.
    pub fn null_mx(&self, name: &str) {
        self.add(name, MX, vec![0, 0, 0]);
    }

    /// A or AAAA by the kind of address.
    pub fn a(&self, name: &str, addresses: &[IpAddr]) {
        for address in addresses {
            match address {
                IpAddr::V4(v4) => self.add(name, A, v4.octets().to_vec()),
                IpAddr::V6(v6) => self.add(name, AAAA, v6.octets().to_vec()),
            }
        }
    }

    pub fn cname(&self, name: &str, target: &str) {
        self.add(name, CNAME, encoded(target));
    }

    pub fn txt(&self, name: &str, text: &str) {
        // A string of a record has 255 octets at most, a record as many strings as it needs.
        let mut data = Vec::new();
        for string in text.as_bytes().chunks(255) {
            data.push(u8::try_from(string.len()).expect("a short string"));
            data.extend_from_slice(string);
        }
        self.add(name, TXT, data);
    }

    /// SERVFAIL for this name until [`FakeDns::mend`].
    pub fn fail(&self, name: &str) {
        self.zone.lock().unwrap().servfail.insert(name.to_owned());
    }

    /// No answer at all for this name until [`FakeDns::mend`].
    pub fn silence(&self, name: &str) {
        self.zone.lock().unwrap().silent.insert(name.to_owned());
    }

    pub fn mend(&self, name: &str) {
        let mut zone = self.zone.lock().unwrap();
        zone.servfail.remove(name);
        zone.silent.remove(name);
    }

    /// How often a name was asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.zone.lock().unwrap().asked.iter().filter(|(asked, _)| asked == name).count()
    }

    fn add(&self, name: &str, kind: u16, data: Vec<u8>) {
        self.zone.lock().unwrap().records.entry(name.to_owned()).or_default().push((kind, data));
    }
}

impl Drop for FakeDns {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let (Ok(socket), Some(thread)) = (UdpSocket::bind((self.address.ip(), 0)), self.thread.take()) {
            let _ = socket.send_to(b"", self.address);
            let joined = thread.join();
            assert!(joined.is_ok() || std::thread::panicking(), "the fake name server panicked");
        }
    }
}

fn serve(socket: &UdpSocket, zone: &Mutex<Zone>, stopped: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        if let Some(answer) = answer(&buffer[..length], &mut zone.lock().unwrap()) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// RFC 1035 section 4. `None`: silence.
fn answer(query: &[u8], zone: &mut Zone) -> Option<Vec<u8>> {
    let (name, end) = decoded(query, 12)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    zone.asked.push((name.clone(), kind));
    if zone.silent.contains(&name) {
        return None;
    }
    let mut records = Vec::new();
    let mut owner = name.clone();
    // A CNAME is followed as far as this table goes.
    while let Some(all) = zone.records.get(&owner) {
        records.extend(all.iter().filter(|(k, _)| *k == kind).map(|(k, data)| (owner.clone(), *k, data.clone())));
        let Some((_, target)) = all.iter().find(|(k, _)| *k == CNAME && kind != CNAME) else { break };
        records.push((owner.clone(), CNAME, target.clone()));
        owner = decoded(target, 0)?.0;
    }
    let code: u8 = match () {
        () if zone.servfail.contains(&name) => 2,
        () if !zone.records.contains_key(&owner) => 3,
        () => 0,
    };
    if code != 0 {
        records.clear();
    }
    let mut out = query.get(..2)?.to_vec();
    out.extend_from_slice(&[0x84 | (query[2] & 1), 0x80 | code, 0, 1]);
    out.extend_from_slice(&u16::try_from(records.len()).ok()?.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0]);
    out.extend_from_slice(query.get(12..end + 4)?);
    for (owner, kind, data) in records {
        out.extend(encoded(&owner));
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 1]);
        out.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).expect("a short label"));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// A name without compression, and where it ends.
fn decoded(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}
