//! What SMTP said about one message (RFC 5321), with the parameters of RFC 3461 (DSN), RFC 6152 (8BITMIME) and
//! RFC 6531 (SMTPUTF8). Never what the header says.

use serde::{Deserialize, Serialize};

use super::{Address, ReversePath};

/// The body type the client declared (RFC 6152).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyKind {
    #[default]
    SevenBit,
    EightBitMime,
}

/// RET of RFC 3461 section 4.3: what a failure notice carries back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReturnContent {
    Full,
    Headers,
}

/// NOTIFY of RFC 3461 section 4.1. Not given: failure and delay, as section 4.1 leaves to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notify {
    Never,
    On { success: bool, failure: bool, delay: bool },
}

impl Notify {
    #[must_use]
    pub fn on_failure(this: Option<Self>) -> bool {
        match this {
            None => true,
            Some(Self::Never) => false,
            Some(Self::On { failure, .. }) => failure,
        }
    }

    #[must_use]
    pub fn on_delay(this: Option<Self>) -> bool {
        match this {
            None => true,
            Some(Self::Never) => false,
            Some(Self::On { delay, .. }) => delay,
        }
    }

    #[must_use]
    pub fn on_success(this: Option<Self>) -> bool {
        matches!(this, Some(Self::On { success: true, .. }))
    }
}

/// ORCPT of RFC 3461 section 4.2, decoded from xtext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalRecipient {
    /// `rfc822` or `utf-8`, as the client wrote it.
    pub address_type: Box<str>,
    pub address: Box<str>,
}

/// One RCPT TO with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    pub address: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<OriginalRecipient>,
}

impl Recipient {
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address, notify: None, original: None }
    }
}

/// Sender, parameters and accepted recipients of one transaction or lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub sender: ReversePath,
    #[serde(default)]
    pub body: BodyKind,
    #[serde(default)]
    pub smtputf8: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ret: Option<ReturnContent>,
    /// ENVID of RFC 3461 section 4.4, decoded from xtext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envid: Option<Box<str>>,
    pub recipients: Vec<Recipient>,
}

impl Envelope {
    #[must_use]
    pub fn from_sender(sender: ReversePath) -> Self {
        Self { sender, body: BodyKind::default(), smtputf8: false, ret: None, envid: None, recipients: Vec::new() }
    }

    /// The same envelope for other recipients: a lane or a branch of it.
    #[must_use]
    pub fn with_recipients(&self, recipients: Vec<Recipient>) -> Self {
        Self {
            sender: self.sender.clone(),
            body: self.body,
            smtputf8: self.smtputf8,
            ret: self.ret,
            envid: self.envid.clone(),
            recipients,
        }
    }

    /// For copies that nobody asked of the sender: it hears nothing of them, come what may, and not who gets them.
    #[must_use]
    pub fn copied_to(&self, addresses: &[Address]) -> Self {
        let never = |address: &Address| Recipient { notify: Some(Notify::Never), ..Recipient::new(address.clone()) };
        Self {
            sender: ReversePath::Null,
            body: self.body,
            smtputf8: self.smtputf8 || addresses.iter().any(|address| !address.to_string().is_ascii()),
            ret: None,
            envid: None,
            recipients: addresses.iter().map(never).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_never_hears_of_a_copy() {
        let address = |text| Address::parse(text).unwrap();
        let mut envelope = Envelope::from_sender(ReversePath::Mailbox(address("a@sender.example")));
        envelope.ret = Some(ReturnContent::Full);
        envelope.envid = Some("42".into());
        let copy = envelope.copied_to(&[address("secret@acme.example")]);
        assert_eq!((&copy.sender, copy.ret, &copy.envid), (&ReversePath::Null, None, &None));
        assert_eq!(copy.recipients[0].notify, Some(Notify::Never));
        assert!(!Notify::on_failure(copy.recipients[0].notify) && !Notify::on_delay(copy.recipients[0].notify));
    }
}
