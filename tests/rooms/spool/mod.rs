//! The durable queue: a model, damage, old segments, and the fuzz target's check.

mod basics;
mod bench;
mod checked;
mod damage;
mod fuzz;
mod model;
mod segments;
