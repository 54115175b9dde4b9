//! What the tenants' users taught the classifier, on disk: a [`Layer`] for each tenant, `DIR/TENANT.layer`.
//!
//! Whoever teaches, a command or the node itself, reads the file, changes it and puts the new one in its place, under one lock for all.
//! Nodes look at a tenant's file again at its next message after a second.
//!
//! **Failure**: by a file that can't be read, or is damaged, nobody is judged: the seed alone counts, and it is told once. Nobody writes
//! over it either: teaching is refused until it is gone. **Invariants**: readers see the old file or the new one; in memory are at
//! most so many octets of layers, those asked for last.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::model::{BadModel, Layer, Model, Tokens};
use super::published::replace;
use crate::model::TenantId;

/// The usual name of the directory, in the data directory.
pub const DIR: &str = "classifier";
/// A file that was looked at so lately is not looked at again.
const FRESH: Duration = Duration::from_secs(1);
/// Larger files are no layers of ours.
const MOST_OCTETS: u64 = 4 << 20;

/// Why a tenant's layer was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {reason}; what was taught is not used until the file is restored or forgotten (sekisho learn forget)", path.display())]
    Bad { path: PathBuf, reason: BadModel },
}

/// How much one tenant's users taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Messages.
    pub spam: u32,
    pub ham: u32,
    pub words: usize,
}

impl From<&Layer> for Sums {
    fn from(layer: &Layer) -> Self {
        Self { spam: layer.spam, ham: layer.ham, words: layer.len() }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Layers {
    dir: PathBuf,
    /// Octets in memory.
    most: usize,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    entries: HashMap<TenantId, Entry>,
    /// Of all layers.
    octets: usize,
    /// Goes up with each question.
    turn: u64,
}

#[derive(Debug)]
struct Entry {
    layer: Option<Arc<Layer>>,
    stamp: Option<Stamp>,
    /// The file is there and could not be read, which may pass: it is tried again at each look.
    failed: bool,
    looked: Instant,
    turn: u64,
}

/// By which one file is told from the next under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

/// What is in memory of a tenant's layer.
#[derive(Debug, Clone)]
pub enum AtHand {
    Nothing,
    Layer(Arc<Layer>),
    /// [`Layers::of`] will read the file.
    NotRead,
}

impl Layers {
    /// Nothing is read or made yet. `most`: octets of layers in memory.
    #[must_use]
    pub fn new(dir: PathBuf, most: usize) -> Self {
        Self { dir, most, cache: Mutex::default() }
    }

    /// Asks the disk at most for what the file is, not for what is in it.
    #[must_use]
    pub fn at_hand(&self, tenant: &TenantId) -> AtHand {
        let now = Instant::now();
        let mut cache = self.lock();
        cache.turn += 1;
        let turn = cache.turn;
        let Some(entry) = cache.entries.get_mut(tenant) else { return AtHand::NotRead };
        entry.turn = turn;
        if now.duration_since(entry.looked) >= FRESH {
            if entry.failed || Stamp::of(&self.file(tenant)) != entry.stamp {
                return AtHand::NotRead;
            }
            entry.looked = now;
        }
        entry.layer.clone().map_or(AtHand::Nothing, AtHand::Layer)
    }

    /// A tenant's layer, if its users taught anything. May read the disk.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> Option<Arc<Layer>> {
        match self.at_hand(tenant) {
            AtHand::Nothing => return None,
            AtHand::Layer(layer) => return Some(layer),
            AtHand::NotRead => {}
        }
        // Before it is read: if it is replaced meanwhile, the next look finds another.
        let stamp = Stamp::of(&self.file(tenant));
        let read = self.read(tenant);
        if let Err(error) = &read
            && !self.lock().entries.get(tenant).is_some_and(|entry| entry.failed)
        {
            tracing::warn!(%tenant, %error, "what the tenant's users taught the classifier is not used");
        }
        let failed = matches!(read, Err(LayerError::Io { .. }));
        let layer = read.ok().flatten().filter(|layer| !layer.is_empty()).map(Arc::new);
        self.keep(tenant, layer.clone(), (stamp, failed));
        layer
    }

    /// Learns from messages, in their order: of each its words and whether it is spam. `model` is the seed in force.
    ///
    /// # Errors
    /// [`LayerError`]; nothing was learned.
    pub fn teach(
        &self,
        tenant: &TenantId,
        model: &Model,
        messages: impl IntoIterator<Item = (Tokens, bool)>,
    ) -> Result<Sums, LayerError> {
        let _lock = self.alone()?;
        let mut layer = self.read(tenant)?.unwrap_or_default();
        for (tokens, is_spam) in messages {
            layer.learn(model, &tokens, is_spam);
        }
        let path = self.file(tenant);
        replace(&path, &layer.to_bytes()).map_err(at(&path))?;
        Ok((&layer).into())
    }

    /// How much was taught; `None`: nothing.
    ///
    /// # Errors
    /// [`LayerError`]
    pub fn sums(&self, tenant: &TenantId) -> Result<Option<Sums>, LayerError> {
        Ok(self.read(tenant)?.as_ref().map(Sums::from))
    }

    /// Forgets all that a tenant's users taught, damaged or not; says whether there was anything.
    ///
    /// # Errors
    /// [`LayerError`]; nothing was forgotten.
    pub fn forget(&self, tenant: &TenantId) -> Result<bool, LayerError> {
        if !self.dir.is_dir() {
            return Ok(false);
        }
        let _lock = self.alone()?;
        let path = self.file(tenant);
        let mut was = false;
        // What a crash left of a writing is its tenant's too.
        for path in [path.with_extension("new"), path] {
            match fs::remove_file(&path) {
                Ok(()) => was = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(LayerError::Io { path, source }),
            }
        }
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(at(&self.dir))?;
        Ok(was)
    }

    fn file(&self, tenant: &TenantId) -> PathBuf {
        self.dir.join(format!("{tenant}.layer"))
    }

    /// Until it is dropped nobody else writes, no other process either.
    fn alone(&self) -> Result<File, LayerError> {
        let made = fs::create_dir_all(&self.dir);
        made.map_err(at(&self.dir))?;
        let path = self.dir.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        file.lock().map_err(at(&path))?;
        Ok(file)
    }

    fn read(&self, tenant: &TenantId) -> Result<Option<Layer>, LayerError> {
        let path = self.file(tenant);
        let octets = match fs::metadata(&path).and_then(|found| match found.len() {
            ..=MOST_OCTETS => fs::read(&path).map(Some),
            _ => Ok(None),
        }) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LayerError::Io { path, source }),
            Ok(None) => return Err(LayerError::Bad { path, reason: BadModel::TooBig }),
            Ok(Some(octets)) => octets,
        };
        Layer::from_bytes(&octets).map(Some).map_err(|reason| LayerError::Bad { path, reason })
    }

    fn keep(&self, tenant: &TenantId, layer: Option<Arc<Layer>>, (stamp, failed): (Option<Stamp>, bool)) {
        let size = |layer: &Option<Arc<Layer>>| layer.as_ref().map_or(0, |layer| layer.memory());
        let mut cache = self.lock();
        cache.octets += size(&layer);
        let turn = cache.turn;
        let entry = Entry { layer, stamp, failed, looked: Instant::now(), turn };
        if let Some(before) = cache.entries.insert(tenant.clone(), entry) {
            cache.octets = cache.octets.saturating_sub(size(&before.layer));
        }
        while cache.octets > self.most {
            let held = cache.entries.iter().filter(|(other, entry)| entry.layer.is_some() && *other != tenant);
            let Some(oldest) = held.min_by_key(|(_, entry)| entry.turn).map(|(tenant, _)| tenant.clone()) else {
                break;
            };
            if let Some(gone) = cache.entries.remove(&oldest) {
                cache.octets = cache.octets.saturating_sub(size(&gone.layer));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        // Every change leaves it whole.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> LayerError {
    let path = path.to_path_buf();
    move |source| LayerError::Io { path, source }
}

impl Stamp {
    /// `None`: there is no file, or none that may be looked at.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        // Of its rights too: whoever may read it now could not before.
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Self { inode: found.ino(), length: found.len(), changed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAM: &str = "弊社の新サービスをご案内します。営業代行で売上を伸ばしませんか。無料相談を受付中です。";

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).unwrap()
    }

    fn layers(dir: &Path, most: usize) -> Layers {
        Layers::new(dir.join("classifier"), most)
    }

    fn lesson(text: &str) -> [(Tokens, bool); 1] {
        [(Tokens::of_text("", text), true)]
    }

    /// As if the last look had been a while ago.
    fn wait(layers: &Layers) {
        for entry in layers.lock().entries.values_mut() {
            entry.looked -= FRESH;
        }
    }

    #[test]
    fn what_another_process_taught_is_found_at_the_next_look() {
        let dir = tempfile::tempdir().unwrap();
        let (node, command) = (layers(dir.path(), 1 << 20), layers(dir.path(), 1 << 20));
        let (acme, other) = (tenant("acme"), tenant("other"));
        assert!(node.of(&acme).is_none() && matches!(node.at_hand(&acme), AtHand::Nothing));
        assert!(!dir.path().join("classifier").exists(), "a look makes nothing");
        let sums = command.teach(&acme, &Model::empty(), lesson(SPAM)).unwrap();
        assert_eq!((sums.spam, sums.ham), (1, 0));
        assert!(node.of(&acme).is_none(), "looked at just now");
        wait(&node);
        assert!(matches!(node.at_hand(&acme), AtHand::NotRead));
        assert_eq!(node.of(&acme).unwrap().spam, 1);
        assert!(matches!(node.at_hand(&acme), AtHand::Layer(_)));
        assert!(node.of(&other).is_none(), "a layer is its tenant's alone");
        assert_eq!(command.sums(&acme).unwrap(), Some(sums));
        assert_eq!((command.forget(&acme).unwrap(), command.forget(&acme).unwrap()), (true, false));
        wait(&node);
        assert!(node.of(&acme).is_none());
    }

    #[test]
    fn lessons_from_many_sides_at_one_time_all_count() {
        let dir = tempfile::tempdir().unwrap();
        let acme = tenant("acme");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let own = layers(dir.path(), 1 << 20);
                    for _ in 0..10 {
                        own.teach(&acme, &Model::empty(), lesson(SPAM)).unwrap();
                    }
                });
            }
        });
        assert_eq!(layers(dir.path(), 0).sums(&acme).unwrap().unwrap().spam, 40);
    }

    #[test]
    fn a_damaged_file_judges_nobody_and_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let (own, acme) = (layers(dir.path(), 1 << 20), tenant("acme"));
        own.teach(&acme, &Model::empty(), lesson(SPAM)).unwrap();
        let mut octets = fs::read(own.file(&acme)).unwrap();
        octets[30] ^= 1;
        fs::write(own.file(&acme), &octets).unwrap();
        assert!(own.of(&acme).is_none());
        let refused = own.teach(&acme, &Model::empty(), lesson(SPAM)).unwrap_err();
        assert!(refused.to_string().contains("acme.layer: its checksum is another"), "{refused}");
        assert_eq!(fs::read(own.file(&acme)).unwrap(), octets);
        assert!(own.sums(&acme).is_err());
        assert!(own.forget(&acme).unwrap(), "a way out");
        assert!(own.teach(&acme, &Model::empty(), lesson(SPAM)).is_ok());
        fs::write(own.file(&acme), vec![0; 5 << 20]).unwrap();
        assert!(own.sums(&acme).unwrap_err().to_string().contains("holds more than"));
    }

    #[test]
    fn those_not_asked_for_longest_leave_memory_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let ids = ["a", "b", "c"].map(tenant);
        let teacher = layers(dir.path(), 0);
        for id in &ids {
            teacher.teach(id, &Model::empty(), lesson(SPAM)).unwrap();
        }
        let one = teacher.read(&ids[0]).unwrap().unwrap().memory();
        let node = layers(dir.path(), 2 * one);
        for id in &ids {
            assert!(node.of(id).is_some());
        }
        assert!(matches!(node.at_hand(&ids[0]), AtHand::NotRead));
        assert!(node.of(&ids[0]).is_some());
        assert!(matches!(node.at_hand(&ids[1]), AtHand::NotRead));
        assert!(matches!(node.at_hand(&ids[2]), AtHand::Layer(_)));
        assert_eq!(node.lock().octets, 2 * one);
        assert!(teacher.of(&ids[1]).is_some(), "one at a time, where there is no room");
    }
}
