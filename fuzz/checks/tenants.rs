//! What must hold of any tenants.toml: it is read without a panic; what is wrong is told; tenants that are right compile to a
//! snapshot in which each domain leads to its tenant.

use sekisho::tenant::{Snapshot, Tenant, read};

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let specs = match read("tenants.toml", text) {
        Ok(specs) => specs,
        Err(problems) => {
            assert!(!problems.to_string().is_empty(), "refused without a reason");
            return;
        }
    };
    if let Ok(snapshot) = Snapshot::compile(1, specs.iter().cloned().map(Tenant::compile)) {
        for spec in &specs {
            for domain in &spec.domains {
                let found = snapshot.domain(domain.name.as_str()).expect("a domain of a tenant is found");
                assert_eq!(found.tenant.id, spec.id);
            }
        }
    }
}
