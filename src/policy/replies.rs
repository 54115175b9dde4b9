//! Every public reply text of a decision, in one place. Texts say what to do, never how we are configured.

use std::time::Duration;

use crate::model::disposition::Category;
use crate::model::rates::{Dimension, Measure, Rate};
use crate::model::rule::LimitOf;
use crate::model::units::Span;
use crate::model::{Enhanced, Reply};

pub const TOO_MANY_CONNECTIONS: Reply = Reply::new(421, Enhanced(4, 3, 2), "Too many connections, try again later");
pub const TOO_MANY_FROM_YOU: Reply =
    Reply::new(421, Enhanced(4, 7, 0), "Too many connections from your address, try again later");
pub const OUT_OF_RESOURCES: Reply =
    Reply::new(421, Enhanced(4, 3, 2), "The system is short of memory, try again later");
pub const TOO_SLOW: Reply =
    Reply::new(421, Enhanced(4, 4, 2), "The message arrives too slowly, closing the connection");

pub const STORAGE_LOW: Reply = Reply::new(452, Enhanced(4, 3, 1), "Insufficient system storage, try again later");
pub const STORAGE_TROUBLE: Reply = Reply::new(451, Enhanced(4, 3, 0), "Storage trouble, try again later");
pub const MEMORY_LOW: Reply = Reply::new(452, Enhanced(4, 3, 1), "Insufficient system resources, try again later");
pub const LOCAL_TROUBLE: Reply = Reply::new(451, Enhanced(4, 3, 0), "Local trouble, try again later");

pub const AUTH_REQUIRED: Reply = Reply::new(530, Enhanced(5, 7, 0), "Authentication required");
pub const AUTH_FAILED: Reply = Reply::new(535, Enhanced(5, 7, 8), "Authentication credentials invalid");
pub const AUTH_UNAVAILABLE: Reply = Reply::new(454, Enhanced(4, 7, 0), "Temporary authentication failure");
pub const CLIENT_UNKNOWN: Reply =
    Reply::new(550, Enhanced(5, 7, 1), "Your server is not registered to send mail through this service");
pub const SENDER_NOT_YOURS: Reply =
    Reply::new(550, Enhanced(5, 7, 1), "The sender's domain is not registered for your contract");
pub const SENDER_LITERAL: Reply = Reply::new(550, Enhanced(5, 1, 8), "Senders at address literals are not accepted");

// -- who wrote it (policy::author) ------------------------------------------------
pub const AUTHOR_NOT_YOURS: Reply = Reply::new(
    550,
    Enhanced(5, 7, 1),
    "An address in From, Sender, Resent-From or Resent-Sender is of a domain that is not registered for your contract",
);
pub const AUTHOR_MISSING: Reply =
    Reply::new(550, Enhanced(5, 6, 0), "The message has no From field with an address of your contract's domains");
pub const AUTHOR_TWICE: Reply =
    Reply::new(550, Enhanced(5, 6, 0), "The message has more than one From or Sender field (RFC 5322 section 3.6)");
pub const AUTHOR_DOUBTFUL: Reply = Reply::new(
    550,
    Enhanced(5, 6, 0),
    "From, Sender, Resent-From or Resent-Sender is not written as RFC 5322 section 3.4 asks, or not encoded",
);
pub const HEADER_ODD: Reply =
    Reply::new(550, Enhanced(5, 6, 0), "A line of the header is no field (RFC 5322 section 2.2)");

pub const TENANT_SUSPENDED: Reply =
    Reply::new(451, Enhanced(4, 7, 1), "Mail of this contract is put off for now, try again later");

pub const CONTRACT_FROZEN: Reply =
    Reply::new(451, Enhanced(4, 7, 1), "Mail of this contract is put off until it is renewed, try again later");
pub const CONTRACT_ENDED: Reply =
    Reply::new(550, Enhanced(5, 7, 1), "The contract for this mail has ended, ask its owner for another address");
pub const RECIPIENT_OVER_CONTRACT: Reply =
    Reply::new(450, Enhanced(4, 2, 1), "The recipient is new and not within its contract yet, try again later");
pub const SENDER_OVER_CONTRACT: Reply = Reply::new(
    450,
    Enhanced(4, 7, 1),
    "This sender is new and your contract has no account left, ask your administrator to raise the number",
);

pub const RELAY_DENIED: Reply = Reply::new(550, Enhanced(5, 7, 1), "Relaying denied");
pub const ROUTING_DENIED: Reply =
    Reply::new(550, Enhanced(5, 7, 1), "Recipient addresses that ask for routing are refused");
pub const RECIPIENT_LITERAL: Reply =
    Reply::new(550, Enhanced(5, 1, 2), "Recipients at address literals are not accepted");
pub const NO_SUCH_RECIPIENT: Reply = Reply::new(550, Enhanced(5, 1, 1), "No such recipient here");
pub const TOO_MANY_CONTRACTS: Reply =
    Reply::new(452, Enhanced(4, 5, 3), "Too many different recipient domains, send the others separately");
pub const RECIPIENT_UNVERIFIED: Reply =
    Reply::new(451, Enhanced(4, 4, 3), "The recipient cannot be verified now, try again later");

pub const LOOP: Reply = Reply::new(554, Enhanced(5, 4, 6), "Mail loop: the message has passed too many servers");
pub const NEXT_HOP_UNKNOWN: Reply =
    Reply::new(451, Enhanced(4, 4, 2), "The next hop did not confirm the message, try again later");

// -- who sends (policy::sender) ---------------------------------------------------
// Codes of authentication and reverse names: RFC 7372. 4xx wherever waiting helps a real server.
pub const SENDER_BLOCKED: Reply = Reply::new(550, Enhanced(5, 7, 1), "The recipient does not take mail of this sender");
pub const CLIENT_BLOCKED: Reply =
    Reply::new(550, Enhanced(5, 7, 1), "The recipient does not take mail from your server");
pub const TLS_REQUIRED: Reply =
    Reply::new(550, Enhanced(5, 7, 10), "The recipient takes mail of this sender over TLS only, use STARTTLS");
pub const KNOWN_SOURCE: Reply =
    Reply::new(550, Enhanced(5, 7, 1), "Your server is on a list of known sources of unwanted mail");
pub const REPUTATION_DELAYED: Reply =
    Reply::new(450, Enhanced(4, 7, 1), "Unwanted mail came from your server lately, try again later");
pub const REPUTATION_REFUSED: Reply =
    Reply::new(550, Enhanced(5, 7, 1), "Too much unwanted mail came from your server lately");
pub const REVERSE_MISSING: Reply =
    Reply::new(550, Enhanced(5, 7, 25), "Your server's address has no reverse name (PTR)");
pub const REVERSE_INVALID: Reply =
    Reply::new(550, Enhanced(5, 7, 25), "The reverse name of your server does not lead back to its address");
pub const REVERSE_BLOCKED: Reply =
    Reply::new(550, Enhanced(5, 7, 25), "The recipient does not take mail from servers with such a reverse name");
pub const REVERSE_UNAVAILABLE: Reply =
    Reply::new(451, Enhanced(4, 7, 25), "The reverse name of your server cannot be looked up now, try again later");
pub const HARVEST: Reply = Reply::new(450, Enhanced(4, 7, 1), "Too many unknown recipients, try again later");
pub const GREYLISTED: Reply =
    Reply::new(451, Enhanced(4, 7, 1), "Your server is not known here yet, try again in a few minutes");
pub const SEND_SEPARATELY: Reply =
    Reply::new(452, Enhanced(4, 5, 3), "This recipient's mail is judged otherwise, send it separately");

pub const CLIENT_UNPROVEN: Reply = Reply::new(
    550,
    Enhanced(5, 7, 1),
    "Your server's network is shared: the message lacks the field that shows your contract, or its value is wrong",
);
pub const FORWARD_UNSIGNED: Reply = Reply::new(
    550,
    Enhanced(5, 7, 20),
    "The author is not of your contract's domains, and no valid DKIM signature of the author's domain is there",
);
pub const SENDER_TOO_LONG: Reply =
    Reply::new(550, Enhanced(5, 1, 7), "The sender's address is too long to be forwarded under your domain");
pub const UNSIGNED: Reply =
    Reply::new(451, Enhanced(4, 7, 5), "The message cannot be signed now (DKIM), try again later");

/// Beyond a limit.
#[must_use]
pub const fn too_much(of: LimitOf) -> Reply {
    match of {
        LimitOf::Client => Reply::new(450, Enhanced(4, 7, 1), "Too much mail from your server, try again later"),
        LimitOf::Sender => Reply::new(450, Enhanced(4, 7, 1), "Too much mail of this sender, try again later"),
        LimitOf::Recipient => Reply::new(450, Enhanced(4, 2, 1), "Too much mail for this recipient, try again later"),
    }
}

/// Outbound, beyond so much in such a time.
#[must_use]
pub fn outbound_rate(whose: Dimension, (measure, rate): (Measure, Rate), after: Duration) -> Reply {
    let whose = match whose {
        Dimension::Client => "from your server",
        Dimension::Sender => "of this sender",
        Dimension::Domain => "of this sender's domain",
        Dimension::Tenant => "of your contract",
    };
    let what = match measure {
        Measure::Recipients => "recipients",
        Measure::Messages => "messages",
        Measure::Bytes => "bytes",
    };
    let (allowed, wait) = (allowed(rate, what), wait(after));
    Reply::with_text(
        450,
        Enhanced(4, 7, 1),
        &format!("Too much mail {whose}: {allowed} may pass, nothing is lost, try again in {wait}"),
    )
}

/// Outbound, alike messages to many.
#[must_use]
pub fn alike(rate: Rate, after: Duration) -> Reply {
    let (allowed, wait) = (allowed(rate, "recipients"), wait(after));
    Reply::with_text(
        451,
        Enhanced(4, 7, 1),
        &format!(
            "Alike messages to many are taken slowly: {allowed} may pass, nothing is lost, try again in {wait}; \
             for regular mailings ask your provider for more"
        ),
    )
}

fn allowed(rate: Rate, what: &str) -> String {
    format!("{} {what} in {}", rate.count(), Span(rate.per()))
}

/// In whole seconds, at least one.
fn wait(after: Duration) -> Span {
    Span(Duration::from_secs(after.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)))
}

pub const FROM_INVALID: Reply =
    Reply::new(550, Enhanced(5, 7, 1), "The message must have one From field with authors of one domain");
pub const SPF_FAILED: Reply =
    Reply::new(550, Enhanced(5, 7, 23), "The sender's domain does not let your server send (SPF)");
pub const SPF_BROKEN: Reply = Reply::new(550, Enhanced(5, 7, 24), "The SPF record of the sender's domain is wrong");
pub const SPF_UNAVAILABLE: Reply =
    Reply::new(451, Enhanced(4, 7, 24), "The sender cannot be checked now (SPF), try again later");
pub const DKIM_FAILED: Reply = Reply::new(550, Enhanced(5, 7, 20), "No signature of the message is valid (DKIM)");
pub const DMARC_FAILED: Reply =
    Reply::new(550, Enhanced(5, 7, 26), "The message is not authenticated as the author's domain asks for (DMARC)");
pub const DMARC_BROKEN: Reply = Reply::new(550, Enhanced(5, 7, 26), "The DMARC record of the author's domain is wrong");
pub const AUTHENTICATION_UNAVAILABLE: Reply =
    Reply::new(451, Enhanced(4, 7, 26), "The author's domain cannot be checked now (DMARC), try again later");
/// A rule of a tenant that puts off what others refuse.
pub const AUTHENTICATION_DEFERRED: Reply =
    Reply::new(451, Enhanced(4, 7, 26), "The message is not authenticated, try again later");

// -- what is in it (policy::content) ----------------------------------------------
// They name the kind of trouble, so that an honest sender knows what to change, and never a rule, a signature or points.
pub const SCAN_UNAVAILABLE: Reply =
    Reply::new(451, Enhanced(4, 7, 1), "The message cannot be inspected now, try again later");
pub const SCAN_BUSY: Reply =
    Reply::new(451, Enhanced(4, 3, 2), "Too many messages are being inspected, try again in a minute");

/// Outbound: what nobody can look into does not leave.
pub const TOO_LARGE_TO_INSPECT: Reply =
    Reply::new(552, Enhanced(5, 3, 4), "The message or a file in it is too large to be inspected, send it in parts");

/// Refused for good because of this.
#[must_use]
pub const fn content(category: Category) -> Reply {
    const POLICY: Enhanced = Enhanced(5, 7, 1);
    match category {
        Category::Malware => Reply::new(550, POLICY, "The message was refused: malicious content"),
        Category::RiskyFile => {
            Reply::new(550, POLICY, "The recipient does not take attachments of this kind, send them another way")
        }
        Category::Ambiguous => {
            Reply::new(550, Enhanced(5, 6, 0), "The message is not built as it should be and cannot be inspected")
        }
        Category::Unscannable => Reply::new(550, Enhanced(5, 6, 0), "A part of the message cannot be inspected"),
        Category::Encrypted => {
            Reply::new(550, POLICY, "The recipient does not take attachments with passwords, send them another way")
        }
        Category::Phishing | Category::Impersonation => {
            Reply::new(550, POLICY, "The message was refused: it looks like an attempt to deceive")
        }
        Category::Spam | Category::Suspected => {
            Reply::new(550, POLICY, "The message was refused: it looks like unsolicited mail")
        }
        Category::Bulk => Reply::new(550, POLICY, "The recipient does not take bulk mail"),
    }
}
