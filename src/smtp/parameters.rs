//! The arguments of MAIL and RCPT: path and parameters (RFC 5321 section 4.1.2, RFC 1870, 3461, 4954, 6152, 6531).
//!
//! **Invariants**: every address goes through [`Address::parse`], the one parser that authorisation and routing share; a
//! parameter stands once; nothing unknown is passed over.
//! **Failure**: the reply to give.

use super::command::digits;
use super::config::SessionConfig;
use super::{replies, xtext};
use crate::model::{
    Address, AddressError, BodyKind, Envelope, Notify, OriginalRecipient, Recipient, Reply, ReturnContent, ReversePath,
};

/// What MAIL said.
#[derive(Debug)]
pub struct Mail {
    /// Without recipients.
    pub envelope: Envelope,
    pub size: Option<u64>,
}

const POSTMASTER: &str = "postmaster";

/// Reads `FROM:<path> [parameters]`.
pub fn mail(argument: &str, config: &SessionConfig) -> Result<Mail, Reply> {
    let argument = after_label(argument, "FROM:").ok_or(replies::MAIL_SYNTAX)?;
    let (path, rest) = split_path(argument).ok_or(replies::BAD_SENDER)?;
    let mut mail = Mail { envelope: Envelope::from_sender(ReversePath::Null), size: None };
    mail_parameters(rest, config, &mut mail)?;
    if !argument.is_ascii() && !mail.envelope.smtputf8 {
        return Err(if path.is_ascii() { replies::BAD_PARAMETER } else { replies::NEEDS_SMTPUTF8 });
    }
    if !path.is_empty() {
        mail.envelope.sender = ReversePath::Mailbox(Address::parse(path).map_err(|_| replies::BAD_SENDER)?);
    }
    if mail.size.is_some_and(|size| size > config.limits.message_size) {
        return Err(replies::TOO_LARGE);
    }
    Ok(mail)
}

/// Reads `TO:<path> [parameters]`.
pub fn rcpt(argument: &str, config: &SessionConfig, smtputf8: bool) -> Result<Recipient, Reply> {
    let argument = after_label(argument, "TO:").ok_or(replies::RCPT_SYNTAX)?;
    let (path, rest) = split_path(argument).ok_or(replies::BAD_RECIPIENT)?;
    if !argument.is_ascii() && !smtputf8 {
        return Err(if path.is_ascii() { replies::BAD_PARAMETER } else { replies::NEEDS_SMTPUTF8 });
    }
    let mut recipient = Recipient::new(recipient_address(path, config)?);
    rcpt_parameters(rest, config, &mut recipient)?;
    Ok(recipient)
}

/// RFC 5321 section 4.5.1: `<Postmaster>` without a domain is ours, as is the one at our own name.
fn recipient_address(path: &str, config: &SessionConfig) -> Result<Address, Reply> {
    let parsed = if path.eq_ignore_ascii_case(POSTMASTER) {
        Address::parse(&format!("{path}@{}", config.hostname))
    } else {
        Address::parse(path)
    };
    let ours = |address: &Address| {
        address.local().eq_ignore_ascii_case(POSTMASTER)
            && address.domain().as_str().eq_ignore_ascii_case(&config.hostname)
    };
    let parsed = parsed.map(|address| config.postmaster.clone().filter(|_| ours(&address)).unwrap_or(address));
    parsed.map_err(|error| match error {
        AddressError::SourceRoute => replies::SOURCE_ROUTE,
        _ => replies::BAD_RECIPIENT,
    })
}

/// `FROM:` and what follows it. Blanks after the colon are wrong but common.
fn after_label<'a>(argument: &'a str, label: &str) -> Option<&'a str> {
    let head = argument.get(..label.len())?;
    head.eq_ignore_ascii_case(label).then(|| argument.get(label.len()..))?.map(|rest| rest.trim_start_matches(' '))
}

/// Splits `<path> rest`; a `>` inside a quoted local part is no end.
fn split_path(argument: &str) -> Option<(&str, &str)> {
    let inner = argument.strip_prefix('<')?;
    let end = if inner.starts_with('"') { end_of_quoted(inner)? } else { inner.find('>')? };
    let (path, rest) = (inner.get(..end)?, inner.get(end + 1..)?);
    (rest.is_empty() || rest.starts_with(' ')).then_some((path, rest))
}

fn end_of_quoted(inner: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    inner.bytes().position(|b| {
        let escape = escaped;
        escaped = quoted && !escape && b == b'\\';
        if b == b'"' && !escape {
            quoted = !quoted;
        }
        b == b'>' && !quoted
    })
}

fn mail_parameters(rest: &str, config: &SessionConfig, mail: &mut Mail) -> Result<(), Reply> {
    let mut seen = Seen::default();
    let envelope = &mut mail.envelope;
    for (keyword, value) in parameters(rest) {
        match Keyword::parse(keyword)? {
            k @ Keyword::Auth => {
                seen.once(k)?;
                value.and_then(xtext::decode).ok_or(replies::BAD_PARAMETER)?;
            }
            k @ Keyword::Body => {
                seen.once(k)?;
                envelope.body = body(value.ok_or(replies::BAD_PARAMETER)?)?;
            }
            k @ Keyword::Envid if config.dsn => {
                seen.once(k)?;
                let value = value.filter(|value| value.len() <= 100).and_then(xtext::decode);
                envelope.envid = Some(value.ok_or(replies::BAD_PARAMETER)?);
            }
            k @ Keyword::Ret if config.dsn => {
                seen.once(k)?;
                envelope.ret = Some(ret(value.ok_or(replies::BAD_PARAMETER)?)?);
            }
            k @ Keyword::Size => {
                seen.once(k)?;
                mail.size = Some(value.and_then(digits).ok_or(replies::BAD_PARAMETER)?);
            }
            k @ Keyword::SmtpUtf8 if config.smtputf8 => {
                seen.once(k)?;
                if value.is_some() {
                    return Err(replies::BAD_PARAMETER);
                }
                envelope.smtputf8 = true;
            }
            _ => return Err(replies::UNKNOWN_PARAMETER),
        }
    }
    Ok(())
}

fn rcpt_parameters(rest: &str, config: &SessionConfig, recipient: &mut Recipient) -> Result<(), Reply> {
    let mut seen = Seen::default();
    for (keyword, value) in parameters(rest) {
        match Keyword::parse(keyword)? {
            k @ Keyword::Notify if config.dsn => {
                seen.once(k)?;
                recipient.notify = Some(value.and_then(notify).ok_or(replies::BAD_PARAMETER)?);
            }
            k @ Keyword::Orcpt if config.dsn => {
                seen.once(k)?;
                recipient.original = Some(value.and_then(original).ok_or(replies::BAD_PARAMETER)?);
            }
            _ => return Err(replies::UNKNOWN_PARAMETER),
        }
    }
    Ok(())
}

fn parameters(rest: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    rest.split(' ').filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    })
}

#[derive(Debug, Clone, Copy)]
enum Keyword {
    Auth,
    Body,
    Envid,
    Notify,
    Orcpt,
    Ret,
    Size,
    SmtpUtf8,
}

impl Keyword {
    fn parse(text: &str) -> Result<Self, Reply> {
        let known = [
            ("SIZE", Self::Size),
            ("BODY", Self::Body),
            ("SMTPUTF8", Self::SmtpUtf8),
            ("RET", Self::Ret),
            ("ENVID", Self::Envid),
            ("NOTIFY", Self::Notify),
            ("ORCPT", Self::Orcpt),
            ("AUTH", Self::Auth),
        ];
        let found = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, keyword)| keyword).ok_or(replies::UNKNOWN_PARAMETER)
    }
}

#[derive(Debug, Default)]
struct Seen(u8);

impl Seen {
    fn once(&mut self, keyword: Keyword) -> Result<(), Reply> {
        let bit = 1 << (keyword as u8);
        if self.0 & bit != 0 {
            return Err(replies::DUPLICATE_PARAMETER);
        }
        self.0 |= bit;
        Ok(())
    }
}

/// RFC 6152; BINARYMIME is not offered.
fn body(value: &str) -> Result<BodyKind, Reply> {
    if value.eq_ignore_ascii_case("8BITMIME") {
        Ok(BodyKind::EightBitMime)
    } else if value.eq_ignore_ascii_case("7BIT") {
        Ok(BodyKind::SevenBit)
    } else {
        Err(replies::BAD_PARAMETER)
    }
}

fn ret(value: &str) -> Result<ReturnContent, Reply> {
    if value.eq_ignore_ascii_case("FULL") {
        Ok(ReturnContent::Full)
    } else if value.eq_ignore_ascii_case("HDRS") {
        Ok(ReturnContent::Headers)
    } else {
        Err(replies::BAD_PARAMETER)
    }
}

/// RFC 3461 section 4.1: NEVER stands alone, the others once each.
fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        let flag = match word {
            w if w.eq_ignore_ascii_case("SUCCESS") => &mut success,
            w if w.eq_ignore_ascii_case("FAILURE") => &mut failure,
            w if w.eq_ignore_ascii_case("DELAY") => &mut delay,
            _ => return None,
        };
        if std::mem::replace(flag, true) {
            return None;
        }
    }
    Some(Notify::On { success, failure, delay })
}

/// RFC 3461 section 4.2: `type;xtext`, at most 500 octets.
fn original(value: &str) -> Option<OriginalRecipient> {
    let (kind, address) = value.split_once(';').filter(|_| value.len() <= 500)?;
    let is_atom = (1..=32).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let decoded =
        if kind.eq_ignore_ascii_case("utf-8") { xtext::decode_utf8_address(address) } else { xtext::decode(address) };
    Some(OriginalRecipient { address_type: kind.into(), address: decoded.filter(|d| is_atom && !d.is_empty())? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Direction;

    fn config() -> SessionConfig {
        SessionConfig::new("mx.gateway.example", Direction::Inbound)
    }

    #[test]
    fn mail_with_every_parameter() {
        let text = "FROM:<a@b.example> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+2By AUTH=<>";
        let mail = mail(text, &config()).unwrap();
        assert_eq!(mail.size, Some(100));
        assert_eq!(mail.envelope.body, BodyKind::EightBitMime);
        assert!(mail.envelope.smtputf8);
        assert_eq!(mail.envelope.ret, Some(ReturnContent::Headers));
        assert_eq!(mail.envelope.envid.as_deref(), Some("x+y"));
    }

    #[test]
    fn what_mail_refuses() {
        for (text, code) in [
            ("FROM a@b.example", "501 5.5.2"),
            ("FROM:a@b.example", "501 5.1.7"),
            ("FROM:<a@b.example", "501 5.1.7"),
            ("FROM:<a@b.example>SIZE=1", "501 5.1.7"),
            ("FROM:<@x:a@b.example>", "501 5.1.7"),
            ("FROM:<a>", "501 5.1.7"),
            ("FROM:<あ@b.example>", "553 5.6.7"),
            ("FROM:<a@b.example> ENVID=あ", "501 5.5.4"),
            ("FROM:<a@b.example> SIZE=1 SIZE=1", "501 5.5.4"),
            ("FROM:<a@b.example> SIZE=+1", "501 5.5.4"),
            ("FROM:<a@b.example> SIZE", "501 5.5.4"),
            ("FROM:<a@b.example> BODY=BINARYMIME", "501 5.5.4"),
            ("FROM:<a@b.example> SMTPUTF8=1", "501 5.5.4"),
            ("FROM:<a@b.example> ENVID=a+0A", "501 5.5.4"),
            ("FROM:<a@b.example> NOTIFY=NEVER", "555 5.5.4"),
            ("FROM:<a@b.example> X=1", "555 5.5.4"),
            ("FROM:<a@b.example> SIZE=99999999999", "552 5.3.4"),
        ] {
            let reply = mail(text, &config()).unwrap_err().to_string();
            assert!(reply.starts_with(code), "{text}: {reply}");
        }
    }

    #[test]
    fn rcpt_with_its_parameters() {
        let text = "TO:<\"a>b\"@c.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+40y";
        let recipient = rcpt(text, &config(), false).unwrap();
        assert_eq!(recipient.address.local(), "a>b");
        assert_eq!(recipient.notify, Some(Notify::On { success: true, failure: false, delay: true }));
        assert_eq!(&*recipient.original.unwrap().address, "x@y");
        let postmaster = rcpt("TO: <Postmaster>", &config(), false).unwrap();
        assert_eq!(postmaster.address.to_string(), "Postmaster@mx.gateway.example");
    }

    #[test]
    fn our_postmaster_is_who_the_settings_say() {
        let config = SessionConfig { postmaster: Some(Address::parse("admin@acme.example").unwrap()), ..config() };
        let meant = |text| rcpt(text, &config, false).unwrap().address.to_string();
        assert_eq!(meant("TO:<postmaster>"), "admin@acme.example");
        assert_eq!(meant("TO:<PostMaster@MX.gateway.example>"), "admin@acme.example");
        assert_eq!(meant("TO:<postmaster@acme.example>"), "postmaster@acme.example");
        assert_eq!(meant("TO:<a@mx.gateway.example>"), "a@mx.gateway.example");
    }

    #[test]
    fn what_rcpt_refuses() {
        for (text, code) in [
            ("TO:<>", "501 5.1.3"),
            ("TO:<@x,@y:a@b.example>", "550 5.7.1"),
            ("TO:<a@b.example> NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
            ("TO:<a@b.example> NOTIFY=DELAY,DELAY", "501 5.5.4"),
            ("TO:<a@b.example> NOTIFY=", "501 5.5.4"),
            ("TO:<a@b.example> ORCPT=rfc822", "501 5.5.4"),
            ("TO:<a@b.example> ORCPT=rfc822;a+0Db", "501 5.5.4"),
            ("TO:<a@b.example> SIZE=1", "555 5.5.4"),
            ("TO:<あ@b.example>", "553 5.6.7"),
        ] {
            let reply = rcpt(text, &config(), false).unwrap_err().to_string();
            assert!(reply.starts_with(code), "{text}: {reply}");
        }
    }
}
