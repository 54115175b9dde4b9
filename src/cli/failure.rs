//! Why a command failed, how it is told, and the exit code it leads to.

use std::path::PathBuf;

use super::{Style, exit};
use crate::model::TenantId;
use crate::model::written::Problems;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the settings can't be used:\n{0}")]
    Settings(Problems),
    #[error("the tenants can't be used:\n{0}")]
    Tenants(Problems),
    #[error("can't read {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("there is no tenant {0}")]
    NoTenant(TenantId),
    #[error("there is no setting {name:?}{}", help.as_ref().map(|help| format!("; {help}")).unwrap_or_default())]
    NoKey { name: String, help: Option<String> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Temporary(String),
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) => exit::CONFIG,
            Self::NoTenant(_) | Self::NoKey { .. } | Self::NotFound(_) => exit::NOT_FOUND,
            Self::Usage(_) => exit::USAGE,
            Self::Conflict(_) => exit::CONFLICT,
            Self::Temporary(_) => exit::TEMPORARY,
            Self::Tenants(_) | Self::File { .. } | Self::Store(_) | Self::Other(_) | Self::Io(_) => exit::FAILED,
        }
    }

    /// Tells it on stderr; returns the exit code. A reader of ours that has seen enough is no failure.
    pub(super) fn tell(&self, style: Style) -> u8 {
        if let Self::Io(error) = self
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            return exit::OK;
        }
        match self {
            Self::Settings(problems) | Self::Tenants(problems) if style.json => {
                let report = serde_json::json!({ "v": 1, "ok": false, "problems": problems });
                println!("{report}");
            }
            _ if style.color => eprintln!("\x1b[31msekisho:\x1b[0m {self}"),
            _ => eprintln!("sekisho: {self}"),
        }
        self.code()
    }
}
