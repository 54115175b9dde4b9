//! Detector `bulk`: newsletters and other mail to many, which somebody may have asked for. Lists on which people answer each
//! other are told apart.
//!
//! **Invariants**: what it finds is of class `bulk` alone, which never makes a message spam.

use super::symbols::{self as s, Symbol};
use crate::message::specimen::{LinkSource, Specimen};
use crate::model::finding::Verdict;

/// Names of fields that mailing services write.
const CAMPAIGN: [&str; 16] = [
    "feedback-id",
    "x-campaign",
    "x-campaignid",
    "x-campaign-id",
    "x-mc-user",
    "x-csa-complaints",
    "x-klaviyo-message-id",
    "x-sfmc-stack",
    "x-emarsys-identify",
    "x-mailer-recptid",
    "x-mailchimp-campaign-id",
    "x-mailer-lid",
    "x-cid",
    "x-rpcampaign",
    "x-jmailer",
    "x-newsletter",
];

/// What a link to leave says, folded.
const LEAVE: [&str; 16] = [
    "unsubscribe",
    "opt-out",
    "opt out",
    "optout",
    "配信停止",
    "配信解除",
    "配信の停止",
    "購読解除",
    "購読停止",
    "メルマガ解除",
    "退会",
    "abmelden",
    "abbestellen",
    "désabonner",
    "desinscri",
    "cancelar suscripción",
];

/// Looks for marks of mail to many.
pub fn detect(specimen: &Specimen, verdict: &mut Verdict) {
    let mut find = |symbol: &Symbol, evidence: &str| verdict.find(symbol.found(evidence));
    let precedence = specimen.field("Precedence").unwrap_or_default().trim().to_ascii_lowercase();
    if let Some(value) = specimen.field("List-Unsubscribe") {
        find(&s::BULK_UNSUBSCRIBE_FIELD, value);
    }
    if matches!(&*precedence, "bulk" | "junk") {
        find(&s::BULK_PRECEDENCE, &precedence);
    }
    if let Some(id) = specimen.list_id() {
        find(&s::BULK_LIST, id);
    } else if precedence == "list" {
        find(&s::BULK_LIST, "Precedence: list");
    }
    if let Some(name) = specimen.fields.iter().map(|field| &*field.name).find(|name| is_campaign(name)) {
        find(&s::BULK_CAMPAIGN, name);
    }
    if let Some(link) = leave(specimen) {
        find(&s::BULK_UNSUBSCRIBE_LINK, link);
    }
    let pixels = specimen.texts.iter().map(|text| u32::from(text.signs.pixels)).sum::<u32>();
    if pixels > 0 {
        find(&s::BULK_COUNTS_READERS, &pixels.to_string());
    }
    let posts = specimen.field("List-Post").is_some_and(|value| !value.trim().eq_ignore_ascii_case("no"));
    let software = ["X-Mailman-Version", "X-BeenThere", "X-Mailing-List", "X-Google-Group-Id"]
        .iter()
        .any(|name| specimen.field(name).is_some());
    if posts || software {
        find(&s::BULK_DISCUSSION, if posts { "List-Post" } else { "list software" });
    }
}

fn is_campaign(name: &str) -> bool {
    CAMPAIGN.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn leave(specimen: &Specimen) -> Option<&str> {
    let says = |text: &str| {
        let lower = text.to_lowercase();
        LEAVE.iter().any(|word| lower.contains(word))
    };
    let links = specimen
        .links
        .iter()
        .filter(|link| matches!(link.source, LinkSource::Anchor | LinkSource::Text | LinkSource::Redirect));
    let mut links = links.take(2_000);
    links.find(|link| link.shown.as_deref().is_some_and(says) || says(&link.url)).map(|link| &*link.url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::specimen::Limits;
    use crate::model::finding::{Class, Score};

    fn bulk(text: &str) -> Score {
        let specimen = Specimen::parse(text.replace('\n', "\r\n").into(), &Limits::default(), &|| false);
        let mut verdict = Verdict::new(1);
        detect(&specimen, &mut verdict);
        assert!(verdict.findings.iter().all(|finding| finding.class == Class::Bulk));
        verdict.score_of(Class::Bulk)
    }

    #[test]
    fn newsletters_lists_and_letters() {
        let newsletter = bulk(
            "From: News <news@shop.example>\nList-Unsubscribe: <https://shop.example/u>\nFeedback-ID: 1:2:3\nContent-Type: text/html\n\n\
             <a href='https://shop.example/u?x'>配信停止はこちら</a><img src=https://shop.example/o.gif width=1 height=1>",
        );
        assert!(newsletter >= Score(4_000), "{newsletter}");
        let list = bulk(
            "From: A <a@b.example>\nList-Id: <dev.lists.example>\nList-Post: <mailto:dev@lists.example>\nPrecedence: list\n\
             List-Unsubscribe: <mailto:dev-request@lists.example>\n\nhello\n",
        );
        assert!(list < Score(1_000), "{list}");
        assert_eq!(bulk("From: A <a@b.example>\nSubject: lunch\n\nNoon?\n"), Score::ZERO);
    }
}
