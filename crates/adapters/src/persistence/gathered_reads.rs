//! Reads of single accounts, gathered: those that wait at the same time go to the database in one query.
//!
//! Nobody is held back for others to come: a read begins at once while fewer than [`MAX_QUERIES`] queries run, and whoever
//! comes meanwhile goes with the next one. So a query tells nobody what was so before it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountKey, BatchKey, Cause, StoreError};
use tokio::sync::oneshot;

use super::SeaOrmStore;
use super::account_row::to_domain;
use super::database::bounded;
use super::error::overloaded;

/// Maximum number of queries at the same time: while one is being answered another is under way. Ours.
const MAX_QUERIES: usize = 2;

/// Maximum number of accounts of one query. Ours.
const MAX_GATHERED: usize = 64;

/// Maximum number of reads that wait. Ours: more than all places of callers.
const MAX_WAITING: usize = 16_384;

/// Answer to one read.
type Answer = Result<Option<InstagramAccount>, StoreError>;

/// A read that waits, and the way back to its caller.
struct Waiting {
    key: BatchKey,
    caller: oneshot::Sender<Answer>,
}

/// Reads that wait for a query.
#[derive(Default)]
pub(super) struct GatheredReads(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Number of queries that run.
    queries: usize,
}

/// The place of one query among those that run, one after the other, until nobody waits.
struct Place {
    reads: Arc<GatheredReads>,
    is_given_back: bool,
}

impl GatheredReads {
    /// Lets a read wait. Returns the way to its answer, and a place for a query where one is free.
    fn queue_up(
        self: &Arc<Self>,
        key: BatchKey,
    ) -> Result<(oneshot::Receiver<Answer>, Option<Place>), StoreError> {
        let (caller, answer) = oneshot::channel();
        let mut state = self.lock();
        if state.waiting.len() >= MAX_WAITING {
            return Err(overloaded("too many reads wait"));
        }
        state.waiting.push_back(Waiting { key, caller });
        if state.queries >= MAX_QUERIES {
            return Ok((answer, None));
        }
        state.queries += 1;
        Ok((answer, Some(Place { reads: Arc::clone(self), is_given_back: false })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The reads that have waited longest, without those whose caller has left. Where there is none the place is given
    /// back.
    fn next_group(&mut self) -> Option<Vec<Waiting>> {
        let mut state = self.reads.lock();
        let mut group = Vec::new();
        while group.len() < MAX_GATHERED {
            let Some(next) = state.waiting.pop_front() else { break };
            if !next.caller.is_closed() {
                group.push(next);
            }
        }
        if group.is_empty() {
            state.queries -= 1;
            self.is_given_back = true;
            return None;
        }
        Some(group)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_given_back {
            self.reads.lock().queries -= 1;
        }
    }
}

impl SeaOrmStore {
    /// Reads an account together with others that are read at the same time.
    pub(super) async fn find_gathered(&self, key: BatchKey) -> Answer {
        let (answer, place) = self.gathered_reads.queue_up(key)?;
        if let Some(place) = place {
            // In a task of its own: whoever waits may leave, and others wait too.
            tokio::spawn(self.clone().answer_groups(place));
        }
        let given_up = |error| Err(StoreError::Unavailable(Cause::new(error)));
        answer.await.unwrap_or_else(given_up)
    }

    async fn answer_groups(self, mut place: Place) {
        while let Some(group) = place.next_group() {
            let (keys, callers): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.key, waiting.caller)).unzip();
            let answers = self.find_group(&keys).await;
            for (caller, answer) in callers.into_iter().zip(answers) {
                // One that has left meanwhile hears nothing.
                let _ = caller.send(answer);
            }
        }
    }

    /// The answer to each of `keys`, as if it were looked up alone.
    async fn find_group(&self, keys: &[BatchKey]) -> Vec<Answer> {
        if let [key] = keys {
            return vec![bounded(self.find_alone(&key.clone().into())).await];
        }
        let (rows, unreadable) = match bounded(self.rows_of(keys)).await {
            Ok(found) => found,
            Err(error) => return vec![Err(error); keys.len()],
        };
        let mut answers = Vec::new();
        for (key, row) in keys.iter().zip(rows) {
            answers.push(match row {
                Some(row) => to_domain(row).map(Some),
                None if unreadable.is_empty() => Ok(None),
                // It may be the one that cannot be read.
                None => bounded(self.find_alone(&AccountKey::from(key.clone()))).await,
            });
        }
        answers
    }
}

#[cfg(test)]
mod tests;
