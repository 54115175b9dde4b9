//! The unit of atomicity on disk: one frame is durable as a whole or not there at all.
//!
//! ```text
//! magic 4 | version 1 | kind 1 | reserved 2 | length 4 | payload crc32c 4 | epoch 8 | sequence 8 | header crc32c 4
//! payload (length bytes)
//! end mark 4 (END xor header crc32c)
//! ```
//!
//! **Invariants**: the header's checksum covers the payload's, so the two bind the whole frame to its segment (epoch, a
//! random number that no sender knows) and to its place in the log (sequence). Bytes of a mail that look like a frame can
//! therefore never be taken for one while the reader looks for the next frame behind damage. The magic holds a NUL, which no
//! accepted mail holds.

/// Bytes before the payload.
pub const HEADER: usize = 36;
/// Bytes after the payload.
pub const TRAILER: usize = 4;
/// First bytes of every frame.
pub const MAGIC: [u8; 4] = [0x00, 0xf5, b'S', b'K'];
const END: u32 = 0x444e_45f5;
const VERSION: u8 = 1;
/// No frame is larger: bounds what a reader believes of a length.
pub const MAX_PAYLOAD: u32 = 1 << 30;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Its payload is records to apply.
    Records,
    /// Taken back before it was acknowledged; the payload means nothing.
    Void,
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: FrameKind,
    pub length: u32,
    pub payload_crc: u32,
    pub epoch: u64,
    pub sequence: u64,
}

impl Header {
    /// Header and end mark as written.
    #[must_use]
    pub fn encode(&self) -> ([u8; HEADER], [u8; TRAILER]) {
        let mut out = [0u8; HEADER];
        let kind = match self.kind {
            FrameKind::Records => 1,
            FrameKind::Void => 2,
        };
        let fields: [&[u8]; 7] = [
            &MAGIC,
            &[VERSION, kind, 0, 0],
            &self.length.to_le_bytes(),
            &self.payload_crc.to_le_bytes(),
            &self.epoch.to_le_bytes(),
            &self.sequence.to_le_bytes(),
            &[0; 4],
        ];
        for (place, byte) in out.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        let (covered, checksum) = out.split_at_mut(HEADER - 4);
        let crc = crc32c::crc32c(covered);
        checksum.copy_from_slice(&crc.to_le_bytes());
        (out, (END ^ crc).to_le_bytes())
    }

    /// Reads a header; `None` if it is none, is damaged, or belongs to another segment.
    #[must_use]
    pub fn decode(bytes: &[u8], epoch: u64) -> Option<(Self, [u8; TRAILER])> {
        let bytes = bytes.first_chunk::<HEADER>()?;
        let (covered, checksum) = bytes.split_at(HEADER - 4);
        if !covered.starts_with(&MAGIC) {
            return None;
        }
        let crc = crc32c::crc32c(covered);
        if checksum != crc.to_le_bytes() {
            return None;
        }
        let u32_at = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
        let u64_at = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u64::from_le_bytes(*b));
        let kind = match (bytes.get(4)?, bytes.get(5)?) {
            (&VERSION, 1) => FrameKind::Records,
            (&VERSION, 2) => FrameKind::Void,
            _ => return None,
        };
        let header =
            Self { kind, length: u32_at(8)?, payload_crc: u32_at(12)?, epoch: u64_at(16)?, sequence: u64_at(24)? };
        (header.epoch == epoch && header.length <= MAX_PAYLOAD).then_some((header, (END ^ crc).to_le_bytes()))
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub fn frame_length(&self) -> usize {
        HEADER + self.length as usize + TRAILER
    }
}

/// One stretch of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch<'a> {
    Frame {
        at: usize,
        header: Header,
        payload: &'a [u8],
    },
    /// Bytes that are no sound frame.
    Damage {
        at: usize,
        length: usize,
        why: &'static str,
    },
}

/// Walks over the frames of a segment, from one sound frame to the next, whatever lies between.
#[derive(Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    epoch: u64,
}

impl<'a> Walk<'a> {
    /// `bytes` is the whole segment, `from` the first byte behind its header.
    #[must_use]
    pub fn new(bytes: &'a [u8], from: usize, epoch: u64) -> Self {
        Self { bytes, at: from.min(bytes.len()), epoch }
    }

    /// Everything before this was told; what follows is unwritten.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    fn frame_at(&self, at: usize) -> Result<(Header, &'a [u8]), Fault> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let Some((header, end)) = Header::decode(rest, self.epoch) else { return Err(Fault::Header) };
        let Some(frame) = rest.get(..header.frame_length()) else { return Err(Fault::Cut) };
        let body = frame.get(HEADER..).unwrap_or_default();
        let (payload, trailer) = body.split_at(header.length as usize);
        if trailer != end {
            return Err(Fault::Payload(frame.len(), "the end mark is missing"));
        }
        if header.kind == FrameKind::Records && crc32c::crc32c(payload) != header.payload_crc {
            return Err(Fault::Payload(frame.len(), "the checksum is wrong"));
        }
        Ok((header, payload))
    }

    /// The next place behind `at` where a sound header stands.
    fn resync(&self, mut at: usize) -> usize {
        while let Some(rest) = self.bytes.get(at..) {
            let Some(found) = rest.windows(MAGIC.len()).position(|window| window == MAGIC) else { break };
            at += found;
            if Header::decode(self.bytes.get(at..).unwrap_or_default(), self.epoch).is_some() {
                return at;
            }
            at += 1;
        }
        // The unwritten rest is zeros, and no damage.
        let written = self.bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        written.max(self.at)
    }
}

enum Fault {
    Header,
    Cut,
    Payload(usize, &'static str),
}

impl<'a> Iterator for Walk<'a> {
    type Item = Stretch<'a>;

    fn next(&mut self) -> Option<Stretch<'a>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let at = self.at;
        let (next, why) = match self.frame_at(at) {
            Ok((header, payload)) => {
                self.at = at + header.frame_length();
                return Some(Stretch::Frame { at, header, payload });
            }
            // The header is sound, so its length is; but a frame may begin earlier, where the disk lost a write.
            Err(Fault::Payload(length, why)) => (self.resync(at + 1).min(at + length), why),
            Err(Fault::Cut) => (self.resync(at + 1), "the segment ends inside the frame"),
            Err(Fault::Header) => (self.resync(at), "no frame begins here"),
        };
        if next <= at {
            // Unwritten to the end.
            return None;
        }
        self.at = next;
        Some(Stretch::Damage { at, length: next - at, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sequence: u64, payload: &[u8]) -> Vec<u8> {
        let header = Header {
            kind: FrameKind::Records,
            length: u32::try_from(payload.len()).unwrap(),
            payload_crc: crc32c::crc32c(payload),
            epoch: 7,
            sequence,
        };
        let (head, end) = header.encode();
        [&head[..], payload, &end[..]].concat()
    }

    fn sound(bytes: &[u8]) -> Vec<u64> {
        Walk::new(bytes, 0, 7)
            .filter_map(|stretch| match stretch {
                Stretch::Frame { header, .. } => Some(header.sequence),
                Stretch::Damage { .. } => None,
            })
            .collect()
    }

    #[test]
    fn a_flipped_bit_costs_its_own_frame_only() {
        let frames = [frame(1, b"one"), frame(2, b"two and more"), frame(3, b"three")];
        let whole = [frames.concat(), vec![0; 100]].concat();
        assert_eq!(sound(&whole), [1, 2, 3]);
        let second = frames[0].len()..frames[0].len() + frames[1].len();
        for at in second.clone() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let stretches: Vec<_> = Walk::new(&bytes, 0, 7).collect();
                assert_eq!(sound(&bytes), [1, 3], "byte {at} bit {bit}");
                assert!(
                    stretches.iter().any(
                        |s| matches!(s, Stretch::Damage { at, length, .. } if *at == second.start && *length == second.len())
                    ),
                    "byte {at} bit {bit}: {stretches:?}"
                );
            }
        }
    }

    #[test]
    fn a_cut_anywhere_leaves_the_frames_before_it() {
        let frames = [frame(1, b"one"), frame(2, b"two")];
        let whole = frames.concat();
        for end in 0..whole.len() {
            let want: &[u64] = if end >= frames[0].len() { &[1] } else { &[] };
            assert_eq!(sound(&whole[..end]), want, "cut at {end}");
        }
    }

    #[test]
    fn a_frame_inside_a_damaged_mail_is_not_taken_for_ours() {
        let mut forged = frame(9, b"forged");
        let other_epoch = Header::decode(&forged, 7).map(|(header, _)| Header { epoch: 8, ..header }).unwrap();
        let (head, _) = other_epoch.encode();
        forged[..HEADER].copy_from_slice(&head);
        let mut bytes = [frame(1, &forged), frame(2, b"next")].concat();
        bytes[HEADER + HEADER + 2] ^= 1;
        assert_eq!(sound(&bytes), [2]);
    }

    #[test]
    fn unwritten_space_is_no_damage() {
        let bytes = [frame(1, b"one"), vec![0; 4096]].concat();
        let mut walk = Walk::new(&bytes, 0, 7);
        assert!(matches!(walk.next(), Some(Stretch::Frame { .. })));
        assert_eq!(walk.next(), None);
        assert_eq!(walk.position(), HEADER + 3 + TRAILER);
    }
}
