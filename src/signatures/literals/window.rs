//! A filter over windows of seven octets. Only every second window of a text is looked at: of each literal two windows are
//! hashed, the rarest of those at even and of those at odd offsets, so that one of them is met wherever the literal begins. A
//! bitmap says whether a window may be one of a literal, a table of which, and then the literal is compared.
//!
//! **Failure**: nothing fails. **Invariants**: memory is about 36 octets for each literal, 4 of a bitmap that is often looked
//! at, and the literals themselves. Literals that share every window make lists in the table; the rarest window keeps them short.

use super::{Case, Found};

/// Octets of a window.
const WIDTH: usize = 7;
/// From one window that is looked at to the next.
const STRIDE: usize = 2;
/// Octets of the shortest literal that has a window at each offset of a stride; shorter ones don't fit in here.
pub const LEAST: usize = WIDTH + STRIDE - 1;
/// Windows of one literal among which the rarest are chosen.
const CHOICE: usize = 48;
/// Octets folded at once; a number of whole strides.
const CHUNK: usize = 16 << 10;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug)]
pub struct Windows {
    /// Bits of the hash that the bitmap is for.
    bits: u32,
    bitmap: Box<[u64]>,
    /// Bits of the hash that choose a list.
    list_bits: u32,
    /// Where the list of each value begins in `entries`.
    starts: Box<[u32]>,
    entries: Box<[Entry]>,
    octets: Box<[u8]>,
    /// Where each literal begins in `octets`, and what it is.
    literals: Box<[Stored]>,
    /// Some literal doesn't mind the case, so windows are folded.
    any_case: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Place in `literals`.
    literal: u32,
    /// More of the hash.
    check: u16,
    /// Of the window in the literal.
    offset: u16,
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    start: u32,
    length: u32,
    id: u32,
    any_case: bool,
}

fn hash(window: [u8; WIDTH]) -> u64 {
    // Two loads that overlap by an octet: half as much work as seven.
    let [a, b, c, d, e, f, g] = window;
    let word = u64::from(u32::from_le_bytes([a, b, c, d])) | u64::from(u32::from_le_bytes([d, e, f, g])) << 24;
    let word = word.wrapping_mul(FACTOR);
    (word ^ (word >> 29)).wrapping_mul(FACTOR)
}

/// Two bits of one word of the bitmap: of one look at memory, twice the certainty.
fn two_bits(hash: u64) -> u64 {
    1 << (hash >> 16 & 63) | 1 << (hash >> 22 & 63)
}

impl Windows {
    /// `None` for no literals. Literals shorter than [`LEAST`] are left out.
    #[must_use]
    pub fn build(all: &[(&[u8], Case)]) -> Option<Self> {
        let literals = || (0_u32..).zip(all).filter(|(_, (octets, _))| octets.len() >= LEAST);
        let number = literals().count();
        if number == 0 {
            return None;
        }
        let any_case = literals().any(|(_, (_, case))| *case == Case::Ascii);
        let count = u32::try_from(number).ok()?;
        let list_bits = (u32::BITS - count.leading_zeros()).clamp(4, 24);
        // At most one bit in eight is set: both of a window in one of sixty-four words at most.
        let bits = (list_bits + 5).clamp(12, 28);
        let total = literals().map(|(_, (octets, _))| octets.len()).sum();
        u32::try_from(total).ok()?;
        let rare = Rare::of(literals().map(|(_, (octets, _))| *octets), any_case, list_bits + 2);
        let mut octets = Vec::with_capacity(total);
        let mut stored = Vec::with_capacity(number);
        let mut hashes = Vec::with_capacity(number * STRIDE);
        let mut bitmap = vec![0_u64; 1 << (bits - 6)];
        for (id, (literal, case)) in literals() {
            let place = as_u32(stored.len());
            stored.push(Stored {
                start: as_u32(octets.len()),
                length: as_u32(literal.len()),
                id,
                any_case: *case == Case::Ascii,
            });
            octets.extend_from_slice(literal);
            for (offset, hash) in (0..STRIDE).filter_map(|offset| rare.choose(literal, offset, any_case)) {
                if let Some(word) = bitmap.get_mut(as_place(hash >> (64 - bits + 6))) {
                    *word |= two_bits(hash);
                }
                hashes.push((hash, Entry { literal: place, check: check(hash), offset }));
            }
        }
        let (starts, entries) = lists(&hashes, list_bits);
        Some(Self {
            bits,
            bitmap: bitmap.into(),
            list_bits,
            starts,
            entries,
            octets: octets.into(),
            literals: stored.into(),
            any_case,
        })
    }

    pub fn find(&self, text: &[u8], found: &mut Found<'_>) {
        if !self.any_case {
            self.scan(text, text, 0, found);
            return;
        }
        if text.len() < WIDTH {
            return;
        }
        let mut folded = Vec::with_capacity(text.len().min(CHUNK + WIDTH));
        let mut start = 0;
        while let Some(rest) = text.get(start..).filter(|rest| rest.len() >= WIDTH) {
            let chunk = rest.get(..CHUNK + WIDTH - 1).unwrap_or(rest);
            folded.clear();
            folded.extend(chunk.iter().map(u8::to_ascii_lowercase));
            self.scan(&folded, text, start, found);
            start += CHUNK;
        }
    }

    /// Windows are taken from `folded`, which is `text` from `base` on.
    fn scan(&self, folded: &[u8], text: &[u8], base: usize, found: &mut Found<'_>) {
        let shift = 64 - self.bits + 6;
        for (at, window) in folded.array_windows::<WIDTH>().enumerate().step_by(STRIDE) {
            let hash = hash(*window);
            let bits = two_bits(hash);
            if self.bitmap.get(as_place(hash >> shift)).is_some_and(|word| word & bits == bits) {
                self.compare(hash, text, base + at, found);
            }
        }
    }

    #[cold]
    fn compare(&self, hash: u64, text: &[u8], at: usize, found: &mut Found<'_>) {
        let list = as_place(hash >> (64 - self.list_bits));
        let bound = |place: usize| self.starts.get(place).map_or(0, |start| *start as usize);
        let check = check(hash);
        for entry in self.entries.get(bound(list)..bound(list + 1)).unwrap_or_default() {
            if entry.check != check {
                continue;
            }
            let Some(stored) = self.literals.get(entry.literal as usize) else { continue };
            let (start, length) = (stored.start as usize, stored.length as usize);
            let Some(literal) = self.octets.get(start..start + length) else { continue };
            let Some(begin) = at.checked_sub(usize::from(entry.offset)) else { continue };
            let Some(here) = text.get(begin..begin + length) else { continue };
            if here == literal || (stored.any_case && here.eq_ignore_ascii_case(literal)) {
                found(stored.id, begin);
            }
        }
    }
}

/// How often windows occur in all literals, roughly.
struct Rare {
    counts: Vec<u8>,
    bits: u32,
}

impl Rare {
    fn of<'l>(literals: impl Iterator<Item = &'l [u8]>, any_case: bool, bits: u32) -> Self {
        let mut rare = Self { counts: vec![0; 1 << bits], bits };
        for literal in literals {
            for window in literal.array_windows::<WIDTH>().take(CHOICE) {
                let place = as_place(hash(lower(*window, any_case)) >> (64 - bits));
                if let Some(count) = rare.counts.get_mut(place) {
                    *count = count.saturating_add(1);
                }
            }
        }
        rare
    }

    /// The offset and hash of the rarest window at `first` or whole strides behind; of equals, the one with the most
    /// different octets.
    fn choose(&self, literal: &[u8], first: usize, any_case: bool) -> Option<(u16, u64)> {
        let mut best: Option<(u32, u16, u64)> = None;
        let windows = literal.array_windows::<WIDTH>().zip(0_u16..).take(CHOICE);
        for (window, offset) in windows.skip(first).step_by(STRIDE) {
            let window = lower(*window, any_case);
            let hash = hash(window);
            let count = self.counts.get(as_place(hash >> (64 - self.bits))).copied().unwrap_or(u8::MAX);
            let cost = u32::from(count) * 16 + sameness(window);
            if best.is_none_or(|(least, ..)| cost < least) {
                best = Some((cost, offset, hash));
            }
        }
        best.map(|(_, offset, hash)| (offset, hash))
    }
}

/// 0 for different octets; windows of one octet over and over are common in any file.
fn sameness(window: [u8; WIDTH]) -> u32 {
    let mut sorted = window;
    sorted.sort_unstable();
    let same = sorted.array_windows::<2>().filter(|[one, next]| one == next).count();
    let same = as_u32(same);
    if same >= 5 { 2_000 } else { same }
}

/// The entries sorted by their list, and where each list begins.
fn lists(hashes: &[(u64, Entry)], bits: u32) -> (Box<[u32]>, Box<[Entry]>) {
    let mut starts = vec![0_u32; (1 << bits) + 1];
    let list = |hash: u64| as_place(hash >> (64 - bits));
    for (hash, _) in hashes {
        if let Some(start) = starts.get_mut(list(*hash) + 1) {
            *start += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut next = starts.clone();
    let mut entries = vec![Entry::default(); hashes.len()];
    for (hash, entry) in hashes {
        let Some(place) = next.get_mut(list(*hash)) else { continue };
        if let Some(slot) = entries.get_mut(*place as usize) {
            *slot = *entry;
        }
        *place += 1;
    }
    (starts.into(), entries.into())
}

fn lower(mut window: [u8; WIDTH], any_case: bool) -> [u8; WIDTH] {
    if any_case {
        window.make_ascii_lowercase();
    }
    window
}

#[allow(clippy::cast_possible_truncation, reason = "the lowest bits are what is wanted")]
fn check(hash: u64) -> u16 {
    hash as u16
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn as_place(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
