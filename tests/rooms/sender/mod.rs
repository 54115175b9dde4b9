//! What is known of senders, from outside: the fuzz targets' checks.

mod fuzz;
