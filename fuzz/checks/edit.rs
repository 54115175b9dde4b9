//! What must hold of any message that is changed: no panic; our fields stand on top, no forged one is left, and what was to be
//! taken out is gone or told as undone. Who asks for nothing gets every octet back but the reserved fields.

use bytes::Bytes;
use sekisho::message::edit::{Style, What, apply, without_reserved};
use sekisho::message::specimen::{Limits, PartKind, Specimen};
use sekisho::model::disposition::{Edits, Field, Strip, is_reserved};

use super::limits::SMALL;

/// All of a message, whatever it is.
const LIMITS: Limits = Limits { parts: 200, depth: 24, fields: 1_000, header_octets: 1 << 20, ..SMALL };

const OURS: &str = "X-Sekisho-Ours: a, b\r\n";

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let raw = Bytes::copy_from_slice(data);
    let specimen = Specimen::parse(raw.clone(), &LIMITS, &|| false);
    let plain = apply(&specimen, &Edits::default(), &Style::default());
    let again = without_reserved(&raw);
    assert_eq!(plain.octets, again, "nothing was asked for");
    assert_eq!(without_reserved(&again), again, "what is forged comes back");

    let edits = Edits {
        fields: vec![Field { name: "X-Sekisho-Ours".into(), value: "a, b".into() }],
        tag: Some("[SPAM] \u{8ff7}\u{60d1}".into()),
        stamp: Some("Seen.\n\u{65e5}\u{672c}\u{8a9e}\n".into()),
        instead: Some("[SEEN]".into()),
        strip: Strip::Files,
    };
    let edited = apply(&specimen, &edits, &Style::default());
    let rest = edited.octets.strip_prefix(OURS.as_bytes()).expect("our field is on top");
    let seen = Specimen::parse(Bytes::copy_from_slice(rest), &LIMITS, &|| false);
    assert!(!seen.fields.iter().any(|field| is_reserved(&field.name)), "a forged field is left");
    let is_plain = specimen.unchecked.is_empty() && specimen.ambiguities.is_empty();
    if is_plain && !edited.undone.iter().any(|undone| matches!(undone.what, What::Strip(_))) {
        let left: Vec<_> =
            seen.parts.iter().filter(|part| part.kind == PartKind::File && !part.octets.is_empty()).collect();
        assert!(left.is_empty(), "left: {left:?}");
    }
}
