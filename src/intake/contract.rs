//! What the contract of a tenant says to its mail, in both directions, and who used the service.
//!
//! **Failure**: none: what is asked is in memory. **Invariants**: an account is seen when its mail was delivered or left, never when
//! it was only tried; a place for a new account is taken last, when nothing else stands against its mail.

use super::connection::Connection;
use super::lanes::Lane;
use super::stages::Transaction;
use crate::accounts::Admission;
use crate::model::{Address, Decision, Direction, ReversePath};
use crate::policy::contract::{Facts, decide};
use crate::tenant::Tenant;

impl Connection {
    /// MAIL of a client of the tenant's: its contract, and the sender as one of its accounts.
    pub(super) fn contract_at_mail(&self, tenant: &Tenant, sender: &ReversePath) -> Decision {
        let accounts = &self.listener.intake.deps.accounts;
        // Whom the tenant's server sends on for is no account of it.
        let own = sender.address().filter(|address| tenant.owns(address.domain()));
        let admission = own.map_or(Admission::Existing, |address| accounts.admit(tenant, address));
        let facts = Facts::of_sender(accounts.phase(tenant), admission == Admission::Over);
        self.decided(&facts, Direction::Outbound)
    }

    /// RCPT for a tenant, before it is asked whether the mailbox exists.
    pub(super) fn contract_at_rcpt(&self, tenant: &Tenant) -> Decision {
        let phase = self.listener.intake.deps.accounts.phase(tenant);
        self.decided(&Facts::of_recipient(phase, false), Direction::Inbound)
    }

    /// RCPT for a mailbox that exists, from a sender that may write to it.
    pub(super) fn account_at_rcpt(&self, tenant: &Tenant, recipient: &Address) -> Decision {
        let accounts = &self.listener.intake.deps.accounts;
        let is_over = accounts.admit(tenant, recipient) == Admission::Over;
        self.decided(&Facts::of_recipient(accounts.phase(tenant), is_over), Direction::Inbound)
    }

    fn decided(&self, facts: &Facts, direction: Direction) -> Decision {
        let decision = decide(facts);
        if decision != Decision::Accept {
            let metrics = &self.listener.intake.deps.metrics.accounts;
            let is_phase = decide(&Facts { is_over: false, ..facts.clone() }) != Decision::Accept;
            if is_phase { &metrics.frozen } else { &metrics.refused }.inc(direction);
        }
        decision
    }

    /// Mail of a client of the tenant's was taken to be sent.
    pub(super) fn saw_sender(&self, transaction: &Transaction) {
        if let (Some(tenant), Some(sender)) = (&transaction.client, transaction.sender.address())
            && tenant.owns(sender.domain())
        {
            self.listener.intake.deps.accounts.observe(&tenant.id, sender);
        }
    }

    /// The next hop of the tenant's took mail for these.
    pub(super) fn saw_recipients(&self, lane: &Lane) {
        for recipient in &lane.envelope.recipients {
            self.listener.intake.deps.accounts.observe(&lane.tenant.id, &recipient.address);
        }
    }
}
