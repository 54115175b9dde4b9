//! The country of an address, from a database that the operator supplies (MaxMind DB format).
//!
//! Read into memory as a whole and swapped as a whole: look-ups see the old file or the new one.
//!
//! **Failure**: no file, an unreadable one, or an address that isn't in it: no country, which is no reason for or against anybody.
//! A reload that fails leaves the old database.
//! **Invariants**: a database is taken only if it answers; files above [`MOST_BYTES`] are not read.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use maxminddb::{PathElement, Reader};

use crate::model::sender::Country;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Worked;

/// The largest databases of countries are some 10 MB, of cities some 100 MB.
pub const MOST_BYTES: u64 = 512 << 20;

/// Why a database was not taken.
#[derive(Debug, thiserror::Error)]
pub enum GeographyError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: no database of countries: {reason}", path.display())]
    Format { path: PathBuf, reason: String },
}

/// The handle: look-ups take no lock.
pub struct Geography {
    path: Option<PathBuf>,
    reader: ArcSwapOption<Reader<Vec<u8>>>,
    metrics: Arc<Metrics>,
}

impl Geography {
    /// Without a file there are no countries. Blocks on the disk.
    ///
    /// # Errors
    /// [`GeographyError`]: the operator named a file that is none.
    pub fn open(path: Option<PathBuf>, metrics: Arc<Metrics>) -> Result<Self, GeographyError> {
        let geography = Self { path, reader: ArcSwapOption::empty(), metrics };
        geography.reload()?;
        Ok(geography)
    }

    /// Reads the file again. Blocks on the disk.
    ///
    /// # Errors
    /// [`GeographyError`]; the database of before stays.
    pub fn reload(&self) -> Result<(), GeographyError> {
        let Some(path) = &self.path else { return Ok(()) };
        let read = read(path);
        self.metrics.sender.geography_loads.inc(if read.is_ok() { Worked::Yes } else { Worked::No });
        self.reader.store(Some(Arc::new(read?)));
        Ok(())
    }

    #[must_use]
    pub fn country(&self, ip: IpAddr) -> Option<Country> {
        country(self.reader.load().as_deref()?, ip.to_canonical())
    }
}

fn read(path: &Path) -> Result<Reader<Vec<u8>>, GeographyError> {
    let io = |source| GeographyError::Io { path: path.to_owned(), source };
    let format = |reason: String| GeographyError::Format { path: path.to_owned(), reason };
    if std::fs::metadata(path).map_err(io)?.len() > MOST_BYTES {
        return Err(format(format!("larger than {} MB", MOST_BYTES >> 20)));
    }
    let reader = Reader::from_source(std::fs::read(path).map_err(io)?).map_err(|error| format(error.to_string()))?;
    // A file that was cut off opens all the same; asked for anything it says so.
    for ip in [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(130, 0, 0, 1), Ipv4Addr::new(223, 255, 255, 1)] {
        reader
            .lookup(ip.into())
            .and_then(|found| code(&found, "country").map(|_| ()))
            .map_err(|error| format(error.to_string()))?;
    }
    Ok(reader)
}

fn country(reader: &Reader<Vec<u8>>, ip: IpAddr) -> Option<Country> {
    let found = reader.lookup(ip).ok()?;
    // Where the address is; where it is registered if that isn't known (satellites, anycast).
    let code = ["country", "registered_country"].into_iter().find_map(|field| code(&found, field).ok()?);
    Country::parse(code?)
}

fn code<'a>(
    found: &maxminddb::LookupResult<'a, Vec<u8>>,
    field: &'static str,
) -> Result<Option<&'a str>, maxminddb::MaxMindDbError> {
    found.decode_path(&[PathElement::Key(field), PathElement::Key("iso_code")])
}

impl std::fmt::Debug for Geography {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Geography").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database in the published format (MaxMind DB 2.0): a tree of 24-bit records over `networks`, each with a country.
    fn database(networks: &[(&str, &str, &str)]) -> Vec<u8> {
        let mut tree: Vec<[Option<usize>; 2]> = vec![[None; 2]];
        let mut leaves: Vec<(usize, usize, usize)> = Vec::new();
        let mut data = Vec::new();
        for (network, field, iso) in networks {
            let network: ipnet::Ipv4Net = network.parse().unwrap();
            let offset = data.len();
            map(&mut data, 1);
            text(&mut data, field);
            map(&mut data, 1);
            text(&mut data, "iso_code");
            text(&mut data, iso);
            let (mut node, bits) = (0, network.network().to_bits());
            for depth in 0..network.prefix_len() {
                let side = (bits >> (31 - depth) & 1) as usize;
                if depth + 1 == network.prefix_len() {
                    leaves.push((node, side, offset));
                } else if let Some(next) = tree[node][side] {
                    node = next;
                } else {
                    tree.push([None; 2]);
                    tree[node][side] = Some(tree.len() - 1);
                    node = tree.len() - 1;
                }
            }
        }
        let count = tree.len();
        let mut out = Vec::new();
        for (node, sides) in tree.iter().enumerate() {
            for (side, next) in sides.iter().enumerate() {
                let leaf = leaves.iter().find(|leaf| (leaf.0, leaf.1) == (node, side));
                let record = next.unwrap_or_else(|| leaf.map_or(count, |leaf| count + 16 + leaf.2));
                out.extend_from_slice(&(record as u32).to_be_bytes()[1..]);
            }
        }
        out.extend_from_slice(&[0; 16]);
        out.extend(data);
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        map(&mut out, 9);
        text(&mut out, "binary_format_major_version");
        out.extend_from_slice(&[0xa1, 2]);
        text(&mut out, "binary_format_minor_version");
        out.extend_from_slice(&[0xa0]);
        text(&mut out, "build_epoch");
        out.extend_from_slice(&[0x04, 0x02, 1, 0, 0, 0]);
        text(&mut out, "database_type");
        text(&mut out, "Test-Country");
        text(&mut out, "description");
        map(&mut out, 0);
        text(&mut out, "ip_version");
        out.extend_from_slice(&[0xa1, 4]);
        text(&mut out, "languages");
        out.extend_from_slice(&[0x00, 0x04]);
        text(&mut out, "node_count");
        out.extend_from_slice(&[0xc4]);
        out.extend_from_slice(&(count as u32).to_be_bytes());
        text(&mut out, "record_size");
        out.extend_from_slice(&[0xa1, 24]);
        out
    }

    fn map(out: &mut Vec<u8>, size: u8) {
        out.push(0xe0 | size);
    }

    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(0x40 | u8::try_from(text.len()).unwrap());
        out.extend_from_slice(text.as_bytes());
    }

    fn told(geography: &Geography, ip: &str) -> Option<String> {
        geography.country(ip.parse().unwrap()).map(|country| country.to_string())
    }

    #[test]
    fn countries_are_found_and_a_reload_swaps_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("countries.mmdb");
        let first = [("192.0.2.0/24", "country", "JP"), ("198.51.100.0/25", "registered_country", "de")];
        std::fs::write(&path, database(&first)).unwrap();
        let geography = Geography::open(Some(path.clone()), Metrics::new()).unwrap();
        assert_eq!(told(&geography, "192.0.2.7").as_deref(), Some("JP"));
        assert_eq!(told(&geography, "::ffff:192.0.2.7").as_deref(), Some("JP"));
        assert_eq!(told(&geography, "198.51.100.7").as_deref(), Some("DE"));
        assert_eq!((told(&geography, "198.51.100.200"), told(&geography, "2001:db8::1")), (None, None));
        std::fs::write(&path, database(&[("192.0.2.0/24", "country", "FR")])).unwrap();
        assert_eq!(told(&geography, "192.0.2.7").as_deref(), Some("JP"), "until it is told to");
        geography.reload().unwrap();
        assert_eq!(told(&geography, "192.0.2.7").as_deref(), Some("FR"));
    }

    #[test]
    fn a_bad_file_is_refused_and_the_old_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("countries.mmdb");
        let good = database(&[("0.0.0.0/1", "country", "JP"), ("128.0.0.0/1", "country", "FR")]);
        std::fs::write(&path, &good).unwrap();
        let metrics = Metrics::new();
        let geography = Geography::open(Some(path.clone()), Arc::clone(&metrics)).unwrap();
        for bad in [&b"nonsense"[..], b"", good.get(40..).unwrap()] {
            std::fs::write(&path, bad).unwrap();
            let error = geography.reload().unwrap_err().to_string();
            assert!(error.contains("no database of countries"), "{error}");
            assert_eq!(told(&geography, "192.0.2.7").as_deref(), Some("FR"));
        }
        assert_eq!(metrics.sender.geography_loads.of(Worked::No).get(), 3);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(geography.reload(), Err(GeographyError::Io { .. })));
        assert!(Geography::open(Some(path), Metrics::new()).is_err());
        assert_eq!(told(&Geography::open(None, Metrics::new()).unwrap(), "192.0.2.7"), None);
    }

    #[test]
    fn damaged_databases_give_no_panic() {
        let good = database(&[("192.0.2.0/24", "country", "JP"), ("10.0.0.0/8", "country", "DE")]);
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                if let Ok(reader) = Reader::from_source(bad) {
                    let _ = country(&reader, "192.0.2.7".parse().unwrap());
                    let _ = country(&reader, "10.1.2.3".parse().unwrap());
                }
            }
        }
    }
}
