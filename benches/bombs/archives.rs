//! Archives that are small and become large, many or deep.

use crate::Entry;
use crate::Kind::{Bomb, Text};
use crate::make::{self, Raw};
use crate::mime::with_file;

const MIB: usize = 1 << 20;

pub fn all() -> Vec<Entry> {
    vec![
        ("zip, 42-style: 16 in 16, 5 deep", Bomb, || with_file("a.zip", &forty_two())),
        ("zip, overlapping entries (Fifield, 250 quoted)", Bomb, || with_file("a.zip", &fifield(250))),
        ("zip, 10,000 entries for one file", Bomb, || with_file("a.zip", &one_for_many(10_000))),
        ("zip, 100,000 members", Bomb, || with_file("a.zip", &many_members(100_000))),
        ("zip, 1,000 MiB that says 10 octets", Bomb, || with_file("a.zip", &deflated(1_000, 10))),
        ("zip, 56 MiB that says 10 octets", Bomb, || with_file("a.zip", &deflated(56, 10))),
        ("zip, 4 GiB said", Bomb, || with_file("a.zip", &deflated(1, u32::MAX - 1))),
        ("zip, 100 deep", Bomb, || with_file("a.zip", &nested(100, |inner| make::stored(&[("a.zip", inner)])))),
        ("zip, ratio 99: 55 MiB of text, honest", Bomb, || with_file("a.zip", &just_within(55))),
        ("zip, four of 20 MiB within the ratio", Bomb, || {
            let one = padded(20);
            with_file("a.zip", &make::stored(&[("a", &one), ("b", &one), ("c", &one), ("d", &one)]))
        }),
        ("gz, 1,000 MiB", Bomb, || with_file("a.gz", &gzip(1_000))),
        // Each member is unpacked, and nothing comes out.
        ("gz, 200,000 members of nothing", Text, || with_file("a.gz", &make::gz(b"").repeat(200_000))),
        ("gz, 100 deep", Bomb, || with_file("a.gz", &nested(100, make::gz))),
        ("bz2, 1,000 MiB", Bomb, || with_file("a.bz2", &make::bz2(&vec![0; MIB]).repeat(1_000))),
        ("zstd, 1,000 MiB", Bomb, || with_file("a.zst", &make::zst(&vec![0; MIB]).repeat(1_000))),
        ("xz, dictionary of 4 GiB", Bomb, || {
            with_file("a.xz", b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36\x02\0\x21\x01\x28\0\0\0")
        }),
        ("lzma, dictionary of 1 GiB", Bomb, || {
            with_file("a.lzma", &[&b"\x5d\0\0\0\x40"[..], &[0xff; 8], &[0; 64]].concat())
        }),
        ("7z, deflate 1,000 MiB", Bomb, || {
            with_file("a.7z", &make::seven_with("a", &zeros(1_000), 1_000 << 20, &[0x03, 4, 1, 8]))
        }),
        ("7z, bzip2 1,000 MiB", Bomb, || {
            let packed = make::bz2(&vec![0; 100 * MIB]).repeat(10);
            with_file("a.7z", &make::seven_with("a", &packed, 1_000 << 20, &[0x03, 4, 2, 2]))
        }),
        ("7z, LZMA dictionary of 4 GiB", Bomb, || {
            let coder = [0x23, 3, 1, 1, 5, 0x5d, 0xff, 0xff, 0xff, 0xff];
            with_file("a.7z", &make::seven_with("a", &[0; 64], 1 << 20, &coder))
        }),
        ("7z, key of 2^62 rounds", Bomb, || {
            with_file("a.7z", &make::seven_with("a", &[0; 64], 64, &[0x24, 6, 0xf1, 7, 1, 2, 0x3e, 0]))
        }),
        ("7z, locked and no password", Bomb, || {
            let coder = [0x24, 6, 0xf1, 7, 1, 2, 0x13, 0];
            with_words("a.7z", &make::seven_with("a", &[0; 64], 64, &coder))
        }),
        ("zip, 300 locked files, 1,000 words in the mail", Bomb, || {
            let names: Vec<String> = (0..300).map(|nth| format!("{nth}.txt")).collect();
            let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"hello"[..])).collect();
            with_words("a.zip", &make::locked("none of them", &files))
        }),
        ("rar, 100,000 entries", Bomb, || with_file("a.rar", &rar(100_000))),
        ("tar of tars, 25 deep", Bomb, || with_file("a.tar", &nested(25, |inner| make::tar(&[("a.tar", inner)])))),
        ("tar, 40,000 members", Bomb, || {
            let names: Vec<String> = (0..40_000).map(|nth| format!("{nth}")).collect();
            let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
            with_file("a.tar", &make::tar(&files))
        }),
        ("tar.gz, 100,000 members of nothing", Bomb, || {
            let mut tar = make::tar(&[("a", b"")]);
            tar.truncate(512);
            with_file("a.tar.gz", &make::gz(&tar.repeat(100_000)))
        }),
        ("cpio, 100,000 members", Bomb, || {
            let names: Vec<String> = (0..100_000).map(|nth| format!("{nth}")).collect();
            let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
            with_file("a.cpio", &make::newc(&files))
        }),
        ("cab, MSZIP 400 MiB", Bomb, || {
            let content = vec![0; 400 * MIB];
            with_file("a.cab", &make::cab(cab::CompressionType::MsZip, &[("a", &content)]))
        }),
        ("lzh, 100,000 members", Bomb, || {
            let mut one = make::lzh("a", b"x");
            one.pop();
            with_file("a.lzh", &one.repeat(100_000))
        }),
        ("iso, a folder within itself", Bomb, || with_file("a.iso", &iso())),
        ("iso, 10,000 entries for one file", Bomb, || with_file("a.iso", &iso_many())),
    ]
}

/// A raw deflate stream of so many mebibytes of zeros.
pub fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    let mut piece = Vec::with_capacity(1 << 16);
    deflate.compress_vec(&vec![0; MIB], &mut piece, flate2::FlushCompress::Full).unwrap();
    let mut out = piece.repeat(mebibytes);
    out.extend_from_slice(&[0x03, 0x00]);
    out
}

fn deflated(mebibytes: usize, says: u32) -> Vec<u8> {
    let content = zeros(mebibytes);
    make::raw_zip(&[Raw { method: 8, size: says, ..Raw::stored("a", &content) }])
}

/// Text that packs nearly a hundredfold.
pub fn text(mebibytes: usize) -> Vec<u8> {
    let mut seed = 7_u32;
    let mut out = Vec::with_capacity(mebibytes * MIB);
    while out.len() < mebibytes * MIB {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(format!("line {} ", seed >> 24).as_bytes());
        out.extend_from_slice(&b"of a letter that says the same again and again. ".repeat(32));
        out.push(b'\n');
    }
    out
}

fn just_within(mebibytes: usize) -> Vec<u8> {
    make::zip(&[("a.txt", &text(mebibytes))])
}

/// A gzip of text, as it may be twice in one archive.
fn padded(mebibytes: usize) -> Vec<u8> {
    make::gz(&text(mebibytes))
}

fn gzip(mebibytes: usize) -> Vec<u8> {
    [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &zeros(mebibytes), &[0; 8]].concat()
}

fn nested(layers: usize, wrap: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    (0..layers).fold(b"core".to_vec(), |inner, _| wrap(&inner))
}

fn forty_two() -> Vec<u8> {
    let content = zeros(50);
    let mut octets = make::raw_zip(&[Raw { method: 8, size: 50 << 20, ..Raw::stored("0", &content) }]);
    for _ in 0..5 {
        let names: Vec<String> = (0..16).map(|index| format!("lib{index}.zip")).collect();
        let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), octets.as_slice())).collect();
        octets = make::zip(&entries);
    }
    octets
}

/// Each file's stream quotes the local header of the next in a stored block and goes on with the next one's stream.
fn fifield(files: usize) -> Vec<u8> {
    let kernel = zeros(20);
    let names: Vec<String> = (0..files).map(|nth| format!("{nth:03}")).collect();
    let mut stream = kernel;
    let (mut offsets, mut heads) = (Vec::new(), Vec::new());
    for name in names.iter().rev() {
        let entry = Raw { method: 8, size: 20 << 20, ..Raw::stored(name, &stream) };
        let whole = entry.local();
        let head = whole.len() - stream.len();
        heads.push(entry.central(0));
        offsets.push(whole.len());
        let quoted = &whole[..head];
        let length = u16::try_from(quoted.len()).unwrap();
        stream = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), &whole].concat();
    }
    // The first file's local header begins the archive: the block that quotes it goes.
    let out = stream.split_off(5);
    let mut directory = Vec::new();
    for (mut head, from_end) in heads.into_iter().zip(offsets).rev() {
        let at = u32::try_from(out.len() - from_end).unwrap();
        head[42..46].copy_from_slice(&at.to_le_bytes());
        directory.extend(head);
    }
    let size = directory.len();
    [&out[..], &directory, &make::end(files, size, out.len())].concat()
}

fn one_for_many(count: usize) -> Vec<u8> {
    let content = zeros(5);
    let entry = Raw { method: 8, size: 5 << 20, ..Raw::stored("a", &content) };
    let out = entry.local();
    let names: Vec<String> = (0..count).map(|index| format!("f{index}")).collect();
    let directory: Vec<u8> =
        names.iter().flat_map(|name| Raw { local: "a", central: name, ..entry.clone() }.central(0)).collect();
    [&out[..], &directory, &make::end(count, directory.len(), out.len())].concat()
}

fn many_members(count: usize) -> Vec<u8> {
    let names: Vec<String> = (0..count).map(|index| format!("{index}")).collect();
    let entries: Vec<Raw<'_>> = names.iter().map(|name| Raw::stored(name, b"")).collect();
    make::raw_zip(&entries)
}

/// RAR 5: stored files of one octet.
fn rar(count: usize) -> Vec<u8> {
    fn block(fields: &[u8]) -> Vec<u8> {
        let mut sized = vec![u8::try_from(fields.len()).unwrap()];
        sized.extend_from_slice(fields);
        let mut sum = flate2::Crc::new();
        sum.update(&sized);
        [&sum.sum().to_le_bytes()[..], &sized].concat()
    }
    let mut out = b"Rar!\x1a\x07\x01\0".to_vec();
    out.extend(block(&[1, 0, 0]));
    // Type 2 with data of one octet; no CRC or time; unpacked size 1; attributes; stored; Unix; a name of one letter.
    let file = [block(&[2, 2, 1, 0, 1, 0, 0, 1, 1, b'a']), vec![b'x']].concat();
    out.extend(file.repeat(count));
    out.extend(block(&[5, 0, 0]));
    out
}

/// The password is asked of a mail with many words.
fn with_words(name: &str, content: &[u8]) -> Vec<u8> {
    let words: String = (0..1_000).map(|nth| format!("password: word{nth}xyz ")).collect();
    crate::mime::letter_with_file(&words, name, content)
}

fn both(value: u32) -> Vec<u8> {
    [value.to_le_bytes(), value.to_be_bytes()].concat()
}

fn record(sector: u32, size: u32, is_folder: bool, name: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(both(sector));
    out.extend(both(size));
    out.extend([0; 7]);
    out.push(if is_folder { 2 } else { 0 });
    out.extend([0, 0, 1, 0, 0, 1, u8::try_from(name.len()).unwrap()]);
    out.extend_from_slice(name);
    out.resize(out.len().next_multiple_of(2), 0);
    out[0] = u8::try_from(out.len()).unwrap();
    out
}

fn iso_of(root: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 16 * 2048];
    let size = u32::try_from(root.len()).unwrap();
    let mut volume = [&b"\x01CD001\x01\0"[..], &[0; 148], &record(18, size, true, &[0])].concat();
    volume[128..132].copy_from_slice(&[0, 8, 8, 0]);
    volume.resize(2048, 0);
    out.extend(volume);
    let mut last = b"\xffCD001\x01".to_vec();
    last.resize(2048, 0);
    out.extend(last);
    out.extend_from_slice(root);
    out.resize(out.len().next_multiple_of(2048) + 2048, 0);
    out
}

fn iso() -> Vec<u8> {
    let mut root = Vec::new();
    for nth in 0..20_u8 {
        root.extend(record(18, 2048, true, &[b'a' + nth]));
    }
    root.resize(2048, 0);
    iso_of(&root)
}

fn iso_many() -> Vec<u8> {
    let mut root = Vec::new();
    for nth in 0..10_000 {
        let one = record(18, 100_000, false, format!("F{nth}.;1").as_bytes());
        if root.len() % 2048 + one.len() > 2048 {
            root.resize(root.len().next_multiple_of(2048), 0);
        }
        root.extend(one);
    }
    root.resize(root.len().next_multiple_of(2048), 0);
    iso_of(&root)
}
