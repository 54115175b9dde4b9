//! Functions about lists of addresses and hosts.

use crate::scan::spamassassin::mail::{Mail, address, host};
use crate::scan::spamassassin::uris::host_of;
use crate::signatures::spamassassin::rule::{Settings, glob};

/// Addresses that a message may say to come from.
pub fn from_addresses(mail: &Mail<'_>) -> Vec<String> {
    let mut all: Vec<String> = ["from", "envelope-sender", "resent-sender", "x-envelope-from", "resent-from"]
        .iter()
        .flat_map(|name| mail.values(name))
        .map(|field| address(field).to_ascii_lowercase())
        .collect();
    all.extend(mail.envelope.as_ref().map(|envelope| envelope.to_ascii_lowercase()));
    all.retain(|address| address.contains('@'));
    all
}

pub fn reply_to(mail: &Mail<'_>) -> Vec<String> {
    mail.values("reply-to").map(|field| address(field).to_ascii_lowercase()).collect()
}

fn to_addresses(mail: &Mail<'_>) -> Vec<String> {
    ["to", "cc", "delivered-to", "x-original-to", "apparently-to", "envelope-recipients"]
        .iter()
        .flat_map(|name| mail.values(name))
        .flat_map(|field| field.split(','))
        .map(|one| address(one).to_ascii_lowercase())
        .take(500)
        .collect()
}

pub fn in_address_list(settings: &Settings, list: &str, addresses: &[String]) -> bool {
    let Some(patterns) = settings.address_lists.get(list) else { return false };
    patterns.iter().any(|pattern| addresses.iter().any(|address| glob(pattern.as_bytes(), address.as_bytes())))
}

/// By the plain list, or by the one that asks for the server's domain too.
pub fn is_from_listed(mail: &Mail<'_>, settings: &Settings, list: &str) -> bool {
    let addresses = from_addresses(mail);
    let matches = |pattern: &str| addresses.iter().any(|address| glob(pattern.as_bytes(), address.as_bytes()));
    let plain = settings.lists.get(list).into_iter().flatten().any(|listed| matches(&listed.pattern));
    let with_server = settings.lists.get(format!("{list}_rcvd").as_str()).into_iter().flatten().any(|listed| {
        let Some(server) = listed.server.as_deref() else { return false };
        let last = mail.relays.untrusted.first().map_or("", |relay| relay.rdns.as_str());
        let belongs = last.strip_suffix(server).is_some_and(|front| front.is_empty() || front.ends_with('.'));
        belongs && matches(&listed.pattern)
    });
    plain || with_server
}

pub fn is_to_listed(mail: &Mail<'_>, settings: &Settings, list: &str) -> bool {
    let Some(patterns) = settings.lists.get(list) else { return false };
    let addresses = to_addresses(mail);
    patterns.iter().any(|listed| addresses.iter().any(|address| glob(listed.pattern.as_bytes(), address.as_bytes())))
}

/// A host in an address, or a domain that it belongs to, is in the list; `!host` takes it out.
pub fn uri_host_listed(mail: &Mail<'_>, settings: &Settings, list: &str) -> bool {
    let Some(hosts) = settings.host_lists.get(list) else { return false };
    let listed = |name: &str| hosts.binary_search_by(|known| (**known).cmp(name)).is_ok();
    mail.uris.iter().filter_map(|uri| host_of(&uri.text)).any(|full| {
        let mut rest = full.as_str();
        loop {
            if listed(&format!("!{rest}")) {
                return false;
            }
            if listed(rest) {
                return true;
            }
            match rest.split_once('.') {
                Some((_, shorter)) => rest = shorter,
                None => return false,
            }
        }
    })
}

/// Host of the first address of a field.
pub fn host_in(field: Option<&str>) -> String {
    field.map_or(String::new(), |field| host(address(field)).to_ascii_lowercase())
}
