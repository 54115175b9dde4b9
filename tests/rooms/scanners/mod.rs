//! Scanners of others: what they say, and what it is taken for.

mod answers;
mod fuzz;
