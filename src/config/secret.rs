//! A setting that may hold a key.
//!
//! **Invariants**: it is in no `Debug`, no serialisation and no error text; only [`SecretDomain::reveal`] gives it.

use std::fmt;

use crate::model::Domain;

/// A domain that may hold a customer's key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretDomain(Domain);

impl SecretDomain {
    /// # Errors
    /// Without the text, which may be secret.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match Domain::parse(text.trim_end_matches('.')) {
            Ok(zone) if zone.as_ip().is_none() => Ok(Self(zone)),
            _ => Err("the zone is no domain (it is not shown, because it may hold a key)"),
        }
    }

    /// Only for handing it on to who asks there.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for SecretDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
