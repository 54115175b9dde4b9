//! Budgets for the checks of mail and files.

use sekisho::message::specimen::Limits;

/// Small, so that a fuzzer meets them.
pub const SMALL: Limits = Limits {
    parts: 60,
    depth: 12,
    fields: 100,
    header_octets: 64 << 10,
    text: 1 << 20,
    links: 200,
    files: 40,
    layers: 6,
    file_octets: 1 << 20,
    unpacked_octets: 2 << 20,
    ratio: 100,
};
