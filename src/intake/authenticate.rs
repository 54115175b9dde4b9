//! Checks a password against a tenant's argon2 hash.
//!
//! **Failure**: an unknown user costs the same time as a wrong password; a malformed hash denies (reliability row SEC-T06);
//! too many checks at once are answered 454, so that a storm of guesses can't take the processors from mail.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use tokio::sync::Semaphore;

/// Checks at once; each costs tens of milliseconds and 19 MiB by design.
const AT_ONCE: usize = 2;
/// Checks waiting beyond which the answer is "try again".
const WAITING: usize = 64;

/// A well-formed hash that no password fits, to spend the time on for unknown users. It has the parameters our own tools use
/// (argon2's defaults). A tenant's hash made elsewhere with other ones takes another time, and by that time an attacker can
/// tell that its user exists, not more; make hashes with the defaults where that matters.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2VraXNob3Nla2lzaG8$UeJnSkK5xBDBYPzFhcQdSoPUFxQPWKWPOqBjH1NnNHA";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    Right,
    Wrong,
    Busy,
}

#[derive(Debug)]
pub struct Authenticator {
    at_once: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Authenticator {
    fn default() -> Self {
        Self { at_once: Arc::new(Semaphore::new(AT_ONCE)), waiting: Semaphore::new(WAITING) }
    }
}

impl Authenticator {
    /// `hash` is the user's PHC string, or `None` for a user nobody knows.
    pub async fn check(&self, password: &str, hash: Option<&str>) -> Checked {
        let Ok(_place) = self.waiting.try_acquire() else { return Checked::Busy };
        let Ok(_turn) = Arc::clone(&self.at_once).acquire_owned().await else { return Checked::Busy };
        let known = hash.is_some();
        let (password, hash) = (password.to_owned(), hash.unwrap_or(NOBODY).to_owned());
        let fits = tokio::task::spawn_blocking(move || fits(&password, &hash)).await;
        match fits {
            Ok(fits) if fits && known => Checked::Right,
            Ok(_) => Checked::Wrong,
            Err(_) => Checked::Busy,
        }
    }
}

fn fits(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn malformed_hashes_and_unknown_users_are_denied() {
        let authenticator = Authenticator::default();
        assert_eq!(authenticator.check("x", Some("plain")).await, Checked::Wrong);
        assert_eq!(authenticator.check("x", None).await, Checked::Wrong);
        assert!(PasswordHash::new(NOBODY).is_ok(), "the decoy must cost as much as a real hash");
    }
}
