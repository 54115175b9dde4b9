//! Who wrote: the author's name against the author's address, and where answers go.

use super::{Found, Scene, claims, host_of, lookalike, services};
use crate::message::fold::fold;
use crate::message::links::{is_host, registrable};
use crate::model::Person;
use crate::scan::symbols as s;

/// Characters of a text that are looked at for letters that look alike.
const MAX_TEXT: usize = 4_000;

pub fn look(scene: &Scene<'_>, found: &mut Found) {
    syntax(scene, found);
    name(scene, found);
    domain(scene, found);
    answers(scene, found);
    scripts(scene, found);
    letters(scene, found);
    if scene.known.first_contact && !scene.host.is_empty() {
        found.add(&s::FIRST_CONTACT, &scene.from.address);
    }
    let subject = scene.specimen.subject().trim_start();
    let claims_answer = subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    if claims_answer && !scene.is_answer && !scene.is_list {
        found.add(&s::SUBJECT_CLAIMS_ANSWER, subject);
    }
}

/// Line ends and NUL in encoded words, and encoded words where the address belongs, exist only to deceive (RFC 2047 section 5).
fn syntax(scene: &Scene<'_>, found: &mut Found) {
    for field in scene.specimen.fields_named("From").take(4) {
        let raw = scene.specimen.raw.get(field.raw.clone()).unwrap_or_default();
        let coded = memchr::memmem::find(raw, b"=?").is_some();
        let control = |c: char| matches!(c, '\0'..='\x08' | '\n'..='\x1a' | '\x1c'..='\x1f' | '\x7f');
        let in_name = scene.from.name.contains(control) || (coded && field.value.contains(control));
        let octet = |code: &[u8]| memchr::memmem::find(raw, code).is_some();
        let in_words = coded && [&b"=00"[..], b"=0A", b"=0a", b"=0D", b"=0d"].iter().any(|code| octet(code));
        let as_address = octet(b"?=@") || raw.windows(3).any(|three| three == b"<=?");
        if in_name || in_words || as_address {
            found.add(&s::FROM_FORGED_SYNTAX, &field.value);
        }
    }
}

fn name(scene: &Scene<'_>, found: &mut Found) {
    let name = &scene.name;
    if name.is_empty() {
        return;
    }
    let outside = scene.own(&scene.host).is_none();
    if outside && is_borrowed(scene.known.protected, name, &scene.from.address) {
        found.add(&s::FROM_NAME_OWN_PERSON, &scene.from.name);
    }
    for host in hosts_in_addresses(name) {
        let shown = registrable(&host).unwrap_or(&host);
        if shown == scene.domain || scene.host.is_empty() {
            continue;
        }
        if outside && scene.own(&host).is_some() {
            found.add(&s::FROM_NAME_OWN_ADDRESS, &scene.from.name);
        } else if !scene.is_list && !name.contains(" via ") {
            found.add(&s::FROM_NAME_OTHER_ADDRESS, &scene.from.name);
        }
    }
    if outside
        && !scene.is_list
        && scene.known.own_domains.iter().any(|own| name.contains(own.as_str()))
        && !name.contains('@')
    {
        found.add(&s::FROM_NAME_OWN_DOMAIN, &scene.from.name);
    }
    if scene.is_list || scene.host.is_empty() {
        return;
    }
    if let Some(brand) = claims::imitated(name)
        && outside
        && !lookalike::owns(brand, &scene.host)
    {
        found.add(&s::FROM_NAME_IMITATES, &scene.from.name);
    }
    if let Some(brand) = claims::claimed(name, true)
        && !lookalike::owns(brand, &scene.host)
        && outside
        && !name.contains(" via ")
    {
        found.add(&s::FROM_NAME_BRAND, &scene.from.name);
        if services::is_freemail(&scene.domain) {
            found.add(&s::FROM_FREEMAIL_BRAND, &scene.from.address);
        }
    }
}

/// Words of an author's name that are compared; a longer one is no name.
const MAX_WORDS: usize = 40;

/// Whether it is the name of one of these people, and none whose name it is writes from there.
fn is_borrowed(people: &[Person], name: &str, address: &str) -> bool {
    if people.is_empty() {
        return false;
    }
    let said: Vec<&str> = words(name).take(MAX_WORDS).collect();
    let whole = said.concat();
    let mut owners = people.iter().filter(|person| is_name(&fold(&person.name), &said, &whole)).peekable();
    let writes_from =
        |person: &Person| person.addresses.iter().any(|own| own.to_string().eq_ignore_ascii_case(address));
    owners.peek().is_some() && !owners.any(writes_from)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// All the words of a person's name, in any order, for family names come first in some languages, and whatever else beside a
/// full one: a title, a firm. One Latin word is many people's, and must be all there is. Japanese names are written with and without a
/// blank.
fn is_name(person: &str, said: &[&str], whole: &str) -> bool {
    let own: Vec<&str> = words(person).collect();
    let together = own.concat();
    let is_full = own.len() > 1 || !together.chars().any(is_latin);
    !together.is_empty()
        && (whole == together
            || (is_full && (said.contains(&&*together) || own.iter().all(|word| said.contains(word)))))
}

fn is_latin(c: char) -> bool {
    c.is_alphabetic() && c < '\u{370}'
}

/// Hosts of what looks like addresses in a name.
fn hosts_in_addresses(name: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    for (at, _) in name.match_indices('@').take(8) {
        let before = name.get(..at).and_then(|text| text.chars().next_back());
        let behind = name.get(at + 1..).unwrap_or_default();
        let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))).unwrap_or(behind.len());
        let host = behind.get(..end).unwrap_or_default().trim_matches('.');
        if before.is_some_and(|c| c.is_ascii_graphic()) && is_host(host) {
            hosts.push(host.to_lowercase());
        }
    }
    hosts
}

fn domain(scene: &Scene<'_>, found: &mut Found) {
    if scene.host.is_empty() || !scene.host.contains('.') {
        let nobody = !scene.from.name.is_empty() || !scene.from.address.is_empty();
        if nobody && !scene.is_list && scene.host != "localhost" {
            found.add(&s::FROM_NO_DOMAIN, &scene.from.address);
        }
        return;
    }
    let proven = scene.known.authenticated;
    if scene.own(&scene.host).is_some() {
        if proven == Some(false) {
            let address = scene.from.address.to_lowercase();
            let to_itself =
                scene.known.recipients.iter().any(|recipient| recipient.to_string().to_lowercase() == address);
            let symbol = if to_itself { &s::FROM_IS_RECIPIENT } else { &s::FROM_OWN_DOMAIN };
            found.add(symbol, &scene.from.address);
        }
        return;
    }
    if let Some(own) = scene.known.own_domains.iter().find(|own| {
        let likeness = lookalike::domain(&scene.host, own.as_str());
        likeness.is_some_and(|likeness| likeness != lookalike::Likeness::Label)
    }) {
        found.add(&s::FROM_LIKE_OWN_DOMAIN, &format!("{}, {own}", scene.host));
    }
    if let Some((likeness, _)) = lookalike::brand(&scene.host)
        && likeness != lookalike::Likeness::Label
    {
        found.add(&s::FROM_LIKE_BRAND, &scene.host);
    }
}

fn answers(scene: &Scene<'_>, found: &mut Found) {
    if scene.is_list || scene.host.is_empty() {
        return;
    }
    for answer in scene.specimen.reply_to().iter().take(4) {
        let host = host_of(&answer.address);
        let domain = registrable(&host).unwrap_or(&host);
        if host.is_empty() || domain == scene.domain || scene.own(&host).is_some() {
            continue;
        }
        if services::is_freemail(domain) && !services::is_freemail(&scene.domain) {
            found.add(&s::REPLY_TO_FREEMAIL, &format!("{} -> {}", scene.from.address, answer.address));
        }
        let likeness = lookalike::domain(&host, &scene.domain);
        if likeness.is_some_and(|likeness| likeness != lookalike::Likeness::Label) {
            found.add(&s::REPLY_TO_LIKE_AUTHOR, &format!("{} -> {}", scene.from.address, answer.address));
        }
    }
}

/// Letters that are drawn, struck through or cut by something invisible: no name is written so.
fn letters(scene: &Scene<'_>, found: &mut Found) {
    for text in [&*scene.from.name, scene.specimen.subject()].into_iter().filter(|text| !text.is_ascii()) {
        let drawn =
            |c: char| matches!(c, '\u{1d400}'..='\u{1d7ff}' | '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}');
        if text.chars().filter(|c| drawn(*c)).count() >= 3 {
            found.add(&s::LETTERS_DRAWN, text);
        }
        let cut = |c: char| matches!(c, '\u{ad}' | '\u{34f}' | '\u{334}'..='\u{338}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
        let mut before = ' ';
        let inside = text.chars().any(|c| {
            let inside = cut(c) && before.is_ascii_alphanumeric();
            before = c;
            inside
        });
        if inside {
            found.add(&s::LETTERS_CUT, text);
        }
    }
}

/// A word of Latin letters with Cyrillic or Greek ones among them.
fn scripts(scene: &Scene<'_>, found: &mut Found) {
    let subject = scene.specimen.subject();
    let in_header = [&*scene.from.name, subject].into_iter().flat_map(mixed_words).next();
    if let Some(word) = in_header {
        found.add(&s::FROM_MIXED_SCRIPTS, word);
        return;
    }
    let text = scene.specimen.texts.first().map_or("", |text| &*text.visible);
    let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
    // Units and formulas hold one such letter; deception holds many words.
    let mut words = mixed_words(text).filter(|word| word.chars().count() >= 4);
    if let Some(word) = words.nth(2) {
        found.add(&s::FROM_MIXED_SCRIPTS, word);
    }
}

/// Greek, Cyrillic, Armenian, Cherokee: they have letters that look Latin.
fn is_other_alphabet(c: char) -> bool {
    matches!(c, 'Α'..='ω' | 'А'..='ӿ' | 'Ա'..='ֆ' | 'Ꭰ'..='Ᏽ')
}

fn mixed_words(text: &str) -> impl Iterator<Item = &str> {
    // Most text that is not ASCII has none of these, and is done with.
    let words = if text.chars().any(is_other_alphabet) { text } else { "" };
    words.split(|c: char| !c.is_alphabetic()).filter(|word| {
        let latin = word.chars().filter(char::is_ascii_alphabetic).count();
        let other = word.chars().filter(|c| is_other_alphabet(*c)).count();
        latin >= 2 && other >= 1
    })
}
