//! Functions about mailboxes that anybody can have.

use crate::scan::spamassassin::mail::{Mail, address};
use crate::signatures::spamassassin::eval::Call;
use crate::signatures::spamassassin::rule::{HeaderKey, Piece, Settings, glob};

/// Whether an address belongs to a free mail service.
fn is_free(settings: &Settings, address: &str) -> bool {
    let address = address.to_ascii_lowercase();
    let Some((_, domain)) = address.rsplit_once('@') else { return false };
    let allowed = |name: &str| settings.freemail_allowed.binary_search_by(|known| (**known).cmp(name)).is_ok();
    if allowed(&address) || allowed(domain) {
        return false;
    }
    settings.freemail.binary_search_by(|known| (**known).cmp(domain)).is_ok()
        || settings
            .freemail
            .iter()
            .filter(|known| known.contains('*'))
            .any(|known| glob(known.as_bytes(), domain.as_bytes()))
}

/// Things that look like addresses in a text.
fn addresses(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c))
        .filter(|word| word.contains('@'))
        .map(|word| word.trim_matches(['.', '=']).to_ascii_lowercase())
        .take(200)
        .collect()
}

pub fn header(mail: &Mail<'_>, settings: &Settings, call: &Call) -> bool {
    // The whole field, whatever piece of it the rule names: as the original does.
    let key = HeaderKey { piece: Piece::Whole, ..HeaderKey::read(call.text(0)) };
    let Some(text) = mail.header(&key) else { return false };
    addresses(&text).iter().any(|address| {
        call.pattern.as_ref().is_none_or(|pattern| pattern.surely_matches(address.as_bytes()))
            && is_free(settings, address)
    })
}

pub fn from(mail: &Mail<'_>, settings: &Settings) -> bool {
    let from = mail.first("from").map(address).unwrap_or_default();
    [from, mail.envelope.as_deref().unwrap_or_default()].iter().any(|address| is_free(settings, address))
}

/// Answers go to a free mailbox that is another one than the author's.
pub fn reply_to(mail: &Mail<'_>, settings: &Settings, option: &str) -> bool {
    let lower = |name: &str| mail.first(name).map(|field| address(field).to_ascii_lowercase()).unwrap_or_default();
    let (from, reply) = (lower("from"), lower("reply-to"));
    let (from_free, reply_free) = (is_free(settings, &from), is_free(settings, &reply));
    match option {
        "reply" if reply.is_empty() => from_free && in_body(mail, settings).iter().any(|address| *address != from),
        _ => {
            reply_free
                && ((from_free && from != reply) || in_body(mail, settings).iter().any(|address| *address != reply))
        }
    }
}

fn in_body(mail: &Mail<'_>, settings: &Settings) -> Vec<String> {
    let mut all: Vec<String> = mail
        .uris
        .iter()
        .filter_map(|uri| uri.text.strip_prefix("mailto:"))
        .map(|rest| rest.split('?').next().unwrap_or_default().to_ascii_lowercase())
        .filter(|address| is_free(settings, address))
        .collect();
    all.sort_unstable();
    all.dedup();
    // Many: a list of addresses, not somebody to answer to.
    if all.len() > 5 { Vec::new() } else { all }
}
