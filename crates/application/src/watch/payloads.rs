//! Payloads of updates, read when their events are sent.

use std::collections::HashMap;
use std::sync::Arc;

use ig_domain::ports::StoreError;
use ig_domain::{EventChange, LoggedEvent, WebhookPayload, WebhookUpdate};

use super::WatchPorts;

/// Maximum size of the payloads that one message of a stream reads, in bytes. Ours: a stream holds them while its
/// client does not read.
const MAX_MESSAGE_PAYLOAD_BYTES: usize = 512 * 1024;

/// Room for the payloads of one message.
pub(super) struct PayloadRoom(usize);

impl PayloadRoom {
    /// The whole room, which is more than one payload needs.
    pub(super) fn new() -> Self {
        Self(MAX_MESSAGE_PAYLOAD_BYTES)
    }

    /// Takes the room that the payload of an event needs; `false` where there is not so much.
    pub(super) fn take(&mut self, event: &LoggedEvent) -> bool {
        let rest = self.0.checked_sub(update(event).map_or(0, stored_size));
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }
}

/// Reads the payloads of those of `events` that are updates. Events of updates that were erased meanwhile are taken
/// out. A payload that is not stored, or does not open, is not among them. `None` where an update was purged meanwhile.
pub(super) async fn read_payloads(
    events: &mut Vec<Arc<LoggedEvent>>,
    ports: &WatchPorts,
) -> Result<Option<HashMap<i64, WebhookPayload>>, StoreError> {
    let updates = events.iter().filter(|event| update(event).is_some());
    let numbers: Vec<_> = updates.map(|event| event.number).collect();
    if numbers.is_empty() {
        return Ok(Some(HashMap::new()));
    }
    let payloads = ports.webhooks.payloads(&numbers).await?;
    // The oldest events are purged first: where this one is still there, all are.
    let missing = numbers.into_iter().find(|number| !payloads.contains_key(number));
    if let Some(number) = missing {
        let page = ports.log.page(number - 1, 1).await?;
        if page.first().is_none_or(|event| event.number != number) {
            return Ok(None);
        }
    }
    events.retain(|event| update(event).is_none() || payloads.contains_key(&event.number));
    let payloads = payloads.into_iter();
    Ok(Some(payloads.filter_map(|(number, payload)| Some((number, payload?))).collect()))
}

/// Whether an update is among `events`.
pub(super) fn any_update(events: &[Arc<LoggedEvent>]) -> bool {
    events.iter().any(|event| update(event).is_some())
}

fn update(event: &LoggedEvent) -> Option<&WebhookUpdate> {
    match &event.event.as_ref()?.change {
        EventChange::Webhook(update) => Some(update),
        _ => None,
    }
}

/// Size of the payload as it is stored: none where it was too large.
fn stored_size(update: &WebhookUpdate) -> usize {
    let size = usize::try_from(update.payload_size).unwrap_or(usize::MAX);
    if size > WebhookPayload::MAX_LENGTH { 0 } else { size }
}
