//! What must hold of any file of counters: reading never panics, and a damaged one is not believed. Name, number and checksum are
//! made right, so that the entries are read.

use std::sync::{Arc, LazyLock};

use sekisho::limits::history::History;
use sekisho::model::Timestamp;
use sekisho::sender::correspondents::{Config as CorrespondentsConfig, Correspondents};
use sekisho::sender::greylist::{Config as GreylistConfig, Greylist};
use sekisho::sender::reputation::{Config as ReputationConfig, Reputation};
use sekisho::tables::state_file::decode;
use sekisho::telemetry::Metrics;

static METRICS: LazyLock<Arc<Metrics>> = LazyLock::new(Metrics::new);

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let _ = decode::<u64, u64>(b"SKTEST1\n", data);
    let [choice, count, entries @ ..] = data else { return };
    let dir = std::env::temp_dir().join(format!("sekisho-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let now = Timestamp::from_millis(1_795_176_451_000);
    let (file, name) = [
        ("greylist.state", b"SKGREY1\n"),
        ("reputation.state", b"SKREPU1\n"),
        ("outbound.state", b"SKOUTB2\n"),
        ("correspondents.state", b"SKCORR1\n"),
    ][usize::from(*choice) % 4];
    let mut octets = name.to_vec();
    octets.extend_from_slice(&u64::from(*count).to_le_bytes());
    octets.extend_from_slice(entries);
    octets.extend(crc32c::crc32c(&octets).to_le_bytes());
    std::fs::write(dir.join(file), &octets).expect("a file");
    if choice % 4 == 1 {
        std::fs::write(dir.join("reputation-set.json"), entries).expect("a file");
    }
    match choice % 4 {
        0 => {
            let greylist =
                Greylist::new(GreylistConfig { most_entries: 1_000, ..Default::default() }, Arc::clone(&METRICS));
            if greylist.load(&dir).is_ok() {
                greylist.save(&dir).expect("it is written");
                greylist.load(&dir).expect("what we write is read");
            }
        }
        1 => {
            let reputation = Reputation::in_memory(ReputationConfig::default(), Arc::clone(&METRICS));
            if reputation.load(&dir).is_ok() {
                reputation.save(&dir).expect("it is written");
                reputation.load(&dir).expect("what we write is read");
            }
        }
        2 => {
            let history = History::new(1_000);
            if history.load(&dir, now).is_ok() {
                history.save(&dir).expect("it is written");
                history.load(&dir, now).expect("what we write is read");
            }
        }
        _ => {
            let config = CorrespondentsConfig { most_entries: 1_000, ..Default::default() };
            let correspondents = Correspondents::new(config, Arc::clone(&METRICS));
            if correspondents.load(&dir, now).is_ok() {
                correspondents.save(&dir, now).expect("it is written");
                correspondents.load(&dir, now).expect("what we write is read");
            }
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
}
