//! Lists accounts a page at a time.

use std::sync::Arc;

use ig_domain::ports::{AccountPage, AccountReader, Clock, StatusFilter, StoreError};
use ig_domain::{AccountView, ListingPosition, OwnerScope};

/// Lists accounts.
pub struct ListAccounts {
    /// Store of accounts.
    pub accounts: Arc<dyn AccountReader>,
    /// Business time, by which the shown status is judged.
    pub clock: Arc<dyn Clock>,
}

/// Query of a listing.
#[derive(Clone, Debug)]
pub struct ListAccountsQuery {
    /// Only accounts of these owners.
    pub owners: OwnerScope,
    /// Only accounts of this status; `None` for all.
    pub status: Option<StatusFilter>,
    /// Position behind which the page begins; `None` for the first page.
    pub after: Option<ListingPosition>,
    /// Maximum number of accounts; at least 1.
    pub limit: u32,
}

/// A page of accounts.
#[derive(Clone, Debug)]
pub struct ListedAccounts {
    /// The accounts, in the order of the listing.
    pub accounts: Vec<AccountView>,
    /// Position behind which the next page begins; `None` on the last page.
    pub next: Option<ListingPosition>,
}

impl ListAccounts {
    /// One page.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute(&self, query: ListAccountsQuery) -> Result<ListedAccounts, StoreError> {
        let ListAccountsQuery { owners, status, after, limit } = query;
        let one_more = u64::from(limit) + 1;
        let page = AccountPage { owners, status, after, limit: one_more };
        let mut accounts = self.accounts.list(&page).await?;
        let more = accounts.len() > limit as usize;
        accounts.truncate(limit as usize);
        let next = accounts.last().filter(|_| more).map(ListingPosition::of);
        let now = self.clock.now();
        let accounts = accounts.into_iter().map(|account| account.view(now)).collect();
        Ok(ListedAccounts { accounts, next })
    }
}
