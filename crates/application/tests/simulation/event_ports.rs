//! The ports of events as the replicas see them, and the time by which streams wait.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_application::{RightsLost, WatchRights, WatchScope};
use ig_domain::ports::{
    ConsumerKey, ConsumerState, Consumers, EventLog, HeldConsumer, LogState, StoreError, Taken,
    Timer,
};
use ig_domain::{EventKind, EventPosition, LeaseHolder, LoggedEvent, OwnerScope};
use time::OffsetDateTime;

use crate::crash_points::{CrashPoint, Side};
use crate::replica::Replica;
use crate::world::World;

/// Real time, which goes on with the store's own clock and not with business time.
pub(crate) struct RealTime(pub(crate) Arc<World>);

#[async_trait]
impl Timer for RealTime {
    fn now(&self) -> Instant {
        self.0.begin + self.0.state().real_time
    }

    /// Ends at its time at the latest: whatever a stream does meanwhile, it learns then that its lease is over.
    async fn sleep(&self, span: Duration) {
        let end = self.now() + span;
        let passes = async {
            self.0.pass(CrashPoint::Sleep, Side::Before).await;
            self.0.pass(CrashPoint::Sleep, Side::After).await;
        };
        let mut passes = pin!(passes);
        poll_fn(|context| match passes.as_mut().poll(context) {
            Poll::Pending if self.now() < end => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }
}

/// Rights to see all events of these kinds.
pub(crate) struct SomeKinds(pub(crate) Vec<EventKind>);

impl WatchRights for SomeKinds {
    fn judge(&self) -> Result<WatchScope, RightsLost> {
        let (owners, kinds) = (OwnerScope::everyone(), self.0.clone());
        Ok(WatchScope { owners, kinds, shows_accounts: true })
    }
}

#[async_trait]
impl EventLog for Replica {
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError> {
        self.store(CrashPoint::LookAtEvents, self.world.store.look(at)).await
    }

    async fn number_waiting(&self) -> Result<u64, StoreError> {
        self.store(CrashPoint::NumberEvents, self.world.store.number_waiting()).await
    }

    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError> {
        self.store(CrashPoint::ReadEvents, self.world.store.page(after, limit)).await
    }

    async fn since(
        &self,
        time: OffsetDateTime,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError> {
        self.world.store.since(time, window).await
    }

    async fn written(&self) {
        std::future::pending::<()>().await;
    }

    async fn purge(&self, window: Duration, limit: u64) -> Result<u64, StoreError> {
        let purge = async {
            self.world.record_events();
            self.world.store.purge(window, limit).await
        };
        self.store(CrashPoint::PurgeEvents, purge).await
    }
}

#[async_trait]
impl Consumers for Replica {
    async fn take(
        &self,
        key: &ConsumerKey,
        holder: LeaseHolder,
        from: Option<&EventPosition>,
    ) -> Result<Taken, StoreError> {
        self.store(CrashPoint::TakeConsumer, self.world.store.take(key, holder, from)).await
    }

    async fn keep(&self, held: &[HeldConsumer]) -> Result<Vec<LeaseHolder>, StoreError> {
        self.store(CrashPoint::KeepConsumers, self.world.store.keep(held)).await
    }

    async fn release(&self, holders: &[LeaseHolder]) -> Result<(), StoreError> {
        let release = Consumers::release(&self.world.store, holders);
        self.store(CrashPoint::ReleaseConsumers, release).await
    }

    async fn commit(
        &self,
        key: &ConsumerKey,
        position: &EventPosition,
    ) -> Result<bool, StoreError> {
        self.store(CrashPoint::CommitConsumer, self.world.store.commit(key, position)).await
    }

    async fn list(&self, window: Duration) -> Result<Vec<ConsumerState>, StoreError> {
        Consumers::list(&self.world.store, window).await
    }

    async fn remove(&self, key: &ConsumerKey) -> Result<bool, StoreError> {
        Consumers::remove(&self.world.store, key).await
    }
}
