//! Functions about the way a message came, and about dates.

use super::lists::host_in;
use crate::scan::spamassassin::mail::{Mail, address, host, registrable};
use crate::scan::spamassassin::relays::Relay;
use crate::signatures::spamassassin::eval::Call;

/// Seconds since 1970 of a date (RFC 5322 section 3.3), tolerantly.
pub fn time_of(text: &str) -> Option<i64> {
    let text = text.split('(').next()?.replace(',', " ");
    let mut words = text.split_ascii_whitespace().peekable();
    if words.peek()?.starts_with(|c: char| c.is_ascii_alphabetic()) {
        words.next();
    }
    let day: u8 = words.next()?.parse().ok()?;
    let month = words.next()?.get(..3)?.to_ascii_lowercase();
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = u8::try_from(months.iter().position(|known| **known == *month)? + 1).ok()?;
    let year: i32 = words.next()?.parse().ok()?;
    let year = match year {
        0..=49 => year + 2000,
        50..=199 => year + 1900,
        other => other,
    };
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u8>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().flatten().unwrap_or(0));
    let zone = words.next().unwrap_or("+0000");
    let offset = match zone.get(..1) {
        Some("+" | "-") => {
            let number: i64 = zone.get(1..5)?.parse().ok()?;
            let seconds = (number / 100) * 3600 + (number % 100) * 60;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
        _ => match zone {
            "EST" => -5 * 3600,
            "EDT" | "CDT" if zone == "EDT" => -4 * 3600,
            "CST" => -6 * 3600,
            "CDT" => -5 * 3600,
            "MST" => -7 * 3600,
            "MDT" => -6 * 3600,
            "PST" => -8 * 3600,
            "PDT" => -7 * 3600,
            "CET" | "BST" | "MET" => 3600,
            "CEST" => 7200,
            "JST" => 9 * 3600,
            _ => 0,
        },
    };
    let date = time::Date::from_calendar_date(year, time::Month::try_from(month).ok()?, day).ok()?;
    let time = time::Time::from_hms(hour, minute, second.min(59)).ok()?;
    Some(date.with_time(time).assume_utc().unix_timestamp() - offset)
}

pub fn time_behind_semicolon(field: &str) -> Option<i64> {
    time_of(field.rsplit_once(';')?.1)
}

/// Hours between the date and when servers saw the message: more than the first number, at most the second.
pub fn shifted_date(mail: &Mail<'_>, call: &Call) -> bool {
    let Some(date) = ["resent-date", "date"].iter().find_map(|name| mail.first(name)).and_then(time_of) else {
        return false;
    };
    let mut seen: Vec<i64> = mail.values("received").take(60).filter_map(time_behind_semicolon).collect();
    if seen.is_empty() {
        return false;
    }
    seen.sort_unstable();
    // The one nearest to the date: servers with wrong clocks don't count against the author.
    let Some(nearest) = seen.iter().min_by_key(|time| date.abs_diff(**time)) else { return false };
    #[allow(clippy::cast_precision_loss, reason = "hours")]
    let hours = (date - nearest) as f64 / 3600.0;
    let above = call.number(0).is_none_or(|min| hours >= min);
    let below = call.number(1).is_none_or(|max| hours < max);
    above && below
}

fn first<'m>(mail: &'m Mail<'_>) -> Option<&'m Relay> {
    mail.relays.untrusted.first()
}

/// The envelope sender's domain is that of the server it came from.
pub fn mail_from_matches(mail: &Mail<'_>) -> bool {
    let from = host(mail.envelope.as_deref().unwrap_or_default()).to_ascii_lowercase();
    let Some(relay) = first(mail) else { return false };
    !from.is_empty() && !relay.rdns.is_empty() && registrable(&from) == registrable(&relay.rdns)
}

pub fn no_rdns_dotcom(mail: &Mail<'_>) -> bool {
    let big = [
        "lycos.com",
        "lycos.co",
        "hotmail.com",
        "excite.com",
        "caramail.com",
        "yahoo.com",
        "msn.com",
        "aol.com",
        "localhost",
    ];
    mail.relays.untrusted.iter().any(|relay| {
        let helo = relay.helo.to_ascii_lowercase();
        relay.rdns.is_empty() && !relay.private && big.iter().take(4).any(|name| helo.contains(name))
    })
}

pub fn helo_ip_mismatch(mail: &Mail<'_>) -> bool {
    mail.relays.untrusted.iter().any(|relay| {
        let helo = relay.helo.trim_matches('!');
        let (Ok(said), Ok(real)) = (helo.parse::<std::net::Ipv4Addr>(), relay.ip.parse::<std::net::Ipv4Addr>()) else {
            return false;
        };
        let ([a, b, ..], [c, d, ..]) = (said.octets(), real.octets());
        !said.is_private() && !said.is_loopback() && !relay.private && (a, b) != (c, d)
    })
}

fn from_host(mail: &Mail<'_>) -> String {
    host_in(mail.first("from"))
}

fn received(mail: &Mail<'_>) -> String {
    mail.values("received").take(60).collect::<Vec<_>>().join("\n").to_ascii_lowercase()
}

pub fn forged_aol(mail: &Mail<'_>) -> bool {
    mail.relays.untrusted.iter().any(|relay| {
        let helo = relay.helo.to_ascii_lowercase();
        helo.ends_with(".mx.aol.com") && !relay.rdns.ends_with("aol.com")
    })
}

fn is_hotmail(host: &str) -> bool {
    ["hotmail.com", "msn.com", "live.com", "outlook.com"].contains(&host)
}

/// A server that only says that it is Hotmail's.
pub fn forged_hotmail(mail: &Mail<'_>) -> bool {
    if is_hotmail_path(mail) {
        return false;
    }
    mail.relays
        .untrusted
        .iter()
        .any(|relay| relay.helo.to_ascii_lowercase().ends_with("hotmail.com") && !relay.rdns.ends_with("hotmail.com"))
}

fn is_hotmail_path(mail: &Mail<'_>) -> bool {
    let received = received(mail);
    received.contains("hotmail.com with http")
        || received.contains("mail pickup service by hotmail.com")
        || received.contains("protection.outlook.com")
        || received.contains(".hotmail.com ") && received.contains("microsoft smtpsvc")
}

pub fn no_hotmail(mail: &Mail<'_>) -> bool {
    let from = from_host(mail);
    if !["hotmail.com", "msn.com", "live.com"].contains(&from.as_str()) || !is_hotmail(&from) {
        return false;
    }
    if mail.first("x-originating-ip").is_some_and(|ip| ip.contains('.')) {
        return false;
    }
    let received = received(mail);
    let genuine = ["hotmail.com (", "outlook.com (", "by hotmail.com"].iter().any(|sign| received.contains(sign));
    !genuine && !is_hotmail_path(mail)
}

pub fn forged_yahoo(mail: &Mail<'_>) -> bool {
    let from = from_host(mail);
    if !(from == "yahoo.com" || from.ends_with(".yahoo.com")) {
        return false;
    }
    if mail.first("resent-from").is_some()
        || mail.first("resent-to").is_some()
        || mail.first("x-yahoo-newman-property").is_some()
    {
        return false;
    }
    let received = received(mail);
    !(received.contains("yahoo.com")
        && (received.contains("by web")
            || received.contains("yahoo.com with")
            || received.contains(".yahoo.com (")
            || received.contains(".yahoo.com [")
            || received.contains("yahoogroups")
            || received.contains("by smtp")))
}

pub fn forged_juno(mail: &Mail<'_>) -> bool {
    if from_host(mail) != "juno.com" || gated(mail) {
        return false;
    }
    let received = received(mail);
    let from_juno = received.contains("juno.com");
    if from_juno {
        return !received.contains("untd.com") && !received.contains("juno.com [") && !received.contains("juno.com (");
    }
    mail.first("x-mailer").is_some_and(|mailer| !mailer.contains("Juno "))
}

pub fn forged_gmail(mail: &Mail<'_>) -> bool {
    if from_host(mail) != "gmail.com" {
        return false;
    }
    if mail.first("x-google-smtp-source").is_some() || mail.first("x-gm-message-state").is_some() {
        return false;
    }
    let received = received(mail);
    !(received.contains(".google.com") || received.contains("by gmail") || received.contains("googlemail.com"))
}

pub fn forged_eudora(mail: &Mail<'_>) -> bool {
    from_host(mail) == "eudoramail.com" && !received(mail).contains("whowhere.com") && !gated(mail)
}

/// A name that a server should have and the next one's view of it that doesn't fit.
pub fn forged_trail(mail: &Mail<'_>) -> bool {
    let relays = &mail.relays.untrusted;
    let mut bad = 0;
    for pair in relays.windows(2) {
        let [newer, older] = pair else { continue };
        let by = older.by.to_ascii_lowercase();
        let helo = newer.helo.to_ascii_lowercase();
        if newer.rdns.is_empty() || by.is_empty() || helo.is_empty() || newer.private || older.private {
            continue;
        }
        let (by, from) = (registrable(&by), registrable(&newer.rdns));
        bad += usize::from(by.contains('.') && by != from && registrable(&helo) != by && registrable(&helo) != from);
    }
    bad > 1
}

/// Lists that take the fields of the way out.
pub fn gated(mail: &Mail<'_>) -> bool {
    let list = mail.first("mailing-list").unwrap_or_default();
    if list.starts_with("contact ") && list.contains("; run by ezmlm") && received(mail).contains("(qmail") {
        return true;
    }
    let from = address(mail.first("from").unwrap_or_default());
    let _ = from;
    mail.first("x-gated-through").is_some()
}
