//! The ports of one process, as the use cases take them.

use std::sync::Arc;

use ig_domain::ports::{
    AccountReader, AccountWriter, AppBreaker, AuditLog, Clock, DueAccounts, HostedCodes, Ids,
    Instagram, LinkAttempts, Metrics, PendingLinks, RenewalLeases, Timer,
};

use crate::{AppHealth, CachedAccounts};

/// All ports of the use cases. Each use case keeps those that it needs.
#[derive(Clone)]
pub struct Ports {
    /// The store.
    pub store: StorePorts,
    /// Instagram.
    pub instagram: Arc<dyn Instagram>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
    /// Real time, for waiting.
    pub timer: Arc<dyn Timer>,
    /// Ids and randomness.
    pub ids: Arc<dyn Ids>,
    /// Counts of what becomes of links and renewals.
    pub metrics: Arc<dyn Metrics>,
    /// Memory of how Instagram treats the app, one of each process.
    pub health: Arc<AppHealth>,
}

/// The ports of the store, which one store may fill or several.
#[derive(Clone)]
pub struct StorePorts {
    /// Accounts and tokens, to read.
    pub accounts: Arc<dyn AccountReader>,
    /// Accounts as callers read them, of which some may be in memory.
    pub cached_accounts: CachedAccounts,
    /// Accounts and tokens, to change.
    pub account_writer: Arc<dyn AccountWriter>,
    /// States of links that have begun.
    pub pending_links: Arc<dyn PendingLinks>,
    /// Attempts to link.
    pub link_attempts: Arc<dyn LinkAttempts>,
    /// Codes that our own callback keeps.
    pub hosted_codes: Arc<dyn HostedCodes>,
    /// Leases on the renewal of accounts' tokens.
    pub renewal_leases: Arc<dyn RenewalLeases>,
    /// Accounts that are due for a visit.
    pub due_accounts: Arc<dyn DueAccounts>,
    /// The app's breaker.
    pub breaker: Arc<dyn AppBreaker>,
    /// Log of the tokens that were handed out.
    pub audit: Arc<dyn AuditLog>,
}

impl StorePorts {
    /// The ports of one store.
    #[must_use]
    pub fn of<S>(store: Arc<S>) -> Self
    where
        S: AccountReader
            + AccountWriter
            + PendingLinks
            + LinkAttempts
            + HostedCodes
            + RenewalLeases
            + DueAccounts
            + AppBreaker
            + AuditLog
            + 'static,
    {
        Self {
            accounts: store.clone(),
            cached_accounts: CachedAccounts::of_store(store.clone()),
            account_writer: store.clone(),
            pending_links: store.clone(),
            link_attempts: store.clone(),
            hosted_codes: store.clone(),
            renewal_leases: store.clone(),
            due_accounts: store.clone(),
            breaker: store.clone(),
            audit: store,
        }
    }

    /// The same ports, but that accounts are read from `accounts`.
    #[must_use]
    pub fn reading(self, accounts: Arc<dyn AccountReader>) -> Self {
        Self { cached_accounts: CachedAccounts::of_store(accounts.clone()), accounts, ..self }
    }
}
