//! VBA: the compressed source of modules ([MS-OVBA] section 2.4.1), found by its mark and not by the `dir` stream, which malware
//! breaks; and what in it is noteworthy.
//!
//! **Failure**: a container that breaks off gives what came before.
//! **Invariants**: a module is 4 MiB at most, as unpacked; a chunk is 4,096 octets.

use memchr::memmem;

use super::octets::{byte, le16, slice, up_to};

const MAX_MODULE: usize = 4 << 20;
/// Modules that are read from one stream.
const MAX_MODULES: usize = 16;
const CHUNK: usize = 4_096;

/// Procedures that run by themselves.
const AUTOMATIC: &[&str] = &[
    "autoopen",
    "auto_open",
    "autoexec",
    "autoclose",
    "auto_close",
    "autonew",
    "autoexit",
    "document_open",
    "documentopen",
    "document_close",
    "document_new",
    "document_beforeclose",
    "workbook_open",
    "workbook_activate",
    "workbook_beforeclose",
    "workbook_close",
    "workbook_deactivate",
    "_gotfocus",
    "_lostfocus",
    "_mousemove",
    "_layout",
    "_painted",
    "_resize",
    "_terminate",
    "_documentcomplete",
    "_beforenavigate2",
    "_onconnecting",
    "app_presentationopen",
    "slideshowbegin",
    "userform_activate",
];
/// Words that honest macros hardly need.
const SUSPICIOUS: &[&str] = &[
    "wscript.shell",
    "shell.application",
    "shellexecute",
    "powershell",
    "cmd.exe",
    "cmd /c",
    "mshta",
    "rundll32",
    "regsvr32",
    "certutil",
    "bitsadmin",
    "wmic ",
    "winmgmts",
    "win32_process",
    "urldownloadtofile",
    "xmlhttp",
    "winhttp",
    "internetexplorer.application",
    "adodb.stream",
    "savetofile",
    "virtualalloc",
    "rtlmovememory",
    "createthread",
    "writeprocessmemory",
    "callwindowproc",
    "createprocess",
    "loadlibrary",
    "getprocaddress",
    "frombase64",
    "bin.base64",
    "scriptcontrol",
    "vbproject",
    "accessvbom",
    "schtasks",
    "wscript.sleep",
    "environ(\"temp",
    "environ(\"appdata",
    "start-process",
    "invoke-",
    "downloadfile",
    "downloadstring",
    "callbyname",
    "strreverse(",
    "execute(",
    "macid(\"",
    "popen(",
];

/// What a module's source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Habits {
    pub is_automatic: bool,
    pub is_suspicious: bool,
}

pub fn habits(source: &str) -> Habits {
    let lower = source.to_lowercase();
    let starts_shell = memmem::find_iter(lower.as_bytes(), b"shell").any(|at| {
        // The function, not a word that ends or begins with it.
        let before = at.checked_sub(1).and_then(|at| byte(lower.as_bytes(), at));
        let after = up_to(lower.as_bytes(), at + 5, 2);
        !before.is_some_and(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
            && (after.starts_with(b"(") || after == b" (" || after.starts_with(b" "))
    });
    // Characters by their number, strung together, hide a text.
    let hides =
        memmem::find_iter(lower.as_bytes(), b"chr(").chain(memmem::find_iter(lower.as_bytes(), b"chrw(")).count() > 20;
    Habits {
        is_automatic: AUTOMATIC.iter().any(|word| lower.contains(word)),
        is_suspicious: starts_shell || hides || SUSPICIOUS.iter().any(|word| lower.contains(word)),
    }
}

/// The sources in a stream of a project.
pub fn sources(stream: &[u8]) -> Vec<String> {
    // "Attribute VB_Name": its first nine octets are always literals of the first group, but for the flags in front of them.
    let marks = memmem::find_iter(stream, b"\0Attribut")
        .filter_map(|at| at.checked_sub(3))
        .filter(|&at| byte(stream, at) == Some(1));
    marks
        .take(MAX_MODULES)
        .map(|at| super::names::decoded_text(&decompressed(stream.get(at..).unwrap_or_default())))
        .collect()
}

/// A CompressedContainer.
pub fn decompressed(container: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut here = 1;
    while let Some(header) = le16(container, here) {
        if header >> 12 & 7 != 3 || out.len() >= MAX_MODULE {
            break;
        }
        let size = usize::from(header & 0x0fff) + 3;
        let data = up_to(container, here + 2, size - 2);
        if header & 0x8000 == 0 {
            out.extend_from_slice(up_to(data, 0, CHUNK));
        } else if !chunk(data, &mut out) {
            break;
        }
        here += size;
    }
    out
}

/// Whether the chunk was sound.
fn chunk(data: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut here = 0;
    while let Some(flags) = byte(data, here) {
        here += 1;
        for bit in 0..8 {
            if flags >> bit & 1 == 0 {
                let Some(octet) = byte(data, here) else { return true };
                out.push(octet);
                here += 1;
                continue;
            }
            let Some(token) = le16(data, here) else { return true };
            here += 2;
            // The further in the chunk, the more bits for the distance.
            let position = out.len() - start;
            let bits = (4..12).find(|&bits| position <= 1 << bits).unwrap_or(12);
            let length = usize::from(token & (0xffff >> bits)) + 3;
            let distance = usize::from(token >> (16 - bits)) + 1;
            let Some(from) = out.len().checked_sub(distance).filter(|&from| from >= start) else { return false };
            for at in from..from + length {
                let Some(octet) = byte(out, at) else { return false };
                out.push(octet);
            }
            if out.len() - start > CHUNK {
                return true;
            }
        }
    }
    true
}

/// Whether the stream has compiled code at all: the mark of a module without its source was taken away.
pub fn has_code(project: &[u8]) -> bool {
    slice(project, 0, 2) == Some(b"\xcc\x61")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_read() {
        // [MS-OVBA] section 3.2.2, "normal compression".
        let container = [
            0x01, 0x2f, 0xb0, 0x00, 0x23, 0x61, 0x61, 0x61, 0x62, 0x63, 0x64, 0x65, 0x82, 0x66, 0x00, 0x70, 0x61, 0x67,
            0x68, 0x69, 0x6a, 0x01, 0x38, 0x08, 0x61, 0x6b, 0x6c, 0x00, 0x30, 0x6d, 0x6e, 0x6f, 0x70, 0x06, 0x71, 0x02,
            0x70, 0x04, 0x10, 0x72, 0x73, 0x74, 0x75, 0x76, 0x10, 0x77, 0x78, 0x79, 0x7a, 0x00, 0x3c,
        ];
        assert_eq!(decompressed(&container), b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa");
    }

    #[test]
    fn habits_are_seen() {
        let habit = |source| (habits(source).is_automatic, habits(source).is_suspicious);
        assert_eq!(habit("Sub AutoOpen()\nShell(\"calc\")"), (true, true));
        assert_eq!(habit("Sub Format()\nRange(\"A1\").Bold = True\n' ShellCount"), (false, false));
    }
}
