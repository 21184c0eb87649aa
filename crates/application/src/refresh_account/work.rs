//! The work of refreshing, under a lease: one holder at a time.

mod leased;

use ig_domain::AccountId;
use ig_domain::ports::{InstagramError, InstagramErrorKind, StoreError};

use self::leased::LeasedRefresh;
use super::{RefreshAccountError, RefreshedAccount};
use crate::Ports;
use crate::lease_extension::HeldLease;
use crate::lease_wait::LeaseWait;
use crate::leased_calls::{CallError, LeasedCalls};
use crate::witness::{self, Refused};

/// The work of [`RefreshAccount`](super::RefreshAccount): a future that may be dropped between any two calls
/// to a port.
pub struct RefreshWork {
    ports: Ports,
}

/// Reason for which held work did not come to an answer.
enum Setback {
    /// The lease or the token is not what it was: begin again with what is stored.
    LookAgain,
    /// Instagram refused the app for this account.
    AppRefused(InstagramError),
    /// The work failed.
    Failed(RefreshAccountError),
}

impl<E: Into<RefreshAccountError>> From<E> for Setback {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<CallError> for Setback {
    fn from(error: CallError) -> Self {
        match error {
            // Somebody else may have worked, and left, since.
            CallError::Store(StoreError::LeaseLost) => Self::LookAgain,
            CallError::Store(error) => error.into(),
            CallError::Instagram(error) if error.kind == InstagramErrorKind::AppMisconfigured => {
                Self::AppRefused(error)
            }
            CallError::Instagram(error) => error.into(),
        }
    }
}

impl RefreshWork {
    /// The work over `ports`.
    #[must_use]
    pub fn new(ports: &Ports) -> Self {
        Self { ports: ports.clone() }
    }

    /// Refreshes the account, or waits for the holder that does and answers its result.
    ///
    /// # Errors
    ///
    /// Any [`RefreshAccountError`] but `Panicked`.
    #[tracing::instrument(name = "refresh_account", level = "debug", skip_all, fields(account.id = %id))]
    pub async fn run(&self, id: AccountId) -> Result<RefreshedAccount, RefreshAccountError> {
        let arrival = self.ports.clock.now();
        let wait = LeaseWait::new(&*self.ports.timer);
        loop {
            let lease = self.claim(id, &wait).await?;
            let calls = LeasedCalls { ports: &self.ports, lease };
            let leased = LeasedRefresh { ports: &self.ports, calls, arrival };
            // Apart from the callers' futures, most of which never renew.
            let refreshed = Box::pin(leased.refresh()).await;
            leased.calls.lease.release().await;
            match refreshed {
                Err(Setback::LookAgain) => wait.pause().await?,
                Err(Setback::AppRefused(refusal)) => {
                    let judged = Box::pin(witness::judge(&self.ports, id, Refused::App));
                    let verdict = judged.await?;
                    return Err(verdict.failure(&refusal).unwrap_or(refusal).into());
                }
                Err(Setback::Failed(error)) => return Err(error),
                Ok(refreshed) => return Ok(refreshed),
            }
        }
    }

    /// Takes the lease as soon as nobody else holds it, within the bound of the `wait`.
    async fn claim(
        &self,
        id: AccountId,
        wait: &LeaseWait<'_>,
    ) -> Result<HeldLease<'_>, StoreError> {
        loop {
            let (holder, begin) = (self.ports.ids.lease_holder(), self.ports.timer.now());
            if self.ports.store.renewal_leases.claim(id, holder).await? {
                return Ok(HeldLease::claimed(&self.ports, id, holder, begin));
            }
            wait.pause().await?;
        }
    }
}
