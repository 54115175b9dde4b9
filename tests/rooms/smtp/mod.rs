//! The pure session: golden talks, properties, and the fuzz targets' checks.

mod fuzz;
mod golden;
mod properties;
mod socket;
mod talk;
mod transcript;
mod wire;
