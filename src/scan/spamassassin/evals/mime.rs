//! Functions about the parts.

use super::{count, hit};
use crate::message::specimen::{Part, PartKind};
use crate::scan::spamassassin::mail::Mail;

/// What the tree is like.
#[derive(Debug, Default)]
pub struct Facts {
    pub html: usize,
    plain: usize,
    quoted: usize,
    quoted_long: bool,
    base64: usize,
    base64_text: bool,
    base64_blanks: bool,
    attachment: bool,
    bad_charset: bool,
    pub base64_line: usize,
    pub alternative_non_text: bool,
    pub suspect_name: bool,
    pub executable: bool,
    pub ascii_illegal: bool,
    pub unicode_ratio: f64,
    /// Octets of plain text for each octet of HTML in a multipart.
    pub ratio: Option<f64>,
    others: usize,
}

fn field<'p>(part: &'p Part, mail: &'p Mail<'_>, name: &str) -> Option<String> {
    if part.parent.is_none() && part.fields.is_empty() {
        return mail.first(name).map(str::to_ascii_lowercase);
    }
    part.fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value.trim().to_ascii_lowercase())
}

impl Facts {
    pub fn of(mail: &Mail<'_>) -> Self {
        let mut facts = Self::default();
        let (mut plain, mut html) = (0, 0);
        for part in mail.specimen.parts.iter().filter(|part| !part.path.ends_with('\'')) {
            let encoding = field(part, mail, "content-transfer-encoding").unwrap_or_default();
            let disposition = field(part, mail, "content-disposition").unwrap_or_default();
            let kind = &*part.content_type;
            let encoded = mail.specimen.raw.get(part.encoded.clone()).unwrap_or_default();
            if matches!(part.kind, PartKind::Multipart | PartKind::Message) {
                continue;
            }
            let attached = disposition.contains("attachment") || !part.names.is_empty();
            facts.attachment |= attached;
            match kind {
                "text/html" => {
                    facts.html += 1;
                    html += part.octets.len();
                }
                "text/plain" => {
                    facts.plain += 1;
                    plain += part.octets.len();
                }
                _ => facts.others += 1,
            }
            if encoding.contains("base64") {
                facts.base64(part, encoded, kind, attached);
            } else if encoding.contains("quoted-printable") {
                facts.quoted += 1;
                facts.quoted_long |=
                    encoded.split(|octet| *octet == b'\n').any(|line| line.trim_ascii_end().len() > 79);
            }
            facts.content(part, &encoding, kind);
        }
        facts.ratio = (mail.specimen.parts.len() > 1 && html > 0).then(|| {
            let all = super::real(plain + html);
            if all > 0.0 { super::real(plain) / all } else { 0.0 }
        });
        facts.alternatives(mail);
        facts
    }

    fn base64(&mut self, part: &Part, encoded: &[u8], kind: &str, attached: bool) {
        self.base64 += 1;
        let charset = part.charset.as_deref().map(str::to_ascii_lowercase);
        let plain_charset =
            charset.as_deref().is_none_or(|name| name.contains("ascii") || name.starts_with("iso-8859"));
        self.base64_text |= matches!(kind, "text/plain" | "text/html") && plain_charset && !attached;
        let longest = encoded.split(|octet| *octet == b'\n').map(|line| line.trim_ascii_end().len()).max().unwrap_or(0);
        self.base64_line = self.base64_line.max(longest);
        self.base64_blanks |= encoded.windows(4).any(|window| window == b"\n\n\n\n");
    }

    fn content(&mut self, part: &Part, encoding: &str, kind: &str) {
        let charset = part.charset.as_deref().unwrap_or_default().to_ascii_lowercase();
        self.bad_charset |=
            charset.strip_prefix("iso-").is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        let seven = encoding.is_empty() || encoding.contains("7bit");
        if kind == "text/plain" && seven && (charset.is_empty() || charset.contains("us-ascii")) {
            self.ascii_illegal |= part.octets.iter().any(|octet| !matches!(octet, 9 | 10 | 12 | 13 | 32..=126));
        }
        if kind == "text/plain" && !part.octets.is_empty() && (seven || encoding.contains("8bit")) {
            let references = memchr::memmem::find_iter(&part.octets, b"&#").count();
            self.unicode_ratio = self.unicode_ratio.max(super::real(references) * 6.0 / super::real(part.octets.len()));
        }
        for name in &part.names {
            let name = name.to_ascii_lowercase();
            let end = name.rsplit_once('.').map_or("", |(_, end)| end);
            let program = matches!(end, "exe" | "com" | "scr" | "pif" | "bat" | "cmd" | "vbs" | "js" | "jar");
            self.suspect_name |=
                program && (kind.starts_with("text/") || kind.starts_with("image/") || kind.starts_with("audio/"));
        }
        self.executable |= part.kind == PartKind::File && part.octets.starts_with(b"MZ") && part.octets.len() > 256;
    }

    fn alternatives(&mut self, mail: &Mail<'_>) {
        let parts = &mail.specimen.parts;
        for (index, _) in parts.iter().enumerate().filter(|(_, part)| &*part.content_type == "multipart/alternative") {
            self.alternative_non_text |= parts.iter().filter(|part| part.parent == Some(index)).any(|part| {
                let kind = &*part.content_type;
                !(kind.starts_with("text/")
                    || kind.starts_with("multipart/")
                    || matches!(kind, "application/rtf" | "application/ms-tnef"))
            });
        }
    }

    pub fn is_html_only(&self) -> bool {
        self.html > 0 && self.plain == 0
    }

    pub fn value(&self, name: &str) -> f32 {
        match name {
            "mime_qp_count" => count(self.quoted),
            "mime_base64_count" => count(self.base64),
            "mime_base64_encoded_text" => hit(self.base64_text),
            "mime_base64_blanks" => hit(self.base64_blanks),
            "mime_qp_long_line" => hit(self.quoted_long),
            "mime_attachment" => hit(self.attachment),
            "mime_bad_iso_charset" => hit(self.bad_charset),
            "mime_body_html_count" => count(self.html),
            "mime_body_text_count" => count(self.plain),
            _ => 0.0,
        }
    }
}

/// What was odd when the message was taken apart.
pub fn parse_flag(mail: &Mail<'_>, name: &str) -> bool {
    let specimen = mail.specimen;
    match name {
        "mime_epilogue_exists" => {
            let Some(root) = specimen.parts.first().filter(|part| part.kind == PartKind::Multipart) else {
                return false;
            };
            let raw = specimen.raw.get(root.encoded.clone()).unwrap_or_default();
            let tail = memchr::memmem::rfind(raw, b"--\n")
                .map(|at| at + 3)
                .or_else(|| memchr::memmem::rfind(raw, b"--\r\n").map(|at| at + 4));
            tail.and_then(|at| raw.get(at..)).is_some_and(|tail| tail.iter().any(|octet| !octet.is_ascii_whitespace()))
        }
        "missing_mime_headers" => specimen
            .parts
            .iter()
            .skip(1)
            .any(|part| part.fields.is_empty() && part.parent.is_some() && !part.octets.is_empty()),
        "missing_head_body_separator" => {
            let raw = specimen.raw.as_ref();
            memchr::memmem::find(raw, b"\n\n").is_none() && memchr::memmem::find(raw, b"\n\r\n").is_none()
        }
        "truncated_header" => mail.fields.iter().any(|field| field.raw.len() > 8_192),
        _ => false,
    }
}
