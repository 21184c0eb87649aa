//! Unlinks an account: deletes it and destroys its token.

use ig_domain::ports::{AccountKey, StoreError};
use ig_domain::{AccountId, OwnerScope};

use crate::{Ports, StorePorts, subscriptions};

/// Unlinks accounts.
pub struct UnlinkAccount {
    ports: Ports,
}

/// Reason for which an account is not unlinked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UnlinkAccountError {
    /// The account does not exist, or its owner is outside the scope.
    #[error("there is no such account")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UnlinkAccount {
    /// The use case over these ports.
    #[must_use]
    pub fn new(ports: &Ports) -> Self {
        Self { ports: ports.clone() }
    }

    /// Deletes the account, if its owner is one of `owners`. Its webhook subscription ends before, if that takes five
    /// seconds at most.
    ///
    /// # Errors
    ///
    /// Any [`UnlinkAccountError`]; nothing is deleted then.
    pub async fn execute(
        &self,
        id: AccountId,
        owners: &OwnerScope,
    ) -> Result<(), UnlinkAccountError> {
        let StorePorts { accounts, account_writer, .. } = &self.ports.store;
        let mut subscribed = true;
        loop {
            let found = accounts.find(&AccountKey::Id(id)).await?;
            let found = found.filter(|account| owners.contains(&account.owner));
            let account = found.ok_or(UnlinkAccountError::NotFound)?;
            if std::mem::take(&mut subscribed) && account.subscription.is_some() {
                self.end_subscription(id).await;
            }
            match account_writer.remove(id, account.revision).await {
                Err(StoreError::Conflict) => {}
                removed => return Ok(removed?),
            }
        }
    }

    /// Ends the subscription, once only: after that somebody else may have subscribed the account anew. An account
    /// whose token cannot be read is deleted all the same.
    async fn end_subscription(&self, id: AccountId) {
        match self.ports.store.accounts.find_with_token(id).await {
            Ok(Some((account, Some(token)))) => {
                subscriptions::end(&self.ports, &account, &token).await;
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(account.id = %id, %error, "a subscription was not ended"),
        }
    }
}
