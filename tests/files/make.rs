//! Writers of archives, by hand where the crates refuse to write what is wrong.

use std::io::{Cursor, Write};

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{AesMode, CompressionMethod};

pub fn zip_with(options: SimpleFileOptions, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(SimpleFileOptions::default().compression_method(CompressionMethod::Deflated), files)
}

pub fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(SimpleFileOptions::default().compression_method(CompressionMethod::Stored), files)
}

pub fn locked(password: &'static str, files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(SimpleFileOptions::default().with_aes_encryption(AesMode::Aes256, password), files)
}

/// A header of a zip written by hand, so that it can lie.
#[derive(Clone)]
pub struct Raw<'a> {
    pub central: &'a str,
    pub local: &'a str,
    pub method: u16,
    pub packed: u32,
    pub size: u32,
    pub content: &'a [u8],
    pub in_directory: bool,
}

impl<'a> Raw<'a> {
    pub fn stored(name: &'a str, content: &'a [u8]) -> Self {
        let length = u32::try_from(content.len()).unwrap();
        Self { central: name, local: name, method: 0, packed: length, size: length, content, in_directory: true }
    }

    fn common(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&20_u16.to_le_bytes());
        out.extend_from_slice(&0_u16.to_le_bytes());
        out.extend_from_slice(&self.method.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let mut sum = flate2::Crc::new();
        sum.update(self.content);
        out.extend_from_slice(&sum.sum().to_le_bytes());
        out
    }

    pub fn local(&self) -> Vec<u8> {
        let mut out = b"PK\x03\x04".to_vec();
        out.extend(self.common());
        out.extend_from_slice(&u32::try_from(self.content.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.local.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(self.local.as_bytes());
        out.extend_from_slice(self.content);
        out
    }

    pub fn central(&self, offset: usize) -> Vec<u8> {
        let mut out = b"PK\x01\x02\x14\0".to_vec();
        out.extend(self.common());
        out.extend_from_slice(&self.packed.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.central.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&u32::try_from(offset).unwrap().to_le_bytes());
        out.extend_from_slice(self.central.as_bytes());
        out
    }
}

pub fn end(entries: usize, size: usize, offset: usize) -> Vec<u8> {
    let entries = u16::try_from(entries.min(0xffff)).unwrap().to_le_bytes();
    let mut out = b"PK\x05\x06\0\0\0\0".to_vec();
    out.extend_from_slice(&entries);
    out.extend_from_slice(&entries);
    out.extend_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
    out.extend_from_slice(&u32::try_from(offset).unwrap().to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}

pub fn raw_zip(entries: &[Raw<'_>]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        if entry.in_directory {
            directory.extend(entry.central(out.len()));
        }
        out.extend(entry.local());
    }
    let offset = out.len();
    let listed = entries.iter().filter(|entry| entry.in_directory).count();
    out.extend_from_slice(&directory);
    out.extend(end(listed, directory.len(), offset));
    out
}

pub fn gz(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

pub fn bz2(content: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

pub fn zst(content: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(content, 3).unwrap()
}

pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        writer.append(&header, *content).unwrap();
    }
    writer.into_inner().unwrap()
}

pub fn newc(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in files.iter().copied().chain([("TRAILER!!!", &b""[..])]) {
        out.extend_from_slice(b"070701");
        for (field, value) in
            [0, 0o100_644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0].into_iter().enumerate()
        {
            assert!(field < 13);
            out.extend_from_slice(format!("{value:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

pub fn ar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in files {
        out.extend_from_slice(
            format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", format!("{name}/"), 0, 0, 0, 644, content.len()).as_bytes(),
        );
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(2), b'\n');
    }
    out
}

pub fn cab(kind: cab::CompressionType, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = cab::CabinetBuilder::new();
    let folder = builder.add_folder(kind);
    for (name, _) in files {
        folder.add_file(*name);
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    let mut contents = files.iter();
    while let Some(mut file) = writer.next_file().unwrap() {
        file.write_all(contents.next().unwrap().1).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A level 0 header and a stored member.
pub fn lzh(name: &str, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let mut body = b"-lh0-".to_vec();
    body.extend_from_slice(&length);
    body.extend_from_slice(&length);
    body.extend_from_slice(&[0, 0, 0x21, 0, 0x20, 0, u8::try_from(name.len()).unwrap()]);
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(&[0, 0]);
    let sum = body.iter().fold(0_u8, |sum, &octet| sum.wrapping_add(octet));
    [&[u8::try_from(body.len()).unwrap(), sum][..], &body, content, &[0]].concat()
}

/// A 7z with one stored file, its directory plain.
pub fn seven(name: &str, content: &[u8]) -> Vec<u8> {
    seven_with(name, content, content.len() as u64, &[0x01, 0x00])
}

/// `coder`: flags with the identifier's length, identifier, properties with their length.
pub fn seven_with(name: &str, packed: &[u8], size: u64, coder: &[u8]) -> Vec<u8> {
    let number = |value: u64| [&[0xff][..], &value.to_le_bytes()].concat();
    let mut header = vec![0x01, 0x04, 0x06, 0x00, 0x01, 0x09];
    header.extend(number(packed.len() as u64));
    header.extend_from_slice(&[0x00, 0x07, 0x0b, 0x01, 0x00, 0x01]);
    header.extend_from_slice(coder);
    header.push(0x0c);
    header.extend(number(size));
    header.extend_from_slice(&[0x00, 0x08, 0x00, 0x00, 0x05, 0x01, 0x11]);
    let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    header.extend(number(name.len() as u64 + 1));
    header.push(0);
    header.extend(name);
    header.extend_from_slice(&[0x00, 0x00]);
    let crc = |octets: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(octets);
        sum.sum().to_le_bytes()
    };
    let start =
        [&(packed.len() as u64).to_le_bytes()[..], &(header.len() as u64).to_le_bytes(), &crc(&header)].concat();
    [b"7z\xbc\xaf\x27\x1c\0\x04", &crc(&start)[..], &start, packed, &header].concat()
}

pub fn uu(name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = format!("begin 644 {name}\n").into_bytes();
    let letter = |value: u8| if value == 0 { b'`' } else { value + 32 };
    for line in content.chunks(45) {
        out.push(letter(u8::try_from(line.len()).unwrap()));
        for group in line.chunks(3) {
            let word = group.iter().chain(&[0; 2]).take(3).fold(0_u32, |word, &octet| word << 8 | u32::from(octet));
            out.extend([18, 12, 6, 0].map(|shift| letter(u8::try_from(word >> shift & 63).unwrap())));
        }
        out.push(b'\n');
    }
    out.extend_from_slice(b"`\nend\n");
    out
}

/// A file in an OLE packager's record.
pub fn package(name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0];
    out.extend_from_slice(format!("{name}\0C:\\{name}\0").as_bytes());
    out.extend_from_slice(&[0, 0, 3, 0]);
    let path = format!("C:\\Temp\\{name}\0");
    out.extend_from_slice(&u32::try_from(path.len()).unwrap().to_le_bytes());
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
    out.extend_from_slice(content);
    [&u32::try_from(out.len()).unwrap().to_le_bytes()[..], &out].concat()
}

pub fn ole(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (path, content) in streams {
        if let Some((folder, _)) = path.rsplit_once('/').filter(|(folder, _)| !folder.is_empty()) {
            file.create_storage_all(folder).unwrap();
        }
        file.create_stream(path).unwrap().write_all(content).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

pub fn docx(more: &[(&str, &[u8])]) -> Vec<u8> {
    let mut files: Vec<(&str, &[u8])> = vec![
        ("[Content_Types].xml", b"<?xml version='1.0'?><Types/>"),
        ("word/document.xml", b"<?xml version='1.0'?><w:document><w:body><w:p><w:r><w:t>Hello there</w:t></w:r></w:p></w:body></w:document>"),
    ];
    files.extend_from_slice(more);
    zip(&files)
}
