//! The PROXY protocol, versions 1 and 2, as a receiver (specification of 2020/03/05).
//!
//! Only listeners configured for it read it, and only from trusted proxies: nothing is guessed.
//! **Failure**: anything that doesn't fit the grammar is [`ProxyError`], and the connection is dropped without a word.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest version 1 header with its CRLF.
const V1_MAX: usize = 107;
/// Longest version 2 header we read: 16 bytes and what TLVs may sensibly need. The specification allows 64 KiB.
const V2_MAX: usize = 16 + 4096;
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const TLV_CRC32C: u8 = 0x03;

/// Who the proxy speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// A health check of the proxy itself, or a transport it can't name: the real endpoints count.
    Local,
    Client {
        source: SocketAddr,
        destination: SocketAddr,
    },
}

/// Why the header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY header is malformed")]
    Malformed,
    #[error("the PROXY header is longer than allowed")]
    TooLong,
    #[error("the checksum of the PROXY header is wrong")]
    Checksum,
}

/// Reads a header at the start of `bytes`: who, and how many bytes it took. `None`: more bytes are needed.
///
/// # Errors
/// [`ProxyError`]; drop the connection.
pub fn parse(bytes: &[u8]) -> Result<Option<(Spoken, usize)>, ProxyError> {
    let v2 = bytes.get(..V2_SIGNATURE.len().min(bytes.len())).unwrap_or_default();
    if V2_SIGNATURE.starts_with(v2) {
        return if bytes.len() < 16 { Ok(None) } else { parse_v2(bytes) };
    }
    let v1 = bytes.get(..6.min(bytes.len())).unwrap_or_default();
    if !b"PROXY ".starts_with(v1) {
        return Err(ProxyError::Missing);
    }
    let Some(end) = memchr::memmem::find(bytes.get(..V1_MAX.min(bytes.len())).unwrap_or_default(), b"\r\n") else {
        return if bytes.len() >= V1_MAX { Err(ProxyError::TooLong) } else { Ok(None) };
    };
    let line = bytes.get(..end).and_then(|l| std::str::from_utf8(l).ok()).ok_or(ProxyError::Malformed)?;
    Ok(Some((parse_v1(line)?, end + 2)))
}

/// How many bytes may be read without reading past the header that `bytes` begins.
#[must_use]
pub fn missing(bytes: &[u8]) -> usize {
    match bytes.get(..16).and_then(|b| b.first_chunk::<16>()) {
        Some(head) if head.starts_with(V2_SIGNATURE) => {
            let [.., high, low] = *head;
            (16 + usize::from(u16::from_be_bytes([high, low]))).saturating_sub(bytes.len()).max(1)
        }
        None if bytes.starts_with(V2_SIGNATURE) => 16 - bytes.len(),
        // Version 1 has no length: byte by byte up to its CRLF.
        _ => 1,
    }
}

fn parse_v1(line: &str) -> Result<Spoken, ProxyError> {
    if line.bytes().any(|b| b.is_ascii_control()) {
        return Err(ProxyError::Malformed);
    }
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(Spoken::Local),
        ["PROXY", "TCP4", source, destination, from, to] => {
            let ip = |text: &str| text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| ProxyError::Malformed);
            Ok(client(ip(source)?, port(from)?, ip(destination)?, port(to)?))
        }
        ["PROXY", "TCP6", source, destination, from, to] => {
            let ip = |text: &str| text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| ProxyError::Malformed);
            Ok(client(ip(source)?, port(from)?, ip(destination)?, port(to)?))
        }
        _ => Err(ProxyError::Malformed),
    }
}

fn client(source: IpAddr, from: u16, destination: IpAddr, to: u16) -> Spoken {
    Spoken::Client { source: SocketAddr::new(source, from), destination: SocketAddr::new(destination, to) }
}

/// Decimal without sign or leading zeros, as the specification writes ports.
fn port(text: &str) -> Result<u16, ProxyError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().map_err(|_| ProxyError::Malformed) } else { Err(ProxyError::Malformed) }
}

fn parse_v2(bytes: &[u8]) -> Result<Option<(Spoken, usize)>, ProxyError> {
    let Some(&[version_command, family, high, low]) = bytes.get(12..16).and_then(|b| b.first_chunk()) else {
        return Err(ProxyError::Malformed);
    };
    let total = 16 + usize::from(u16::from_be_bytes([high, low]));
    if total > V2_MAX {
        return Err(ProxyError::TooLong);
    }
    let Some(header) = bytes.get(..total) else { return Ok(None) };
    let payload = header.get(16..).unwrap_or_default();
    let local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Malformed),
    };
    let (spoken, addresses) = match family {
        0x11 => (inet4(payload)?, 12),
        0x21 => (inet6(payload)?, 36),
        0x31 => (Spoken::Local, 216),
        0x00 => (Spoken::Local, 0),
        _ => return Err(ProxyError::Malformed),
    };
    let tlvs = if local { payload.get(addresses.min(payload.len())..) } else { payload.get(addresses..) };
    check_tlvs(header, tlvs.ok_or(ProxyError::Malformed)?)?;
    Ok(Some((if local { Spoken::Local } else { spoken }, total)))
}

fn inet4(payload: &[u8]) -> Result<Spoken, ProxyError> {
    let bytes: [u8; 12] = payload.first_chunk().copied().ok_or(ProxyError::Malformed)?;
    let [a, b, c, d, e, f, g, h, p, q, r, s] = bytes;
    let source = Ipv4Addr::new(a, b, c, d).into();
    let destination = Ipv4Addr::new(e, f, g, h).into();
    Ok(client(source, u16::from_be_bytes([p, q]), destination, u16::from_be_bytes([r, s])))
}

fn inet6(payload: &[u8]) -> Result<Spoken, ProxyError> {
    let ip = |from: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = payload.get(from..from + 16)?.try_into().ok()?;
        Some(IpAddr::from(bytes))
    };
    let port = |from: usize| -> Option<u16> { Some(u16::from_be_bytes(payload.get(from..from + 2)?.try_into().ok()?)) };
    let read = || Some(client(ip(0)?, port(32)?, ip(16)?, port(34)?));
    read().ok_or(ProxyError::Malformed)
}

/// Walks the TLVs; verifies the checksum where one is present, as the specification demands.
fn check_tlvs(header: &[u8], mut tlvs: &[u8]) -> Result<(), ProxyError> {
    while let Some(&[kind, high, low]) = tlvs.first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = tlvs.get(3..3 + length).ok_or(ProxyError::Malformed)?;
        if kind == TLV_CRC32C {
            let sent: [u8; 4] = value.try_into().map_err(|_| ProxyError::Malformed)?;
            let at = header.len() - tlvs.len() + 3;
            let mut zeroed = header.to_vec();
            zeroed.get_mut(at..at + 4).ok_or(ProxyError::Malformed)?.fill(0);
            if crc32c::crc32c(&zeroed) != u32::from_be_bytes(sent) {
                return Err(ProxyError::Checksum);
            }
        }
        tlvs = tlvs.get(3 + length..).unwrap_or_default();
    }
    if tlvs.is_empty() { Ok(()) } else { Err(ProxyError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(version_command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([version_command, family]);
        bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    const INET4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0x10, 0, 0, 25];

    #[test]
    fn version_1_is_read_and_the_rest_left_alone() {
        let (spoken, used) = parse(b"PROXY TCP4 192.0.2.1 198.51.100.1 4096 25\r\nEHLO x\r\n").unwrap().unwrap();
        assert_eq!(used, 43);
        assert_eq!(spoken, client("192.0.2.1".parse().unwrap(), 4096, "198.51.100.1".parse().unwrap(), 25));
        assert_eq!(parse(b"PROXY UNKNOWN ffff\r\n").unwrap().unwrap().0, Spoken::Local);
        assert!(parse(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 25\r\n").unwrap().is_some());
    }

    #[test]
    fn version_2_is_read_with_checksum() {
        assert_eq!(parse(&v2(0x21, 0x11, &INET4)).unwrap().unwrap().1, 28);
        assert_eq!(parse(&v2(0x20, 0x00, &[])).unwrap().unwrap().0, Spoken::Local);
        let mut payload = INET4.to_vec();
        payload.extend([TLV_CRC32C, 0, 4, 0, 0, 0, 0]);
        let mut header = v2(0x21, 0x11, &payload);
        let crc = crc32c::crc32c(&header);
        let at = header.len() - 4;
        header[at..].copy_from_slice(&crc.to_be_bytes());
        assert!(parse(&header).unwrap().is_some());
        header[17] ^= 1;
        assert_eq!(parse(&header), Err(ProxyError::Checksum));
    }

    #[test]
    fn every_prefix_waits_for_more_and_nothing_else_is_guessed() {
        for whole in [b"PROXY TCP4 192.0.2.1 198.51.100.1 4096 25\r\n".to_vec(), v2(0x21, 0x11, &INET4)] {
            for end in 0..whole.len() {
                assert_eq!(parse(&whole[..end]), Ok(None), "{end}");
            }
        }
        for bad in [
            &b"EHLO x\r\n"[..],
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4096\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 04096 25\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 70000 25\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 25\n\r\n",
            &v2(0x31, 0x11, &INET4),
            &v2(0x21, 0x11, &INET4[..8]),
            &[b'P'; 200],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
