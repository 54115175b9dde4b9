//! `sekisho serve` and `sekisho demo`: hands over to the composition and waits until it ends.

use std::path::Path;

use super::failure::Failure;
use crate::config::Loaded;

pub(super) fn run(file: &Path, loaded: Loaded) -> Result<u8, Failure> {
    let listeners = loaded.settings.listeners.len();
    Err(Failure::Other(format!("{}: {listeners} listeners, and nothing to run them yet", file.display())))
}

pub(super) fn demo() -> Result<u8, Failure> {
    Err(Failure::Other("there is no demonstration yet".into()))
}
