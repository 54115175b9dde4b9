//! Embedded objects of OLE 1 and 2: what a `\x01Ole10Native` stream and an RTF's object data have in them.
//!
//! **Failure**: what doesn't parse is given as it is.

use bytes::Bytes;

use super::names;
use super::octets::{at32, le16, le32, slice, until_nul, up_to};

/// A file in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    pub names: Vec<Box<str>>,
    pub octets: Bytes,
}

/// An Ole10Native stream ([MS-OLEDS] section 2.3.6): a packager's record, or bare data behind its length.
pub fn native(stream: &Bytes) -> Option<Embedded> {
    packager(stream).or_else(|| {
        let length = at32(stream, 0)?;
        let content = stream.slice(4.min(stream.len())..length.saturating_add(4).min(stream.len()));
        (!content.is_empty()).then(|| Embedded { names: Vec::new(), octets: content })
    })
}

/// Size, flags, label, name, two more fields, the path it came from, the data.
fn packager(stream: &Bytes) -> Option<Embedded> {
    if le16(stream, 4)? != 2 {
        return None;
    }
    let mut here = 6;
    let text = |here: &mut usize| {
        let raw = until_nul(up_to(stream, *here, 1_024));
        *here += raw.len() + 1;
        names::decoded(raw)
    };
    let label = text(&mut here);
    let name = text(&mut here);
    if le32(stream, here)? & 0xffff_0000 != 0x0003_0000 {
        return None;
    }
    here += 4;
    let path_length = at32(stream, here)?;
    let path = names::decoded(until_nul(slice(stream, here + 4, path_length)?));
    here = here.checked_add(4 + path_length)?;
    let length = at32(stream, here)?;
    let start = (here + 4).min(stream.len());
    let octets = stream.slice(start..start.saturating_add(length).min(stream.len()));
    // What runs is what the path says; the label is what is shown.
    let path = path.rsplit(['\\', '/']).next().map(Into::into).unwrap_or_default();
    Some(Embedded { names: vec![label, base(&name), path], octets })
}

fn base(name: &str) -> Box<str> {
    name.rsplit(['\\', '/']).next().unwrap_or_default().into()
}

/// An OLE 1 object ([MS-OLEDS] section 2.2.5): its class, and its data.
pub fn ole1(data: &Bytes) -> Option<(Box<str>, Bytes)> {
    let format = le32(data, 4)?;
    if !matches!(format, 1 | 2) {
        return None;
    }
    let mut here = 8_usize;
    let class_length = at32(data, here)?;
    let class = names::decoded(until_nul(slice(data, here + 4, class_length.min(256))?));
    here = here.checked_add(4 + class_length)?;
    for _ in 0..2 {
        here = here.checked_add(4 + at32(data, here)?)?;
    }
    let length = at32(data, here)?;
    let start = (here + 4).min(data.len());
    Some((class, data.slice(start..start.saturating_add(length).min(data.len()))))
}
