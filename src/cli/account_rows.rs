//! Registered accounts as rows of a CSV file: `address`, and as needed `alias_of` and `tenant`.
//!
//! **Failure**: every bad row is told with its line; a file with one changes nothing.
//! **Invariants**: what is exported reads back as the same; every address is at a domain of its tenant.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, Read};
use std::path::Path;

use super::failure::Failure;
use super::list::KnownTenants;
use super::list_text;
use crate::accounts::{Listed, Registration, account_of};
use crate::model::{Address, TenantId};
use crate::tenant::lists::table::{Owners, guarded, narrow, unguarded};
use crate::tenant::lists::text::{Decoding, Detector, Encoding};

pub(super) const COLUMNS: [&str; 3] = ["tenant", "address", "alias_of"];
/// Bad rows that are told one by one.
pub(super) const TOLD: usize = 100;
/// A million rows have some 50 MB.
const LONGEST: u64 = 1 << 30;

/// The octets of a file, or of stdin for `-`.
pub(super) fn read_file(file: &Path, stdin: impl BufRead) -> Result<Vec<u8>, Failure> {
    let mut octets = Vec::new();
    if file == Path::new("-") {
        stdin.take(LONGEST + 1).read_to_end(&mut octets)?;
    } else {
        let failed = |source| Failure::File { path: file.to_owned(), source };
        let file = File::open(file).map_err(failed)?;
        file.take(LONGEST + 1).read_to_end(&mut octets).map_err(failed)?;
    }
    if octets.len() as u64 > LONGEST {
        return Err(Failure::Usage(format!("the file is longer than {LONGEST} octets")));
    }
    Ok(octets)
}

/// Rows by tenant, and what is wrong with the others, by line.
type Rows = (BTreeMap<TenantId, Vec<Registration>>, Vec<(u64, String)>);

pub(super) fn read(
    octets: &[u8],
    encoding: Option<Encoding>,
    tenant: Option<&TenantId>,
    known: &KnownTenants,
) -> Result<Rows, Failure> {
    if let Some(tenant) = tenant.filter(|tenant| !known.exists(tenant)) {
        return Err(Failure::NoTenant(tenant.clone()));
    }
    let encoding = encoding.unwrap_or_else(|| {
        let mut detector = Detector::default();
        detector.piece(octets);
        detector.encoding()
    });
    let decoding = Decoding::new(octets, encoding);
    let length = decoding.row_length();
    let mut csv = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(decoding);
    let mut record = csv::StringRecord::new();
    let unreadable = |error: csv::Error| Failure::Other(format!("the file can't be read: {error}"));
    if !csv.read_record(&mut record).map_err(unreadable)? {
        return Err(Failure::Other("the file is empty: its first line names the columns".into()));
    }
    let header = header(&record)?;
    let (mut tenants, mut errors) = (BTreeMap::<TenantId, Vec<Registration>>::new(), Vec::new());
    loop {
        length.row_ended();
        if !csv.read_record(&mut record).map_err(unreadable)? {
            return Ok((tenants, errors));
        }
        let line = record.position().map_or(0, csv::Position::line);
        match row(&record, &header, tenant, known) {
            Ok((tenant, registration)) => tenants.entry(tenant).or_default().push(registration),
            Err(error) => errors.push((line, error)),
        }
    }
}

/// Where each of [`COLUMNS`] stands.
fn header(record: &csv::StringRecord) -> Result<[Option<usize>; 3], Failure> {
    let mut places = [None; 3];
    for (at, field) in record.iter().enumerate() {
        let name = narrow(field).to_ascii_lowercase();
        let wrong = |what: &str| Failure::Other(format!("line 1: {what} {name:?}; known are {}", COLUMNS.join(", ")));
        let found = COLUMNS.iter().position(|column| *column == name).ok_or_else(|| wrong("there is no column"))?;
        match places.get_mut(found) {
            Some(place @ None) => *place = Some(at),
            _ => return Err(wrong("twice the column")),
        }
    }
    match places {
        [_, Some(_), _] => Ok(places),
        _ => Err(Failure::Other("line 1: there is no column address".into())),
    }
}

fn row(
    record: &csv::StringRecord,
    [whose, address, alias_of]: &[Option<usize>; 3],
    tenant: Option<&TenantId>,
    known: &KnownTenants,
) -> Result<(TenantId, Registration), String> {
    let cell = |place: &Option<usize>| {
        let text = place.and_then(|at| record.get(at)).map(|cell| narrow(unguarded(cell))).unwrap_or_default();
        (!text.is_empty()).then_some(text)
    };
    let read = |text: &str| Address::parse(text).map_err(|error| format!("{text:?}: {error}"));
    let address = read(&cell(address).ok_or("the row has no address")?)?;
    let alias_of = cell(alias_of).map(|text| read(&text)).transpose()?;
    let written = cell(whose).map(|text| TenantId::parse(&text).map_err(|error| error.to_string())).transpose()?;
    let owner = known.owner(address.domain()).ok_or_else(|| format!("{} is no tenant's domain", address.domain()))?;
    let wanted = written.as_ref().or(tenant).unwrap_or(&owner);
    if *wanted != owner {
        return Err(format!("{} is no domain of tenant {wanted}", address.domain()));
    }
    if let Some(account) = &alias_of
        && known.owner(account.domain()).as_ref() != Some(&owner)
    {
        return Err(format!("the account {account} is at no domain of tenant {owner}"));
    }
    let kept = |address: &Address| {
        account_of(address).map(Box::from).ok_or_else(|| format!("{address} uses no account, and needs none"))
    };
    let (kept_address, kept_account) = (kept(&address)?, alias_of.as_ref().map(kept).transpose()?);
    if kept_account.as_ref() == Some(&kept_address) {
        return Err(format!("{address} is an alias of itself"));
    }
    Ok((owner, Registration { address: kept_address, alias_of: kept_account }))
}

/// The rows of an account: itself and its aliases; none for one that is not registered.
pub(super) fn write(one: &Listed) -> Vec<String> {
    if !one.registered {
        return Vec::new();
    }
    let line = |address: &str, alias_of: &str| {
        list_text::csv_line(&[one.tenant.to_string(), guarded(address.to_owned()), guarded(alias_of.to_owned())])
    };
    let own = line(&one.address, "");
    std::iter::once(own).chain(one.aliases.iter().map(|alias| line(alias, &one.address))).collect()
}
