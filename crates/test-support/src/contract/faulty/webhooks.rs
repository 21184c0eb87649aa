//! Updates that came by webhook, with faults.

use std::collections::HashMap;

use async_trait::async_trait;
use ig_domain::ports::{StoreError, StoredUpdates, Webhooks};
use ig_domain::{ReceivedUpdate, WebhookId, WebhookPayload};

use super::{Fault, FaultyPorts};

#[async_trait]
impl Webhooks for FaultyPorts {
    async fn store(&self, updates: &[ReceivedUpdate]) -> Result<StoredUpdates, StoreError> {
        let mut updates = updates.to_vec();
        match self.fault {
            Fault::LostUpdates => drop(updates.pop()),
            Fault::RepeatedUpdates => {
                // An id of its own for each time that it comes.
                for (place, received) in (0_u32..).zip(&mut updates) {
                    let number = self.ports.event_log.look(None).await?.head.number;
                    let mut id = *received.update.id.as_bytes();
                    id[..8].copy_from_slice(&number.to_be_bytes());
                    id[8..12].copy_from_slice(&place.to_be_bytes());
                    received.update.id = WebhookId::from_bytes(id);
                }
            }
            Fault::StrayUpdates => {
                let first = updates.first().map(|received| received.account.clone());
                for (received, first) in updates.iter_mut().zip(first.iter().cycle()) {
                    received.account = first.clone();
                }
            }
            _ => {}
        }
        self.ports.webhooks.store(&updates).await
    }

    async fn payloads(
        &self,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Option<WebhookPayload>>, StoreError> {
        let numbers = if self.has(Fault::LostUpdates) { &[] } else { numbers };
        self.ports.webhooks.payloads(numbers).await
    }
}
