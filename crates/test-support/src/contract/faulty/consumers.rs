//! Consumers, with faults.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{ConsumerKey, ConsumerState, Consumers, HeldConsumer, StoreError, Taken};
use ig_domain::{EventPosition, LeaseHolder};

use super::{Fault, FaultyPorts};
use crate::contract::consumers::committed;

#[async_trait]
impl Consumers for FaultyPorts {
    async fn take(
        &self,
        key: &ConsumerKey,
        holder: LeaseHolder,
        from: Option<&EventPosition>,
    ) -> Result<Taken, StoreError> {
        let committed = committed(&*self.ports.consumers, key).await;
        let from = if self.has(Fault::LostCommits) { committed.as_ref().or(from) } else { from };
        let taken = self.ports.consumers.take(key, holder, from).await?;
        if self.has(Fault::SharedConsumers) {
            self.ports.consumers.release(&[holder]).await?;
            let position = from.copied().or(committed);
            return Ok(position.map_or(Taken::NoCursor, Taken::Held));
        }
        Ok(taken)
    }

    async fn keep(&self, held: &[HeldConsumer]) -> Result<Vec<LeaseHolder>, StoreError> {
        let mut held = held.to_vec();
        if self.has(Fault::EagerCursors) {
            held.iter_mut().filter_map(|one| one.advance.as_mut()).for_each(|(sent, _)| *sent = 0);
        }
        self.ports.consumers.keep(&held).await
    }

    async fn release(&self, holders: &[LeaseHolder]) -> Result<(), StoreError> {
        self.ports.consumers.release(holders).await
    }

    async fn commit(
        &self,
        key: &ConsumerKey,
        position: &EventPosition,
    ) -> Result<bool, StoreError> {
        match self.fault {
            Fault::LostCommits => Ok(true),
            Fault::EagerCursors => {
                self.ports.consumers.remove(key).await?;
                self.ports.consumers.commit(key, position).await
            }
            _ => self.ports.consumers.commit(key, position).await,
        }
    }

    async fn list(&self, window: Duration) -> Result<Vec<ConsumerState>, StoreError> {
        self.ports.consumers.list(window).await
    }

    async fn remove(&self, key: &ConsumerKey) -> Result<bool, StoreError> {
        self.ports.consumers.remove(key).await
    }
}
