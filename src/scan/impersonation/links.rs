//! Where links lead, against what they show and whom the message speaks for.

use std::collections::HashSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::lookalike::{self, Likeness};
use super::{Found, MAX_HOSTS, Scene, claims, services};
use crate::message::fold::fold;
use crate::message::links::{hosts_in, registrable};
use crate::message::specimen::{Link, LinkSource};
use crate::scan::symbols as s;

/// Links whose shown text is compared with their target.
const MAX_SHOWN: usize = 300;

pub fn look(scene: &Scene<'_>, found: &mut Found) {
    let links = &scene.specimen.links;
    let mut seen = HashSet::new();
    let mut shown = 0;
    for (at, link) in links.iter().enumerate() {
        if link.source == LinkSource::Image || link.url.starts_with("mailto:") {
            continue;
        }
        if link.host.is_empty() {
            made_in_mail(link, found);
            continue;
        }
        if let Some(text) = link.shown.as_deref().filter(|text| text.contains('.') && shown < MAX_SHOWN) {
            shown += 1;
            let targets =
                links.get(at + 1..).unwrap_or_default().iter().take_while(|next| next.source == LinkSource::Redirect);
            text_against_target(scene, text, link, targets, found);
        }
        written(link, found);
        services(scene, link, found);
        if seen.len() < MAX_HOSTS && seen.insert(&*link.host) {
            host(scene, link, found);
        }
    }
    recipient(scene, found);
    brand_without_links(scene, found);
}

fn made_in_mail(link: &Link, found: &mut Found) {
    let page = ["data:text/html", "data:application", "data:image/svg", "blob:", "vbscript:", "search-ms:", "ms-msdt:"];
    if page.iter().any(|start| link.url.starts_with(start)) {
        found.add(&s::LINK_MADE_IN_MAIL, &link.url);
    }
}

fn text_against_target<'l>(
    scene: &Scene<'_>,
    text: &str,
    link: &Link,
    targets: impl Iterator<Item = &'l Link>,
    found: &mut Found,
) {
    let mut reached = vec![&*link.host];
    reached.extend(targets.map(|target| &*target.host));
    for shown in hosts_in(text) {
        let Some(domain) = registrable(&shown) else { continue };
        let label = |domain: &str| domain.split('.').next().unwrap_or_default().to_owned();
        let same = reached.iter().any(|host| {
            let target = registrable(host).unwrap_or(host);
            target == domain || label(target) == label(domain)
        });
        let brand = lookalike::owner(&shown);
        let own = scene.own(&shown).is_some();
        let same_owner = brand.is_some_and(|brand| reached.iter().any(|host| lookalike::owns(brand, host)));
        if same || same_owner {
            continue;
        }
        // A newsletter counts clicks on its own pages under its own or its service's domain.
        let by_itself = domain == scene.domain || brand.is_some_and(|brand| lookalike::owns(brand, &scene.host));
        let is_address =
            text.contains("://") || text.trim_start().to_lowercase().starts_with("www.") || text.trim() == shown;
        let evidence = format!("{shown} -> {}", link.host);
        if own && is_address {
            found.add(&s::LINK_TEXT_OWN_DOMAIN, &evidence);
        } else if brand.is_some() && is_address && !by_itself && !scene.is_list {
            found.add(&s::LINK_TEXT_OTHER_BRAND, &evidence);
        } else if !by_itself && !scene.is_list && is_address {
            found.add(&s::LINK_TEXT_OTHER_DOMAIN, &evidence);
        }
    }
}

/// What only the way of writing tells.
fn written(link: &Link, found: &mut Found) {
    let rest = link.written.split_once(':').map_or("", |(_, rest)| rest).trim_start_matches(['/', '\\']);
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    if let Some((user, _)) = authority.rsplit_once('@')
        && user.contains('.')
    {
        found.add(&s::LINK_USER_IN_HOST, authority);
    }
    if let Ok(IpAddr::V4(address)) = link.host.parse::<IpAddr>() {
        let plain = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let disguised = plain != address.to_string() && !plain.contains('[') && !plain.is_empty();
        if disguised && link.source != LinkSource::Redirect {
            found.add(&s::LINK_ADDRESS_DISGUISED, authority);
        } else if !address.is_private() && !address.is_loopback() && link.source != LinkSource::Text {
            found.add(&s::LINK_ADDRESS_NUMBER, &link.host);
        }
    }
}

fn services(scene: &Scene<'_>, link: &Link, found: &mut Found) {
    if link.source == LinkSource::Qr {
        found.add(&s::LINK_IN_CODE, &link.url);
    }
    let domain = link.domain.as_deref().unwrap_or_default();
    if scene.is_list || domain == scene.domain {
        return;
    }
    if services::is_free_page(&link.host, &link.url) {
        found.add(&s::LINK_FREE_PAGE, &link.host);
    }
    if services::is_shortener(domain) {
        found.add(&s::LINK_SHORTENED, &link.url);
    }
    if link.source != LinkSource::Text && services::is_search(&link.host, &link.url) {
        found.add(&s::LINK_THROUGH_SEARCH, &link.url);
    }
}

/// What the name of the host tells.
fn host(scene: &Scene<'_>, link: &Link, found: &mut Found) {
    let host = &*link.host;
    if host.contains("xn--") && is_mixed(host) {
        found.add(&s::LINK_MIXED_SCRIPTS, host);
    }
    if scene.own(host).is_some() {
        return;
    }
    let like_own = |own: &&crate::model::Domain| {
        lookalike::domain(host, own.as_str()).is_some_and(|likeness| likeness != Likeness::Label)
    };
    if scene.known.own_domains.iter().find(like_own).is_some() {
        found.add(&s::LINK_LIKE_OWN_DOMAIN, host);
    }
    if link.domain.as_deref() == Some(&scene.domain) && scene.is_list {
        return;
    }
    match lookalike::brand(host) {
        Some((Likeness::Below, _)) => found.add(&s::LINK_BRAND_BELOW_OTHER, host),
        Some((Likeness::Label, _)) if !scene.is_list => found.add(&s::LINK_BRAND_LABEL, host),
        Some((Likeness::Confusable | Likeness::OtherEnd | Likeness::Near | Likeness::Combined, _)) => {
            found.add(&s::LINK_LIKE_BRAND, host);
        }
        _ => {}
    }
}

/// Latin letters with Cyrillic or Greek ones in one label, or a whole label of letters that pass for Latin ones.
fn is_mixed(host: &str) -> bool {
    let unicode = idna::domain_to_unicode(host).0;
    unicode.split('.').filter(|label| !label.is_ascii()).any(|label| {
        let look_alike = |c: char| matches!(c, 'Α'..='ω' | 'А'..='ӿ' | 'Ա'..='ֆ' | 'Ꭰ'..='Ᏽ');
        let other = label.chars().any(look_alike);
        let latin = label.chars().any(|c| c.is_ascii_alphabetic());
        let passes = lookalike::folded(label).bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (other && latin) || (other && passes && host.ends_with(".com"))
    })
}

/// Who clicks is known beforehand: the recipient's address in a link to a stranger.
fn recipient(scene: &Scene<'_>, found: &mut Found) {
    if scene.is_list || scene.specimen.field("List-Unsubscribe").is_some() {
        return;
    }
    let addresses = scene.known.recipients.iter().take(3).map(|address| address.to_string().to_lowercase());
    let wanted = addresses.filter(|address| address.len() >= 6).flat_map(|address| {
        let coded = STANDARD_NO_PAD.encode(&address);
        let coded = coded.get(..coded.len().saturating_sub(2)).unwrap_or_default().to_owned();
        [address.replace('@', "%40"), address, coded]
    });
    let wanted = wanted.collect::<Vec<_>>();
    for link in
        scene.specimen.links.iter().filter(|link| link.source != LinkSource::Image && !link.url.starts_with("mailto:"))
    {
        let foreign =
            link.domain.as_deref() != Some(&scene.domain) && !link.host.is_empty() && scene.own(&link.host).is_none();
        let lower = link.url.to_lowercase();
        let (plain, coded): (Vec<_>, Vec<_>) = wanted.iter().enumerate().partition(|(at, _)| at % 3 != 2);
        let named = plain.iter().any(|(_, address)| lower.contains(address.as_str()))
            || coded.iter().any(|(_, code)| link.url.contains(code.as_str()));
        if foreign && named {
            found.add(&s::LINK_NAMES_RECIPIENT, &link.host);
            return;
        }
    }
}

/// Speaks for a brand in its name or subject, and leads nowhere near it.
fn brand_without_links(scene: &Scene<'_>, found: &mut Found) {
    if scene.is_list || scene.is_answer {
        return;
    }
    let subject = fold(scene.specimen.subject());
    let Some(brand) = claims::claimed(&scene.name, true).or_else(|| claims::claimed(&subject, false)) else { return };
    if lookalike::owns(brand, &scene.host) {
        return;
    }
    let clicked = |link: &&Link| {
        matches!(link.source, LinkSource::Anchor | LinkSource::Form | LinkSource::Qr | LinkSource::Redirect)
            && link.url.starts_with("http")
            && !link.host.is_empty()
    };
    let mut clicked = scene.specimen.links.iter().filter(clicked).peekable();
    if let Some(first) = clicked.peek().copied()
        && !clicked.any(|link| lookalike::owns(brand, &link.host))
    {
        found.add(&s::BRAND_WITHOUT_ITS_LINKS, &first.host);
    }
}
