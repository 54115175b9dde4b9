//! From due to outcome.
mod config;
mod connect;
mod connection;
mod content;
mod transaction;
mod trouble;
mod retry;
mod route;
