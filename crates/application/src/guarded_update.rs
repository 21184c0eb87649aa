//! Changes that are stored on top of others' changes.

use ig_domain::ports::StoreError;
use ig_domain::{InstagramAccount, LongLivedToken, TokenGrant};

use crate::Ports;
use crate::retry::retry_up_to;

/// Result of storing a change.
pub(crate) enum Stored {
    /// The change is stored.
    Done(InstagramAccount),
    /// The account has another token since, to which the change does not belong.
    Superseded(InstagramAccount),
}

/// Reason for which a change cannot be stored.
pub(crate) enum NotStored {
    /// The account's token was destroyed since; the account as one without a token.
    TokenGone(Box<InstagramAccount>),
    /// The account was unlinked since.
    Gone,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for NotStored {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Stores `change` on top of others' changes, unless they changed the `token` that it belongs to; `read` is the account
/// as it was read. Each call to the store is made up to `tries` times while it is unavailable.
///
/// # Errors
///
/// Any [`NotStored`].
pub(crate) async fn store_on_top(
    ports: &Ports,
    tries: u32,
    (read, token): (&InstagramAccount, &LongLivedToken),
    grant: Option<&TokenGrant>,
    change: impl Fn(&mut InstagramAccount),
) -> Result<Stored, NotStored> {
    let mut former = read.clone();
    loop {
        let mut next = former.clone();
        change(&mut next);
        let next = next.succeeding(&former, ports.clock.now());
        let write = retry_up_to(tries, &*ports.timer, || {
            let renewed = grant.map(|grant| grant.token.clone());
            ports.store.account_writer.update(&next, &former, renewed)
        });
        match write.await {
            Ok(()) => return Ok(Stored::Done(next)),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        // Giving up here would drop a renewed token just as well.
        let find = || ports.store.accounts.find_with_token(read.id);
        let found = retry_up_to(tries, &*ports.timer, find).await?;
        let (account, stored) = found.ok_or(NotStored::Gone)?;
        let Some(stored) = stored else {
            return Err(NotStored::TokenGone(Box::new(account.without_token())));
        };
        former = account;
        if !stored.text().is(token.text()) {
            // It may be our own write, whose answer was lost.
            return Ok(Stored::Superseded(former));
        }
    }
}
