//! Receives what Instagram sends by webhook: updates are stored before Instagram is told that they came.

use std::sync::Arc;

use ig_domain::ReceivedUpdate;
use ig_domain::ports::{Cause, CountedEvent, Metrics, StoreError, Webhooks};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::group_commit::GroupCommit;

/// Maximum number of updates in one transaction. Ours: as many as one of Instagram's batches has.
const MAX_GROUP_UPDATES: usize = 1000;

/// Maximum size of the payloads in one transaction, in bytes. Ours.
const MAX_GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Minimum weight of an update: so groups of at most [`MAX_GROUP_BYTES`] have at most [`MAX_GROUP_UPDATES`].
const MIN_UPDATE_WEIGHT: usize = MAX_GROUP_BYTES / MAX_GROUP_UPDATES;

/// Maximum weight of all updates that wait to be stored. Ours.
const MAX_WAITING_WEIGHT: usize = 64 * 1024 * 1024;

/// Reason for which updates were not stored, or may not be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReceiveWebhooksError {
    /// Too many wait to be stored.
    #[error("too many updates wait to be stored")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Receives updates. Those that come at the same time are stored together.
#[derive(Clone)]
pub struct ReceiveWebhooks {
    work: Arc<ReceiveWork>,
    tracker: TaskTracker,
}

/// The work of receiving updates. One of those who receive at the same time stores for all.
pub struct ReceiveWork {
    webhooks: Arc<dyn Webhooks>,
    metrics: Arc<dyn Metrics>,
    group: GroupCommit<Vec<ReceivedUpdate>, Result<(), StoreError>>,
    /// A permit for each unit of weight that may wait.
    room: Semaphore,
}

impl ReceiveWebhooks {
    /// Stores updates in `webhooks`. `tracker` waits for what is under way.
    #[must_use]
    pub fn new(
        webhooks: Arc<dyn Webhooks>,
        metrics: Arc<dyn Metrics>,
        tracker: TaskTracker,
    ) -> Self {
        Self { work: Arc::new(ReceiveWork::new(webhooks, metrics)), tracker }
    }

    /// Stores the updates of linked accounts, each once; `unreadable` items besides were none, and are counted. Where
    /// this fails, some may be stored: sending all again does no harm. Once begun it goes on without its caller.
    ///
    /// # Errors
    ///
    /// Any [`ReceiveWebhooksError`].
    pub async fn execute(
        &self,
        updates: Vec<ReceivedUpdate>,
        unreadable: u64,
    ) -> Result<(), ReceiveWebhooksError> {
        let work = Arc::clone(&self.work);
        // One of them stores for all: it must not go with its caller.
        let storing = async move { work.run(updates, unreadable).await };
        let storing = self.tracker.spawn(storing.in_current_span());
        storing.await.unwrap_or_else(|error| Err(StoreError::Internal(Cause::new(error)).into()))
    }
}

impl ReceiveWork {
    /// The work over these ports.
    #[must_use]
    pub fn new(webhooks: Arc<dyn Webhooks>, metrics: Arc<dyn Metrics>) -> Self {
        let group = GroupCommit::new(MAX_GROUP_BYTES);
        let room = Semaphore::new(MAX_WAITING_WEIGHT);
        Self { webhooks, metrics, group, room }
    }

    /// Stores the updates, as [`ReceiveWebhooks::execute`] says. Where the future is dropped, others that wait for it
    /// fail, too.
    ///
    /// # Errors
    ///
    /// Any [`ReceiveWebhooksError`].
    pub async fn run(
        &self,
        updates: Vec<ReceivedUpdate>,
        unreadable: u64,
    ) -> Result<(), ReceiveWebhooksError> {
        self.store(updates).await?;
        self.metrics.count(CountedEvent::UpdatesUnreadable(unreadable));
        Ok(())
    }

    async fn store(&self, updates: Vec<ReceivedUpdate>) -> Result<(), ReceiveWebhooksError> {
        let weight = updates.iter().map(weight).sum::<usize>();
        let weight = u32::try_from(weight).map_err(|_| ReceiveWebhooksError::TooMany)?;
        let room = self.room.try_acquire_many(weight);
        let _room = room.map_err(|_| ReceiveWebhooksError::TooMany)?;
        let mut rest = updates.into_iter().peekable();
        while rest.peek().is_some() {
            let some: Vec<_> = rest.by_ref().take(MAX_GROUP_UPDATES).collect();
            let weight = some.iter().map(self::weight).sum();
            self.group.store(some, weight, |group| self.store_group(group)).await?;
        }
        Ok(())
    }

    async fn store_group(&self, group: Vec<Vec<ReceivedUpdate>>) -> Vec<Result<(), StoreError>> {
        let requests = group.len();
        let updates = group.into_iter().flatten().collect::<Vec<_>>();
        let stored = self.webhooks.store(&updates).await;
        let stored = stored.map(|counts| self.metrics.count(CountedEvent::UpdatesReceived(counts)));
        vec![stored; requests]
    }
}

/// Weight of an update among those that are stored together, or wait to be.
fn weight(received: &ReceivedUpdate) -> usize {
    let size = received.payload.as_ref().map_or(0, |payload| payload.as_str().len());
    size.max(MIN_UPDATE_WEIGHT)
}
