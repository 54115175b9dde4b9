//! `sekisho config check|show|explain`.
//!
//! ```text
//! sekisho config show --origin --changed
//! sekisho config explain smtp.command_timeout
//! ```

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Subcommand;

use super::failure::Failure;
use super::{Style, exit, load};
use crate::config::{self, Effect, Effective, Key, Origin, Settings, Value};
use crate::model::written::{Problem, Problems, nearest};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the settings and tell everything that is wrong
    Check,
    /// Print the settings in force
    Show {
        /// And where each comes from: file and line, environment or default
        #[arg(long)]
        origin: bool,
        /// Only what is not the default
        #[arg(long)]
        changed: bool,
    },
    /// Tell what a key or a section means
    Explain {
        /// As `smtp.command_timeout`, `listener.bind`, `delivery`; all if none is named
        key: Option<String>,
    },
}

pub(super) fn run(command: &ConfigCommand, file: &Path, style: Style, out: &mut impl Write) -> Result<u8, Failure> {
    match command {
        ConfigCommand::Check => check(file, style, out)?,
        ConfigCommand::Show { origin, changed } => {
            for one in load(file)?.effective.iter().filter(|one| !changed || one.origin != Origin::Default) {
                show(one, *origin, style, out)?;
            }
        }
        ConfigCommand::Explain { key } => explain(key.as_deref(), file, style, out)?,
    }
    Ok(exit::OK)
}

fn check(file: &Path, style: Style, out: &mut impl Write) -> Result<(), Failure> {
    let loaded = load(file)?;
    let mut problems = Problems::default();
    check_files(&loaded.settings, &mut problems);
    let loaded = problems.or(Some(loaded)).map_err(Failure::Settings)?;
    let files: Vec<String> = loaded.files.iter().map(|path| path.display().to_string()).collect();
    if style.json {
        writeln!(out, "{}", serde_json::json!({ "v": 1, "ok": true, "files": files }))?;
    } else {
        writeln!(out, "{}: sound", files.join(", "))?;
    }
    Ok(())
}

/// What the settings name must be there; keys must not be everybody's to read.
fn check_files(settings: &Settings, problems: &mut Problems) {
    let listeners = settings.listeners.iter().filter_map(|listener| listener.certificate.as_ref());
    let mut seen = std::collections::BTreeSet::new();
    for files in listeners.chain(&settings.tls.files) {
        for (path, secret) in [(&files.certificate, false), (&files.key, true)] {
            if seen.insert(path) {
                check_file(path, secret, problems);
            }
        }
    }
    for path in settings.tls.trust_anchors.iter().chain(&settings.sender.countries) {
        check_file(path, false, problems);
    }
}

fn check_file(path: &Path, secret: bool, problems: &mut Problems) {
    let opened = std::fs::File::open(path).and_then(|file| file.metadata());
    match opened {
        Err(error) => problems.push(Problem::new(None, format!("can't read {}: {error}", path.display()))),
        Ok(facts) if secret && facts.permissions().mode() & 0o004 != 0 => {
            let problem = Problem::new(None, format!("everybody can read the key {}", path.display()));
            problems.push(problem.help("chmod 0640 or less"));
        }
        Ok(_) => {}
    }
}

fn show(one: &Effective, origin: bool, style: Style, out: &mut impl Write) -> std::io::Result<()> {
    if style.json {
        let line = serde_json::json!({
            "v": 1, "name": one.name, "value": one.value.to_json(), "origin": one.origin.to_string(),
        });
        return writeln!(out, "{line}");
    }
    let value = match one.value {
        Value::Unset if one.key.absent.is_empty() => "\"off\"".into(),
        Value::Unset => format!("({})", one.key.absent),
        ref value => value.to_string(),
    };
    if origin {
        writeln!(out, "{} = {value}  # {}", one.name, one.origin)
    } else {
        writeln!(out, "{} = {value}", one.name)
    }
}

fn explain(name: Option<&str>, file: &Path, style: Style, out: &mut impl Write) -> Result<(), Failure> {
    let all = config::all;
    let keys: Vec<&Key> = match name {
        None => all().collect(),
        Some(name) => {
            // listener.mx.bind is explained as listener.bind
            let plain = config::plain(name);
            let inside = |key: &&Key| key.name == plain || key.name.starts_with(&format!("{plain}."));
            all().filter(inside).collect()
        }
    };
    if keys.is_empty() {
        let name = name.unwrap_or_default().to_owned();
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let near = nearest(&last(&name), all().map(Key::last)).and_then(|near| all().find(|key| key.last() == near));
        return Err(Failure::NoKey { help: near.map(|key| format!("did you mean {}?", key.name)), name });
    }
    // Explaining works without sound settings; then there are no values to show.
    let effective = load(file).map(|loaded| loaded.effective).unwrap_or_default();
    for key in keys {
        let now: Vec<&Effective> = effective.iter().filter(|one| one.key == key).collect();
        tell(key, &now, style, out)?;
    }
    Ok(())
}

fn tell(key: &Key, now: &[&Effective], style: Style, out: &mut impl Write) -> std::io::Result<()> {
    let default = if key.default.is_empty() { format!("({})", key.absent) } else { key.default.to_owned() };
    if style.json {
        let values: Vec<_> = now
            .iter()
            .map(|one| serde_json::json!({ "name": one.name, "value": one.value.to_json(), "origin": one.origin.to_string() }))
            .collect();
        let line = serde_json::json!({
            "v": 1, "name": key.name, "type": key.kind.describe(), "default": default, "effect": key.effect,
            "doc": key.doc, "now": values,
        });
        return writeln!(out, "{line}");
    }
    writeln!(out, "{}\n    {}", key.name, key.doc)?;
    writeln!(out, "    type: {}", key.kind.describe())?;
    writeln!(out, "    default: {default}")?;
    let effect = match key.effect {
        Effect::Reload => "reload (SIGHUP)",
        Effect::Restart => "restart",
    };
    writeln!(out, "    takes effect at: {effect}")?;
    for one in now.iter().filter(|one| one.origin != Origin::Default) {
        writeln!(out, "    now: {} = {}  # {}", one.name, one.value, one.origin)?;
    }
    Ok(())
}
