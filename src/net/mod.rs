//! Everything between a socket and a protocol: listeners, admission, PROXY headers, TLS, and the transport a session talks over.
//!
//! **Failure**: a connection that can't be admitted is told so (421) or left in the kernel's queue, never left hanging;
//! running out of descriptors pauses accepting instead of spinning.

pub mod admission;
pub mod alarm;
pub mod client_tls;
pub mod listener;
pub mod proxy;
pub mod server_tls;
pub mod transport;
