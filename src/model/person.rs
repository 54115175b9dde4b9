//! People whose names are borrowed to deceive: those who order payments, and those whom everybody obeys.

use serde::{Deserialize, Serialize};

use super::Address;

/// Somebody of a tenant's whose name only they may write under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// As mail programs show it; words in any order.
    pub name: Box<str>,
    /// From which they write, of their own domains or others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
}
