//! SMTP as pure machines: octets in, octets and questions out. No socket, clock or task; the driver is in `intake` (server)
//! and `delivery` (client).
//!
//! Server: [`Session`] is stepped with what was read; it answers the protocol by itself and asks where policy must decide.
//! Client: [`ReplyReader`], [`Capabilities`], [`DotStuffer`] and [`command_line`].
//!
//! **Invariants**: see [`session`] and [`body`]; every public reply text of the protocol is in [`replies`].

mod auth;
pub mod body;
pub mod capabilities;
pub mod command;
pub mod command_line;
pub mod config;
mod dialogue;
pub mod dot_stuffing;
mod parameters;
pub mod question;
pub mod replies;
pub mod reply_reader;
pub mod session;
pub mod step;
pub mod xclient;
pub mod xtext;

pub use capabilities::Capabilities;
pub use config::{AuthOffer, Limits, SessionConfig};
pub use dot_stuffing::DotStuffer;
pub use question::{
    AuthQuestion, DataQuestion, HeloQuestion, MailQuestion, MessageQuestion, MessageReply, Question, RcptQuestion,
    XclientQuestion,
};
pub use reply_reader::{ReplyError, ReplyReader};
pub use session::Session;
pub use step::{CloseReason, Phase, RcptRefused, Refused, Start, Step};
