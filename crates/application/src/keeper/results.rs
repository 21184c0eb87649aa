//! Results of visits, stored together: those that wait at the same time go in one transaction.

use std::collections::HashSet;

use ig_domain::LeaseHolder;
use ig_domain::ports::{StoreError, VisitResult};

use crate::Ports;
use crate::group_commit::GroupCommit;
use crate::retry::{MAX_TRIES, ONCE, retry_up_to};

/// Maximum number of results in one transaction. Ours: so many take milliseconds.
const MAX_RESULTS: usize = 256;

/// Results that wait to be stored.
pub(super) struct Results(GroupCommit<(LeaseHolder, VisitResult), Result<bool, StoreError>>);

impl Default for Results {
    fn default() -> Self {
        Self(GroupCommit::new(MAX_RESULTS))
    }
}

impl Results {
    /// Stores the result of a visit together with those that wait meanwhile, and releases its lease. Returns whether
    /// its change was stored. While the store is unavailable, results with a new token are tried again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub(super) async fn store(
        &self,
        ports: &Ports,
        holder: LeaseHolder,
        result: VisitResult,
    ) -> Result<bool, StoreError> {
        self.0.store((holder, result), 1, |results| store(ports, results)).await
    }
}

/// Stores results; returns of each whether its change was stored.
async fn store(
    ports: &Ports,
    results: Vec<(LeaseHolder, VisitResult)>,
) -> Vec<Result<bool, StoreError>> {
    let tries = if results.iter().any(|(_, result)| result.renews()) { MAX_TRIES } else { ONCE };
    let finish = || ports.store.due_accounts.finish(&results);
    let unstored = retry_up_to(tries, &*ports.timer, finish).await;
    let unstored = unstored.map(HashSet::<_>::from_iter);
    let is_stored = |(_, result): &(_, VisitResult)| match &unstored {
        Ok(unstored) => Ok(!unstored.contains(&result.id)),
        Err(error) => Err(error.clone()),
    };
    results.iter().map(is_stored).collect()
}
