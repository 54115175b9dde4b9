//! AUTH PLAIN (RFC 4616) and AUTH LOGIN on the server's side: from base 64 to user name and password.
//!
//! **Invariants**: a password is never printed, and lives no longer than its question.
//! **Failure**: the reply to give.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::replies;
use crate::model::Reply;

/// What the next line of an AUTH exchange is.
#[derive(Debug)]
pub enum Awaited {
    Plain,
    LoginUsername,
    LoginPassword { username: Box<str> },
}

/// The user name and password a client gave.
pub struct Credentials {
    pub username: Box<str>,
    pub password: Box<str>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// How an exchange goes on.
#[derive(Debug)]
pub enum Progress {
    Ask(Awaited, Reply),
    Done(Credentials),
}

/// The argument of AUTH: mechanism and perhaps an initial response (RFC 4954 section 4).
pub fn begin(argument: &str) -> Result<Progress, Reply> {
    let (mechanism, initial) = match argument.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (argument, None),
    };
    let (awaited, prompt) = if mechanism.eq_ignore_ascii_case("PLAIN") {
        (Awaited::Plain, replies::PROMPT)
    } else if mechanism.eq_ignore_ascii_case("LOGIN") {
        (Awaited::LoginUsername, replies::PROMPT_USERNAME)
    } else {
        return Err(replies::AUTH_MECHANISM);
    };
    match initial {
        None => Ok(Progress::Ask(awaited, prompt)),
        // "=" is how an empty initial response is written
        Some("=") => proceed(awaited, ""),
        Some(response) => proceed(awaited, response),
    }
}

/// One line of the client; `*` cancels.
pub fn proceed(awaited: Awaited, line: &str) -> Result<Progress, Reply> {
    if line == "*" {
        return Err(replies::AUTH_CANCELLED);
    }
    let response = STANDARD.decode(line).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let response = response.ok_or(replies::AUTH_SYNTAX)?;
    match awaited {
        Awaited::Plain => plain(&response).map(Progress::Done),
        Awaited::LoginUsername => {
            let username = clean(&response)?.into();
            Ok(Progress::Ask(Awaited::LoginPassword { username }, replies::PROMPT_PASSWORD))
        }
        Awaited::LoginPassword { username } => {
            if response.contains('\0') {
                return Err(replies::AUTH_SYNTAX);
            }
            Ok(Progress::Done(Credentials { username, password: response.into() }))
        }
    }
}

/// `[authzid] NUL authcid NUL password`. Acting for somebody else is not offered.
fn plain(response: &str) -> Result<Credentials, Reply> {
    let mut parts = response.split('\0');
    let (Some(identity), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(replies::AUTH_SYNTAX);
    };
    let username = clean(username)?;
    if !identity.is_empty() && identity != username {
        return Err(replies::AUTH_IDENTITY);
    }
    Ok(Credentials { username: username.into(), password: password.into() })
}

fn clean(username: &str) -> Result<&str, Reply> {
    let fits = (1..=255).contains(&username.len()) && !username.chars().any(char::is_control);
    if fits { Ok(username) } else { Err(replies::AUTH_SYNTAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(progress: Progress) -> (String, String) {
        match progress {
            Progress::Done(credentials) => (credentials.username.into(), credentials.password.into()),
            Progress::Ask(..) => panic!("not done"),
        }
    }

    #[test]
    fn plain_and_login_say_the_same() {
        let want = ("user".to_owned(), "pass".to_owned());
        assert_eq!(done(begin(&format!("plain {}", STANDARD.encode("\0user\0pass"))).unwrap()), want);
        assert_eq!(done(begin(&format!("PLAIN {}", STANDARD.encode("user\0user\0pass"))).unwrap()), want);
        let Progress::Ask(awaited, _) = begin(&format!("LOGIN {}", STANDARD.encode("user"))).unwrap() else { panic!() };
        assert_eq!(done(proceed(awaited, &STANDARD.encode("pass")).unwrap()), want);
    }

    #[test]
    fn odd_responses_are_refused() {
        for (argument, code) in [
            ("CRAM-MD5".to_owned(), 504),
            ("PLAIN !".to_owned(), 501),
            ("PLAIN =".to_owned(), 501),
            ("PLAIN *".to_owned(), 501),
            (format!("PLAIN {}", STANDARD.encode("root\0user\0pass")), 535),
            (format!("PLAIN {}", STANDARD.encode("\0user\0pass\0x")), 501),
            (format!("PLAIN {}", STANDARD.encode("\0us\ner\0pass")), 501),
            (format!("LOGIN {}", STANDARD.encode("")), 501),
        ] {
            assert_eq!(begin(&argument).unwrap_err().code(), code, "{argument}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials { username: "u".into(), password: "secret".into() };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
