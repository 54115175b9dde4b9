//! A set before it is used: what the detectors find by it in mail whose worth is known.
//!
//! **Invariants**: no network; sets that find nothing find nothing here.

use super::octets::{Deadline, OctetScan};
use super::{classifier, feeds, spamassassin};
use crate::message::specimen::Specimen;
use crate::model::detectors::Detectors;
use crate::model::finding::{Finding, Verdict};
use crate::signatures::SignatureSet;

/// By hashes, YARA, feeds, rules in SpamAssassin's language and the classifier. Rules of our own are tried by
/// [`crate::signatures::self_test`].
#[must_use]
pub fn findings(set: &SignatureSet, specimen: &Specimen) -> Vec<Finding> {
    let mut verdict = Verdict::new(set.number);
    let mut octets = OctetScan::new(set, Detectors::all(), Deadline::never());
    octets.message(specimen);
    octets.finish(&mut verdict);
    feeds::detect(&set.feeds, specimen, None, None, &mut verdict);
    let nothing = spamassassin::Facts { envelope_from: None };
    spamassassin::detect(&set.spamassassin, specimen, nothing, &|| false, &mut verdict);
    classifier::classify(specimen, &set.model, None).into_iter().for_each(|finding| verdict.find(finding));
    verdict.findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::specimen::Limits;
    use crate::signatures::pack::{Pack, PackFile};
    use crate::signatures::{self_test, starter};

    fn refusals(name: &str, text: &str, more: &str) -> Vec<String> {
        let file = |path: &str, text: &str| PackFile { path: path.into(), octets: text.to_owned().into() };
        let described = format!("[pack]\nname = \"x\"\n{more}");
        let pack = Pack::from_files("x", vec![file("pack.toml", &described), file(name, text)]).unwrap();
        let set = SignatureSet::compile(1, std::slice::from_ref(&pack)).unwrap();
        let parse = |octets| Specimen::parse(octets, &Limits::default(), &|| false);
        self_test::run(&set, &[pack], &parse, &findings).err().unwrap_or_default()
    }

    #[test]
    fn whatever_finds_honest_mail_is_refused() {
        let yara = "rule All { meta: class = \"malware\" condition: true }";
        assert!(!refusals("a.yar", yara, "").is_empty());
        let cf = "body ALL /./\nscore ALL 9\n";
        assert!(!refusals("a.cf", cf, "").is_empty());
        let feed = "[[feed]]\nfile = \"f.txt\"\nkind = \"domains\"\nsymbol = \"F\"\nclass = \"phishing\"\nscore = 9.0\nen = \"e\"\nja = \"j\"\n";
        let hosts = "example.com\nexample.org\nexample.net\nexample\nexample.jp\nexample.co.jp\n";
        assert!(!refusals("f.txt", hosts, feed).is_empty());
        assert_eq!(refusals("b.yar", "rule None { condition: false }", ""), [""; 0]);
    }

    #[test]
    fn what_is_shipped_passes_with_all_detectors() {
        let (packs, set) = (starter::packs().unwrap(), starter::set().unwrap());
        let parse = |octets| Specimen::parse(octets, &Limits::default(), &|| false);
        self_test::run(&set, &packs, &parse, &findings).unwrap();
    }
}
