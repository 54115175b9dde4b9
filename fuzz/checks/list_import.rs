//! What must hold of the import of lists for any file: no panic; memory bounded by the longest row; every entry that is read is
//! written as a row that reads back as the same entry, and no cell of it is a formula.

use sekisho::model::lists::EntryId;
use sekisho::model::{Domain, TenantId, Timestamp};
use sekisho::tenant::lists::rows::Rows;
use sekisho::tenant::lists::table::{COLUMNS, Defaults, Header, Owners, write_row};
use sekisho::tenant::lists::text::{Detector, to_cp932};
use sekisho::tenant::lists::{Entry, Lists, NewEntry};

/// Every domain is the tenant's of its first label.
struct Everybody;

impl Owners for Everybody {
    fn owner(&self, domain: &Domain) -> Option<TenantId> {
        TenantId::parse(domain.as_str().split('.').next()?).ok()
    }

    fn exists(&self, _: &TenantId) -> bool {
        true
    }
}

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let mut detector = Detector::default();
    data.chunks(7).for_each(|piece| detector.piece(piece));
    let Ok(mut rows) = Rows::open(data, detector.encoding()) else { return };
    let defaults = Defaults { place: None, owner: "someone".into(), now: Timestamp::from_millis(1_795_176_451_000) };
    let mut last = 0;
    let mut compiled = Vec::new();
    while let Ok(Some(row)) = rows.row(&defaults, &Everybody) {
        assert!(row.line > last, "lines count up");
        last = row.line;
        if let Ok((new, _)) = row.entry {
            comes_back(&new, &defaults);
            let id = EntryId(row.line);
            compiled.push(Entry { id, rule: new.rule, expires: new.expires });
        }
    }
    let count = compiled.len();
    assert_eq!(Lists::compile(1, compiled).len(), count);
}

fn comes_back(new: &NewEntry, defaults: &Defaults) {
    let entry = Entry { id: EntryId(1), rule: new.rule.clone(), expires: new.expires };
    let fields = write_row(&entry, &new.note);
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    for field in &fields {
        assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{field:?} is a formula");
        if let Ok(octets) = to_cp932(field) {
            assert!(!octets.is_empty() || field.is_empty());
        }
    }
    let (read, _) = Header::read(COLUMNS.into_iter()).unwrap().row(&fields, defaults, &Everybody).unwrap();
    assert_eq!(read, *new);
}
