//! The commands a client writes (RFC 5321 section 4.1.1, RFC 1870, 3030, 3461, 4616, 6152, 6531).
//!
//! **Invariants**: each function writes one line that ends in CRLF. No control character, blank or bracket of a value can
//! end a path, a parameter or the line: addresses are [`Address`](crate::model::Address)es, everything else is encoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

use super::Capabilities;
use super::xtext;
use crate::model::{BodyKind, Domain, Envelope, Notify, Recipient, ReturnContent, ReversePath};

/// Parameters of MAIL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailParameters<'a> {
    pub size: Option<u64>,
    pub body: Option<BodyKind>,
    pub smtputf8: bool,
    pub ret: Option<ReturnContent>,
    pub envid: Option<&'a str>,
}

impl<'a> MailParameters<'a> {
    /// What this server may be told of an envelope. SMTPUTF8 is asked for if the envelope needs it, offered or not: the
    /// caller must not send such mail to a server without it.
    #[must_use]
    pub fn of(envelope: &'a Envelope, size: u64, server: &Capabilities) -> Self {
        Self {
            size: server.size.map(|_| size),
            body: (server.eight_bit && envelope.body == BodyKind::EightBitMime).then_some(envelope.body),
            smtputf8: envelope.smtputf8,
            ret: envelope.ret.filter(|_| server.dsn),
            envid: envelope.envid.as_deref().filter(|_| server.dsn),
        }
    }
}

/// `EHLO name`
pub fn ehlo(name: &Domain, out: &mut BytesMut) {
    line(&[b"EHLO ", name.as_str().as_bytes()], out);
}

/// `HELO name`
pub fn helo(name: &Domain, out: &mut BytesMut) {
    line(&[b"HELO ", name.as_str().as_bytes()], out);
}

/// `MAIL FROM:<sender> [parameters]`
pub fn mail(sender: &ReversePath, parameters: &MailParameters<'_>, out: &mut BytesMut) {
    out.put_slice(b"MAIL FROM:<");
    if let Some(address) = sender.address() {
        put(address, out);
    }
    out.put_u8(b'>');
    if let Some(size) = parameters.size {
        out.put_slice(b" SIZE=");
        put(&size, out);
    }
    match parameters.body {
        None => {}
        Some(BodyKind::SevenBit) => out.put_slice(b" BODY=7BIT"),
        Some(BodyKind::EightBitMime) => out.put_slice(b" BODY=8BITMIME"),
    }
    if parameters.smtputf8 {
        out.put_slice(b" SMTPUTF8");
    }
    match parameters.ret {
        None => {}
        Some(ReturnContent::Full) => out.put_slice(b" RET=FULL"),
        Some(ReturnContent::Headers) => out.put_slice(b" RET=HDRS"),
    }
    if let Some(envid) = parameters.envid {
        out.put_slice(b" ENVID=");
        xtext::encode(envid, out);
    }
    out.put_slice(b"\r\n");
}

/// `RCPT TO:<recipient> [NOTIFY ORCPT]`; the parameters only for a server that offers DSN.
pub fn rcpt(recipient: &Recipient, dsn: bool, out: &mut BytesMut) {
    out.put_slice(b"RCPT TO:<");
    put(&recipient.address, out);
    out.put_u8(b'>');
    if dsn {
        if let Some(notify) = recipient.notify {
            put_notify(notify, out);
        }
        put_original(recipient, out);
    }
    out.put_slice(b"\r\n");
}

/// `DATA`
pub fn data(out: &mut BytesMut) {
    line(&[b"DATA"], out);
}

/// `BDAT octets [LAST]`; the octets follow at once.
pub fn bdat(octets: u64, last: bool, out: &mut BytesMut) {
    out.put_slice(b"BDAT ");
    put(&octets, out);
    out.put_slice(if last { b" LAST\r\n" } else { b"\r\n" });
}

/// `RSET`
pub fn rset(out: &mut BytesMut) {
    line(&[b"RSET"], out);
}

/// `STARTTLS`
pub fn starttls(out: &mut BytesMut) {
    line(&[b"STARTTLS"], out);
}

/// `QUIT`
pub fn quit(out: &mut BytesMut) {
    line(&[b"QUIT"], out);
}

/// `AUTH PLAIN` with its response (RFC 4616); to be sent under TLS only.
pub fn auth_plain(username: &str, password: &str, out: &mut BytesMut) {
    let response = STANDARD.encode(format!("\0{username}\0{password}"));
    line(&[b"AUTH PLAIN ", response.as_bytes()], out);
}

fn line(parts: &[&[u8]], out: &mut BytesMut) {
    for part in parts {
        out.put_slice(part);
    }
    out.put_slice(b"\r\n");
}

fn put(value: &impl std::fmt::Display, out: &mut BytesMut) {
    use std::fmt::Write as _;
    // writing to BytesMut fails only when it can't grow, and then it aborts
    let _ = write!(out, "{value}");
}

fn put_notify(notify: Notify, out: &mut BytesMut) {
    let Notify::On { success, failure, delay } = notify else {
        out.put_slice(b" NOTIFY=NEVER");
        return;
    };
    let mut separator = b" NOTIFY=".as_slice();
    for (word, wanted) in [("SUCCESS", success), ("FAILURE", failure), ("DELAY", delay)] {
        if wanted {
            out.put_slice(separator);
            out.put_slice(word.as_bytes());
            separator = b",";
        }
    }
}

/// What the client gave; a recipient without ORCPT gets none, it would only repeat RCPT.
fn put_original(recipient: &Recipient, out: &mut BytesMut) {
    let Some(original) = &recipient.original else { return };
    let kind = &*original.address_type;
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return;
    }
    out.put_slice(b" ORCPT=");
    out.put_slice(kind.as_bytes());
    out.put_u8(b';');
    if kind.eq_ignore_ascii_case("utf-8") {
        xtext::encode_utf8_address(&original.address, out);
    } else {
        xtext::encode(&original.address, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, OriginalRecipient};

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn mail_with_what_the_server_offers() {
        let mut envelope = Envelope::from_sender(ReversePath::Mailbox(Address::parse("a@b.example").unwrap()));
        envelope.body = BodyKind::EightBitMime;
        envelope.ret = Some(ReturnContent::Headers);
        envelope.envid = Some("x y\r\nRSET".into());
        let all = Capabilities { size: Some(0), eight_bit: true, dsn: true, ..Capabilities::default() };
        assert_eq!(
            written(|out| mail(&envelope.sender, &MailParameters::of(&envelope, 7, &all), out)),
            "MAIL FROM:<a@b.example> SIZE=7 BODY=8BITMIME RET=HDRS ENVID=x+20y+0D+0ARSET\r\n"
        );
        let none = Capabilities::default();
        assert_eq!(
            written(|out| mail(&ReversePath::Null, &MailParameters::of(&envelope, 7, &none), out)),
            "MAIL FROM:<>\r\n"
        );
    }

    #[test]
    fn rcpt_with_dsn_and_without() {
        let mut recipient = Recipient::new(Address::parse("\"a b\"@c.example").unwrap());
        recipient.notify = Some(Notify::On { success: true, failure: true, delay: false });
        recipient.original = Some(OriginalRecipient { address_type: "rfc822".into(), address: "a+b@c".into() });
        assert_eq!(
            written(|out| rcpt(&recipient, true, out)),
            "RCPT TO:<\"a b\"@c.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@c\r\n"
        );
        assert_eq!(written(|out| rcpt(&recipient, false, out)), "RCPT TO:<\"a b\"@c.example>\r\n");
        recipient.original = Some(OriginalRecipient { address_type: "x;y\r\n".into(), address: "a".into() });
        recipient.notify = Some(Notify::Never);
        assert_eq!(written(|out| rcpt(&recipient, true, out)), "RCPT TO:<\"a b\"@c.example> NOTIFY=NEVER\r\n");
    }

    #[test]
    fn the_short_ones() {
        assert_eq!(written(|out| bdat(12, true, out)), "BDAT 12 LAST\r\n");
        assert_eq!(written(|out| bdat(0, false, out)), "BDAT 0\r\n");
        assert_eq!(written(|out| auth_plain("u\r\n", "p", out)), "AUTH PLAIN AHUNCgBw\r\n");
        assert_eq!(written(|out| ehlo(&Domain::parse("mx.example").unwrap(), out)), "EHLO mx.example\r\n");
    }
}
