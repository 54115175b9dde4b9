//! Facts that conditions may ask for beside other rules: `@attachment`, `@links > 3`, `@first-contact`.
//!
//! **Failure**: a fact that nobody knows is 0. **Invariants**: names are stable; rules outside this project use them.

use crate::message::specimen::{LinkSource, Lock, PartKind, Specimen, Trait};

/// What the gateway knows and the message itself doesn't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each asked for by its name")]
pub struct Facts {
    /// The author's domain is proven (DMARC passes, or aligned SPF or DKIM).
    pub authenticated: bool,
    pub spf_fail: bool,
    pub dkim_pass: bool,
    pub dmarc_fail: bool,
    /// Nobody of this tenant had mail of this author before.
    pub first_contact: bool,
    pub outbound: bool,
    /// Of the envelope.
    pub recipients: u32,
}

/// A fact by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Atom {
    Authenticated,
    SpfFail,
    DkimPass,
    DmarcFail,
    FirstContact,
    Outbound,
    Recipients,
    Html,
    Attachment,
    Files,
    Links,
    Images,
    Form,
    Qr,
    Hidden,
    Characters,
    Kana,
    List,
    Reply,
    Encrypted,
    Macros,
    Ambiguous,
}

impl Atom {
    pub const ALL: [(&'static str, Self); 22] = [
        ("authenticated", Self::Authenticated),
        ("spf-fail", Self::SpfFail),
        ("dkim-pass", Self::DkimPass),
        ("dmarc-fail", Self::DmarcFail),
        ("first-contact", Self::FirstContact),
        ("outbound", Self::Outbound),
        ("recipients", Self::Recipients),
        ("html", Self::Html),
        ("attachment", Self::Attachment),
        ("files", Self::Files),
        ("links", Self::Links),
        ("images", Self::Images),
        ("form", Self::Form),
        ("qr", Self::Qr),
        ("hidden", Self::Hidden),
        ("characters", Self::Characters),
        ("kana", Self::Kana),
        ("list", Self::List),
        ("reply", Self::Reply),
        ("encrypted", Self::Encrypted),
        ("macros", Self::Macros),
        ("ambiguous", Self::Ambiguous),
    ];

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, atom)| *atom)
    }

    /// As a number; yes is 1.
    #[must_use]
    pub fn value(self, specimen: &Specimen, facts: &Facts) -> u32 {
        let links = |source: LinkSource| count(specimen.links.iter().filter(|link| link.source == source));
        let texts = || specimen.texts.iter();
        let has = |name: &str| u32::from(specimen.field(name).is_some());
        match self {
            Self::Authenticated => u32::from(facts.authenticated),
            Self::SpfFail => u32::from(facts.spf_fail),
            Self::DkimPass => u32::from(facts.dkim_pass),
            Self::DmarcFail => u32::from(facts.dmarc_fail),
            Self::FirstContact => u32::from(facts.first_contact),
            Self::Outbound => u32::from(facts.outbound),
            Self::Recipients => facts.recipients,
            Self::Html => count(specimen.parts.iter().filter(|part| part.kind == PartKind::Html)),
            Self::Attachment => count(specimen.parts.iter().filter(|part| part.kind == PartKind::File)),
            Self::Files => count(specimen.files.iter()),
            Self::Links => links(LinkSource::Text).saturating_add(links(LinkSource::Anchor)),
            Self::Images => links(LinkSource::Image),
            Self::Form => links(LinkSource::Form),
            Self::Qr => links(LinkSource::Qr),
            Self::Hidden => whole(texts().map(|text| text.hidden.chars().count()).sum()),
            Self::Characters => whole(texts().map(|text| text.visible.chars().count()).sum()),
            Self::Kana => {
                let other = texts().filter(|text| !text.visible.is_ascii());
                count(other.flat_map(|text| text.visible.chars()).filter(|c| is_kana(*c)))
            }
            Self::List => has("List-Id") | has("List-Unsubscribe") | has("List-Post"),
            Self::Reply => has("In-Reply-To") | has("References"),
            Self::Encrypted => count(specimen.files.iter().filter(|file| file.lock != Lock::None)),
            Self::Macros => count(specimen.files.iter().filter(|file| file.has(Trait::Macros) || file.has(Trait::Xlm))),
            Self::Ambiguous => count(specimen.ambiguities.iter()),
        }
    }
}

fn count(things: impl Iterator) -> u32 {
    whole(things.count())
}

fn whole(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{ff66}'..='\u{ff9d}')
}
