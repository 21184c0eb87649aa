//! Group commit: what waits to be written at the same time is written together.

use std::collections::VecDeque;
use std::sync::{Mutex as Lock, PoisonError};

use tokio::sync::{Mutex, oneshot};

/// Items that wait to be written, and the turn to write them.
pub(crate) struct GroupCommit<T, R> {
    waiting: Lock<VecDeque<Waiting<T, R>>>,
    /// Held by the one that writes the items of all.
    turn: Mutex<()>,
    /// Maximum weight of the items that are written together. One item alone may weigh more.
    max_weight: usize,
}

/// An item, and the way back to the one that waits for its result.
struct Waiting<T, R> {
    item: T,
    weight: usize,
    written: oneshot::Sender<R>,
}

impl<T, R> GroupCommit<T, R> {
    /// Groups of at most this weight.
    pub(crate) fn new(max_weight: usize) -> Self {
        Self { waiting: Lock::default(), turn: Mutex::default(), max_weight }
    }

    /// Writes `item` together with those that wait meanwhile, in the order in which they came. `write` returns a result
    /// for each item that it is given. `None` where the one that wrote it was stopped meanwhile.
    pub(crate) async fn commit<W>(
        &self,
        item: T,
        weight: usize,
        write: impl Fn(Vec<T>) -> W,
    ) -> Option<R>
    where
        W: Future<Output = Vec<R>>,
    {
        let (written, mut receiver) = oneshot::channel();
        self.lock().push_back(Waiting { item, weight, written });
        loop {
            let _turn = tokio::select! {
                biased;
                result = &mut receiver => return result.ok(),
                turn = self.turn.lock() => turn,
            };
            self.write_group(&write).await;
        }
    }

    /// Writes the items that have waited longest.
    async fn write_group<W>(&self, write: impl Fn(Vec<T>) -> W)
    where
        W: Future<Output = Vec<R>>,
    {
        let (items, waiting): (Vec<_>, Vec<_>) = self.take_group().into_iter().unzip();
        for (result, written) in write(items).await.into_iter().zip(waiting) {
            // One that was stopped meanwhile hears nothing.
            let _ = written.send(result);
        }
    }

    fn take_group(&self) -> Vec<(T, oneshot::Sender<R>)> {
        let mut waiting = self.lock();
        let (mut group, mut weight) = (Vec::new(), 0);
        while let Some(next) =
            waiting.pop_front_if(|next| group.is_empty() || weight + next.weight <= self.max_weight)
        {
            weight += next.weight;
            group.push((next.item, next.written));
        }
        group
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting<T, R>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    /// Writes that wait for a permit each, and note their items.
    #[derive(Clone)]
    struct Log {
        commit: Arc<GroupCommit<u32, u32>>,
        permits: Arc<Semaphore>,
        groups: Arc<Lock<Vec<Vec<u32>>>>,
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
        while !log.commit.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        writer.abort();
        assert_eq!(other.await.unwrap(), None);
        log.permits.add_permits(1);
        assert_eq!(log.begin(4).await.unwrap(), Some(40), "the next one writes");
    }
}
