//! A set of detectors, as settings and policy speak of them.

use serde::{Deserialize, Serialize};

use super::finding::Detector;

/// One bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Detector>", into = "Vec<Detector>")]
pub struct Detectors(u32);

impl Detectors {
    pub const NONE: Self = Self(0);

    /// Those whose silence puts a message off (DESIGN section 7): what looks for malware, and the rules. The others only add
    /// points or come from elsewhere; without them the judgement goes on, marked as degraded.
    #[must_use]
    pub fn mandatory() -> Self {
        use Detector::{Clamd, Files, Hashes, Icap, Rules, SpamAssassin, Structure, Yara};
        [Structure, Hashes, Rules, Yara, SpamAssassin, Files, Clamd, Icap].into_iter().collect()
    }

    #[must_use]
    pub fn all() -> Self {
        Detector::ALL.into_iter().collect()
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[must_use]
    pub fn has(self, detector: Detector) -> bool {
        self.0 & bit(detector) != 0
    }

    #[must_use]
    pub fn with(self, detector: Detector) -> Self {
        Self(self.0 | bit(detector))
    }

    #[must_use]
    pub fn without(self, detector: Detector) -> Self {
        Self(self.0 & !bit(detector))
    }

    /// In their order.
    pub fn iter(self) -> impl Iterator<Item = Detector> {
        Detector::ALL.into_iter().filter(move |detector| self.has(*detector))
    }
}

const fn bit(detector: Detector) -> u32 {
    1 << detector as u32
}

impl FromIterator<Detector> for Detectors {
    fn from_iter<I: IntoIterator<Item = Detector>>(detectors: I) -> Self {
        detectors.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Vec<Detector>> for Detectors {
    fn from(detectors: Vec<Detector>) -> Self {
        detectors.into_iter().collect()
    }
}

impl From<Detectors> for Vec<Detector> {
    fn from(detectors: Detectors) -> Self {
        detectors.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_bit_of_its_own() {
        let all: Detectors = Detector::ALL.into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), Detector::ALL);
        for detector in Detector::ALL {
            let one = Detectors::NONE.with(detector);
            assert_eq!(one.iter().collect::<Vec<_>>(), [detector]);
            assert!(!all.without(detector).has(detector));
        }
    }

    #[test]
    fn the_form_is_a_list_of_names() {
        let some: Detectors = [Detector::Clamd, Detector::Hashes].into_iter().collect();
        let json = serde_json::to_string(&some).unwrap();
        assert_eq!(json, r#"["hashes","clamd"]"#);
        assert_eq!(serde_json::from_str::<Detectors>(&json).unwrap(), some);
    }
}
