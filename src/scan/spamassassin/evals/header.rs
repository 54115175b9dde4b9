//! Functions about the header.

use super::real;
use crate::scan::spamassassin::mail::{Mail, address, host, registrable};
use crate::signatures::spamassassin::eval::Call;

/// Octets that a header written by the rules doesn't have.
pub fn illegal_chars(mail: &Mail<'_>, call: &Call) -> bool {
    let wanted = call.text(0).to_ascii_lowercase();
    let mut text: Vec<u8> = Vec::new();
    for field in &mail.specimen.fields {
        if wanted == "all" || field.name.eq_ignore_ascii_case(&wanted) {
            text.extend_from_slice(mail.specimen.raw.get(field.raw.clone()).unwrap_or_default());
        }
    }
    if text.is_empty() || std::str::from_utf8(&text).is_ok() {
        return false;
    }
    let mut illegal = text.iter().filter(|octet| matches!(octet, 0..=8 | 11 | 12 | 14..=31 | 127..=255)).count();
    if wanted == "subject" {
        illegal -= text.iter().filter(|octet| matches!(octet, 0xA9 | 0xAE | 0x99)).count().min(illegal);
    }
    let share = real(illegal) / real(text.len());
    share > call.number(1).unwrap_or(0.0) && real(illegal) > call.number(2).unwrap_or(0.0)
}

pub fn count_range(mail: &Mail<'_>, call: &Call) -> bool {
    let mut values: Vec<&str> = mail.values(call.text(0)).collect();
    values.dedup();
    let count = real(values.len());
    count >= call.number(1).unwrap_or(0.0) && count <= call.number(2).unwrap_or(f64::INFINITY)
}

pub fn missing_to(mail: &Mail<'_>) -> bool {
    mail.first("to").is_none_or(|to| to.trim().is_empty())
}

/// Outlook makes its identifiers of the time.
pub fn outlook_message_id(mail: &Mail<'_>) -> bool {
    let id = mail.first("message-id").unwrap_or_default();
    let mut parts = id.trim_matches(['<', '>']).split(['$', '@']);
    let (Some(front), Some(middle), Some(end)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let hex = |text: &str| text.len() == 8 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    if front.len() != 12 || !hex(middle) || !hex(end) {
        return false;
    }
    let Some(stamp) = middle.get(2..6).and_then(|_| u64::from_str_radix(middle, 16).ok()) else { return false };
    // Whole seconds since 1601 in units of 2^24 of 100 ns.
    let Some(date) = mail.first("date").and_then(super::received::time_of) else { return false };
    let near = |time: i64| {
        let units = (i128::from(time) + 11_644_473_600) * 10_000_000;
        let high = u64::try_from((units >> 24) & 0xFFFF_FFFF).unwrap_or(0);
        high.abs_diff(stamp) < 250
    };
    if near(date) {
        return false;
    }
    !mail.values("received").filter_map(super::received::time_behind_semicolon).take(20).any(near)
}

fn recipients(mail: &Mail<'_>) -> Vec<String> {
    ["to", "cc", "bcc"]
        .iter()
        .flat_map(|name| mail.values(name))
        .flat_map(|field| field.split(','))
        .filter(|one| one.contains('@'))
        .map(|one| address(one).to_ascii_lowercase())
        .take(1_000)
        .collect()
}

pub fn sorted_recipients(mail: &Mail<'_>) -> bool {
    let all = recipients(mail);
    all.len() >= 7 && all.is_sorted()
}

/// Share of pairs of recipients whose names or domains begin alike.
pub fn similar_recipients(mail: &Mail<'_>, call: &Call) -> bool {
    let mut all = recipients(mail);
    all.truncate(256);
    all.sort_unstable();
    all.dedup();
    if all.len() < 5 {
        return false;
    }
    let start = |address: &String| address.get(..2).map(str::to_owned);
    let end = |address: &String| host(address).to_owned();
    let (mut alike, mut pairs) = (0_usize, 0_usize);
    for (index, one) in all.iter().enumerate() {
        for other in all.iter().skip(index + 1) {
            alike += usize::from(start(one) == start(other))
                + usize::from(end(one) != end(other) && end(one).get(..2) == end(other).get(..2));
            pairs += 1;
        }
    }
    super::within(real(alike) / real(pairs), call.number(0), call.number(1))
}

pub fn subject_all_caps(mail: &Mail<'_>) -> bool {
    let mut subject = mail.first("subject").unwrap_or_default().trim();
    for prefix in ["re:", "fw:", "fwd:", "aw:", "sv:"] {
        if subject.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
            subject = subject.get(prefix.len()..).unwrap_or_default().trim();
        }
    }
    let letters = subject.chars().filter(char::is_ascii_alphabetic).count();
    subject.contains(char::is_whitespace)
        && subject.len() >= 10
        && subject.is_ascii()
        && letters >= 5
        && !subject.chars().any(|c| c.is_ascii_lowercase())
}

pub fn to_in_subject(mail: &Mail<'_>) -> bool {
    let to = address(mail.first("to").unwrap_or_default());
    let Some((user, _)) = to.rsplit_once('@') else { return false };
    let user = user.to_ascii_lowercase();
    let subject = mail.first("subject").unwrap_or_default().to_ascii_lowercase();
    let mut subject = subject.trim();
    for prefix in ["re:", "fw:", "fwd:"] {
        subject = subject.strip_prefix(prefix).unwrap_or(subject).trim();
    }
    if user.len() < 2
        || ["info", "admin", "sales", "support", "contact", "help", "news", "test", "security"].contains(&user.as_str())
            && !subject.starts_with(&format!("{user},"))
    {
        return false;
    }
    let behind = |rest: &str| rest.is_empty() || rest.starts_with([',', ':', ';', '!', '?']);
    let starts = subject.strip_prefix(user.as_str()).is_some_and(behind);
    let ends = subject.strip_suffix(user.as_str()).is_some_and(|front| {
        front.ends_with(", ") || front.split_ascii_whitespace().count() == 1 && front.ends_with(' ')
    });
    let inside = subject
        .split_ascii_whitespace()
        .skip(1)
        .any(|word| word.strip_prefix(user.as_str()).is_some_and(|rest| rest.starts_with([',', ':', ';', '!', '?'])));
    starts || ends || inside
}

/// `%NAME` that a program for bulk mail forgot to fill in.
pub fn unresolved_template(mail: &Mail<'_>) -> bool {
    mail.fields.iter().any(|field| {
        let value = field.value.as_bytes();
        value.windows(3).any(|window| {
            matches!(window, [b'%', first, second] if first.is_ascii_uppercase() && (second.is_ascii_uppercase() || b"_-".contains(second))
                && !(first.is_ascii_hexdigit() && second.is_ascii_hexdigit()))
        }) && !field.name.to_ascii_lowercase().starts_with("x-") && !field.name.to_ascii_lowercase().starts_with("list-")
    })
}

pub fn envelope_matches_from(mail: &Mail<'_>) -> bool {
    let from = address(mail.first("from").unwrap_or_default()).to_ascii_lowercase();
    let envelope = mail.envelope.as_deref().unwrap_or_default().to_ascii_lowercase();
    !from.is_empty() && !envelope.is_empty() && from == envelope
}

pub fn different_from_domains(mail: &Mail<'_>) -> bool {
    let from = host(address(mail.first("from").unwrap_or_default())).to_ascii_lowercase();
    let envelope = host(mail.envelope.as_deref().unwrap_or_default()).to_ascii_lowercase();
    if from.is_empty() || envelope.is_empty() {
        return false;
    }
    registrable(&from) != registrable(&envelope)
}

pub fn invalid_from(mail: &Mail<'_>) -> bool {
    let Some(field) = mail.first("from") else { return false };
    let bare = address(field);
    let Some((user, domain)) = bare.rsplit_once('@') else { return true };
    user.is_empty() || !domain.contains('.') || bare.contains(char::is_whitespace) || bare.matches('@').count() > 1
}
