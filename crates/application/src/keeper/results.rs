//! Results of visits, stored together: those that wait at the same time go in one transaction.

use std::collections::HashSet;
use std::sync::{Mutex as Lock, PoisonError};

use ig_domain::LeaseHolder;
use ig_domain::ports::{Cause, StoreError, VisitResult};
use tokio::sync::{Mutex, oneshot};

use crate::Ports;
use crate::retry::{MAX_TRIES, ONCE, retry_up_to};

/// Maximum number of results in one transaction. Ours: so many take milliseconds.
const MAX_RESULTS: usize = 256;

/// Results that wait to be stored, and the turn to store them.
#[derive(Default)]
pub(super) struct Results {
    waiting: Lock<Vec<Waiting>>,
    /// Held by the visit that stores the results of all.
    turn: Mutex<()>,
}

/// A result, and the way back to its visit.
struct Waiting {
    result: (LeaseHolder, VisitResult),
    stored: oneshot::Sender<Result<bool, StoreError>>,
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
        let (sender, mut receiver) = oneshot::channel();
        let waiting = Waiting { result: (holder, result), stored: sender };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        loop {
            let _turn = self.turn.lock().await;
            match receiver.try_recv() {
                Ok(stored) => return stored,
                Err(oneshot::error::TryRecvError::Empty) => self.store_waiting(ports).await,
                // Whoever stored it was stopped meanwhile.
                Err(oneshot::error::TryRecvError::Closed) => {
                    return Err(StoreError::Unavailable(Cause::new("the write was given up")));
                }
            }
        }
    }

    /// Stores the results that have waited longest.
    async fn store_waiting(&self, ports: &Ports) {
        let batch: Vec<Waiting> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.len().min(MAX_RESULTS);
            waiting.drain(..count).collect()
        };
        let (results, senders): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.result, waiting.stored)).unzip();
        let tries =
            if results.iter().any(|(_, result)| result.renews()) { MAX_TRIES } else { ONCE };
        let finish = || ports.store.due_accounts.finish(&results);
        let unstored = retry_up_to(tries, &*ports.timer, finish).await;
        let unstored = unstored.map(HashSet::<_>::from_iter);
        for ((_, result), sender) in results.iter().zip(senders) {
            let stored = unstored.as_ref().map(|unstored| !unstored.contains(&result.id));
            // A visit that was stopped meanwhile hears nothing.
            let _ = sender.send(stored.map_err(StoreError::clone));
        }
    }
}
