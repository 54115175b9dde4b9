//! `sekisho tenant ls|show|hash-password|purge|purges`.
//!
//! ```text
//! sekisho tenant ls --json | jq -r .id
//! printf %s "$PASSWORD" | sekisho tenant hash-password
//! ```

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use clap::Subcommand;
use serde::Serialize;

use super::failure::Failure;
use super::tenant_purge::{self, PurgeArgs};
use super::{Style, exit, load};
use crate::model::TenantId;
use crate::store::{SqliteTenants, TenantStore};
use crate::tenant::{self, ClientSpec, RecipientsSpec, TenantSpec};

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// List tenants
    Ls,
    /// Everything about one tenant but its secrets
    Show {
        #[arg(value_parser = TenantId::parse)]
        id: TenantId,
    },
    /// Read a password from stdin, print its hash for password_hash
    HashPassword,
    /// Erase all data of a tenant whose contract has ended, and print the record of it
    Purge(PurgeArgs),
    /// Print the records of all purges, and check that none was changed
    Purges,
}

pub(super) async fn run(
    command: TenantCommand,
    file: &Path,
    style: Style,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    match command {
        TenantCommand::Ls => list(&open(file).await?, style, out).await?,
        TenantCommand::Show { id } => {
            let spec = open(file).await?.find(&id).await?.ok_or(Failure::NoTenant(id))?;
            if style.json {
                writeln!(out, "{}", to_json(&spec))?;
            } else {
                out.write_all(to_toml(&spec).as_bytes())?;
            }
        }
        TenantCommand::Purge(args) => {
            return tenant_purge::run(args, &load(file)?.settings.data_dir, style, out).await;
        }
        TenantCommand::Purges => return tenant_purge::show(&load(file)?.settings.data_dir, out).await,
        TenantCommand::HashPassword => writeln!(out, "{}", hash(std::io::stdin().lock())?)?,
    }
    Ok(exit::OK)
}

async fn open(file: &Path) -> Result<SqliteTenants, Failure> {
    Ok(SqliteTenants::open(&load(file)?.settings.data_dir).await?)
}

async fn list(store: &SqliteTenants, style: Style, out: &mut (impl Write + Send)) -> Result<(), Failure> {
    let mut failed = None;
    let mut each = |spec: TenantSpec| {
        let line = if style.json { to_json(&spec).to_string() } else { row(&spec) };
        failed = failed.take().or_else(|| writeln!(out, "{line}").err());
    };
    store.load(&mut each).await?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn row(spec: &TenantSpec) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let state = word(serde_json::json!(spec.state));
    let custody = word(serde_json::json!(spec.custody));
    let domains: Vec<&str> = spec.domains.iter().take(3).map(|domain| domain.name.as_str()).collect();
    let more = match spec.domains.len().saturating_sub(domains.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{:<20} {state:<9} {custody:<7} {}{more}  {}", spec.id.as_str(), domains.join(" "), spec.name)
}

/// Without secrets.
fn to_json(spec: &TenantSpec) -> serde_json::Value {
    #[derive(Serialize)]
    struct Shown<'s> {
        v: u8,
        #[serde(flatten)]
        spec: &'s TenantSpec,
    }
    let mut value = serde_json::to_value(Shown { v: 1, spec }).unwrap_or_default();
    tenant::hide_secrets(&mut value);
    value
}

/// As in a tenants file, without secrets.
fn to_toml(spec: &TenantSpec) -> String {
    let mut text = String::new();
    let quoted = |value: &dyn std::fmt::Display| toml::Value::String(value.to_string()).to_string();
    let word = |value: serde_json::Value| value.to_string();
    let mut line = |key: &str, value: String| {
        if key.is_empty() {
            return;
        }
        let _ = writeln!(text, "{key}{}{value}", if value.is_empty() { "" } else { " = " });
    };
    line("[[tenant]]", String::new());
    line("id", quoted(&spec.id));
    line("name", quoted(&spec.name));
    for (key, value) in [("sign", serde_json::json!(spec.sign)), ("forwards", serde_json::json!(spec.forwards))] {
        line(key, word(value));
    }
    line("state", word(serde_json::json!(spec.state)));
    line("custody", word(serde_json::json!(spec.custody)));
    if !spec.administrators.is_empty() {
        line("administrators", as_toml(&serde_json::json!(spec.administrators)));
    }
    let contract = serde_json::json!(spec.contract);
    for (name, table) in [
        ("sender", serde_json::json!(spec.sender)),
        ("content", serde_json::json!(spec.content)),
        ("contract", contract),
        ("rates", if spec.rates.is_empty() { serde_json::Value::Null } else { serde_json::json!(spec.rates) }),
    ] {
        line(&tables(&format!("tenant.{name}"), &table), String::new());
    }
    for person in &spec.people {
        line("[[tenant.person]]", String::new());
        line("name", quoted(&person.name));
        line("addresses", as_toml(&serde_json::json!(person.addresses)));
    }
    for domain in &spec.domains {
        line("[[tenant.domain]]", String::new());
        line("name", quoted(&domain.name));
        let hop = |hop: &tenant::NextHop| match hop.priority {
            0 => quoted(hop),
            priority => format!("{{ host = {}, port = {}, priority = {priority} }}", quoted(&hop.host), hop.port),
        };
        line("next_hops", format!("[{}]", domain.next_hops.iter().map(hop).collect::<Vec<_>>().join(", ")));
        line("tls", word(serde_json::json!(domain.tls)));
        line(
            "recipients",
            match &domain.recipients {
                RecipientsSpec::Any => quoted(&"any"),
                RecipientsSpec::CallAhead => quoted(&"call-ahead"),
                RecipientsSpec::List(list) => {
                    format!("[{}]", list.iter().map(|address| quoted(address)).collect::<Vec<_>>().join(", "))
                }
            },
        );
        for (name, table) in
            [("sender", serde_json::json!(domain.sender)), ("content", serde_json::json!(domain.content))]
        {
            line(&tables(&format!("tenant.domain.{name}"), &table), String::new());
        }
    }
    for client in &spec.outbound_clients {
        line("[[tenant.outbound_client]]", String::new());
        match client {
            ClientSpec::Network(network) => line("network", quoted(network)),
            ClientSpec::Login { username, .. } => {
                line("username", quoted(username));
                line("# password_hash is not shown", String::new());
            }
            ClientSpec::Certificate(print) => line("certificate", quoted(print)),
            ClientSpec::Header(proof) => {
                let networks: Vec<_> = proof.networks.iter().map(|network| quoted(network)).collect();
                line("network", format!("[{}]", networks.join(", ")));
                line("header", quoted(&proof.header));
                line("# value is not shown", String::new());
            }
        }
    }
    text
}

/// A table of the stored form as it is written, with those within it; nothing for one that isn't there.
fn tables(path: &str, stored: &serde_json::Value) -> String {
    let Some(map) = stored.as_object() else { return String::new() };
    let (inner, plain): (Vec<_>, Vec<_>) = map.iter().partition(|(_, value)| value.is_object());
    let mut text = if plain.is_empty() && !inner.is_empty() { String::new() } else { format!("[{path}]") };
    for (key, value) in plain {
        // Points are kept in thousandths.
        let value = match value.as_f64() {
            Some(thousandths) if path.ends_with(".thresholds") => format!("{:?}", thousandths / 1000.0),
            _ => as_toml(value),
        };
        let _ = write!(text, "\n{key} = {value}");
    }
    for (key, value) in inner {
        let more = tables(&format!("{path}.{key}"), value);
        if !text.is_empty() && !more.is_empty() {
            text.push('\n');
        }
        text.push_str(&more);
    }
    text
}

fn as_toml(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => toml::Value::String(text.clone()).to_string(),
        serde_json::Value::Array(list) => {
            format!("[{}]", list.iter().map(as_toml).collect::<Vec<_>>().join(", "))
        }
        serde_json::Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key} = {}", as_toml(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// The argon2id hash of the first line.
fn hash(mut input: impl BufRead) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        eprintln!("sekisho: type the password and press Enter (it is shown)");
    }
    let mut line = String::new();
    input.read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::Other("there is no password on stdin".into()));
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| Failure::Other(format!("can't hash the password: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_a_tenants_file_without_secrets() {
        let hashed = hash(&b"correct horse\n"[..]).unwrap();
        let text = format!(
            "[[tenant]]\nid='a'\nname='A \"B\"'\ncustody='inline'\n[[tenant.domain]]\nname='a.example'\nnext_hops=['[::1]:26',\
             {{host='b.example',priority=5}}]\nrecipients=['x@a.example']\n[[tenant.outbound_client]]\nnetwork='10.0.0.0/8'\n\
             [[tenant.outbound_client]]\nusername='u'\npassword_hash='{hashed}'\n"
        );
        let spec = tenant::read("t", &text).unwrap().remove(0);
        let shown = to_toml(&spec);
        assert!(!shown.contains("argon2"), "{shown}");
        assert!(!to_json(&spec).to_string().contains("argon2"));
        let completed = shown.replace("# password_hash is not shown", &format!("password_hash = '{hashed}'"));
        assert_eq!(tenant::read("t", &completed).unwrap(), [spec]);
    }

    /// The whole example, secrets aside, is shown so that it reads back.
    #[test]
    fn what_is_said_of_senders_and_content_is_shown_too() {
        let example = include_str!("../../config/tenants.example.toml");
        let spec = tenant::read("t", example).unwrap().remove(0);
        let shown = to_toml(&spec);
        for line in
            ["[tenant.content.inbound.thresholds]", "spam = 5.0", "[tenant.domain.content.inbound]", "[tenant.sender]"]
        {
            assert!(shown.lines().any(|own| own == line), "{line} is not in {shown}");
        }
        let hash = example.lines().find(|line| line.starts_with("password_hash")).unwrap();
        let value = example.lines().find(|line| line.starts_with("value")).unwrap();
        let completed = shown.replace("# password_hash is not shown", hash).replace("# value is not shown", value);
        assert_eq!(tenant::read("t", &completed).unwrap_or_else(|problems| panic!("{problems}{completed}")), [spec]);
    }

    #[test]
    fn an_empty_password_is_refused() {
        assert!(hash(&b"\n"[..]).is_err());
    }
}
