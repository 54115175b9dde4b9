//! One walk through all files of a message: what is met, what it cost, and what was left out.
//!
//! **Failure**: a budget that is spent ends the walk with its reason in [`Specimen::unchecked`]; damaged files are looked at as far
//! as they go and named there too.
//! **Invariants**: no more than [`Limits::file_octets`] unpacked octets are held at any moment, all layers together; each file is
//! shown once, containers after what is in them.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use super::kind::{self, Form};
use super::names;
use super::passwords::Passwords;
use crate::message::fold::fold;
use crate::message::specimen::{
    FileKind, FileSeen, FileVisitor, Limits, LinkSource, Lock, MarkupSigns, Specimen, Text, TextSource, TimeUp, Trait,
};
use crate::message::{html, links};
use crate::model::finding::{Reason, Unchecked};

/// A file of this size or less is never too well packed: blank pictures and logs are.
const RATIO_FROM: u64 = 1 << 20;
/// Reasons that are kept.
const MAX_UNCHECKED: usize = 64;
/// Octets of text that are kept, of the mail and its files together.
const MAX_TEXT: usize = 16 << 20;
/// Characters of a path in [`Unchecked::what`].
const MAX_PATH: usize = 200;
/// From this size on a file is not grown by copies.
const BIG: usize = 2 << 20;
/// What may become bigger than this has its memory at once.
const MAY_BE_BIG: u64 = 24 << 20;
/// Octets read at once; the clock is asked as often.
const STEP: usize = 64 << 10;
/// Passwords tried in one message, all files together.
const MAX_TRIES: usize = 400;
/// Of these, on formats where each costs hundreds of thousands of hashes.
const MAX_COSTLY: usize = 16;
/// Files beyond a budget of their own in one message: with more of them it is there to keep scanners busy.
const MAX_BOMBS: usize = 8;
/// Memory of a decoder's dictionary.
pub const MAX_DICTIONARY: u64 = 32 << 20;

/// A file as it is met, before anybody looked.
#[derive(Debug, Clone, Default)]
pub struct Met {
    pub names: Vec<Box<str>>,
    pub octets: Bytes,
    pub traits: Vec<Trait>,
    pub lock: Lock,
    /// Cut off by a budget: shown, not opened.
    pub is_cut: bool,
}

impl Met {
    pub fn new(name: impl Into<Box<str>>, octets: impl Into<Bytes>) -> Self {
        Self { names: vec![name.into()], octets: octets.into(), ..Self::default() }
    }
}

/// What came out of a reader.
#[derive(Debug)]
pub struct Unpacked {
    pub octets: Bytes,
    pub is_cut: bool,
    /// It broke off with an error; noted if there are octets.
    pub is_broken: bool,
}

pub struct Walk<'w> {
    pub specimen: &'w mut Specimen,
    pub limits: &'w Limits,
    pub time_up: TimeUp<'w>,
    passwords: &'w Passwords<'w>,
    visitor: &'w mut dyn FileVisitor,
    /// The part that is being looked at.
    part: usize,
    /// The file that is open.
    here: usize,
    unpacked: u64,
    held: u64,
    tries: usize,
    costly: usize,
    bombs: usize,
    /// Pixels of pictures inside files that may still be searched for codes.
    pub pixels: u64,
    /// Files inside containers.
    inner: usize,
    /// Octets of all texts that are kept, those that the mail itself shows too.
    text: usize,
    spent: Option<Reason>,
}

impl<'w> Walk<'w> {
    pub fn new(
        specimen: &'w mut Specimen,
        limits: &'w Limits,
        passwords: &'w Passwords<'w>,
        time_up: TimeUp<'w>,
        visitor: &'w mut dyn FileVisitor,
    ) -> Self {
        let text = specimen.texts.iter().map(|text| text.visible.len() + text.hidden.len()).sum();
        Self {
            specimen,
            limits,
            time_up,
            passwords,
            visitor,
            part: 0,
            here: 0,
            unpacked: 0,
            held: 0,
            tries: 0,
            costly: 0,
            bombs: 0,
            pixels: links::PIXELS,
            inner: 0,
            text,
            spent: None,
        }
    }

    /// What is tried on what is encrypted, in this order.
    pub fn passwords(&self) -> &'w [Box<str>] {
        self.passwords.of(self.specimen)
    }

    /// An attachment: layer 0. `false`: there is no time for it, which is noted.
    pub fn attachment(&mut self, part: usize, met: Met) -> bool {
        self.part = part;
        if self.spent == Some(Reason::Time) || (self.time_up)() {
            self.spent = Some(Reason::Time);
            self.note_part(Reason::Time);
            return false;
        }
        // It is shown, but nothing in it is: what is noted of the part keeps the message back as a whole.
        if let Some(reason) = self.spent {
            self.note_part(reason);
        }
        self.see(None, met);
        true
    }

    /// A file that stands in a part as text; it counts like those in archives. `false`: nothing more is to be looked at.
    pub fn of_page(&mut self, part: usize, met: Met) -> bool {
        if self.inner >= self.limits.files {
            self.note_of_part(Reason::Count, part);
            return false;
        }
        self.inner += 1;
        self.attachment(part, met)
    }

    /// Something inside the file of this index.
    pub fn inside(&mut self, container: usize, met: Met) {
        if self.is_spent(container) {
            return;
        }
        if self.inner >= self.limits.files {
            self.spend(Reason::Count, container);
            return;
        }
        self.inner += 1;
        self.see(Some(container), met);
    }

    /// Part of a document that is no file of its own: shown, not listed.
    pub fn glance(&mut self, container: usize, name: &str, octets: &[u8]) {
        let form = kind::of(octets, name);
        let layer = self.layer_of(container).saturating_add(1);
        let seen = self.seen(Some(container), layer, vec![name.into()], octets, form);
        self.visitor.file(&seen, octets);
    }

    fn see(&mut self, parent: Option<usize>, met: Met) {
        let name = met.names.first().map_or("", |name| name);
        let form = kind::of(&met.octets, name);
        let layer = parent.map_or(0, |parent| self.layer_of(parent).saturating_add(1));
        let mut seen = self.seen(parent, layer, met.names, &met.octets, form);
        seen.lock = met.lock;
        seen.traits = met.traits;
        names::judge(&mut seen);
        let at = self.specimen.files.len();
        self.specimen.files.push(seen);
        if layer > self.limits.layers {
            if super::is_container(form) {
                self.note(Reason::Depth, at);
            }
        } else if !met.is_cut {
            let held = met.octets.clone();
            let around = std::mem::replace(&mut self.here, at);
            self.contained(at, |walk| super::open(walk, at, &held, form));
            self.here = around;
        }
        self.show(at, &met.octets);
    }

    fn seen(&self, parent: Option<usize>, layer: usize, names: Vec<Box<str>>, octets: &[u8], form: Form) -> FileSeen {
        let mut sha256 = [0; 32];
        for (to, &from) in sha256.iter_mut().zip(digest(&SHA256, octets).as_ref()) {
            *to = from;
        }
        FileSeen {
            part: self.part,
            parent,
            layer,
            names: names::bounded(names),
            kind: form.0,
            format: form.1,
            size: octets.len() as u64,
            sha256,
            lock: Lock::None,
            traits: Vec::new(),
        }
    }

    fn show(&mut self, at: usize, octets: &[u8]) {
        if let Some(seen) = self.specimen.files.get(at) {
            self.visitor.file(seen, octets);
        }
    }

    fn layer_of(&self, at: usize) -> usize {
        self.specimen.files.get(at).map_or(0, |file| file.layer)
    }

    /// Runs the code of others on hostile octets: a panic is damage, not the end.
    pub fn contained(&mut self, at: usize, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.note(Reason::Malformed, at);
        }
    }

    /// Reads all that a decoder gives, within the budgets. `packed` are the octets it came from, `told` what the format says will
    /// come (0: nothing said). `None` if nothing came; the reason is noted.
    pub fn unpack(&mut self, at: usize, name: &str, packed: u64, told: u64, reader: &mut dyn Read) -> Option<Unpacked> {
        let (octets, reason) = self.draw(packed, told, reader);
        // An error behind the last octet is a bad checksum: all there is to see is here.
        let is_all = told > 0 && octets.len() as u64 == told;
        self.drawn(at, name, octets, reason.filter(|reason| !(is_all && *reason == Reason::Malformed)))
    }

    /// Notes why a reading ended.
    pub fn drawn(&mut self, at: usize, name: &str, mut octets: Vec<u8>, reason: Option<Reason>) -> Option<Unpacked> {
        let Some(reason) = reason else {
            return Some(Unpacked { octets: octets.into(), is_cut: false, is_broken: false });
        };
        self.note_in(reason, at, name);
        self.bombs += usize::from(matches!(reason, Reason::Ratio | Reason::FileSize));
        if matches!(reason, Reason::Time | Reason::Bytes) || self.bombs > MAX_BOMBS {
            self.spent = Some(reason);
        }
        if octets.is_empty() {
            return None;
        }
        let is_broken = reason == Reason::Malformed;
        if !is_broken {
            // Its beginning is worth a look, for what makes itself too big to be looked at.
            octets.truncate(usize::try_from(RATIO_FROM).unwrap_or(usize::MAX));
            octets.shrink_to_fit();
        }
        Some(Unpacked { octets: octets.into(), is_cut: !is_broken, is_broken })
    }

    /// The same without a word, for passwords that may be wrong: what came, and why there is no more.
    pub fn draw(&mut self, packed: u64, told: u64, reader: &mut dyn Read) -> (Vec<u8>, Option<Reason>) {
        // What would be thrown away isn't unpacked first.
        if let Some(reason) = self.spent {
            return (Vec::new(), Some(reason));
        }
        let most = self.limits.file_octets.saturating_sub(self.held);
        let too_well_packed =
            |length: u64| length > RATIO_FROM && length > packed.max(1).saturating_mul(self.limits.ratio);
        // What says itself that it is too big is not unpacked first.
        let foretold = if told > self.limits.file_octets {
            Some(Reason::FileSize)
        } else if too_well_packed(told) {
            Some(Reason::Ratio)
        } else {
            None
        };
        let possible = packed.saturating_mul(self.limits.ratio).max(RATIO_FROM).min(most);
        // What isn't written to costs nothing, but growing by copies would hold it twice: who says how much it will be gets that
        // and room to see that there is no more; what will surely be big gets all it may need.
        let expected = if foretold.is_none() && possible > MAY_BE_BIG { possible } else { told.min(possible) };
        let expected = usize::try_from(expected).unwrap_or(0);
        let mut octets = Vec::with_capacity(expected.saturating_add(2 * STEP));
        let reason = loop {
            let length = octets.len() as u64;
            if (self.time_up)() {
                break Some(Reason::Time);
            }
            if length > self.limits.file_octets {
                break Some(Reason::FileSize);
            }
            if length > most || self.unpacked.saturating_add(length) > self.limits.unpacked_octets {
                break Some(Reason::Bytes);
            }
            if too_well_packed(length) {
                break Some(Reason::Ratio);
            }
            if foretold.is_some() && length >= RATIO_FROM {
                break foretold;
            }
            if octets.capacity() - octets.len() < STEP {
                // Small ones grow by doubling. A big one gets all it may need at once.
                let possible = usize::try_from(possible).unwrap_or(usize::MAX).saturating_sub(octets.len());
                let wanted = if octets.len() < BIG { octets.len() } else { possible };
                octets.reserve_exact(wanted.saturating_add(2 * STEP));
            }
            match reader.take(STEP as u64).read_to_end(&mut octets) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(_) => break Some(Reason::Malformed),
            }
        };
        self.unpacked = self.unpacked.saturating_add(octets.len() as u64);
        (octets, reason)
    }

    /// Shows what was unpacked, counting its octets as held while it is open.
    pub fn inside_unpacked(&mut self, at: usize, unpacked: Unpacked, mut met: Met) {
        let held = unpacked.octets.len() as u64;
        self.held = self.held.saturating_add(held);
        met.octets = unpacked.octets;
        met.is_cut = unpacked.is_cut;
        self.inside(at, met);
        self.held = self.held.saturating_sub(held);
    }

    /// `unpack` and `inside_unpacked` in one.
    pub fn unpack_inside(&mut self, at: usize, packed: u64, told: u64, met: Met, reader: &mut dyn Read) {
        let name = met.names.first().cloned().unwrap_or_default();
        if let Some(unpacked) = self.unpack(at, &name, packed, told, reader) {
            self.inside_unpacked(at, unpacked, met);
        }
    }

    /// What still may be unpacked into one file.
    pub fn room(&self) -> u64 {
        let total = self.limits.unpacked_octets.saturating_sub(self.unpacked);
        self.limits.file_octets.saturating_sub(self.held).min(total)
    }

    /// Octets that were unpacked elsewhere than by [`Walk::unpack`]. Whether they fitted.
    pub fn account(&mut self, at: usize, octets: u64) -> bool {
        self.unpacked = self.unpacked.saturating_add(octets);
        if self.unpacked > self.limits.unpacked_octets {
            self.spend(Reason::Bytes, at);
        }
        self.spent.is_none()
    }

    /// Whether a budget of the whole message is spent.
    pub fn is_spent(&mut self, at: usize) -> bool {
        if self.spent.is_none() && (self.time_up)() {
            self.spend(Reason::Time, at);
        }
        self.spent.is_some()
    }

    fn spend(&mut self, reason: Reason, at: usize) {
        self.spent = Some(reason);
        self.note(reason, at);
    }

    /// Whether another password may be tried.
    pub fn may_try(&mut self) -> bool {
        self.tries += 1;
        self.tries <= MAX_TRIES && !(self.time_up)()
    }

    /// The same where each try is slow.
    pub fn may_try_costly(&mut self) -> bool {
        self.costly += 1;
        self.costly <= MAX_COSTLY && self.may_try()
    }

    pub fn note(&mut self, reason: Reason, at: usize) {
        self.note_in(reason, at, "");
    }

    /// About the part itself, which is no file yet.
    fn note_part(&mut self, reason: Reason) {
        self.note_in(reason, usize::MAX, "");
    }

    /// About something in a part that is no file.
    pub fn note_of_part(&mut self, reason: Reason, part: usize) {
        self.part = part;
        self.note_part(reason);
    }

    /// An address in a part that is no file.
    pub fn link_of_part(&mut self, part: usize, source: LinkSource, written: &str) {
        self.part = part;
        self.here = usize::MAX;
        self.link_from(source, written, None);
    }

    /// `name`: of something inside that isn't a file yet.
    pub fn note_in(&mut self, reason: Reason, at: usize, name: &str) {
        let what = self.path(at, name);
        let unchecked = &mut self.specimen.unchecked;
        if unchecked.iter().any(|one| one.reason == reason && *one.what == *what) {
            return;
        }
        if unchecked.len() < MAX_UNCHECKED || !unchecked.iter().any(|one| one.reason == reason) {
            unchecked.push(Unchecked { reason, what: what.into() });
        }
    }

    /// `1.2/invoice.zip/a.exe`.
    fn path(&self, at: usize, name: &str) -> String {
        let mut names = vec![name];
        let mut here = self.specimen.files.get(at);
        while let Some(file) = here {
            names.push(file.name());
            here = file.parent.and_then(|parent| self.specimen.files.get(parent));
        }
        let part = self.specimen.parts.get(self.part).map_or("", |part| &part.path);
        names.push(part);
        let path: Vec<&str> = names.into_iter().rev().filter(|name| !name.is_empty()).collect();
        path.join("/").chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_PATH).collect()
    }

    pub fn mark(&mut self, at: usize, noteworthy: Trait) {
        if let Some(file) = self.specimen.files.get_mut(at)
            && !file.traits.contains(&noteworthy)
        {
            file.traits.push(noteworthy);
        }
    }

    pub fn lock(&mut self, at: usize, lock: Lock) {
        if let Some(file) = self.specimen.files.get_mut(at)
            && file.lock != Lock::Closed
        {
            file.lock = lock;
        }
        if lock == Lock::Closed {
            self.note(Reason::Encrypted, at);
        }
    }

    /// What a second look found the file to be.
    pub fn form(&mut self, at: usize, form: Form) {
        if let Some(file) = self.specimen.files.get_mut(at) {
            (file.kind, file.format) = form;
            names::judge(file);
        }
    }

    pub fn name_of(&self, at: usize) -> Box<str> {
        self.specimen.files.get(at).map(|file| file.name().into()).unwrap_or_default()
    }

    /// A text of the document, with its links.
    pub fn text(&mut self, visible: impl Into<String>) {
        let mut visible = visible.into();
        let room = self.text_room();
        if visible.len() > room {
            self.note(Reason::Bytes, self.here);
            visible.truncate(cut(&visible, room).len());
        }
        super::joint::links_in_text(self.specimen, self.part, self.limits, &visible);
        self.note_links();
        let folded = fold(&visible).into();
        self.text_of(Text { visible: visible.into(), folded, ..Text::default() });
    }

    fn text_room(&self) -> usize {
        self.limits.text.saturating_mul(2).min(MAX_TEXT).saturating_sub(self.text)
    }

    /// A text whose links are known; what is beyond the budget of characters is cut off, and noted.
    pub fn text_of(&mut self, mut text: Text) {
        let room = self.text_room();
        if text.visible.len() + text.hidden.len() > room {
            self.note(Reason::Bytes, self.here);
            text.visible = cut(&text.visible, room).into();
            text.hidden = cut(&text.hidden, room - text.visible.len()).into();
            text.folded = fold(&text.visible).into();
        }
        let length = text.visible.len() + text.hidden.len();
        if length == 0 {
            return;
        }
        self.text += length;
        self.specimen.texts.push(Text { part: self.part, source: Some(TextSource::File), ..text });
    }

    /// An HTML document: its text, its links, and what its markup is up to.
    pub fn markup(&mut self, source: &str) -> MarkupSigns {
        let read = html::read(source);
        let room = self.limits.links.saturating_sub(self.specimen.links.len());
        self.specimen.links.extend(links::in_html(self.part, &read, room));
        self.note_links();
        let folded = fold(&read.visible).into();
        self.text_of(Text { visible: read.visible, hidden: read.hidden, signs: read.signs, folded, ..Text::default() });
        read.signs
    }

    /// Whether the file is in another one.
    pub fn is_inside(&self, at: usize) -> bool {
        self.layer_of(at) > 0
    }

    /// The addresses in a text that nobody reads.
    pub fn links_of(&mut self, text: &str) {
        super::joint::links_in_text(self.specimen, self.part, self.limits, text);
        self.note_links();
    }

    /// Marks the file and the documents around it.
    pub fn mark_document(&mut self, at: usize, noteworthy: Trait) {
        let mut here = Some(at);
        while let Some(at) = here {
            self.mark(at, noteworthy);
            let parent = self.specimen.files.get(at).and_then(|file| file.parent);
            here = parent.filter(|&parent| {
                self.specimen.files.get(parent).is_some_and(|file| {
                    matches!(file.kind, FileKind::Ooxml | FileKind::Ole | FileKind::OpenDocument | FileKind::Rtf)
                })
            });
        }
    }

    /// An address that the document leads to.
    pub fn link(&mut self, written: &str, shown: Option<&str>) {
        self.link_from(LinkSource::File, written, shown);
    }

    pub fn link_from(&mut self, source: LinkSource, written: &str, shown: Option<&str>) {
        super::joint::link(self.specimen, self.part, self.limits, source, written, shown);
        self.note_links();
    }

    /// Where no more links are kept, the others are told.
    fn note_links(&mut self) {
        if self.specimen.links.len() >= self.limits.links {
            self.note(Reason::Count, self.here);
        }
    }

    pub fn part(&self) -> usize {
        self.part
    }
}

fn cut(text: &str, room: usize) -> &str {
    let mut end = room.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("unpacked", &self.unpacked)
            .field("held", &self.held)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl FileVisitor for Nobody {
        fn file(&mut self, _: &FileSeen, _: &[u8]) {}
    }

    #[test]
    fn a_file_is_never_held_twice() {
        let (limits, passwords) = (Limits::default(), Passwords::default());
        let (mut specimen, mut nobody) = (Specimen::default(), Nobody);
        let time_up = || false;
        let mut walk = Walk::new(&mut specimen, &limits, &passwords, &time_up, &mut nobody);
        // Memory that was asked for once is where it was: said to be so long, and it is.
        let size = 4_u64 << 20;
        let (octets, reason) = walk.draw(50 << 10, size, &mut std::io::repeat(7).take(size));
        assert_eq!((octets.len() as u64, reason), (size, None));
        assert!(octets.capacity() <= octets.len() + 2 * STEP, "{}", octets.capacity());
        // Nothing said, but packed so long that it may be anything: all it may need from the first octet on.
        let (octets, _) = walk.draw(1 << 20, 0, &mut std::io::repeat(7).take(size));
        assert!(octets.capacity() as u64 >= MAY_BE_BIG, "{}", octets.capacity());
    }
}
