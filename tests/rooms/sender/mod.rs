//! The sender room from outside: the fuzz targets' checks under the ordinary tests.

mod fuzz;
mod fuzz_dnsxl;
