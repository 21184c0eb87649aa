//! Lists accounts a page at a time.

use std::sync::Arc;

use ig_domain::ports::{AccountPage, Accounts, Clock, StatusFilter, StoreError};
use ig_domain::{AccountId, AccountView, OwnerScope};
use time::OffsetDateTime;

/// Lists accounts.
pub struct ListAccounts {
    /// Where accounts are kept.
    pub accounts: Arc<dyn Accounts>,
    /// Business time, by which the status is judged.
    pub clock: Arc<dyn Clock>,
}

/// The place of an account in the listing: its `link_time` and id.
pub type PagePosition = (OffsetDateTime, AccountId);

/// What to list.
#[derive(Clone, Debug)]
pub struct ListAccountsQuery {
    /// Only accounts of these owners.
    pub owners: OwnerScope,
    /// Only accounts of this status; `None` for all.
    pub status: Option<StatusFilter>,
    /// Begins behind this place; `None` at the newest.
    pub after: Option<PagePosition>,
    /// How many accounts at most; at least 1.
    pub limit: u32,
}

/// A page of accounts.
#[derive(Clone, Debug)]
pub struct ListedAccounts {
    /// The accounts, newest `link_time` first.
    pub accounts: Vec<AccountView>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<PagePosition>,
}

impl ListAccounts {
    /// One page.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute(&self, query: ListAccountsQuery) -> Result<ListedAccounts, StoreError> {
        let ListAccountsQuery { owners, status, after, limit } = query;
        let now = self.clock.now();
        let one_more = u64::from(limit) + 1;
        let page = AccountPage { owners, status, now, after, limit: one_more };
        let mut accounts = self.accounts.list(&page).await?;
        let more = accounts.len() > limit as usize;
        accounts.truncate(limit as usize);
        let last = accounts.last().filter(|_| more);
        let next = last.map(|account| (account.link_time, account.id));
        let accounts = accounts.into_iter().map(|account| account.view(now)).collect();
        Ok(ListedAccounts { accounts, next })
    }
}
