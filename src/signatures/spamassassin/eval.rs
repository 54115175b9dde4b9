//! Functions that `eval:` rules call: which ones we have, and which need what a gateway's rules must not have.

use super::pattern::Pattern;

macro_rules! functions {
    ($($variant:ident: $($name:literal)|+;)*) => {
        /// A function without network, learning or state.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Function { $($variant,)* }

        impl Function {
            /// By the name in rule files.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name { $($($name)|+ => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

functions! {
    HtmlTest: "html_test";
    HtmlRange: "html_range";
    HtmlEval: "html_eval";
    HtmlTagExists: "html_tag_exists";
    HtmlTagBalance: "html_tag_balance";
    HtmlTextMatch: "html_text_match";
    HtmlTitleSubjectRatio: "html_title_subject_ratio";
    HtmlImageOnly: "html_image_only";
    HtmlImageRatio: "html_image_ratio";
    HtmlIframe: "check_iframe_src";
    ShiftedDate: "check_for_shifted_date";
    FreemailHeader: "check_freemail_header";
    FreemailFrom: "check_freemail_from";
    FreemailReplyTo: "check_freemail_replyto";
    Mime: "check_for_mime";
    MimeHtml: "check_for_mime_html";
    MimeHtmlOnly: "check_for_mime_html_only";
    MimeRatio: "check_mime_multipart_ratio";
    AlternativeNonText: "check_ma_non_text";
    Base64Length: "check_base64_length";
    SuspectName: "check_suspect_name";
    MicrosoftExecutable: "check_microsoft_executable";
    AsciiTextIllegal: "check_for_ascii_text_illegal";
    UnicodeRatio: "check_abundant_unicode_ratio";
    ParseFlags: "check_msg_parse_flags";
    AlternativeDifference: "multipart_alternative_difference";
    AlternativeDifferenceCount: "multipart_alternative_difference_count";
    BlankLineRatio: "check_blank_line_ratio";
    StockInfo: "check_stock_info";
    VerticalWords: "tvd_vertical_words";
    BodyLength: "check_body_length";
    PlainBodyLength: "plaintext_body_length";
    PlainSignatureLength: "plaintext_sig_length";
    EightBits: "check_body_8bits";
    Uppercase: "check_for_uppercase";
    FromInList: "check_from_in_list";
    ReplyToInList: "check_replyto_in_list";
    FromListed: "check_from_in_whitelist" | "check_from_in_welcomelist";
    FromBlocked: "check_from_in_blacklist" | "check_from_in_blocklist";
    FromListedByDefault: "check_from_in_default_whitelist" | "check_from_in_default_welcomelist";
    ToListed: "check_to_in_whitelist" | "check_to_in_welcomelist";
    ToBlocked: "check_to_in_blacklist" | "check_to_in_blocklist";
    MailFromMatchesReceived: "check_mailfrom_matches_rcvd";
    UriHostListed: "check_uri_host_listed";
    HttpsIpMismatch: "check_https_ip_mismatch";
    HttpsHttpMismatch: "check_https_http_mismatch";
    UriTruncated: "check_uri_truncated";
    IllegalChars: "check_illegal_chars";
    HeaderCount: "check_header_count_range";
    MissingTo: "check_for_missing_to_header";
    OutlookMessageId: "check_outlook_message_id";
    NoRdnsDotcomHelo: "check_for_no_rdns_dotcom_helo";
    NoRelays: "check_no_relays";
    AllTrusted: "check_all_trusted";
    RelaysUnparseable: "check_relays_unparseable";
    HeloIpMismatch: "helo_ip_mismatch";
    SortedRecipients: "sorted_recipients";
    SimilarRecipients: "similar_recipients";
    SubjectAllCaps: "subject_is_all_caps";
    ToInSubject: "check_for_to_in_subject";
    UnresolvedTemplate: "check_unresolved_template";
    EnvelopeMatchesFrom: "check_for_matching_env_and_hdr_from";
    EqualFromDomains: "check_equal_from_domains";
    InvalidFrom: "check_invalid_from";
    ForgedAol: "check_for_fake_aol_relay_in_rcvd";
    ForgedHotmail: "check_for_forged_hotmail_received_headers";
    ForgedHotmailAny: "check_for_no_hotmail_received_headers";
    ForgedYahoo: "check_for_forged_yahoo_received_headers";
    ForgedJuno: "check_for_forged_juno_received_headers";
    ForgedGmail: "check_for_forged_gmail_received_headers";
    ForgedEudora: "check_for_forged_eudoramail_received_headers";
    ForgedTrail: "check_for_forged_received_trail";
    GatedThrough: "gated_through_received_hdr_remover";
    ImageCount: "image_count";
    PixelCoverage: "pixel_coverage";
    ImageSizeExact: "image_size_exact";
    ImageSizeRange: "image_size_range";
    ImageToText: "image_to_text_ratio";
    ImageNamed: "image_named";
    BounceRelays: "have_any_bounce_relays" | "check_whitelist_bounce_relays" | "check_welcomelist_bounce_relays";
    Never: "check_for_faraway_charset" | "check_for_faraway_charset_in_headers" | "html_charset_faraway"
        | "check_to_in_all_spam" | "check_to_in_more_spam" | "check_subject_in_whitelist" | "check_subject_in_welcomelist"
        | "check_subject_in_blacklist" | "check_subject_in_blocklist" | "check_uri_host_in_whitelist"
        | "check_uri_host_in_welcomelist" | "check_uri_host_in_blacklist" | "check_uri_host_in_blocklist" | "check_shortcircuit";
    DkimSigned: "check_dkim_signed";
    ArcSigned: "check_arc_signed";
}

/// Why a function isn't called: it asks the network, learns, or belongs to a plugin that Debian leaves out.
#[must_use]
pub fn why_not(name: &str) -> &'static str {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&[
        "check_rbl",
        "check_uridnsbl",
        "check_hashbl",
        "check_dns",
        "check_razor",
        "check_pyzor",
        "check_dcc",
        "check_for_spf",
        "check_dkim",
        "check_arc",
        "check_dmarc",
        "check_for_def_spf",
        "check_for_dkim",
        "check_for_def_dkim",
    ]) {
        "needs the network"
    } else if starts(&[
        "check_bayes",
        "check_from_in_auto",
        "check_senders_reputation",
        "check_access_database",
        "check_language",
    ]) {
        "needs what was learned or set on another machine"
    } else if starts(&["check_ratware"]) {
        "what it does isn't documented"
    } else {
        "a function of a plugin that isn't on by default"
    }
}

/// A call in a rule.
#[derive(Debug)]
pub struct Call {
    pub function: Function,
    pub arguments: Vec<Box<str>>,
    /// Of the argument that is an expression.
    pub pattern: Option<Pattern>,
}

impl Call {
    /// # Errors
    /// If it can't be called, with the reason.
    pub fn new(name: &str, arguments: &[Box<str>]) -> Result<Self, String> {
        let function = Function::named(name).ok_or_else(|| format!("{name}: {}", why_not(name)))?;
        let pattern = match function {
            Function::HtmlTextMatch | Function::FreemailHeader => arguments.get(1),
            Function::ImageNamed => arguments.first(),
            _ => None,
        };
        let pattern = pattern.map(|source| Pattern::new(&format!("m\u{1}{source}\u{1}"))).transpose();
        Ok(Self { function, arguments: arguments.to_vec(), pattern: pattern? })
    }

    #[must_use]
    pub fn text(&self, index: usize) -> &str {
        self.arguments.get(index).map_or("", |argument| argument)
    }

    /// A number; `undef`, `inf` and what isn't there are none.
    #[must_use]
    pub fn number(&self, index: usize) -> Option<f64> {
        self.arguments.get(index).and_then(|argument| argument.parse().ok()).filter(|number: &f64| number.is_finite())
    }
}
