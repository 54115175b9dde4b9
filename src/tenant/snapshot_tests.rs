//! Look-ups, and edits against compiling anew.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::tenant::{TenantSpec, read};

fn tenant(id: &str, domains: &[&str], clients: &[&str]) -> Tenant {
    let mut text = format!("[[tenant]]\nid = '{id}'\n");
    for domain in domains {
        text.push_str(&format!(
            "[[tenant.domain]]\nname = '{domain}'\nnext_hops = ['h.example']\nrecipients = 'any'\n"
        ));
    }
    for client in clients {
        text.push_str(&format!("[[tenant.outbound_client]]\n{client}\n"));
    }
    Tenant::compile(read("t.toml", &text).unwrap().remove(0))
}

fn put(tenant: Tenant) -> TenantChange {
    TenantChange::Put(Arc::new(tenant))
}

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_address_belongs_to_the_longest_prefix() {
    let snapshot = Snapshot::compile(
        1,
        [
            tenant("wide", &[], &["network = '10.0.0.0/8'", "network = '2001:db8::/32'"]),
            tenant("narrow", &[], &["network = '10.1.0.0/16'", "network = '2001:db8:1::/48'"]),
            tenant("host", &[], &["network = '10.1.2.3'"]),
        ],
    )
    .unwrap();
    for (address, owner) in [
        ("10.1.2.3", Some("host")),
        ("10.1.2.4", Some("narrow")),
        ("10.2.0.1", Some("wide")),
        ("::ffff:10.1.2.3", Some("host")),
        ("11.0.0.1", None),
        ("2001:db8:1::5", Some("narrow")),
        ("2001:db8:2::5", Some("wide")),
        ("2001:db9::5", None),
    ] {
        let found = snapshot.client_by_ip(ip(address)).map(|tenant| tenant.id.as_str());
        assert_eq!(found, owner, "{address}");
    }
}

#[test]
fn logins_and_certificates_lead_to_their_tenant() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Hn2eSNgPQzUwBlE5mA5Us1FGZyE1BeGGmtHqMGWE5Vk";
    let print = "ab".repeat(32);
    let login = format!("username = 'relay'\npassword_hash = '{hash}'");
    let certificate = format!("certificate = '{}'", print.to_uppercase());
    let snapshot = Snapshot::compile(1, [tenant("a", &["a.example"], &[&login, &certificate])]).unwrap();
    assert_eq!(
        snapshot.client_by_username("relay").map(|(tenant, hash)| (tenant.id.as_str(), hash)),
        Some(("a", hash))
    );
    assert!(snapshot.client_by_username("Relay").is_none());
    assert!(snapshot.client_by_certificate(&print).is_some());
    assert!(!format!("{snapshot:?}").contains("argon2"));
    let found = snapshot.domain("a.example").unwrap();
    assert!(found.tenant.owns(&found.domain.name));
}

#[test]
fn what_two_tenants_claim_is_refused_by_name() {
    let error = Snapshot::compile(1, [tenant("a", &["x.example"], &[]), tenant("b", &["x.example"], &[])]).unwrap_err();
    assert_eq!(error.to_string(), "domain x.example belongs to tenant a and is claimed by tenant b too");
    let one = Snapshot::compile(1, [tenant("a", &["x.example"], &[])]).unwrap();
    assert!(one.edited(2, &[put(tenant("b", &["x.example"], &[]))]).is_err());
    assert!(one.domain("x.example").is_some(), "the old snapshot changed");
}

#[test]
fn a_domain_moves_from_one_tenant_to_another_in_one_step() {
    let before = Snapshot::compile(1, [tenant("a", &["x.example", "y.example"], &[])]).unwrap();
    let after =
        before.edited(2, &[put(tenant("b", &["x.example"], &[])), put(tenant("a", &["y.example"], &[]))]).unwrap();
    assert_eq!(after.domain("x.example").unwrap().tenant.id, id("b"));
    assert_eq!(before.domain("x.example").unwrap().tenant.id, id("a"));
    assert_eq!((after.version(), after.len()), (2, 2));
}

/// Bar 8: one tenant's edit copies no other tenant, and only the shards that it stands in.
#[test]
fn an_edit_copies_no_other_tenant() {
    let of = |n: u32| {
        let client = format!("network = '10.{}.{}.0/24'", n / 256, n % 256);
        tenant(&format!("t{n}"), &[&format!("t{n}.example")], &[&client])
    };
    let before = Snapshot::compile(1, (0..5_000).map(of)).unwrap();
    let edited = tenant("t7", &["t7.example", "t7.net"], &["network = '10.0.7.0/24'"]);
    let after = before.edited(2, &[put(edited)]).unwrap();
    for n in (0..5_000).filter(|n| *n != 7) {
        let id = id(&format!("t{n}"));
        assert!(Arc::ptr_eq(before.tenant(&id).unwrap(), after.tenant(&id).unwrap()), "tenant {n} was copied");
    }
    // One shard of ids, one or two of domains, one of networks; of 5 x 1024.
    assert!((3..=4).contains(&after.shards_not_shared_with(&before)), "{}", after.shards_not_shared_with(&before));
    assert_eq!(after.domain("t7.net").unwrap().tenant.id, id("t7"));
    assert!(before.domain("t7.net").is_none());
}

#[test]
fn a_prefix_length_is_forgotten_with_its_last_network() {
    let full = Snapshot::compile(1, [tenant("a", &[], &["network = '10.0.0.0/8'"])]).unwrap();
    let empty = full.edited(2, &[TenantChange::Remove(id("a"))]).unwrap();
    assert!(empty.lengths.is_empty() && empty.client_by_ip(ip("10.0.0.1")).is_none() && empty.is_empty());
}

/// A tenant's number, its domains, its networks with their widths.
type Wish = (u8, Vec<u8>, Vec<(u8, u8)>);

/// A small world in which tenants often want the same.
fn world() -> impl Strategy<Value = Vec<Wish>> {
    let one = (0u8..6, proptest::collection::vec(0u8..8, 0..3), proptest::collection::vec((0u8..4, 0u8..3), 0..3));
    proptest::collection::vec(one, 0..6)
}

fn build((who, domains, networks): &Wish) -> Tenant {
    let domains: HashSet<_> = domains.iter().map(|d| format!("d{d}.example")).collect();
    let networks: HashSet<_> = networks
        .iter()
        .map(|(n, width)| {
            let net: IpNet =
                format!("10.{n}.0.0/{}", [8, 16, 24].get(usize::from(*width)).unwrap_or(&24)).parse().unwrap();
            format!("network = '{}'", net.trunc())
        })
        .collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let networks: Vec<&str> = networks.iter().map(String::as_str).collect();
    tenant(&format!("t{who}"), &domains, &networks)
}

proptest! {
    /// Any chain of edits leads to the snapshot that compiling the outcome from nothing gives.
    #[test]
    fn edits_and_compiling_agree(steps in proptest::collection::vec((world(), proptest::collection::vec(0u8..6, 0..2)), 1..5)) {
        let mut snapshot = Snapshot::empty();
        let mut model: HashMap<TenantId, Arc<Tenant>> = HashMap::new();
        for (version, (puts, removes)) in (1u64..).zip(steps) {
            let mut next = model.clone();
            let mut changes = Vec::new();
            let mut seen = HashSet::new();
            for one in puts.iter().map(build).map(Arc::new).filter(|tenant| seen.insert(tenant.id.clone())) {
                next.insert(one.id.clone(), Arc::clone(&one));
                changes.push(TenantChange::Put(one));
            }
            for gone in removes.iter().map(|n| id(&format!("t{n}"))).filter(|id| !seen.contains(id)) {
                next.remove(&gone);
                changes.push(TenantChange::Remove(gone));
            }
            let mut compiled = Snapshot::empty();
            let sound = next.values().try_for_each(|tenant| compiled.put(tenant));
            let edited = snapshot.edited(version, &changes);
            prop_assert_eq!(edited.is_ok(), sound.is_ok());
            if let Ok(edited) = edited {
                prop_assert_eq!(edited.len(), next.len());
                prop_assert_eq!(&edited.lengths, &compiled.lengths);
                for n in 0..8 {
                    let name = format!("d{n}.example");
                    let owner = |s: &Snapshot| s.domain(&name).map(|found| found.tenant.id.clone());
                    prop_assert_eq!(owner(&edited), owner(&compiled));
                }
                for n in 0..4 {
                    for host in ["0.1", "7.1"] {
                        let address = ip(&format!("10.{n}.{host}"));
                        let owner = |s: &Snapshot| s.client_by_ip(address).map(|tenant| tenant.id.clone());
                        prop_assert_eq!(owner(&edited), owner(&compiled));
                    }
                }
                snapshot = edited;
                model = next;
            }
        }
    }

    #[test]
    fn the_stored_form_reads_back(parts in world()) {
        for one in &parts {
            let text = format!("[[tenant]]\nid = 't{}'\ncustody = 'inline'\n[[tenant.domain]]\nname = 'd.example'\nnext_hops = [{{host = 'h', priority = {}}}]\n", one.0, one.0);
            let spec = read("t", &text).unwrap().remove(0);
            let json = serde_json::to_string(&spec).unwrap();
            prop_assert_eq!(serde_json::from_str::<TenantSpec>(&json).unwrap(), spec);
        }
    }
}

#[test]
fn a_shared_network_is_nobodys() {
    let shared = |id: &str, domain: &str, value: &str| {
        tenant(id, &[domain], &[&format!("network = '10.1.0.0/16'\nheader = 'X-G'\nvalue = '{value}'")])
    };
    let (a, b) = (shared("a", "a.example", "0123456789abcdef"), shared("b", "b.example", "0123456789abcdeg"));
    let wide = tenant("wide", &[], &["network = '10.0.0.0/8'"]);
    let narrow = tenant("narrow", &[], &["network = '10.1.1.0/24'"]);
    let snapshot = Snapshot::compile(1, [a, b, wide, narrow]).unwrap();
    let client = |text| snapshot.client_by_ip(ip(text)).map(|tenant| tenant.id.as_str().to_owned());
    assert_eq!(client("10.2.0.1").as_deref(), Some("wide"));
    assert_eq!(client("10.1.0.1"), None, "what is shared proves nothing, whoever has the network around it");
    assert_eq!(client("10.1.1.1").as_deref(), Some("narrow"));
    let owner = snapshot.domain("a.example").unwrap().tenant;
    assert_eq!((owner.proofs(ip("10.1.9.9")).count(), owner.proofs(ip("10.2.0.1")).count()), (1, 0));

    let alone = || tenant("alone", &[], &["network = '10.1.0.0/16'"]);
    assert!(snapshot.edited(2, &[put(alone())]).is_err());
    assert!(snapshot.edited(2, &[put(shared("c", "c.example", "0123456789abcdef"))]).is_err());
    let without = [TenantChange::Remove(id("a")), TenantChange::Remove(id("b")), put(alone())];
    let next = snapshot.edited(2, &without).unwrap();
    assert_eq!(next.client_by_ip(ip("10.1.0.1")).unwrap().id, id("alone"));
    assert!(next.edited(3, &[put(shared("a", "a.example", "0123456789abcdef"))]).is_err());
}
