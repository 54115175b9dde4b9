//! Damage at rest: torn and bit-flipped records in the spool's files. They end in `corrupt/`; the others flow.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::injector::Mix;
use crate::kills::print_judgement;
use crate::ledger::NextHop;
use crate::scene::{Custody, Scene};

/// Fills the queue while the next hop is away, damages `victims` records and tears the last one, and looks what flows.
pub fn run(seed: u64, messages: usize, victims: usize) -> Result<(), String> {
    let hop = NextHop::new(seed, 0, 0);
    hop.set_away(true);
    let scene = Scene::new(Custody::Queued, seed, hop);
    fill(&scene, messages);
    let mut dice = Dice::new(seed);
    let places = records(&scene.plan.spool_dir());
    if places.len() < messages {
        return Err(format!("{} records found on disk for {messages} messages", places.len()));
    }
    let excused = harm(places, victims, &mut dice);
    scene.hop.set_away(false);
    let (gateway, after) = scene.start(&[]);
    // The next hop was away for a while, so the next attempt is a minute off: the operator asks for it now.
    scene.plan.sekisho(&["queue", "retry", "--all"]).map_err(|error| error.to_string())?;
    let left = scene.quiesce(&gateway, Duration::from_mins(1));
    let judgement = scene.judge(&excused);
    let balance = gateway.metric("sekisho_balance_recipients");
    println!(
        "\ndamage at rest: {} of {} records harmed; ready again after {after:?}",
        excused.len(),
        judgement.messages
    );
    print_judgement(&judgement, 0, left, balance);
    let arrived: HashSet<String> = scene.hop.arrivals().into_iter().map(|arrival| arrival.uuid).collect();
    let kept = excused.iter().filter(|uuid| contains(&corrupt_dirs(&scene.plan.data_dir()), uuid)).count();
    let slipped = excused.intersection(&arrived).count();
    println!("harmed records kept in corrupt/: {kept} of {}; delivered all the same: {slipped}", excused.len());
    drop(gateway);
    let healthy = left == 0.0 && judgement.lost.is_empty() && judgement.altered == 0 && balance == Some(0.0);
    if healthy && judgement.duplicate_transactions == 0 && slipped == 0 && kept == excused.len() {
        return Ok(());
    }
    let why = "damaged records were not set aside as they must be";
    scene.keep(why);
    Err(why.to_owned())
}

fn fill(scene: &Scene, messages: usize) {
    let (gateway, _) = scene.start(&[]);
    let mut mix = scene.mix(2_000);
    // One lane per message: one record.
    mix.domains.truncate(1);
    mix.bounces_per_mille = 0;
    mix.large_per_mille = 20;
    inject(scene, 10, "d", mix.clone(), messages);
    // The newest records are small ones: the cut that is to tear the last of them must not take the frame of a large body,
    // which can't be told by its text.
    mix.large_per_mille = 0;
    let so_far = scene.ledger.len();
    inject(scene, 1, "e", mix, so_far + 5);
    drop(gateway);
}

fn inject(scene: &Scene, clients: u64, prefix: &str, mix: Mix, until: usize) {
    let injector = scene.inject(clients, prefix, mix);
    let end = Instant::now() + Duration::from_secs(30);
    while scene.ledger.len() < until && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    injector.stop(scene.runtime.handle());
}

/// Where a message's text lies on disk.
#[derive(Debug, Clone)]
struct Place {
    uuid: String,
    file: PathBuf,
    at: usize,
}

const MARK: &[u8] = b"X-Test-UUID: ";

fn records(dir: &Path) -> Vec<Place> {
    let mut found = Vec::new();
    for file in files(dir) {
        let Ok(bytes) = fs::read(&file) else { continue };
        let mut from = 0;
        while let Some(at) = find(bytes.get(from..).unwrap_or_default(), MARK) {
            let begin = from + at + MARK.len();
            let uuid = bytes.get(begin..).unwrap_or_default().iter().take_while(|byte| **byte != b'\r');
            let uuid = uuid.map(|byte| char::from(*byte)).collect();
            found.push(Place { uuid, file: file.clone(), at: begin });
            from = begin;
        }
    }
    found
}

/// Flips one bit in each of some records, and cuts the file of the last record in its middle.
fn harm(mut places: Vec<Place>, victims: usize, dice: &mut Dice) -> HashSet<String> {
    let mut excused = HashSet::new();
    let newest = places.iter().map(|place| place.file.clone()).max().unwrap_or_default();
    let last = places.iter().filter(|place| place.file == newest).max_by_key(|place| place.at).cloned();
    if let Some(place) = last {
        let file = fs::File::options().write(true).open(&place.file).expect("the newest segment");
        file.set_len(place.at as u64 + 60).expect("cut");
        places.retain(|other| other.uuid != place.uuid);
        excused.insert(place.uuid);
    }
    while excused.len() <= victims && !places.is_empty() {
        let at = usize::try_from(dice.below(places.len() as u64)).unwrap_or(0);
        let place = places.swap_remove(at);
        let mut bytes = fs::read(&place.file).expect("a segment");
        // Somewhere behind the headers we wrote, well inside the record.
        let bit = place.at + 60 + usize::try_from(dice.below(100)).unwrap_or(0);
        if let Some(byte) = bytes.get_mut(bit) {
            *byte ^= 1 << dice.below(8);
            fs::write(&place.file, bytes).expect("a segment");
            excused.insert(place.uuid);
        }
    }
    excused
}

fn corrupt_dirs(dir: &Path) -> Vec<PathBuf> {
    files(dir).into_iter().filter(|path| path.components().any(|part| part.as_os_str() == "corrupt")).collect()
}

fn contains(files: &[PathBuf], uuid: &str) -> bool {
    let needle = format!("X-Test-UUID: {uuid}\r\n");
    files.iter().any(|file| fs::read(file).is_ok_and(|bytes| find(&bytes, needle.as_bytes()).is_some()))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut out = Vec::new();
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            out.extend(files(&entry.path()));
        } else {
            out.push(entry.path());
        }
    }
    out.sort();
    out
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == first)) {
        if haystack.get(from + at..)?.starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
