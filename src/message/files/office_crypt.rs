//! Encrypted office packages ([MS-OFFCRYPTO] sections 2.3.4.5 to 2.3.4.15): the words are tried, and the usual password of Excel,
//! with which it encrypts without asking and opens without asking; malware likes it.
//!
//! **Failure**: what no word opens stays closed. Keys that cost more hashes than usual are not tried.
//! **Invariants**: the package is decrypted within the budgets of what is unpacked.

use std::io::{Cursor, Read};

use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use aws_lc_rs::iv::FixedLength;
use bytes::Bytes;
use cfb::CompoundFile;

use super::encoded::base64;
use super::octets::{at32, le16, le64, slice};
use super::walk::{Met, Unpacked, Walk};
use super::xml::{self, Item};
use crate::message::specimen::Lock;

/// Hashes for one key; 100,000 are usual.
const MAX_SPIN: u32 = 200_000;
/// Octets of the stream that describes the encryption.
const MAX_INFO: u64 = 64 << 10;
const SEGMENT: usize = 4_096;

pub fn open(walk: &mut Walk<'_>, at: usize, file: &mut CompoundFile<Cursor<Bytes>>) {
    let Some(method) = stream(file, "/EncryptionInfo", MAX_INFO).and_then(|info| Method::read(&info)) else {
        return walk.lock(at, Lock::Closed);
    };
    let passwords = walk.passwords();
    for word in passwords.iter().map(|word| &**word).chain(["VelvetSweatshop"]) {
        if !walk.may_try_costly() {
            break;
        }
        if let Some(key) = method.key(word) {
            walk.lock(at, Lock::Opened);
            return package(walk, at, file, &method, &key);
        }
    }
    walk.lock(at, Lock::Closed);
}

fn package(walk: &mut Walk<'_>, at: usize, file: &mut CompoundFile<Cursor<Bytes>>, method: &Method, key: &[u8]) {
    let room = walk.room();
    let plain = stream(file, "/EncryptedPackage", room).and_then(|package| method.decrypt(key, package));
    match plain {
        Some(plain) if walk.account(at, plain.len() as u64) => {
            let met = Met { lock: Lock::Opened, ..Met::new(walk.name_of(at), Bytes::new()) };
            walk.inside_unpacked(at, Unpacked::whole(plain.into()), met);
        }
        _ => walk.note(crate::model::finding::Reason::Malformed, at),
    }
}

fn stream(file: &mut CompoundFile<Cursor<Bytes>>, path: &str, most: u64) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    file.open_stream(path).ok()?.take(most).read_to_end(&mut octets).ok()?;
    Some(octets)
}

enum Method {
    Standard { salt: Vec<u8>, verifier: Vec<u8>, hash: Vec<u8>, key_length: usize },
    Agile(Box<Agile>),
}

struct Agile {
    hash: &'static digest::Algorithm,
    data_salt: Vec<u8>,
    salt: Vec<u8>,
    spin: u32,
    key_length: usize,
    input: Vec<u8>,
    value: Vec<u8>,
    key: Vec<u8>,
}

impl Method {
    fn read(info: &[u8]) -> Option<Self> {
        match (le16(info, 0)?, le16(info, 2)?) {
            (4, 4) => Agile::read(info.get(8..)?).map(|agile| Self::Agile(Box::new(agile))),
            (2..=4, 2) => {
                let header = at32(info, 8)?;
                let key_length = at32(info, 12 + 16)? / 8;
                let verifier = info.get(12_usize.checked_add(header)?..)?;
                Some(Self::Standard {
                    salt: slice(verifier, 4, 16)?.to_vec(),
                    verifier: slice(verifier, 20, 16)?.to_vec(),
                    hash: slice(verifier, 40, 32)?.to_vec(),
                    key_length,
                })
            }
            _ => None,
        }
    }

    /// The key of the package, if the password is right.
    fn key(&self, password: &str) -> Option<Vec<u8>> {
        match self {
            Self::Standard { salt, verifier, hash, key_length } => {
                let spun = spun(&SHA1_FOR_LEGACY_USE_ONLY, salt, password, 50_000);
                let last = hashed(&SHA1_FOR_LEGACY_USE_ONLY, &[&spun, &[0; 4]]);
                let half = |pad: u8| {
                    let mut block = [pad; 64];
                    for (to, from) in block.iter_mut().zip(&last) {
                        *to ^= from;
                    }
                    hashed(&SHA1_FOR_LEGACY_USE_ONLY, &[&block])
                };
                let mut key = [half(0x36), half(0x5c)].concat();
                key.truncate(*key_length);
                let verifier = aes(&key, None, verifier.clone())?;
                let told = aes(&key, None, hash.clone())?;
                (hashed(&SHA1_FOR_LEGACY_USE_ONLY, &[&verifier]) == told.get(..20)?).then_some(key)
            }
            Self::Agile(agile) => agile.package_key(password),
        }
    }

    /// The length stands in front.
    fn decrypt(&self, key: &[u8], package: Vec<u8>) -> Option<Vec<u8>> {
        let length = usize::try_from(le64(&package, 0)?).ok()?;
        let mut package = package;
        package.drain(..8);
        package.truncate(package.len() / 16 * 16);
        let mut plain = match self {
            Self::Standard { .. } => aes(key, None, package)?,
            Self::Agile(agile) => {
                let mut plain = Vec::with_capacity(package.len());
                for (index, segment) in (0_u32..).zip(package.chunks(SEGMENT)) {
                    let iv = hashed(agile.hash, &[&agile.data_salt, &index.to_le_bytes()]);
                    plain.extend(aes(key, Some(&iv), segment.to_vec())?);
                }
                plain
            }
        };
        plain.truncate(length);
        Some(plain)
    }
}

impl Agile {
    fn read(description: &[u8]) -> Option<Self> {
        let (mut data, mut password) = (Vec::new(), Vec::new());
        xml::read(description, |item| {
            match item {
                Item::Start("keydata", attributes) => data = attributes.to_vec(),
                Item::Start("encryptedkey", attributes) => password = attributes.to_vec(),
                _ => {}
            }
            true
        });
        let of = |from: &[(String, String)], name: &str| {
            from.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        let octets = |name: &str| of(&password, name).map(|value| base64(value.as_bytes()));
        let hash = match &*of(&password, "hashalgorithm")?.to_uppercase() {
            "SHA1" | "SHA-1" => &SHA1_FOR_LEGACY_USE_ONLY,
            "SHA256" | "SHA-256" => &SHA256,
            "SHA384" | "SHA-384" => &SHA384,
            "SHA512" | "SHA-512" => &SHA512,
            _ => return None,
        };
        Some(Self {
            hash,
            data_salt: base64(of(&data, "saltvalue")?.as_bytes()),
            salt: octets("saltvalue")?,
            spin: of(&password, "spincount")?.parse().ok().filter(|&spin| spin <= MAX_SPIN)?,
            key_length: of(&password, "keybits")?.parse::<usize>().ok()? / 8,
            input: octets("encryptedverifierhashinput")?,
            value: octets("encryptedverifierhashvalue")?,
            key: octets("encryptedkeyvalue")?,
        })
    }

    fn package_key(&self, password: &str) -> Option<Vec<u8>> {
        let spun = spun(self.hash, &self.salt, password, self.spin);
        let plain = |block: [u8; 8], octets: &[u8]| {
            let mut key = hashed(self.hash, &[&spun, &block]);
            key.resize(self.key_length, 0x36);
            aes(&key, Some(&self.salt), octets.to_vec())
        };
        let input = plain([0xfe, 0xa7, 0xd2, 0x76, 0x3b, 0x4b, 0x9e, 0x79], &self.input)?;
        let value = plain([0xd7, 0xaa, 0x0f, 0x6d, 0x30, 0x61, 0x34, 0x4e], &self.value)?;
        let hash = hashed(self.hash, &[&input]);
        if value.get(..hash.len())? != hash {
            return None;
        }
        let mut key = plain([0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6], &self.key)?;
        key.truncate(self.key_length);
        Some(key)
    }
}

/// The password, hashed round and round with a counter.
fn spun(algorithm: &'static digest::Algorithm, salt: &[u8], password: &str, spin: u32) -> Vec<u8> {
    let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut hash = hashed(algorithm, &[salt, &password]);
    for round in 0..spin {
        hash = hashed(algorithm, &[&round.to_le_bytes(), &hash]);
    }
    hash
}

fn hashed(algorithm: &'static digest::Algorithm, pieces: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(algorithm);
    for piece in pieces {
        context.update(piece);
    }
    context.finish().as_ref().to_vec()
}

/// AES in CBC with this beginning, filled up as the format does, or in ECB.
fn aes(key: &[u8], iv: Option<&[u8]>, mut octets: Vec<u8>) -> Option<Vec<u8>> {
    let algorithm: &'static Algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return None,
    };
    let key = UnboundCipherKey::new(algorithm, key).ok()?;
    let (key, context) = match iv {
        Some(iv) => {
            let mut first = [0x36; 16];
            for (to, &from) in first.iter_mut().zip(iv) {
                *to = from;
            }
            (DecryptingKey::cbc(key).ok()?, DecryptionContext::Iv128(FixedLength::from(first)))
        }
        None => (DecryptingKey::ecb(key).ok()?, DecryptionContext::None),
    };
    key.decrypt(&mut octets, context).ok()?;
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_description_is_refused() {
        assert!(Method::read(b"\x04\0\x04\0\0\0\0\0<encryption/>").is_none());
        assert!(Method::read(b"\x03\0\x02\0").is_none());
    }
}
