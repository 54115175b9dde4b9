//! What must hold of any attachment: it is walked through within every budget, without a panic, in time that is bounded; files
//! name a container before them, and a file whose content was not seen is never silent.
//!
//! The first octet chooses the name.

use bytes::Bytes;
use sekisho::message::files::walk_octets;
use sekisho::message::specimen::{FileSeen, FileVisitor};

use super::limits::SMALL;

const NAMES: [&str; 8] = ["a", "a.zip", "a.pdf", "a.doc", "a.docx", "winmail.dat", "a.html", "a.rtf"];

#[derive(Default)]
struct Count {
    files: usize,
    octets: usize,
}

impl FileVisitor for Count {
    fn file(&mut self, seen: &FileSeen, octets: &[u8]) {
        assert!(seen.size >= octets.len() as u64 || seen.size == 0, "{seen:?} showed {} octets", octets.len());
        self.files += 1;
        self.octets += octets.len();
    }
}

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let [choice, octets @ ..] = data else { return };
    let name = NAMES[usize::from(*choice) % NAMES.len()];
    let (mut count, passwords) = (Count::default(), ["secret".into(), "1234".into()]);
    let specimen = walk_octets(name, Bytes::copy_from_slice(octets), &SMALL, &passwords, &|| false, &mut count);
    assert!(specimen.files.len() <= SMALL.files + 2, "{} files", specimen.files.len());
    // Parts of a document are shown and not listed: at most 10,000 scripts, and fewer of all else.
    assert!(count.files <= SMALL.files + 2 + 10_000 * specimen.files.len(), "{} files shown", count.files);
    assert!(count.octets as u64 <= 2 * SMALL.unpacked_octets + 2 * octets.len() as u64, "{} octets", count.octets);
    assert!(specimen.links.len() <= SMALL.links);
    for (index, file) in specimen.files.iter().enumerate() {
        assert!(file.parent.is_none_or(|parent| parent < index), "{file:?}");
        assert!(file.layer <= SMALL.layers + 1, "{file:?}");
    }
    for one in &specimen.unchecked {
        assert!(one.what.len() < 4_096 && !one.what.contains(['\r', '\n', '\0']), "{:?}", one.what);
    }
}
