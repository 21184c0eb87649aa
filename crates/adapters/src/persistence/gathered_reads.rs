//! Reads of single accounts, gathered: those that wait at the same time go to the database in one query.
//!
//! Nobody is held back for others to come: a read begins at once while no query runs, and whoever comes meanwhile goes
//! with the next one: after it, or beside it once [`MIN_BESIDE`] wait, since many small queries cost more than a few
//! large ones. So a query tells nobody what was so before it was asked.
//!
//! The queries run on the runtime of the database, on which no waiting read has a task. The answers of a query go to each
//! runtime on which somebody waits in one task, so that all are told in one turn of its thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ig_domain::ports::{BatchKey, Cause, StoreError};
use ig_domain::{AccountId, InstagramAccount, LongLivedToken};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::SeaOrmStore;
use super::database::bounded;
use super::error::overloaded;
use super::held_connection::HeldConnection;

/// Maximum number of queries at the same time: while one is being answered another is under way. Ours.
const MAX_QUERIES: usize = 2;

/// Minimum number of reads that wait for a query to run beside another one. Ours: a query for one costs as much as some
/// ten accounts of it.
const MIN_BESIDE: usize = 16;

/// Maximum number of accounts of one query. Ours.
const MAX_GATHERED: usize = 64;

/// Maximum number of reads that wait. Ours: more than all places of callers.
const MAX_WAITING: usize = 16_384;

/// Answer to one read.
pub(super) type Answer<T> = Result<Option<T>, StoreError>;

/// An account, and its token where it has one.
pub(super) type WithToken = (InstagramAccount, Option<LongLivedToken>);

/// A key whose reads are gathered.
pub(super) trait GatheredKey: Sized + Send + Sync + 'static {
    /// What is read by it.
    type Found: Send + 'static;

    /// Those that wait.
    fn reads(store: &SeaOrmStore) -> &Arc<GatheredReads<Self>>;

    /// The answer to each of `keys`, as if it were looked up alone.
    ///
    /// # Errors
    ///
    /// Where none can be told.
    fn find_group(
        store: &SeaOrmStore,
        connection: &mut HeldConnection,
        keys: &[Self],
    ) -> impl Future<Output = Result<Vec<Answer<Self::Found>>, StoreError>> + Send;
}

impl GatheredKey for BatchKey {
    type Found = InstagramAccount;

    fn reads(store: &SeaOrmStore) -> &Arc<GatheredReads<Self>> {
        &store.gathered_reads
    }

    async fn find_group(
        store: &SeaOrmStore,
        connection: &mut HeldConnection,
        keys: &[Self],
    ) -> Result<Vec<Answer<InstagramAccount>>, StoreError> {
        store.find_together(connection, keys).await
    }
}

impl GatheredKey for AccountId {
    type Found = WithToken;

    fn reads(store: &SeaOrmStore) -> &Arc<GatheredReads<Self>> {
        &store.gathered_tokens
    }

    async fn find_group(
        store: &SeaOrmStore,
        connection: &mut HeldConnection,
        keys: &[Self],
    ) -> Result<Vec<Answer<WithToken>>, StoreError> {
        store.find_with_tokens(connection, keys).await
    }
}

/// A read that waits, and the way back to its caller.
struct Waiting<K: GatheredKey> {
    key: K,
    caller: Caller<K::Found>,
}

struct Caller<T> {
    answer: oneshot::Sender<Answer<T>>,
    runtime: Handle,
}

/// Reads that wait for a query.
pub(super) struct GatheredReads<K: GatheredKey>(Mutex<State<K>>);

struct State<K: GatheredKey> {
    waiting: VecDeque<Waiting<K>>,
    /// Number of queries that run.
    queries: usize,
}

impl<K: GatheredKey> State<K> {
    /// Whether a query may run beside so many others.
    fn may_run_beside(&self, others: usize) -> bool {
        others == 0 || (others < MAX_QUERIES && self.waiting.len() >= MIN_BESIDE)
    }
}

/// The place of one query among those that run, one after the other, until nobody waits.
struct Place<K: GatheredKey> {
    reads: Arc<GatheredReads<K>>,
    is_given_back: bool,
}

/// The way to an answer, and the place for a query where one is free.
type Queued<K> = (oneshot::Receiver<Answer<<K as GatheredKey>::Found>>, Option<Place<K>>);

impl<K: GatheredKey> Default for GatheredReads<K> {
    fn default() -> Self {
        Self(Mutex::new(State { waiting: VecDeque::new(), queries: 0 }))
    }
}

impl<K: GatheredKey> GatheredReads<K> {
    /// Lets a read wait. Returns the way to its answer, and a place for a query where one is free.
    fn queue_up(self: &Arc<Self>, key: K) -> Result<Queued<K>, StoreError> {
        let (sender, answer) = oneshot::channel();
        let caller = Caller { answer: sender, runtime: Handle::current() };
        let mut state = self.lock();
        if state.waiting.len() >= MAX_WAITING {
            return Err(overloaded("too many reads wait"));
        }
        state.waiting.push_back(Waiting { key, caller });
        if !state.may_run_beside(state.queries) {
            return Ok((answer, None));
        }
        state.queries += 1;
        Ok((answer, Some(Place { reads: Arc::clone(self), is_given_back: false })))
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: GatheredKey> Place<K> {
    /// The reads that have waited longest, without those whose caller has left. Where there is none, or too few wait for
    /// another query beside those that run, the place is given back.
    fn next_group(&mut self) -> Option<Vec<Waiting<K>>> {
        let mut state = self.reads.lock();
        let mut group = Vec::new();
        let goes_on = state.may_run_beside(state.queries - 1);
        while goes_on && group.len() < MAX_GATHERED {
            let Some(next) = state.waiting.pop_front() else { break };
            if !next.caller.answer.is_closed() {
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

impl<K: GatheredKey> Drop for Place<K> {
    /// After a panic, where no other query runs, reads that wait fail at once: nobody would read for them.
    fn drop(&mut self) {
        if self.is_given_back {
            return;
        }
        let mut state = self.reads.lock();
        state.queries -= 1;
        if state.queries == 0 {
            state.waiting.clear();
        }
    }
}

impl SeaOrmStore {
    /// Reads by a key together with others that are read at the same time.
    pub(super) async fn find_gathered<K: GatheredKey>(&self, key: K) -> Answer<K::Found> {
        let (answer, place) = K::reads(self).queue_up(key)?;
        if let Some(place) = place {
            // In a task of its own: whoever waits may leave, and others wait too.
            self.database.runtime.spawn(self.clone().answer_groups(place));
        }
        let given_up = |error| Err(StoreError::Unavailable(Cause::new(error)));
        answer.await.unwrap_or_else(given_up)
    }

    async fn answer_groups<K: GatheredKey>(self, mut place: Place<K>) {
        let mut connection = None;
        while let Some(group) = place.next_group() {
            let (keys, callers): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.key, waiting.caller)).unzip();
            let held = connection.take().filter(HeldConnection::may_go_on);
            let answers = match bounded(self.find_on(held, &keys)).await {
                Ok((answers, held)) => {
                    connection = Some(held);
                    answers
                }
                Err(error) => {
                    let failed: Result<(), _> = self.database.explained(Err(error)).await;
                    keys.iter().map(|_| failed.clone().map(|()| None)).collect()
                }
            };
            tell(callers, answers);
        }
    }

    /// The answer to each of `keys`, and the connection on which the next ones may be read.
    async fn find_on<K: GatheredKey>(
        &self,
        held: Option<HeldConnection>,
        keys: &[K],
    ) -> Result<(Vec<Answer<K::Found>>, HeldConnection), StoreError> {
        let mut connection = match held {
            Some(held) => held,
            None => self.database.hold_connection().await?,
        };
        let answers = K::find_group(self, &mut connection, keys).await?;
        Ok((answers, connection))
    }
}

/// Tells each caller its answer. One that has left meanwhile hears nothing.
fn tell<T: Send + 'static>(callers: Vec<Caller<T>>, answers: Vec<Answer<T>>) {
    let mut told: Vec<(Handle, Vec<_>)> = Vec::new();
    for (Caller { answer: caller, runtime }, answer) in callers.into_iter().zip(answers) {
        match told.iter_mut().find(|(other, _)| other.id() == runtime.id()) {
            Some((_, told)) => told.push((caller, answer)),
            None => told.push((runtime, vec![(caller, answer)])),
        }
    }
    for (runtime, told) in told {
        let tell = move || told.into_iter().for_each(|(caller, answer)| drop(caller.send(answer)));
        if runtime.id() == Handle::current().id() {
            tell();
        } else {
            runtime.spawn(async move { tell() });
        }
    }
}

#[cfg(test)]
mod tests;
