//! What the node would say to a client, as operators ask for it: the port, and the JSON of `/explain/smtp`.
//!
//! One line of JSON with `"v":1`; members are only ever added. Asking changes nothing.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Answer;
use crate::model::explanation::Explanation;
use crate::model::{Address, ReversePath};

/// Most recipients of one dry conversation: an Explanation holds a judgement for each.
pub const MAX_RECIPIENTS: usize = 32;
/// Longest name after EHLO, in octets (RFC 5321 section 4.5.3.1.2).
pub const MAX_HELO: usize = 255;

/// Dry conversations, for operators.
pub trait ExplainControl: Send + Sync {
    fn smtp(&self, question: Question) -> Answer<'_, Told>;
}

/// A client, and what it would say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub ip: IpAddr,
    pub helo: Box<str>,
    /// Whether it speaks TLS.
    #[serde(default)]
    pub tls: bool,
    /// Empty for notices.
    pub sender: ReversePath,
    pub recipients: Vec<Address>,
    /// The address in the From field; left out: the envelope sender's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Address>,
}

impl Question {
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=MAX_RECIPIENTS).contains(&self.recipients.len()) {
            return Err(format!("1 to {MAX_RECIPIENTS} recipients can be asked for"));
        }
        if self.helo.is_empty() || self.helo.len() > MAX_HELO || self.helo.chars().any(|c| c.is_control() || c == ' ') {
            return Err(format!("the name after EHLO is one word of at most {MAX_HELO} octets"));
        }
        Ok(())
    }
}

/// Where in the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    Connect,
    Ehlo,
    Mail,
    Rcpt,
    Message,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub at: At,
    /// At `rcpt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Address>,
    pub code: u16,
    /// The refusal, as said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Box<str>>,
    /// What decided, by its name in `explanation/v1`; absent: nothing was judged here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub v: u32,
    /// Up to the answer that ends the conversation.
    pub said: Vec<Said>,
    /// Absent if no recipient was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// For the tests of other resources.
    pub(crate) struct SaysNothing;

    impl ExplainControl for SaysNothing {
        fn smtp(&self, _: Question) -> Answer<'_, Told> {
            Box::pin(async { Told { v: 1, said: Vec::new(), explanation: None } })
        }
    }

    #[test]
    fn a_question_is_bounded_and_its_name_is_one_word() {
        let question = |helo: &str, recipients: usize| Question {
            ip: [192, 0, 2, 1].into(),
            helo: helo.into(),
            tls: false,
            sender: ReversePath::Null,
            recipients: vec![Address::parse("you@acme.example").unwrap(); recipients],
            author: None,
        };
        assert_eq!(question("client.example", 1).check(), Ok(()));
        assert_eq!(question("[192.0.2.1]", MAX_RECIPIENTS).check(), Ok(()));
        let long = "x".repeat(MAX_HELO + 1);
        for (helo, recipients) in [("", 1), ("a b", 1), ("a\r\nb", 1), (&long, 1), ("a", 0), ("a", 33)] {
            assert!(question(helo, recipients).check().is_err(), "{helo:?} {recipients}");
        }
    }
}
