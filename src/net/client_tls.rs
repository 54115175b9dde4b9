//! Client side of TLS (written with delivery).
