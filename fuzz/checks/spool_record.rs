//! What must hold for any bytes the spool may find on its disk: no panic, no more memory than the bytes are long, and what
//! was taken for a frame is one, to the byte.

use sekisho::spool::frame::{HEADER, Header, Stretch, TRAILER, Walk};
use sekisho::spool::record::{self, Record};

/// Reads the bytes as a segment and as the payload of one frame.
pub fn check(data: &[u8]) {
    let epoch = data.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    for (from, epoch) in [(8, epoch), (0, 0)] {
        let mut covered = from;
        for stretch in Walk::new(data, from, epoch) {
            let (at, length) = match stretch {
                Stretch::Frame { at, header, payload } => {
                    assert_eq!(header.epoch, epoch);
                    assert_eq!(payload.len() + HEADER + TRAILER, header.frame_length());
                    let (head, end) = header.encode();
                    let frame = &data[at..at + header.frame_length()];
                    assert!(frame.starts_with(&head) && frame.ends_with(&end));
                    records(payload);
                    (at, header.frame_length())
                }
                Stretch::Damage { at, length, .. } => (at, length),
            };
            assert_eq!(at, covered, "stretches follow each other");
            assert!(length > 0);
            covered += length;
        }
        assert!(covered <= data.len() || from > data.len());
        assert!(
            data.get(covered..).unwrap_or_default().iter().all(|byte| *byte == 0),
            "only unwritten space is left out"
        );
    }
    let _ = Header::decode(data, epoch);
    records(data);
}

fn records(payload: &[u8]) {
    let Ok(records) = record::decode(payload) else { return };
    assert!(records.len() <= payload.len());
    for item in records {
        match item {
            Record::Message(message) => {
                let _ = sekisho::spool::decode_meta(message.meta);
            }
            Record::Moved(message, branches) => {
                let _ = sekisho::spool::decode_meta(message.meta);
                assert!(branches.len() <= payload.len());
            }
            Record::Progress(id, progress) => {
                assert!(progress.ended.len() <= payload.len());
                // What was read is what would be written.
                let again = record::progress(id, &progress);
                let Ok(back) = record::decode(&again) else { panic!("a progress record doesn't read back") };
                assert_eq!(back, [Record::Progress(id, progress)]);
            }
            Record::Hold(..) | Record::Unknown(_) => {}
        }
    }
}
