//! A filter over windows of a few octets: of each literal the rarest window is hashed; a bitmap says whether a window of a text
//! may be one of a literal, a table of which, and then the literal is compared. With a stride of two, only every second window
//! of a text is looked at: two windows of each literal are known, at even and at odd offsets, so that one of them is met
//! wherever the literal begins.
//!
//! **Failure**: nothing fails. **Invariants**: memory is 40 to 48 octets for each literal, and the
//! literals themselves. Literals that share every window make lists in the table; the rarest window keeps them short.

use super::{Case, Found};

/// Windows of one literal among which the rarest are chosen.
const CHOICE: usize = 48;
/// Octets folded at once; a number of whole strides.
const CHUNK: usize = 16 << 10;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Windows of `WIDTH` octets, at most eight, `STRIDE` octets from one to the next.
#[derive(Debug)]
pub struct Windows<const WIDTH: usize, const STRIDE: usize> {
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

/// The upper bits depend on every octet of a window.
fn hash(word: u64) -> u64 {
    word.wrapping_mul(FACTOR)
}

impl<const WIDTH: usize, const STRIDE: usize> Windows<WIDTH, STRIDE> {
    /// Octets of the shortest literal that has a window at each offset of a stride; shorter ones don't fit in here.
    pub const LEAST: usize = WIDTH + STRIDE - 1;

    /// Literals with their numbers, none shorter than [`Self::LEAST`]. `None` for none.
    #[must_use]
    pub fn build<'l>(all: impl Iterator<Item = (u32, (&'l [u8], Case))> + Clone) -> Option<Self> {
        let literals = || all.clone();
        let number = literals().count();
        if number == 0 {
            return None;
        }
        let any_case = literals().any(|(_, (_, case))| case == Case::Ascii);
        let count = u32::try_from(number).ok()?;
        let list_bits = (u32::BITS - count.leading_zeros()).clamp(4, 24);
        // At most one bit in eight is set: both of a window in one of sixty-four words at most.
        let bits = (list_bits + 5).clamp(12, 28);
        let total = literals().map(|(_, (octets, _))| octets.len()).sum();
        u32::try_from(total).ok()?;
        let rare = Rare::<WIDTH>::of(literals().map(|(_, (octets, _))| octets), any_case, list_bits + 2);
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
                any_case: case == Case::Ascii,
            });
            octets.extend_from_slice(literal);
            for (offset, hash) in (0..STRIDE).filter_map(|first| rare.choose(literal, (first, STRIDE), any_case)) {
                let shift = 64 - bits + 6;
                if let Some(word) = bitmap.get_mut(as_place(hash >> shift)) {
                    // Two bits of one word: of one look at memory, twice the certainty.
                    *word |= 1 << (hash >> (shift - 6) & 63) | 1 << (hash >> (shift - 12) & 63);
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
        let (mut rest, mut at) = (folded, base);
        while let Some(octets) = rest.first_chunk::<8>() {
            self.look(Self::word(*octets), text, at, found);
            rest = rest.get(STRIDE..).unwrap_or_default();
            at += STRIDE;
        }
        // Windows that end with the text have fewer than eight octets before its end.
        while let Some(window) = rest.get(..WIDTH) {
            self.look(padded(window), text, at, found);
            rest = rest.get(STRIDE..).unwrap_or_default();
            at += STRIDE;
        }
    }

    /// Eight octets as a number, of which those behind the window are gone.
    fn word(octets: [u8; 8]) -> u64 {
        u64::from_le_bytes(octets) << (64 - 8 * WIDTH)
    }

    #[inline]
    fn look(&self, word: u64, text: &[u8], at: usize, found: &mut Found<'_>) {
        let hash = hash(word);
        let shift = 64 - self.bits + 6;
        let bits = self.bitmap.get(as_place(hash >> shift)).copied().unwrap_or_default();
        if (bits >> (hash >> (shift - 6) & 63)) & (bits >> (hash >> (shift - 12) & 63)) & 1 != 0 {
            self.compare(hash, text, at, found);
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
struct Rare<const WIDTH: usize> {
    counts: Vec<u8>,
    bits: u32,
}

impl<const WIDTH: usize> Rare<WIDTH> {
    fn of<'l>(literals: impl Iterator<Item = &'l [u8]>, any_case: bool, bits: u32) -> Self {
        let mut rare = Self { counts: vec![0; 1 << bits], bits };
        for literal in literals {
            for window in literal.array_windows::<WIDTH>().take(CHOICE) {
                let place = as_place(hash(padded(&lower(*window, any_case))) >> (64 - bits));
                if let Some(count) = rare.counts.get_mut(place) {
                    *count = count.saturating_add(1);
                }
            }
        }
        rare
    }

    /// The offset and hash of the rarest window at `first` or whole strides behind; of equals, the one with the most
    /// different octets.
    fn choose(&self, literal: &[u8], (first, stride): (usize, usize), any_case: bool) -> Option<(u16, u64)> {
        let mut best: Option<(u32, u16, u64)> = None;
        let windows = literal.array_windows::<WIDTH>().zip(0_u16..).take(CHOICE);
        for (window, offset) in windows.skip(first).step_by(stride) {
            let window = lower(*window, any_case);
            let hash = hash(padded(&window));
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
fn sameness<const WIDTH: usize>(window: [u8; WIDTH]) -> u32 {
    let mut sorted = window;
    sorted.sort_unstable();
    let same = sorted.array_windows::<2>().filter(|[one, next]| one == next).count();
    if same + 2 >= WIDTH { 2_000 } else { as_u32(same) }
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

fn lower<const WIDTH: usize>(mut window: [u8; WIDTH], any_case: bool) -> [u8; WIDTH] {
    if any_case {
        window.make_ascii_lowercase();
    }
    window
}

/// The window, shifted as [`Windows::word`] shifts it.
fn padded(window: &[u8]) -> u64 {
    window.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet)) << (64 - 8 * window.len())
}

#[allow(clippy::cast_possible_truncation, reason = "some bits of the middle are what is wanted")]
fn check(hash: u64) -> u16 {
    (hash >> 32) as u16
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn as_place(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
