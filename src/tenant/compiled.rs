//! A tenant as connections see it: compiled from its [`TenantSpec`], immutable, shared.

use std::sync::Arc;

use crate::model::{Address, Domain, TenantId};

use super::recipients::Recipients;
use super::sender::SenderPolicy;
use super::spec::{ClientSpec, Custody, NextHop, TenantSpec, TenantState, TlsPolicy};

/// One tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: Box<str>,
    pub state: TenantState,
    pub custody: Custody,
    pub domains: Box<[TenantDomain]>,
    pub clients: Box<[ClientSpec]>,
}

/// One mail domain of a tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct TenantDomain {
    pub name: Domain,
    /// By priority, lowest first; equal priorities in the order written.
    pub next_hops: Box<[NextHop]>,
    pub tls: TlsPolicy,
    pub recipients: Recipients,
    /// `None`: the defaults; read it by [`Self::sender_policy`].
    pub sender: Option<Arc<SenderPolicy>>,
}

impl Tenant {
    #[must_use]
    pub fn compile(spec: TenantSpec) -> Self {
        let sender = spec.sender.as_deref();
        let shared = SenderPolicy::of_tenant(sender);
        let domains = spec.domains.into_iter().map(|domain| {
            let mut next_hops = domain.next_hops;
            next_hops.sort_by_key(|hop| hop.priority);
            TenantDomain {
                name: domain.name,
                next_hops: next_hops.into(),
                tls: domain.tls,
                recipients: Recipients::compile(&domain.recipients),
                sender: SenderPolicy::of_domain(sender, shared.as_ref(), domain.sender.map(|own| *own)),
            }
        });
        Self {
            id: spec.id,
            name: spec.name,
            state: spec.state,
            custody: spec.custody,
            domains: domains.collect(),
            clients: spec.outbound_clients.into(),
        }
    }

    /// Whether an envelope sender of this domain may be used by the tenant's outbound clients.
    #[must_use]
    pub fn owns(&self, domain: &Domain) -> bool {
        self.domains.iter().any(|own| own.name == *domain)
    }

    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == TenantState::Active
    }
}

impl TenantDomain {
    /// What is done with senders of mail to this domain.
    #[must_use]
    pub fn sender_policy(&self) -> &SenderPolicy {
        self.sender.as_deref().unwrap_or_else(|| SenderPolicy::default_ref())
    }

    /// Whether the recipient exists; `None`: the next hop has to be asked.
    #[must_use]
    pub fn has_recipient(&self, recipient: &Address) -> Option<bool> {
        if *recipient.domain() == self.name { self.recipients.has(recipient.local()) } else { Some(false) }
    }
}
