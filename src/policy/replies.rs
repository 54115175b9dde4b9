//! Every public reply text of a decision, in one place. Texts say what to do, never how we are configured.

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

pub const TENANT_SUSPENDED: Reply =
    Reply::new(451, Enhanced(4, 7, 1), "Mail of this contract is put off for now, try again later");

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
