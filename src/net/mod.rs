//! Sockets: who may connect, and TLS on both sides.

pub mod client_tls;
