//! `sekisho tenant purge ID`: erases a tenant whose contract has ended, everywhere, and leaves a record that proves it.
//!
//! In this order: the tenant is suspended, so that nothing new comes; its queue, quarantine, measures and what is known of its senders,
//! list entries, what its users taught the classifier, keys and accounts go; at last the tenant itself. A purge that broke off is run again. Each record has a hash over itself and the hash before it: none can
//! be changed or taken out without all later ones telling.
//!
//! **Failure**: without a running node nothing is erased, because only it can erase what it holds. What is being delivered at the
//! moment is waited for.
//! **Elsewhere**: lines of the mail log are files of the operator's, who keeps them by his own rules; the numbers of closed days stay.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use clap::Args;
use hyper::Method;
use serde::Serialize;

use super::control_client::{ClientError, ask};
use super::failure::Failure;
use super::{Style, exit};
use crate::accounts::AccountStore;
use crate::admin::{quarantine, queue, suspension};
use crate::clock::Clock;
use crate::model::lists::EntryId;
use crate::model::{MessageId, TenantId, Timestamp};
use crate::signatures::layers::{self, Layers};
use crate::store::{
    KeyEdit, KeyStore, ListFilter, ListStore, Mode, Signing, SqliteAccounts, SqliteKeys, SqliteLists, SqliteTenants,
    TenantStore, Whose,
};
use crate::tenant::{Contract, Phase, TenantSpec, TenantState};

/// How often what is just being delivered is asked for again, a second apart.
const PATIENCE: u32 = 60;
/// The running node takes an edit up within this.
const FOLLOWED: Duration = Duration::from_secs(1);
/// Entries removed by one transaction.
const BATCH: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    #[arg(value_parser = TenantId::parse)]
    id: TenantId,
    /// Do it; without this it is only told what stands in the way
    #[arg(long)]
    yes: bool,
    /// Even if the contract has not ended
    #[arg(long)]
    early: bool,
    /// Why; kept in the record and in the mail log
    #[arg(long, default_value = "the contract has ended")]
    reason: String,
    /// Who does it
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
}

/// What was erased, in numbers.
#[derive(Debug, Default, Serialize)]
struct Erased {
    queued_messages: u64,
    quarantined_messages: u64,
    suspensions: u64,
    sender_records: u64,
    list_entries: u64,
    /// Messages by which its users taught the classifier.
    lessons: u64,
    keys: u64,
    accounts: u64,
    aliases: u64,
    domains: usize,
}

#[derive(Debug, Serialize)]
struct Record<'r> {
    v: u8,
    tenant: &'r TenantId,
    name: &'r str,
    at: Timestamp,
    by: &'r str,
    reason: &'r str,
    /// SHA-256 of the tenant as it was kept.
    specification: String,
    erased: Erased,
    kept: [&'static str; 4],
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unavailable { .. } => Self::Temporary(error.to_string()),
            error => Self::Other(error.to_string()),
        }
    }
}

pub(super) async fn run(
    args: PurgeArgs,
    data_dir: &Path,
    style: Style,
    out: &mut (impl Write + Send),
) -> Result<u8, Failure> {
    let tenants = SqliteTenants::open(data_dir).await?;
    let spec = tenants.find(&args.id).await?.ok_or_else(|| Failure::NoTenant(args.id.clone()))?;
    let now = Clock::System.now();
    let phase = spec.contract.as_deref().map(|contract| Contract::compile(contract).phase(now));
    if phase != Some(Phase::Ended) && !args.early {
        let phase = phase.map_or("without a contract", Phase::as_str);
        return Err(Failure::Conflict(format!("tenant {} is {phase}, not ended; --early purges it even so", args.id)));
    }
    if !args.yes {
        return Err(Failure::Usage(format!("--yes erases all data of tenant {} ({}) for good", args.id, spec.name)));
    }
    // First of all the node: without it nothing is begun.
    ask(data_dir, Method::GET, "/queue/summary", Vec::new()).await?;
    let stored = serde_json::to_vec(&spec).map_err(|error| Failure::Other(error.to_string()))?;
    suspend(&tenants, &spec).await?;
    let (accounts, aliases) = {
        let store = SqliteAccounts::open(data_dir).await?;
        let erased = store.erase(&args.id).await?;
        (erased.accounts, erased.aliases)
    };
    let (queued_messages, quarantined_messages) =
        (empty_queue(data_dir, &args).await?, empty_quarantine(data_dir, &args).await?);
    // After the queue: what becomes of its last mail would be noted again.
    let senders = forget_senders(data_dir, &args).await?;
    let erased = Erased {
        queued_messages,
        quarantined_messages,
        suspensions: senders.measures,
        sender_records: senders.records,
        list_entries: forget_lists(data_dir, &args.id).await?,
        lessons: forget_lessons(data_dir, &args.id)?,
        keys: forget_keys(data_dir, &spec).await?,
        accounts,
        aliases,
        domains: spec.domains.len(),
    };
    edit(&tenants, |specs| specs.retain(|other| other.id != args.id)).await?;
    tokio::time::sleep(FOLLOWED).await;
    // What the node counted while it still knew the tenant.
    let store = SqliteAccounts::open(data_dir).await?;
    store.erase(&args.id).await?;
    forget_lessons(data_dir, &args.id)?;
    let record = Record {
        v: 1,
        tenant: &args.id,
        name: &spec.name,
        at: now,
        by: &args.by,
        reason: &args.reason,
        specification: hex(digest(&SHA256, &stored).as_ref()),
        erased,
        kept: [
            "numbers of closed days",
            "lines of the mail log",
            "hashes of alike messages, until they fade",
            "hashes of correspondents, until they fade",
        ],
    };
    let record = serde_json::to_string(&record).map_err(|error| Failure::Other(error.to_string()))?;
    let hash = store.add_purge(&record, chained).await?;
    if style.json {
        writeln!(out, "{{\"record\":{record},\"hash\":\"{hash}\"}}")?;
    } else {
        writeln!(out, "{record}\n{hash}")?;
        eprintln!("sekisho: tenant {} is purged; keep the record and its hash", args.id);
    }
    Ok(exit::OK)
}

/// Every record with its hash; tells if one doesn't follow from those before it.
pub(super) async fn show(data_dir: &Path, out: &mut (impl Write + Send)) -> Result<u8, Failure> {
    let mut before = String::new();
    let mut broken = 0;
    for (number, record, hash) in SqliteAccounts::open(data_dir).await?.purges().await? {
        if chained(&before, &record) != hash {
            eprintln!("sekisho: record {number} was changed, or one before it is missing");
            broken += 1;
        }
        writeln!(out, "{{\"record\":{record},\"hash\":\"{hash}\"}}")?;
        before = hash;
    }
    Ok(if broken == 0 { exit::OK } else { exit::FAILED })
}

fn chained(before: &str, record: &str) -> String {
    hex(digest(&SHA256, format!("{before}\n{record}").as_bytes()).as_ref())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

async fn edit(store: &SqliteTenants, change: impl FnOnce(&mut Vec<TenantSpec>)) -> Result<(), Failure> {
    let mut specs = Vec::new();
    store.load(&mut |spec| specs.push(spec)).await?;
    change(&mut specs);
    store.apply(&specs, Mode::Write).await?;
    Ok(())
}

async fn suspend(store: &SqliteTenants, spec: &TenantSpec) -> Result<(), Failure> {
    if spec.state != TenantState::Suspended {
        let change = |specs: &mut Vec<TenantSpec>| {
            specs.iter_mut().filter(|other| other.id == spec.id).for_each(|other| other.state = TenantState::Suspended);
        };
        edit(store, change).await?;
        tokio::time::sleep(FOLLOWED).await;
    }
    Ok(())
}

fn body(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| Failure::Other(error.to_string()))
}

fn answer<T: serde::de::DeserializeOwned>(octets: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(octets)
        .map_err(|error| Failure::Other(format!("the node's answer is not understood: {error}")))
}

async fn empty_queue(data_dir: &Path, args: &PurgeArgs) -> Result<u64, Failure> {
    let change = queue::Change {
        verb: queue::Verb::Remove,
        selection: queue::Selection::Tenant(args.id.clone()),
        reason: args.reason.clone(),
    };
    let mut removed = 0;
    for _ in 0..PATIENCE {
        let done: queue::Changed = answer(&ask(data_dir, Method::POST, "/queue", body(&change)?).await?)?;
        removed += done.changed;
        if done.unchanged == 0 {
            return Ok(removed);
        }
        tokio::time::sleep(FOLLOWED).await;
    }
    Err(Failure::Temporary("mail of the tenant is still being delivered; run the purge again".into()))
}

async fn empty_quarantine(data_dir: &Path, args: &PurgeArgs) -> Result<u64, Failure> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: MessageId,
    }
    let path = format!("/quarantine?tenant={}&limit={}", args.id, quarantine::MOST_CHANGED);
    let mut removed = 0;
    loop {
        let listed = ask(data_dir, Method::GET, &path, Vec::new()).await?;
        let lines = listed.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        let ids = lines.map(|line| answer::<Named>(line).map(|named| named.id)).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() {
            return Ok(removed);
        }
        let verb = quarantine::Verb::Remove;
        let reason = args.reason.clone();
        let change = quarantine::Change { verb, ids, recipients: None, reason, teaches: false };
        let done: quarantine::Changed = answer(&ask(data_dir, Method::POST, "/quarantine", body(&change)?).await?)?;
        removed += done.changed;
        if done.changed == 0 && done.missing.is_empty() {
            let why = done.failed.first().map_or_else(String::new, |failed| failed.why.clone());
            return Err(Failure::Temporary(format!("the quarantine keeps messages of the tenant: {why}")));
        }
    }
}

/// Measures against its senders, and what the node knows of them.
async fn forget_senders(data_dir: &Path, args: &PurgeArgs) -> Result<suspension::Forgotten, Failure> {
    let (tenant, by, reason) = (args.id.clone(), args.by.clone(), args.reason.clone());
    let forget = body(&suspension::Forget { tenant, by, reason })?;
    answer(&ask(data_dir, Method::POST, "/suspensions/forget", forget).await?)
}

async fn forget_lists(data_dir: &Path, id: &TenantId) -> Result<u64, Failure> {
    let store = SqliteLists::open(data_dir).await?;
    let filter = ListFilter { whose: Whose::Tenant(Some(id.clone())), ..ListFilter::default() };
    let mut ids: Vec<EntryId> = Vec::new();
    let mut each = |kept: crate::tenant::lists::Kept| {
        ids.push(kept.entry.id);
        true
    };
    store.list(&filter, &mut each).await?;
    let mut removed = 0;
    for batch in ids.chunks(BATCH) {
        removed += store.remove(batch, Mode::Write).await?.len() as u64;
    }
    Ok(removed)
}

fn forget_lessons(data_dir: &Path, id: &TenantId) -> Result<u64, Failure> {
    let layers = Layers::new(data_dir.join(layers::DIR), 0);
    // Of a damaged one nobody knows how many there were; it goes all the same.
    let sums = layers.sums(id).ok().flatten().unwrap_or_default();
    layers.forget(id)?;
    Ok(u64::from(sums.spam) + u64::from(sums.ham))
}

/// A key is erased, then forgotten.
async fn forget_keys(data_dir: &Path, spec: &TenantSpec) -> Result<u64, Failure> {
    let store = SqliteKeys::open(data_dir).await?;
    let mut removed = 0;
    for domain in &spec.domains {
        for key in store.list(Some(&domain.name)).await? {
            store.retire(&key.name, Signing::MayEnd, Clock::System.now()).await?;
            removed += u64::from(matches!(store.remove(&key.name).await?, KeyEdit::Done { .. }));
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_record_that_was_changed_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteAccounts::open(dir.path()).await.unwrap();
        let mut hashes = Vec::new();
        for record in ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"] {
            hashes.push(store.add_purge(record, chained).await.unwrap());
        }
        assert_eq!(hashes[1], chained(&hashes[0], "{\"n\":2}"));
        let mut out = Vec::new();
        assert_eq!(show(dir.path(), &mut out).await.unwrap(), exit::OK);
        let lines: Vec<serde_json::Value> =
            out.split(|octet| *octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!((lines.len(), &lines[2]["record"]["n"], &lines[2]["hash"]), (3, &json!(3), &json!(hashes[2])));
        store.change_purge_for_tests(2, "{\"n\":7}").await;
        assert_eq!(show(dir.path(), &mut Vec::new()).await.unwrap(), exit::FAILED);
    }
}
