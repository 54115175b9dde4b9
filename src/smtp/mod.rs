//! SMTP as pure machines: octets in, octets and questions out. No socket, clock or task; the driver is in `intake` (server)
//! and `delivery` (client).
//!
//! Server: [`Session`] is stepped with what was read; it answers the protocol by itself and asks where policy must decide.
//! Client: `reply_reader`, `capabilities`, `dot_stuffing` and `command_line`.
//!
//! **Invariants**: see [`session`] and [`body`]; every public reply text of the protocol is in [`replies`].

mod auth;
pub mod body;
pub mod command;
pub mod config;
mod dialogue;
mod parameters;
pub mod question;
pub mod replies;
pub mod session;
pub mod xclient;
pub mod xtext;

pub use config::{AuthOffer, Limits, SessionConfig};
pub use question::{
    AuthQuestion, DataQuestion, HeloQuestion, MailQuestion, MessageQuestion, MessageReply, Question, RcptQuestion,
    XclientQuestion,
};
pub use session::{CloseReason, Phase, Refused, Session, Start, Step};
