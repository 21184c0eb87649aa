//! The work of refreshing, under a lease: one holder at a time.

mod leased;

use std::sync::Arc;

use ig_domain::ports::{
    AccountReader, AccountWriter, Clock, Ids, Instagram, Metrics, RenewalLeases, StoreError, Timer,
};
use ig_domain::{AccountId, LeaseHolder};

use self::leased::LeasedRefresh;
use super::{RefreshAccountError, RefreshedAccount};
use crate::Ports;
use crate::lease_wait::LeaseWait;

/// The work of [`RefreshAccount`](super::RefreshAccount): a future that may be dropped between any two calls
/// to a port.
pub struct RefreshWork {
    /// Reads accounts and tokens.
    accounts: Arc<dyn AccountReader>,
    /// Stores changed accounts and renewed tokens.
    account_writer: Arc<dyn AccountWriter>,
    /// Leases, which make the work one holder's at a time.
    leases: Arc<dyn RenewalLeases>,
    /// Instagram.
    instagram: Arc<dyn Instagram>,
    /// Business time.
    clock: Arc<dyn Clock>,
    /// Real time, for waiting.
    timer: Arc<dyn Timer>,
    /// Source of lease holders.
    ids: Arc<dyn Ids>,
    /// Counts of what becomes of renewals.
    metrics: Arc<dyn Metrics>,
}

/// Reason for which held work did not come to an answer.
enum Setback {
    /// The lease or the token is not what it was: begin again with what is stored.
    LookAgain,
    /// The work failed.
    Failed(RefreshAccountError),
}

impl<E: Into<RefreshAccountError>> From<E> for Setback {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl RefreshWork {
    /// The work over `ports`.
    #[must_use]
    pub fn new(ports: &Ports) -> Self {
        Self {
            accounts: ports.store.accounts.clone(),
            account_writer: ports.store.account_writer.clone(),
            leases: ports.store.renewal_leases.clone(),
            instagram: ports.instagram.clone(),
            clock: ports.clock.clone(),
            timer: ports.timer.clone(),
            ids: ports.ids.clone(),
            metrics: ports.metrics.clone(),
        }
    }

    /// Refreshes the account, or waits for the holder that does and answers its result.
    ///
    /// # Errors
    ///
    /// Any [`RefreshAccountError`] but `Panicked`.
    #[tracing::instrument(name = "refresh_account", level = "debug", skip_all, fields(account.id = %id))]
    pub async fn run(&self, id: AccountId) -> Result<RefreshedAccount, RefreshAccountError> {
        let arrival = self.clock.now();
        let wait = LeaseWait::new(&*self.timer);
        loop {
            let holder = self.claim(id, &wait).await?;
            let leased = LeasedRefresh { work: self, id, holder, arrival };
            // Apart from the callers' futures, most of which never renew.
            let refreshed = Box::pin(leased.refresh()).await;
            self.give_back(id, holder).await;
            match refreshed {
                Err(Setback::LookAgain) => wait.pause().await?,
                Err(Setback::Failed(error)) => return Err(error),
                Ok(refreshed) => return Ok(refreshed),
            }
        }
    }

    /// Takes the lease as soon as nobody else holds it, within the bound of the `wait`.
    async fn claim(&self, id: AccountId, wait: &LeaseWait<'_>) -> Result<LeaseHolder, StoreError> {
        loop {
            let holder = self.ids.lease_holder();
            if self.leases.claim(id, holder).await? {
                return Ok(holder);
            }
            wait.pause().await?;
        }
    }

    async fn give_back(&self, id: AccountId, holder: LeaseHolder) {
        if let Err(error) = self.leases.release(id, holder).await {
            tracing::debug!(%error, "a lease could not be given back and ends by itself");
        }
    }
}
