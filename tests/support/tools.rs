//! Debian's mail tools, found or honestly missed.

use std::path::PathBuf;

/// The tool's path, looked for in PATH and in the places of system daemons.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/usr/lib/postfix/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(extra).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The tool, or a skipped test: with `CI` set, a missing tool is a failure.
#[macro_export]
macro_rules! need_tool {
    ($name:expr) => {
        match $crate::support::tools::find($name) {
            Some(path) => path,
            None => {
                assert!(std::env::var_os("CI").is_none(), "{} is not installed", $name);
                println!("SKIPPED: {} is not installed (tests/run installs it)", $name);
                return;
            }
        }
    };
}
