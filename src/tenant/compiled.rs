//! A tenant as connections see it: compiled from its [`TenantSpec`], immutable, shared.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::rates::RatesByDimension;
use crate::model::{Address, Direction, Domain, Person, TenantId, Timestamp};

use super::content::{ContentPolicies, ContentPolicy};
use super::contract::{Contract, Phase};
use super::proof::HeaderProof;
use super::recipients::Recipients;
use super::sender::SenderPolicy;
use super::spec::{ClientSpec, Custody, Forwards, NextHop, SignPolicy, TenantSpec, TenantState, TlsPolicy};

/// One tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: Box<str>,
    pub state: TenantState,
    pub custody: Custody,
    pub domains: Box<[TenantDomain]>,
    pub clients: Box<[ClientSpec]>,
    /// `None`: the defaults; read it by [`Self::content_policy`].
    pub content: Option<Arc<ContentPolicies>>,
    pub administrators: Box<[Address]>,
    /// Whose names only they may write under.
    pub people: Arc<[Person]>,
    /// `None`: every right, no number, no end.
    pub contract: Option<Arc<Contract>>,
    pub sign: SignPolicy,
    pub forwards: Forwards,
    /// Limits of outbound mail, beside the operator's.
    pub rates: RatesByDimension,
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
    /// `None`: the defaults; read it by [`Self::content_policy`].
    pub content: Option<Arc<ContentPolicies>>,
}

impl Tenant {
    #[must_use]
    pub fn compile(spec: TenantSpec) -> Self {
        let sender = spec.sender.as_deref();
        let shared = SenderPolicy::of_tenant(sender);
        let content = spec.content.as_deref();
        let shared_content = ContentPolicies::of_tenant(content);
        let domains = spec.domains.into_iter().map(|domain| {
            let mut next_hops = domain.next_hops;
            next_hops.sort_by_key(|hop| hop.priority);
            TenantDomain {
                name: domain.name,
                next_hops: next_hops.into(),
                tls: domain.tls,
                recipients: Recipients::compile(&domain.recipients),
                sender: SenderPolicy::of_domain(sender, shared.as_ref(), domain.sender.map(|own| *own)),
                content: ContentPolicies::of_domain(content, shared_content.as_ref(), domain.content.map(|own| *own)),
            }
        });
        Self {
            id: spec.id,
            name: spec.name,
            state: spec.state,
            custody: spec.custody,
            domains: domains.collect(),
            clients: spec.outbound_clients.into(),
            content: shared_content.clone(),
            administrators: spec.administrators.into(),
            people: spec.people.into(),
            contract: spec.contract.as_deref().map(|contract| Arc::new(Contract::compile(contract))),
            sign: spec.sign,
            forwards: spec.forwards,
            rates: RatesByDimension::new(&spec.rates),
        }
    }

    /// Whether an envelope sender of this domain may be used by the tenant's outbound clients.
    #[must_use]
    pub fn owns(&self, domain: &Domain) -> bool {
        self.domains.iter().any(|own| own.name == *domain)
    }

    /// How its mail is known that comes from this address of a shared network.
    pub fn proofs(&self, ip: IpAddr) -> impl Iterator<Item = &HeaderProof> {
        self.clients.iter().filter_map(move |client| match client {
            ClientSpec::Header(proof) if proof.covers(ip) => Some(proof),
            _ => None,
        })
    }

    /// Names of fields that bear a secret of the tenant's.
    pub fn secret_fields(&self) -> impl Iterator<Item = &str> {
        self.clients
            .iter()
            .filter_map(|client| if let ClientSpec::Header(proof) = client { Some(&*proof.header) } else { None })
    }

    /// What is done with content where no domain of the tenant's is concerned: notices of its own servers, whose sender is
    /// empty.
    #[must_use]
    pub fn content_policy(&self, direction: Direction) -> &ContentPolicy {
        of(self.content.as_deref(), direction)
    }

    /// One of the tenant's domains.
    #[must_use]
    pub fn domain(&self, name: &Domain) -> Option<&TenantDomain> {
        self.domains.iter().find(|own| own.name == *name)
    }

    /// Whether the contract is one on trial.
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.contract.as_ref().is_some_and(|contract| contract.trial)
    }

    /// Where the contract stands; without one, it stands for ever.
    #[must_use]
    pub fn phase(&self, now: Timestamp) -> Phase {
        self.contract.as_ref().map_or(Phase::Active, |contract| contract.phase(now))
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

    /// What is done with mail to this domain, or of it, because of its content.
    #[must_use]
    pub fn content_policy(&self, direction: Direction) -> &ContentPolicy {
        of(self.content.as_deref(), direction)
    }

    /// Whether the recipient exists; `None`: the next hop has to be asked.
    #[must_use]
    pub fn has_recipient(&self, recipient: &Address) -> Option<bool> {
        if *recipient.domain() == self.name { self.recipients.has(recipient.local()) } else { Some(false) }
    }
}

fn of(own: Option<&ContentPolicies>, direction: Direction) -> &ContentPolicy {
    own.map_or_else(|| ContentPolicy::default_ref(direction), |own| own.of(direction))
}
