//! The functions that `eval:` rules call. What each is worth: 0 for no hit, else 1 or a count.

mod body;
mod freemail;
mod header;
mod image;
mod lists;
mod markup;
mod mime;
mod received;

use super::mail::Mail;
use crate::signatures::spamassassin::Rules;
use crate::signatures::spamassassin::eval::{Call, Function};

/// A message and what was worked out of it for several functions.
#[derive(Debug)]
pub struct Context<'c, 's> {
    mail: &'c Mail<'s>,
    rules: &'c Rules,
    mime: Option<mime::Facts>,
    images: Option<image::Images>,
    difference: Option<(f64, f64)>,
}

fn hit(value: bool) -> f32 {
    f32::from(u8::from(value))
}

/// A count as rules read it.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
fn count(value: usize) -> f32 {
    value as f32
}

#[allow(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
fn real(value: usize) -> f64 {
    value as f64
}

/// More than the first number and at most the second.
fn within(value: f64, min: Option<f64>, max: Option<f64>) -> bool {
    value > min.unwrap_or(f64::NEG_INFINITY) && value <= max.unwrap_or(f64::INFINITY)
}

impl<'c, 's> Context<'c, 's> {
    pub fn new(mail: &'c Mail<'s>, rules: &'c Rules) -> Self {
        Self { mail, rules, mime: None, images: None, difference: None }
    }

    fn mime(&mut self) -> &mime::Facts {
        self.mime.get_or_insert_with(|| mime::Facts::of(self.mail))
    }

    fn images(&mut self) -> &image::Images {
        self.images.get_or_insert_with(|| image::Images::of(self.mail))
    }

    fn difference(&mut self) -> (f64, f64) {
        *self.difference.get_or_insert_with(|| body::alternative_difference(self.mail))
    }

    pub fn call(&mut self, call: &Call) -> f32 {
        use Function as F;
        let mail = self.mail;
        let settings = &self.rules.settings;
        match call.function {
            F::HtmlTest => hit(markup::test(mail, call.text(0))),
            F::HtmlRange => hit(markup::range(mail, call)),
            F::HtmlEval => hit(markup::compared(mail, call)),
            F::HtmlTagExists => hit(markup::opened(mail, call.text(0)) > 0),
            F::HtmlTagBalance => hit(markup::unbalanced(mail, call.text(0))),
            F::HtmlTextMatch => hit(markup::text_matches(mail, call)),
            F::HtmlTitleSubjectRatio => hit(markup::title_ratio(mail, call)),
            F::HtmlImageOnly => hit(markup::image_only(mail, call)),
            F::HtmlImageRatio => hit(markup::image_ratio(mail, call)),
            F::HtmlIframe => hit(markup::iframe_with_source(mail)),
            F::ShiftedDate => hit(received::shifted_date(mail, call)),
            F::FreemailHeader => hit(freemail::header(mail, settings, call)),
            F::FreemailFrom => hit(freemail::from(mail, settings)),
            F::FreemailReplyTo => hit(freemail::reply_to(mail, settings, call.text(0))),
            F::Mime => self.mime().value(call.text(0)),
            F::MimeHtml => hit(self.mime().html > 0),
            F::MimeHtmlOnly => hit(self.mime().is_html_only()),
            F::MimeRatio => {
                let ratio = self.mime().ratio;
                hit(ratio.is_some_and(|ratio| {
                    ratio >= call.number(0).unwrap_or(0.0) && ratio < call.number(1).unwrap_or(1.0)
                }))
            }
            F::AlternativeNonText => hit(self.mime().alternative_non_text),
            F::Base64Length => {
                let longest = real(self.mime().base64_line);
                hit(longest > call.number(0).unwrap_or(0.0) && longest <= call.number(1).unwrap_or(f64::INFINITY))
            }
            F::SuspectName => hit(self.mime().suspect_name),
            F::MicrosoftExecutable => hit(self.mime().executable),
            F::AsciiTextIllegal => hit(self.mime().ascii_illegal),
            F::UnicodeRatio => hit(self.mime().unicode_ratio >= call.number(0).unwrap_or(1.0)),
            F::ParseFlags => hit(mime::parse_flag(mail, call.text(0))),
            F::AlternativeDifference => {
                let (ratio, _) = self.difference();
                hit(ratio >= call.number(0).unwrap_or(0.0) && ratio <= call.number(1).unwrap_or(100.0))
            }
            F::AlternativeDifferenceCount => {
                let (_, ratio) = self.difference();
                hit(ratio > call.number(0).unwrap_or(0.0))
            }
            F::BlankLineRatio => hit(body::blank_lines(mail, call)),
            F::StockInfo => hit(body::stock_info(mail, call)),
            F::VerticalWords => hit(body::vertical_words(mail, call)),
            F::BodyLength => hit(body::length(mail) < call.number(0).unwrap_or(0.0)),
            F::PlainBodyLength => hit(body::plain_length(mail, call, false)),
            F::PlainSignatureLength => hit(body::plain_length(mail, call, true)),
            F::EightBits => hit(body::eight_bits(mail)),
            F::Uppercase => hit(body::uppercase(mail, call)),
            F::FromInList => hit(lists::in_address_list(settings, call.text(0), &lists::from_addresses(mail))),
            F::ReplyToInList => hit(lists::in_address_list(settings, call.text(0), &lists::reply_to(mail))),
            F::FromListed => hit(lists::is_from_listed(mail, settings, "welcomelist_from")),
            F::FromBlocked => hit(lists::is_from_listed(mail, settings, "blocklist_from")),
            F::FromListedByDefault => hit(lists::is_from_listed(mail, settings, "def_welcomelist_from")),
            F::ToListed => hit(lists::is_to_listed(mail, settings, "welcomelist_to")),
            F::ToBlocked => hit(lists::is_to_listed(mail, settings, "blocklist_to")),
            F::MailFromMatchesReceived => hit(received::mail_from_matches(mail)),
            F::UriHostListed => hit(lists::uri_host_listed(mail, settings, call.text(0))),
            F::HttpsIpMismatch => hit(markup::https_ip_mismatch(mail)),
            F::HttpsHttpMismatch => hit(markup::https_http_mismatch(mail, call)),
            F::UriTruncated | F::Never | F::BounceRelays => 0.0,
            F::ImageCount
            | F::PixelCoverage
            | F::ImageSizeExact
            | F::ImageSizeRange
            | F::ImageToText
            | F::ImageNamed => hit(self.images().holds(mail, call)),
            _ => hit(self.header_call(call)),
        }
    }

    fn header_call(&self, call: &Call) -> bool {
        use Function as F;
        let mail = self.mail;
        match call.function {
            F::IllegalChars => header::illegal_chars(mail, call),
            F::HeaderCount => header::count_range(mail, call),
            F::MissingTo => header::missing_to(mail),
            F::OutlookMessageId => header::outlook_message_id(mail),
            F::NoRdnsDotcomHelo => received::no_rdns_dotcom(mail),
            F::NoRelays => mail.relays.trusted.is_empty() && mail.relays.untrusted.is_empty(),
            F::AllTrusted => {
                !mail.relays.trusted.is_empty() && mail.relays.untrusted.is_empty() && mail.relays.unparseable == 0
            }
            F::RelaysUnparseable => mail.relays.unparseable > 0,
            F::HeloIpMismatch => received::helo_ip_mismatch(mail),
            F::SortedRecipients => header::sorted_recipients(mail),
            F::SimilarRecipients => header::similar_recipients(mail, call),
            F::SubjectAllCaps => header::subject_all_caps(mail),
            F::ToInSubject => header::to_in_subject(mail),
            F::UnresolvedTemplate => header::unresolved_template(mail),
            F::EnvelopeMatchesFrom => header::envelope_matches_from(mail),
            F::EqualFromDomains => header::different_from_domains(mail),
            F::InvalidFrom => header::invalid_from(mail),
            F::ForgedAol => received::forged_aol(mail),
            F::ForgedHotmail => received::forged_hotmail(mail),
            F::ForgedHotmailAny => received::no_hotmail(mail),
            F::ForgedYahoo => received::forged_yahoo(mail),
            F::ForgedJuno => received::forged_juno(mail),
            F::ForgedGmail => received::forged_gmail(mail),
            F::ForgedEudora => received::forged_eudora(mail),
            F::ForgedTrail => received::forged_trail(mail),
            F::GatedThrough => received::gated(mail),
            F::DkimSigned => mail.first("dkim-signature").is_some() || mail.first("domainkey-signature").is_some(),
            F::ArcSigned => mail.first("arc-seal").is_some(),
            _ => false,
        }
    }
}
