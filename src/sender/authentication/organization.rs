//! The organizational domain by the public suffix list (RFC 7489 section 3.2), compiled in.
//!
//! **Failure**: a name the list says nothing of has its last two labels as organization.

/// `mail.shop.example.co.uk` → `example.co.uk`; a public suffix is its own organization.
#[must_use]
pub fn by_suffix_list(domain: &str) -> Box<str> {
    let lower = domain.trim_end_matches('.').to_ascii_lowercase();
    psl::domain_str(&lower).map_or_else(|| lower.as_str().into(), Into::into)
}

/// Whether two domains align (RFC 7489 section 3.1): exactly, or by organization.
#[must_use]
pub fn aligned(a: &str, b: &str, strict: bool) -> bool {
    a.eq_ignore_ascii_case(b) || (!strict && by_suffix_list(a) == by_suffix_list(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organizations() {
        assert_eq!(&*by_suffix_list("a.b.Example.CO.uk"), "example.co.uk");
        assert_eq!(&*by_suffix_list("co.uk"), "co.uk");
        assert_eq!(&*by_suffix_list("x.city.kawasaki.jp"), "city.kawasaki.jp");
        assert!(aligned("mail.example.com", "example.com", false));
        assert!(!aligned("mail.example.com", "example.com", true));
        assert!(!aligned("a.github.io", "b.github.io", false));
    }
}
