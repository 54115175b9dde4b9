//! Replays the fuzz check of the spool's records on fixed-seed random inputs: noise, and sound frames with noise in them.

#[path = "../../../fuzz/checks/spool_record.rs"]
mod spool_record;

use sekisho::model::MessageId;
use sekisho::spool::RecipientState;
use sekisho::spool::frame::{FrameKind, Header};
use sekisho::spool::record::{self, Progress};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % limit
    }

    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        let length = self.below(limit);
        (0..length).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

fn frame(random: &mut Random, epoch: u64) -> Vec<u8> {
    let progress = Progress {
        branch: 1,
        ended: vec![(random.below(1_000) as u32, RecipientState::Failed)],
        attempts: 3,
        due: random.next(),
        last_attempt: random.next(),
        delay_notice_sent: true,
        held: Some("held".into()),
        last_error: Some("451 later".into()),
    };
    let id = MessageId::new(random.next(), u128::from(random.next()));
    let mut payload = record::progress(id, &progress);
    payload.extend(record::hold(id, 2, Some("why")));
    // A message record with a damaged inside but the right length.
    let inside = random.bytes(300);
    payload.push(1 + random.next().to_le_bytes()[0] % 2);
    payload.extend([0x80 | (inside.len() & 0x7f) as u8, (inside.len() >> 7) as u8]);
    payload.extend(&inside);
    let header = Header {
        kind: FrameKind::Records,
        length: u32::try_from(payload.len()).unwrap(),
        payload_crc: crc32c::crc32c(&payload),
        epoch,
        sequence: random.next(),
    };
    let (head, end) = header.encode();
    [&head[..], &payload, &end[..]].concat()
}

#[test]
fn noise_is_no_record() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        spool_record::check(&random.bytes(400));
    }
}

#[test]
fn sound_frames_with_noise_in_them_are_told_apart() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    for _ in 0..4_000 {
        let epoch = random.next();
        let mut data = epoch.to_le_bytes().to_vec();
        for _ in 0..random.below(6) {
            data.extend(frame(&mut random, epoch));
            match random.below(4) {
                0 => data.extend(random.bytes(60)),
                1 => data.extend(vec![0; random.below(60)]),
                _ => {}
            }
        }
        for _ in 0..random.below(4) {
            let at = random.below(data.len());
            data[at] = random.next().to_le_bytes()[1];
        }
        data.truncate(data.len() - random.below(data.len() / 2 + 1));
        spool_record::check(&data);
    }
}
