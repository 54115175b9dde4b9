//! The recipients of a domain, compactly: one string of sorted local parts instead of one allocation per address.
//!
//! **Invariants**: local parts are compared in lower case; `postmaster` is always valid (RFC 5321 section 4.5.1).

use crate::model::Address;

use super::spec::RecipientsSpec;

/// Which recipients of a domain exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipients {
    Any,
    CallAhead,
    List(RecipientList),
}

impl Recipients {
    #[must_use]
    pub fn compile(spec: &RecipientsSpec) -> Self {
        match spec {
            RecipientsSpec::Any => Self::Any,
            RecipientsSpec::CallAhead => Self::CallAhead,
            RecipientsSpec::List(list) => Self::List(RecipientList::new(list.iter().map(Address::local))),
        }
    }

    /// Whether the mailbox exists; `None`: the next hop has to be asked.
    #[must_use]
    pub fn has(&self, local: &str) -> Option<bool> {
        let local = local.to_lowercase();
        if local == "postmaster" {
            return Some(true);
        }
        match self {
            Self::Any => Some(true),
            Self::CallAhead => None,
            Self::List(list) => Some(list.has_mailbox(&local)),
        }
    }
}

/// A sorted set of local parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientList {
    text: Box<str>,
    /// Where each local part ends in `text`.
    ends: Box<[u32]>,
}

impl RecipientList {
    pub fn new<'a>(locals: impl Iterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<String> = locals.map(str::to_lowercase).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut end = 0u32;
        let ends = sorted.iter().map(|local| {
            end = end.saturating_add(u32::try_from(local.len()).unwrap_or(u32::MAX));
            end
        });
        Self { ends: ends.collect(), text: sorted.concat().into() }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn at(&self, index: usize) -> &str {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Whether exactly this lower-case local part is listed.
    #[must_use]
    pub fn contains(&self, local: &str) -> bool {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.at(middle).cmp(local) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        false
    }

    /// As [`Self::contains`], with `user+detail` (RFC 5233) folded to `user`.
    fn has_mailbox(&self, local: &str) -> bool {
        self.contains(local) || local.split_once('+').is_some_and(|(user, _)| !user.is_empty() && self.contains(user))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(locals: &[&str]) -> Recipients {
        Recipients::List(RecipientList::new(locals.iter().copied()))
    }

    #[test]
    fn a_list_folds_case_and_detail_and_knows_postmaster() {
        let listed = list(&["Taro", "hanako"]);
        for (local, known) in [
            ("taro", true),
            ("TARO", true),
            ("taro+shop", true),
            ("Postmaster", true),
            ("tar", false),
            ("+taro", false),
            ("", false),
        ] {
            assert_eq!(listed.has(local), Some(known), "{local}");
        }
        assert_eq!(Recipients::CallAhead.has("taro"), None);
        assert_eq!(Recipients::CallAhead.has("postmaster"), Some(true));
        assert_eq!(Recipients::Any.has("who"), Some(true));
        assert_eq!(list(&[]).has("taro"), Some(false));
    }

    proptest! {
        #[test]
        fn the_compact_list_answers_as_a_set_would(
            locals in proptest::collection::hash_set("[a-cé.]{1,4}", 0..40), probe in "[a-cé.]{1,4}"
        ) {
            let compact = RecipientList::new(locals.iter().map(String::as_str));
            prop_assert_eq!(compact.len(), locals.len());
            prop_assert_eq!(compact.contains(&probe), locals.contains(&probe));
            prop_assert!(locals.iter().all(|local| compact.contains(local)));
        }
    }
}
