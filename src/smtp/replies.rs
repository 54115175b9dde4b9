//! Every reply the protocol itself gives: greetings, grammar, order, limits. What policy answers is in `policy::replies`.
//!
//! **Invariants**: our own faults are 4xx; nothing here says 2xx at end of data (see [`AcceptedReply`]).
//!
//! [`AcceptedReply`]: crate::model::AcceptedReply

use crate::model::{Enhanced, Reply};

const fn say(code: u16, class: u8, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::new(code, Enhanced(class, subject, detail), text)
}

// -- go on ---------------------------------------------------------------------
pub const START_TLS: Reply = say(220, 2, 0, 0, "ready to start TLS");
pub const BYE: Reply = say(221, 2, 0, 0, "bye");
pub const AUTHENTICATED: Reply = say(235, 2, 7, 0, "authentication succeeded");
pub const OK: Reply = say(250, 2, 0, 0, "ok");
pub const SENDER_OK: Reply = say(250, 2, 1, 0, "sender ok");
pub const RECIPIENT_OK: Reply = say(250, 2, 1, 5, "recipient ok");
pub const CHUNK_OK: Reply = say(250, 2, 0, 0, "chunk received");
pub const VRFY: Reply = say(252, 2, 0, 0, "send mail and see");
pub const HELP: Reply = say(214, 2, 0, 0, "RFC 5321 knows");
pub const START_MAIL: Reply = Reply::plain(354, "end with <CRLF>.<CRLF>");
pub const PROMPT: Reply = Reply::plain(334, "");
pub const PROMPT_USERNAME: Reply = Reply::plain(334, "VXNlcm5hbWU6");
pub const PROMPT_PASSWORD: Reply = Reply::plain(334, "UGFzc3dvcmQ6");

// -- the connection ends ---------------------------------------------------------
pub const SHUTTING_DOWN: Reply = say(421, 4, 3, 0, "shutting down, try again soon");
pub const TIMED_OUT: Reply = say(421, 4, 4, 2, "timed out waiting for you");
pub const TOO_MANY_ERRORS: Reply = say(421, 4, 7, 0, "too many errors");
pub const TOO_MANY_COMMANDS: Reply = say(421, 4, 7, 0, "too many commands without a message");
pub const TOO_MANY_TRANSACTIONS: Reply = say(421, 4, 7, 0, "too many messages on one connection, reconnect for more");
pub const UNANSWERED: Reply = say(421, 4, 3, 0, "internal fault, try again later");
pub const OUT_OF_STEP: Reply = say(554, 5, 5, 0, "synchronisation error: wait for the reply");
pub const EARLY_TALK: Reply = say(554, 5, 5, 0, "synchronisation error: wait for the greeting");
pub const LINE_TOO_LONG: Reply = say(500, 5, 5, 2, "line too long");
pub const CHUNK_UNREADABLE: Reply = say(501, 5, 5, 4, "BDAT <octets> [LAST]; can't tell where the chunk ends");

// -- grammar ---------------------------------------------------------------------
pub const BAD_LINE_ENDING: Reply = say(500, 5, 5, 2, "lines end in CRLF and hold no other CR, LF or NUL");
pub const NOT_UTF8: Reply = say(500, 5, 5, 2, "not UTF-8");
pub const UNKNOWN_COMMAND: Reply = say(500, 5, 5, 1, "unknown command");
pub const NOT_IMPLEMENTED: Reply = say(502, 5, 5, 1, "not implemented");
pub const NO_ARGUMENT: Reply = say(501, 5, 5, 4, "takes no argument");
pub const BAD_HELO: Reply = say(501, 5, 5, 4, "give your host name or address literal");
pub const MAIL_SYNTAX: Reply = say(501, 5, 5, 2, "MAIL FROM:<address> [parameters]");
pub const RCPT_SYNTAX: Reply = say(501, 5, 5, 2, "RCPT TO:<address> [parameters]");
pub const BAD_SENDER: Reply = say(501, 5, 1, 7, "not an address");
pub const BAD_RECIPIENT: Reply = say(501, 5, 1, 3, "not an address");
pub const SOURCE_ROUTE: Reply = say(550, 5, 7, 1, "source routes are not accepted");
pub const NEEDS_SMTPUTF8: Reply = say(553, 5, 6, 7, "a non-ASCII address needs SMTPUTF8");
pub const BAD_PARAMETER: Reply = say(501, 5, 5, 4, "parameter with a bad value");
pub const DUPLICATE_PARAMETER: Reply = say(501, 5, 5, 4, "parameter given twice");
pub const UNKNOWN_PARAMETER: Reply = say(555, 5, 5, 4, "unknown parameter");

// -- order -----------------------------------------------------------------------
pub const HELO_FIRST: Reply = say(503, 5, 5, 1, "EHLO or HELO first");
pub const MAIL_FIRST: Reply = say(503, 5, 5, 1, "MAIL first");
pub const RCPT_FIRST: Reply = say(503, 5, 5, 1, "RCPT first");
pub const NO_RECIPIENTS: Reply = say(554, 5, 5, 1, "no valid recipients");
pub const NESTED_MAIL: Reply = say(503, 5, 5, 1, "a transaction is open already");
pub const DURING_MAIL: Reply = say(503, 5, 5, 1, "not while a transaction is open");
pub const DURING_CHUNKS: Reply = say(503, 5, 5, 1, "not between BDAT chunks");
pub const TLS_ALREADY: Reply = say(503, 5, 5, 1, "TLS is up already");
pub const TLS_FIRST: Reply = say(530, 5, 7, 0, "STARTTLS first");
pub const AUTH_TLS_FIRST: Reply = say(538, 5, 7, 11, "encryption required for authentication");
pub const AUTH_ALREADY: Reply = say(503, 5, 5, 1, "authenticated already");
pub const AUTH_MECHANISM: Reply = say(504, 5, 5, 4, "AUTH PLAIN or AUTH LOGIN");
pub const AUTH_CANCELLED: Reply = say(501, 5, 7, 0, "authentication cancelled");
pub const AUTH_SYNTAX: Reply = say(501, 5, 5, 2, "bad authentication response");
pub const AUTH_IDENTITY: Reply = say(535, 5, 7, 8, "authorization identity is not the user's");
pub const XCLIENT_DENIED: Reply = say(550, 5, 7, 0, "not authorised");
pub const XCLIENT_SYNTAX: Reply = say(501, 5, 5, 4, "bad attribute");

// -- limits ----------------------------------------------------------------------
pub const TOO_MANY_RECIPIENTS: Reply = say(452, 4, 5, 3, "too many recipients, send the others separately");
pub const TOO_LARGE: Reply = say(552, 5, 3, 4, "message too large");
pub const UNSOUND_LINES: Reply = say(554, 5, 6, 0, "message has a bare CR or bare LF (lines end in CRLF only)");
pub const UNSOUND_NUL: Reply = say(554, 5, 6, 0, "message has a NUL octet");
pub const LONG_LINE: Reply = say(554, 5, 6, 0, "message has a line that is too long");
pub const LARGE_HEADER: Reply = say(552, 5, 3, 4, "message header too large");

/// A refusal never turns into a promise: a positive reply where only 4xx and 5xx make sense becomes our own fault.
pub fn refusal(reply: Reply) -> Reply {
    if reply.is_temporary() || reply.is_permanent() { reply } else { FAULT }
}

const FAULT: Reply = say(451, 4, 3, 0, "internal fault, try again later");
