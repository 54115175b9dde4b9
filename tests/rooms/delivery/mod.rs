//! From due to outcome, against fake servers and a fake DNS.

mod bench;
mod egress;
mod handoff;
mod notices;
mod routes;
mod transactions;
