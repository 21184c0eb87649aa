//! Accounts that cannot be read, among others that can: they are left out, named once in the log, and counted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountPage, StoreError};
use ig_metrics::{Counts, Registry};
use sea_orm::{FromQueryResult as _, QueryResult};
use uuid::Uuid;

use super::SeaOrmStore;
use super::account_row::to_domain;
use super::entity::instagram_account::Model;
use super::error::translate;

/// Maximum number of rows that are remembered as named.
const MAX_NAMED: usize = 1000;

/// The table of a row that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Account,
}

ig_metrics::label!(Table, "table", { Account => "instagram_account" });

/// Counts rows that were left out, and remembers which were named. Clones share both.
#[derive(Clone)]
pub(super) struct UnreadableRows {
    counts: Counts<Table>,
    named: Arc<Mutex<HashSet<Uuid>>>,
}

impl UnreadableRows {
    /// At zero.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "Rows that cannot be read and were left out of an answer";
        let counts = Counts::register(registry, "store_unreadable_rows", help);
        Self { counts, named: Arc::default() }
    }

    fn left_out(&self, account: Uuid, error: &StoreError) {
        self.counts.count(Table::Account);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < MAX_NAMED && named.insert(account) {
            let StoreError::Corrupt(cause) = error else { return };
            tracing::warn!(account.id = %account, error = %cause, "an account cannot be read and is left out");
        }
    }
}

impl SeaOrmStore {
    /// The columns of a row; `None` where one holds what it cannot, which is counted.
    ///
    /// # Errors
    ///
    /// When no row could be read so.
    pub(super) fn decoded(&self, row: &QueryResult) -> Result<Option<Model>, StoreError> {
        match Model::from_query_result(row, "").map_err(|error| translate(&error)) {
            Ok(row) => Ok(Some(row)),
            Err(error @ StoreError::Corrupt(_)) => {
                self.meter.unreadable.left_out(row.try_get("", "id").unwrap_or_default(), &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The account of a row; `None` where it cannot be read, which is counted.
    pub(super) fn readable(&self, row: Model) -> Option<InstagramAccount> {
        let id = row.id;
        to_domain(row).inspect_err(|error| self.meter.unreadable.left_out(id, error)).ok()
    }

    /// One page of the accounts that can be read, as long as if there were no others.
    pub(super) async fn readable_page(
        &self,
        page: &AccountPage,
    ) -> Result<Vec<InstagramAccount>, StoreError> {
        let mut wider = page.clone();
        loop {
            let rows = self.read_page(&wider).await?;
            let is_last = (rows.len() as u64) < wider.limit;
            let mut accounts: Vec<_> =
                rows.into_iter().flatten().filter_map(|row| self.readable(row)).collect();
            if is_last || accounts.len() as u64 >= page.limit {
                accounts.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
                return Ok(accounts);
            }
            wider.limit *= 2;
        }
    }
}
