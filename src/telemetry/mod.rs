//! To be written: telemetry.
