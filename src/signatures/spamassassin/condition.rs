//! `if`, `ifplugin`, `else`: which lines of a rule file count.
//!
//! **Failure**: a condition that can't be read is false, so that its rules stay out.

/// As which SpamAssassin we read rule files, in its own writing: 4.0.1.
pub const VERSION: f64 = 4.000_001;

/// What a condition may ask for.
#[derive(Debug)]
pub struct Environment {
    pub plugins: Vec<Box<str>>,
    /// `enable_compat` of the settings.
    pub compatible: Vec<Box<str>>,
}

/// Plugins whose rules we know: what they do without the network, or at least what they are called.
const PLUGINS: &[&str] = &[
    "URIDNSBL",
    "SPF",
    "WelcomeListSubject",
    "MIMEHeader",
    "ReplaceTags",
    "DKIM",
    "Check",
    "HTTPSMismatch",
    "URIDetail",
    "Bayes",
    "BodyEval",
    "DNSEval",
    "HTMLEval",
    "HeaderEval",
    "MIMEEval",
    "RelayEval",
    "URIEval",
    "WLBLEval",
    "VBounce",
    "ImageInfo",
    "FreeMail",
    "AskDNS",
    "HashBL",
    "DMARC",
    "AutoLearnThreshold",
    "SpamCop",
    "Pyzor",
    "Razor2",
    "Rule2XSBody",
];

const PREFIX: &str = "Mail::SpamAssassin::";

/// `can()` of the reader of settings.
const FEATURES: &[&str] = &[
    "feature_bug6558_free",
    "feature_welcomelist_blocklist",
    "feature_blocklist_welcomelist",
    "feature_capture_rules",
    "perl_min_version_5010000",
    "feature_registryboundaries",
    "feature_meta_rules_matching",
    "feature_get_host",
    "feature_header_address_parser",
    "feature_header_first_last",
    "feature_header_match_many",
    "feature_local_tests_only",
    "feature_originating_ip_headers",
    "feature_dns_query_restriction",
    "feature_dns_block_rule",
    "feature_dns_local_ports_permit_avoid",
    "feature_bayes_stopwords",
    "feature_subjprefix",
    "feature_yesno_takes_args",
    "feature_uri_host_listed",
    "feature_compile_regexp",
    "feature_edns",
    "feature_geodb",
    "has_tflags_nosubject",
    "has_tflags_nolog",
];

/// `can()` of plugins.
const METHODS: &[&str] = &[
    "BodyEval::has_check_body_length",
    "BodyEval::has_plaintext_body_sig_ratio",
    "MIMEEval::has_check_abundant_unicode_ratio",
    "MIMEEval::has_check_for_ascii_text_illegal",
    "MIMEEval::has_check_qp_ratio",
    "HeaderEval::has_check_invalid_from",
    "HeaderEval::has_check_for_unique_subject_id",
    "DKIM::has_arc",
    "SPF::has_check_for_spf_errors",
    "HashBL::has_hashbl_bodyre",
    "HashBL::has_hashbl_emails",
    "HashBL::has_hashbl_uris",
    "HashBL::has_hashbl_tag",
    "HashBL::has_hashbl_alldomains",
    "URIDNSBL::has_uridnsbl_skip_mailto",
    "URIDNSBL::has_uridnsbl_for_a",
    "URIDNSBL::has_tflags_domains_only",
    "URIDNSBL::has_subtest_for_ranges",
];

impl Default for Environment {
    fn default() -> Self {
        Self {
            plugins: PLUGINS.iter().map(|name| (*name).into()).collect(),
            compatible: vec!["welcomelist_blocklist".into()],
        }
    }
}

impl Environment {
    #[must_use]
    pub fn has_plugin(&self, name: &str) -> bool {
        let name = name.trim().strip_prefix(PREFIX).unwrap_or(name.trim());
        let name = name.strip_prefix("Plugin::").unwrap_or(name);
        self.plugins.iter().any(|plugin| **plugin == *name)
    }

    fn can(&self, name: &str) -> bool {
        let name = name.trim().strip_prefix(PREFIX).unwrap_or(name.trim());
        if let Some(feature) = name.strip_prefix("Conf::") {
            return match feature.strip_prefix("compat_") {
                Some(compatible) => self.compatible.iter().any(|known| **known == *compatible),
                None => FEATURES.contains(&feature),
            };
        }
        let Some(method) = name.strip_prefix("Plugin::") else { return false };
        let plugin = method.split("::").next().unwrap_or_default();
        self.has_plugin(plugin) && METHODS.contains(&method)
    }

    /// Whether the lines behind `if` count.
    #[must_use]
    pub fn holds(&self, condition: &str) -> bool {
        let mut reader = Reader { environment: self, rest: condition, depth: 0 };
        match reader.any() {
            Some(value) => value != 0.0 && reader.rest.trim().is_empty(),
            None => false,
        }
    }
}

/// By falling precedence: `||`, `&&`, comparison, `!` and parentheses.
struct Reader<'e, 't> {
    environment: &'e Environment,
    rest: &'t str,
    depth: usize,
}

fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

impl Reader<'_, '_> {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self) -> Option<f64> {
        let mut value = self.all()?;
        while self.take("||") {
            let other = self.all()?;
            value = truth(value != 0.0 || other != 0.0);
        }
        Some(value)
    }

    fn all(&mut self) -> Option<f64> {
        let mut value = self.compared()?;
        while self.take("&&") {
            let other = self.compared()?;
            value = truth(value != 0.0 && other != 0.0);
        }
        Some(value)
    }

    fn compared(&mut self) -> Option<f64> {
        let value = self.single()?;
        for (token, holds) in [
            (">=", (|a, b| a >= b) as fn(f64, f64) -> bool),
            ("<=", |a, b| a <= b),
            ("==", |a, b| (a - b).abs() < f64::EPSILON),
            ("!=", |a, b| (a - b).abs() >= f64::EPSILON),
            (">", |a, b| a > b),
            ("<", |a, b| a < b),
        ] {
            if self.take(token) {
                let other = self.single()?;
                return Some(truth(holds(value, other)));
            }
        }
        Some(value)
    }

    fn single(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > 50 {
            return None;
        }
        let value = if self.take("!") {
            self.single().map(|value| truth(value == 0.0))
        } else if self.take("(") {
            let value = self.any()?;
            self.take(")").then_some(value)
        } else {
            self.word()
        };
        self.depth -= 1;
        value
    }

    fn word(&mut self) -> Option<f64> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_:.".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        if let Ok(number) = word.parse() {
            return Some(number);
        }
        let mut argument = || {
            let (inside, rest) = self.rest.trim_start().strip_prefix('(')?.split_once(')')?;
            self.rest = rest;
            Some(inside)
        };
        match word {
            "version" => Some(VERSION),
            "perl_version" => Some(5.036),
            "local_tests_only" | "true" => Some(1.0),
            "false" => Some(0.0),
            "plugin" => argument().map(|name| truth(self.environment.has_plugin(name))),
            "can" | "has" => argument().map(|name| truth(self.environment.can(name))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_written() {
        let environment = Environment::default();
        for (condition, holds) in [
            ("(version >= 3.004002)", true),
            ("version < 4.000000", false),
            ("plugin(Mail::SpamAssassin::Plugin::FreeMail)", true),
            ("!plugin(Mail::SpamAssassin::Plugin::TextCat)", true),
            ("!(can(Mail::SpamAssassin::Conf::feature_bug6558_free))", false),
            ("can(Mail::SpamAssassin::Plugin::BodyEval::has_check_body_length) && !plugin(PDFInfo)", true),
            ("can(Mail::SpamAssassin::Conf::compat_welcomelist_blocklist)", true),
            ("nonsense(3)", false),
            ("(version", false),
        ] {
            assert_eq!(environment.holds(condition), holds, "{condition}");
        }
    }
}
