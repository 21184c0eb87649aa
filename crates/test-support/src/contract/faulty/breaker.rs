//! The app's breaker, with faults.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::TroubleCause;
use ig_domain::ports::{AppBreaker, Breaker, StoreError};
use time::OffsetDateTime;

use super::{Fault, FaultyPorts};

#[async_trait]
impl AppBreaker for FaultyPorts {
    async fn load(&self) -> Result<Breaker, StoreError> {
        self.ports.breaker.load().await
    }

    async fn open(&self, cause: TroubleCause, now: OffsetDateTime) -> Result<bool, StoreError> {
        self.ports.breaker.open(cause, now).await
    }

    async fn close(
        &self,
        since_time: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let any = if self.has(Fault::BlindCloses) { self.load().await?.open } else { None };
        let since_time = any.map_or(since_time, |open| open.since_time);
        self.ports.breaker.close(since_time, now).await
    }

    async fn take_probe(
        &self,
        now: OffsetDateTime,
        interval: Duration,
    ) -> Result<bool, StoreError> {
        self.ports.breaker.take_probe(now, interval).await
    }
}
