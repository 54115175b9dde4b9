//! Disks lie: cut files, flipped bits, foreign and copied files. What was acknowledged and is undamaged comes back, what is
//! damaged is kept in `corrupt/` and counted, and nothing is delivered in part.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::bench::{Bench, bytes_of, config, far, id, message, open, text};
use sekisho::model::MessageId;
use sekisho::spool::frame::{Stretch, Walk};
use sekisho::spool::segment::{Name, SEGMENT_HEADER};
use sekisho::spool::{LoadedBody, SpoolError};
use tempfile::TempDir;

/// In memory where that can be had: thousands of spools are opened here.
fn fresh() -> TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap()
}

fn length(number: u64) -> usize {
    20 + 13 * number as usize
}

/// A closed spool of eight messages, one frame each; its only segment and where each frame lies in it.
async fn filled() -> (TempDir, PathBuf, Vec<u8>, Vec<std::ops::Range<usize>>) {
    let dir = fresh();
    let bench = open(config(dir.path()));
    for number in 0..8 {
        bench.spool.commit(vec![message(number, length(number), &["a@one.example"])]).await.unwrap();
    }
    drop(bench);
    let segments: Vec<_> = std::fs::read_dir(dir.path().join("segments")).unwrap().map(|f| f.unwrap().path()).collect();
    let path = segments.into_iter().find(|path| path.extension().is_some()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let name = Name::parse(path.file_name().unwrap().to_str().unwrap()).unwrap();
    let frames = Walk::new(&bytes, SEGMENT_HEADER, name.epoch)
        .map(|stretch| match stretch {
            Stretch::Frame { at, header, .. } => at..at + header.frame_length(),
            Stretch::Damage { .. } => panic!("damage in a sound segment"),
        })
        .collect();
    (dir, path, bytes, frames)
}

fn spool_of(name: &Path, bytes: &[u8]) -> (TempDir, Bench) {
    let dir = fresh();
    std::fs::create_dir_all(dir.path().join("segments")).unwrap();
    std::fs::write(dir.path().join("segments").join(name.file_name().unwrap()), bytes).unwrap();
    let bench = open(config(dir.path()));
    (dir, bench)
}

async fn contents(bench: &Bench) -> BTreeSet<MessageId> {
    let mut seen = BTreeSet::new();
    for lease in bench.spool.take_due(far(), 100) {
        let number = lease.id().as_u128() as u64;
        assert!(bytes_of(&lease).await == text(number, length(number)), "message {number} came back changed");
        assert!(seen.insert(lease.id()), "message {number} came back twice");
    }
    seen
}

fn whole(frames: &[std::ops::Range<usize>], sound: impl Fn(&std::ops::Range<usize>) -> bool) -> BTreeSet<MessageId> {
    (0..).zip(frames).filter(|(_, frame)| sound(frame)).map(|(number, _)| id(number)).collect()
}

fn kept(dir: &TempDir) -> usize {
    std::fs::read_dir(dir.path().join("corrupt")).unwrap().count()
}

#[tokio::test]
async fn a_cut_at_every_byte_leaves_every_whole_frame() {
    let (_dir, path, bytes, frames) = filled().await;
    for end in 0..bytes.len() {
        let (dir, bench) = spool_of(&path, &bytes[..end]);
        assert_eq!(contents(&bench).await, whole(&frames, |frame| frame.end <= end), "cut at {end}");
        // A frame begins with a zero, like unwritten space: a cut behind it is no damage to speak of.
        let before =
            frames.iter().map(|frame| frame.end).filter(|at| *at <= end).max().unwrap_or(SEGMENT_HEADER.min(end));
        let clean = end <= 1 || end >= SEGMENT_HEADER && bytes[before..end].iter().all(|byte| *byte == 0);
        assert_eq!(bench.report.damaged.is_empty(), clean, "cut at {end}: {:?}", bench.report.damaged);
        assert_eq!(kept(&dir) == 0, clean, "cut at {end}");
        assert_eq!(bench.metrics.spool.corrupt.get(), bench.report.damaged.len() as u64);
        // The rest of the spool is as good as new.
        bench.spool.commit(vec![message(100, 10, &["a@one.example"])]).await.unwrap();
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_costs_one_frame_at_most() {
    let (_dir, path, bytes, frames) = filled().await;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..1_500 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = usize::try_from(random >> 8).unwrap() % bytes.len();
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (random & 7);
        let (dir, bench) = spool_of(&path, &damaged);
        let want = whole(&frames, |frame| !frame.contains(&at));
        assert_eq!(contents(&bench).await, want, "round {round}: byte {at}");
        assert_eq!(bench.report.damaged.len(), 1, "round {round}: byte {at}");
        assert_eq!(kept(&dir), 2, "the range and its text");
        if round % 50 == 0 {
            drop(bench);
            let bench = open(config(dir.path()));
            assert_eq!((bench.report.damaged.len(), bench.report.known_damage), (0, 1), "told once");
        }
    }
}

#[tokio::test]
async fn many_damages_at_once_block_nothing() {
    let (_dir, path, bytes, frames) = filled().await;
    let mut damaged = bytes.clone();
    damaged[0] ^= 1;
    for frame in [&frames[1], &frames[2], &frames[6]] {
        damaged[frame.start..frame.end - 10].fill(0);
    }
    damaged.extend_from_slice(&bytes[frames[0].start..frames[0].end - 1]);
    let (_dir, bench) = spool_of(&path, &damaged);
    assert_eq!(contents(&bench).await, [0, 3, 4, 5, 7].map(id).into());
    assert_eq!(bench.report.damaged.len(), 4, "{:?}", bench.report.damaged);
}

#[tokio::test]
async fn foreign_and_copied_files_are_put_aside_and_double_nothing() {
    let (_dir, path, bytes, _) = filled().await;
    let dir = fresh();
    let segments = dir.path().join("segments");
    std::fs::create_dir_all(&segments).unwrap();
    let name = Name::parse(path.file_name().unwrap().to_str().unwrap()).unwrap();
    std::fs::write(segments.join(name.file_name()), &bytes).unwrap();
    std::fs::write(segments.join("00000001-0123456789abcdef.log"), &bytes).unwrap();
    // A copy under another number: its frames are sound, and must not undo what came after them.
    std::fs::write(segments.join(Name { number: 9, ..name }.file_name()), &bytes).unwrap();
    std::fs::write(segments.join(format!("{}~", name.file_name())), &bytes).unwrap();
    std::fs::write(segments.join("notes.txt"), "hello").unwrap();
    let bench = open(config(dir.path()));
    assert_eq!(contents(&bench).await.len(), 8);
    assert_eq!(bench.report.damaged.len(), 4, "{:?}", bench.report.damaged);
    assert_eq!(bench.metrics.balance.sums().queued, 8);
}

#[tokio::test]
async fn a_body_damaged_while_it_waits_is_held_and_kept() {
    let dir = fresh();
    let mut settings = config(dir.path());
    settings.body_cache = 0;
    let bench = open(settings);
    bench.spool.commit(vec![message(0, 5_000, &["a@one.example", "b@two.example"])]).await.unwrap();
    bench.spool.commit(vec![message(1, 2_000_000, &["a@one.example"])]).await.unwrap();
    let flip = |path: &Path, at: usize| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let find = |sub: &str, end: &str| {
        let mut files = std::fs::read_dir(dir.path().join(sub)).unwrap().map(|f| f.unwrap().path());
        files.find(|path| path.to_str().unwrap().ends_with(end)).unwrap()
    };
    flip(&find("segments", ".log"), 3_000);
    flip(&find("large", ".body"), 1_200_000);
    for lease in bench.spool.take_due(far(), 10) {
        let result: Result<LoadedBody, SpoolError> = lease.body().await;
        assert!(matches!(result, Err(SpoolError::Damaged(..) | SpoolError::Gone(_))), "{result:?}");
    }
    assert!(bench.spool.take_due(far(), 10).is_empty());
    let sums = bench.metrics.balance.sums();
    assert_eq!((sums.held, sums.queued, sums.balance()), (3, 0, 0));
    assert_eq!(bench.metrics.spool.corrupt.get(), 2);
    assert_eq!(kept(&dir), 4);
}

#[tokio::test]
async fn a_large_body_without_a_sound_record_is_kept_where_damage_was() {
    let (_dir, path, mut bytes, frames) = filled().await;
    bytes[frames[3].start + 50] ^= 1;
    let dir = fresh();
    for sub in ["segments", "large"] {
        std::fs::create_dir_all(dir.path().join(sub)).unwrap();
    }
    std::fs::write(dir.path().join("segments").join(path.file_name().unwrap()), &bytes).unwrap();
    let orphan = dir.path().join("large").join(format!("{}.body", id(77)));
    std::fs::write(&orphan, "somebody's mail").unwrap();
    let bench = open(config(dir.path()));
    assert!(!orphan.exists());
    assert_eq!(
        std::fs::read(dir.path().join("corrupt").join(orphan.file_name().unwrap())).unwrap(),
        b"somebody's mail"
    );
    assert_eq!(bench.spool.len(), 7);
}
