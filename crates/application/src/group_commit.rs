//! Group commit: what waits to be written at the same time is written together.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ig_domain::ports::{Cause, StoreError};
use tokio::sync::oneshot;

/// Items that wait to be written, and the turn to write them.
pub(crate) struct GroupCommit<T, R> {
    queue: Arc<Queue<T, R>>,
    /// Maximum weight of the items that are written together. One item alone may weigh more.
    max_weight: usize,
}

struct Queue<T, R>(Mutex<State<T, R>>);

struct State<T, R> {
    waiting: VecDeque<Waiting<T, R>>,
    /// Whether somebody has the turn.
    is_taken: bool,
}

struct Waiting<T, R> {
    item: T,
    weight: usize,
    /// The way back to the one that waits; `None` where that one has the turn.
    caller: Option<oneshot::Sender<Told<T, R>>>,
}

/// What one that waits is told.
enum Told<T, R> {
    /// Its item was written by another.
    Written(R),
    /// It is to write: its item is the first of those that wait.
    Turn(Turn<T, R>),
}

/// The turn to write. Dropping it passes it on to the one that has waited longest.
struct Turn<T, R>(Arc<Queue<T, R>>);

impl<T, R> GroupCommit<T, R> {
    /// Groups of at most this weight.
    pub(crate) fn new(max_weight: usize) -> Self {
        let state = State { waiting: VecDeque::new(), is_taken: false };
        Self { queue: Arc::new(Queue(Mutex::new(state))), max_weight }
    }

    /// Writes `item` together with those that wait meanwhile, in the order in which they came. `write` returns a result
    /// for each item that it is given. `None` where the one that wrote it was stopped meanwhile.
    async fn commit<W>(&self, item: T, weight: usize, write: impl Fn(Vec<T>) -> W) -> Option<R>
    where
        W: Future<Output = Vec<R>>,
    {
        let turn = match self.queue_up(item, weight) {
            Ok(turn) => turn,
            Err(told) => match told.await.ok()? {
                Told::Written(result) => return Some(result),
                Told::Turn(turn) => turn,
            },
        };
        let group = self.take_group().into_iter();
        let (items, callers): (Vec<_>, Vec<_>) = group.map(|one| (one.item, one.caller)).unzip();
        let results = write(items).await;
        // The next one writes before those that are told now go on.
        drop(turn);
        let mut own = None;
        for (result, caller) in results.into_iter().zip(callers) {
            match caller {
                // One that was stopped meanwhile hears nothing.
                Some(caller) => drop(caller.send(Told::Written(result))),
                None => own = Some(result),
            }
        }
        own
    }

    /// The turn, where nobody has it; else what the one that waits is told.
    fn queue_up(
        &self,
        item: T,
        weight: usize,
    ) -> Result<Turn<T, R>, oneshot::Receiver<Told<T, R>>> {
        let mut state = self.queue.lock();
        if !state.is_taken {
            state.is_taken = true;
            state.waiting.push_back(Waiting { item, weight, caller: None });
            return Ok(Turn(Arc::clone(&self.queue)));
        }
        let (caller, told) = oneshot::channel();
        state.waiting.push_back(Waiting { item, weight, caller: Some(caller) });
        Err(told)
    }

    /// The items that have waited longest, and who waits for them.
    fn take_group(&self) -> Vec<Waiting<T, R>> {
        let mut state = self.queue.lock();
        let (mut group, mut weight) = (Vec::new(), 0);
        while let Some(next) = state
            .waiting
            .pop_front_if(|next| group.is_empty() || weight + next.weight <= self.max_weight)
        {
            weight += next.weight;
            group.push(next);
        }
        group
    }
}

impl<T, R> GroupCommit<T, Result<R, StoreError>> {
    /// Stores `item` together with those that wait meanwhile, in the order in which they came. `write` returns a result
    /// for each item that it is given.
    ///
    /// # Errors
    ///
    /// As `write`; [`StoreError::Unavailable`] also where the one that wrote it was stopped meanwhile.
    pub(crate) async fn store<W>(
        &self,
        item: T,
        weight: usize,
        write: impl Fn(Vec<T>) -> W,
    ) -> Result<R, StoreError>
    where
        W: Future<Output = Vec<Result<R, StoreError>>>,
    {
        let given_up = || StoreError::Unavailable(Cause::new("the write was given up"));
        self.commit(item, weight, write).await.unwrap_or_else(|| Err(given_up()))
    }
}

impl<T, R> Queue<T, R> {
    /// Gives the turn to the one that has waited longest. Items of those that were stopped meanwhile are not written.
    fn pass_on(self: Arc<Self>) {
        let Some(caller) = self.first_caller() else { return };
        // One that was stopped at this moment drops the turn, which goes on then.
        drop(caller.send(Told::Turn(Turn(self))));
    }

    /// The one that has waited longest; `None` where nobody waits, and the turn is free.
    fn first_caller(&self) -> Option<oneshot::Sender<Told<T, R>>> {
        let mut state = self.lock();
        while let Some(first) = state.waiting.front_mut() {
            match first.caller.take() {
                Some(caller) if !caller.is_closed() => return Some(caller),
                _ => drop(state.waiting.pop_front()),
            }
        }
        state.is_taken = false;
        None
    }

    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, R> Drop for Turn<T, R> {
    fn drop(&mut self) {
        Arc::clone(&self.0).pass_on();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    /// Writes that wait for a permit each, and note their items.
    #[derive(Clone)]
    struct Log {
        commit: Arc<GroupCommit<u32, u32>>,
        permits: Arc<Semaphore>,
        groups: Arc<Mutex<Vec<Vec<u32>>>>,
    }

    impl Log {
        fn new(max_weight: usize) -> Self {
            let permits = Arc::new(Semaphore::new(0));
            Self { commit: Arc::new(GroupCommit::new(max_weight)), permits, groups: Arc::default() }
        }

        async fn write(&self, items: Vec<u32>) -> Vec<u32> {
            self.permits.acquire().await.unwrap().forget();
            self.groups.lock().unwrap().push(items.clone());
            items.into_iter().map(|item| item * 10).collect()
        }

        fn begin(&self, item: u32) -> tokio::task::JoinHandle<Option<u32>> {
            let log = self.clone();
            tokio::spawn(async move {
                log.commit.commit(item, item as usize, |items| log.write(items)).await
            })
        }

        /// Begins each once the one before it waits.
        async fn begin_each(&self, items: &[u32]) -> Vec<tokio::task::JoinHandle<Option<u32>>> {
            let mut begun = Vec::new();
            for item in items {
                begun.push(self.begin(*item));
                tokio::task::yield_now().await;
            }
            begun
        }
    }

    #[tokio::test]
    async fn what_waits_meanwhile_goes_together_up_to_the_weight() {
        let log = Log::new(10);
        let begun = log.begin_each(&[1, 2, 3, 5, 4, 20, 6]).await;
        log.permits.add_permits(100);
        let mut results = Vec::new();
        for one in begun {
            results.push(one.await.unwrap().unwrap());
        }
        assert_eq!(results, [10, 20, 30, 50, 40, 200, 60]);
        let groups = log.groups.lock().unwrap();
        assert_eq!(*groups, [vec![1], vec![2, 3, 5], vec![4], vec![20], vec![6]]);
    }

    #[tokio::test]
    async fn one_that_is_stopped_while_it_writes_leaves_the_others_without_a_result() {
        let log = Log::new(10);
        let begun = log.begin_each(&[1, 2, 3]).await;
        log.permits.add_permits(1);
        let [first, writer, other] = &mut <[_; 3]>::try_from(begun).unwrap();
        assert_eq!(first.await.unwrap(), Some(10));
        while !log.commit.queue.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        writer.abort();
        assert_eq!(other.await.unwrap(), None);
        log.permits.add_permits(1);
        assert_eq!(log.begin(4).await.unwrap(), Some(40), "the next one writes");
    }

    #[tokio::test]
    async fn one_that_is_stopped_while_it_waits_does_not_keep_the_turn() {
        let log = Log::new(2);
        let begun = log.begin_each(&[1, 2, 3, 4]).await;
        let [first, stopped, also_stopped, other] = <[_; 4]>::try_from(begun).unwrap();
        stopped.abort();
        tokio::task::yield_now().await;
        log.permits.add_permits(1);
        first.await.unwrap();
        // It has the turn, and did not begin.
        also_stopped.abort();
        log.permits.add_permits(100);
        assert_eq!(other.await.unwrap(), Some(40));
        assert_eq!(*log.groups.lock().unwrap(), [vec![1], vec![4]]);
        assert_eq!(log.begin(5).await.unwrap(), Some(50), "the turn is free");
    }
}
