//! Rows: what is read, what is refused, and that what is written comes back.

use proptest::prelude::*;

use super::*;
use crate::model::lists::EntryId;

pub(super) struct TwoTenants;

impl Owners for TwoTenants {
    fn owner(&self, domain: &Domain) -> Option<TenantId> {
        let id = domain.as_str().strip_suffix(".example")?;
        ["acme", "beta"].contains(&id).then(|| TenantId::parse(id).unwrap())
    }

    fn exists(&self, tenant: &TenantId) -> bool {
        ["acme", "beta"].contains(&tenant.as_str())
    }
}

fn defaults() -> Defaults {
    Defaults { place: None, owner: "ops".into(), now: Timestamp::from_millis(1_795_176_451_250) }
}

fn read(header: &str, row: &str) -> Result<(NewEntry, bool), RowError> {
    let fields: Vec<&str> = row.split(',').collect();
    Header::read(header.split(','))?.row(&fields, &defaults(), &TwoTenants)
}

#[test]
fn rows_say_as_much_as_they_need_to() {
    for (header, row, rule) in [
        ("action,value,tenant", "block,x.example,acme", "block domain x.example for tenant acme"),
        ("Value,ACTION,for", "a@x.example,Allow,acme.example", "allow address a@x.example for domain acme.example"),
        ("action,value,for", "block,JP,Taro@beta.example", "block country JP for mailbox taro@beta.example"),
        ("action,value,scope", "block,192.0.2.1,operator", "block network 192.0.2.1/32 for operator"),
        ("action,value,kind,tenant", "block,jp,domain,acme", "block domain jp for tenant acme"),
        (
            "action,value,tenant,from_network",
            "allow,x.example,acme,192.0.2.0/24",
            "allow domain x.example from 192.0.2.0/24 for tenant acme",
        ),
    ] {
        let (entry, normalised) = read(header, row).unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!((entry.rule.to_string().as_str(), normalised), (rule, false));
        assert_eq!(entry.note.created, Timestamp::from_millis(1_795_176_451_000));
    }
    let (entry, normalised) = read("action,value,tenant", "block,　Ａ＠x．example ,acme").unwrap();
    assert_eq!((entry.rule.pattern.to_string().as_str(), normalised), ("a@x.example", true));
}

#[test]
fn wrong_rows_say_why() {
    for (header, row, error) in [
        (
            "action,value,tenat",
            "",
            "there is no column \"tenat\"; known are action, kind, value, scope, tenant, for, from_network, expires, owner, reason, created",
        ),
        ("action,tenant", "", "the header has no column \"value\""),
        ("action,value,action", "", "column \"action\" stands twice"),
        ("action,value", "block", "1 fields, the header has 2"),
        ("action,value,tenant", "deny,x.example,acme", "action \"deny\": write allow or block"),
        (
            "action,value",
            "block,x.example",
            "it is not said for whom: a scope, a tenant or a domain or mailbox is needed",
        ),
        ("action,value,tenant", "block,x.example,gamma", "there is no tenant gamma"),
        ("action,value,for", "block,x.example,gamma.example", "gamma.example is no domain of any tenant"),
        ("action,value,for,tenant", "block,x.example,acme.example,beta", "acme.example is no domain of tenant beta"),
        (
            "action,value,scope,tenant",
            "block,x.example,operator,beta",
            "scope operator and the other columns contradict each other",
        ),
        (
            "action,value,scope,for",
            "block,x.example,tenant,acme.example",
            "scope tenant and the other columns contradict each other",
        ),
        (
            "action,value,tenant,expires",
            "block,x.example,acme,soon",
            "expires \"soon\" is no time; write 2026-11-20T12:07:31Z or 2026-11-20",
        ),
        ("action,value,tenant", "block,x\u{fffd}.example,acme", "octets that are no text in this encoding"),
        (
            "action,value,tenant",
            "block,*.example,acme",
            "\"*.example\" is no domain: the domain is empty, too long or has a label that no host name may have; write example.com, it includes every domain below",
        ),
        (
            "action,value,tenant,from_network",
            "block,x.example,acme,192.0.2.1",
            "from_network goes with an allow entry for an address or domain",
        ),
    ] {
        assert_eq!(read(header, row).unwrap_err().to_string(), error, "{header}: {row}");
    }
}

#[test]
fn times_are_read_as_written() {
    assert_eq!(write_time(read_time("2026-11-20T21:07:31+09:00").unwrap()), "2026-11-20T12:07:31Z");
    assert_eq!(write_time(read_time("2026-11-20").unwrap()), "2026-11-20T00:00:00Z");
    assert_eq!(read_time("1969-01-01"), None);
}

#[test]
fn the_guard_stands_before_formulas_alone() {
    for (cell, written) in [("=1+1", "'=1+1"), ("+81", "'+81"), ("'=1", "''=1"), ("a=1", "a=1"), ("'a", "'a"), ("", "")]
    {
        assert_eq!(guarded(cell.to_owned()), written);
        assert_eq!(unguarded(written), cell);
    }
}

proptest! {
    #[test]
    fn the_guard_comes_off_as_it_went_on(cell in "['=+@a\t-]{0,6}") {
        let written = guarded(cell.clone());
        prop_assert!(!is_formula(&written));
        prop_assert_eq!(unguarded(&written), cell);
    }

    #[test]
    fn what_is_written_reads_back(
        allow in any::<bool>(),
        value in prop::sample::select(&["a@x.example", "\"-a b\"@x.example", "x.example", "jp", "192.0.2.0/24", "::1", "+a@x.example"][..]),
        place in 0..4,
        bound in any::<bool>(),
        owner in "[ -~あ＠　]{0,20}",
        reason in "[ -~'=漢字＠　]{0,40}",
        times in (prop::option::of(0u64..4_000_000_000), 0u64..4_000_000_000),
    ) {
        let acme = || TenantId::parse("acme").unwrap();
        let domain = Domain::parse("acme.example").unwrap();
        let place = match place {
            0 => Place::Operator,
            1 => Place::Tenant(acme()),
            2 => Place::Domain(acme(), domain),
            _ => Place::mailbox(acme(), &Address::parse("=taro@acme.example").unwrap()).unwrap(),
        };
        let pattern = Pattern::parse(Pattern::guess(value), value).unwrap();
        let action = if allow { Action::Allow } else { Action::Block };
        let of_sender = matches!(pattern.kind(), EntryKind::Address | EntryKind::Domain);
        let bound = (bound && allow && of_sender).then(|| Rule::read_bound("192.0.2.0/24").unwrap());
        let rule = Rule::new(place, action, pattern, bound).unwrap();
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        // An empty owner is filled in.
        let owner = if owner.is_empty() { "ops" } else { owner.as_str() };
        let note = Note { owner: owner.into(), reason: reason.as_str().into(), created: at(times.1) };
        let new = NewEntry::new(rule.clone(), times.0.map(at), note.clone()).unwrap();
        let row = write_row(&Entry { id: EntryId(1), rule, expires: new.expires }, &note);
        let fields: Vec<&str> = row.iter().map(String::as_str).collect();
        let (read, _) = Header::read(COLUMNS.into_iter()).unwrap().row(&fields, &defaults(), &TwoTenants).unwrap();
        prop_assert_eq!(read, new);
    }
}
