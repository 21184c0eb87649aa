//! Updates that came by webhook.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use ig_domain::ports::{StoreError, StoredUpdates, Webhooks};
use ig_domain::{
    AccountEvent, AccountId, EventChange, InstagramAccount, LoggedEvent, ReceivedUpdate, WebhookId,
    WebhookPayload, WebhookUpdate,
};

use super::user_removals::ids;
use super::{DeletionRow, Guard, MemoryStore};

/// Payloads of the updates in the log, by their accounts and ids.
pub(super) type Payloads = HashMap<(AccountId, WebhookId), Option<WebhookPayload>>;

#[async_trait]
impl Webhooks for MemoryStore {
    async fn store(&self, updates: &[ReceivedUpdate]) -> Result<StoredUpdates, StoreError> {
        self.transact(|rows, now| {
            let mut counts = StoredUpdates::default();
            let mut events = Vec::new();
            for ReceivedUpdate { account, update, payload } in updates {
                let mut accounts = rows.accounts.values().map(|(account, _)| account);
                let account = accounts.find(|known| {
                    known.professional_account_id == *account || self.lacks(Guard::WebhookAccount)
                });
                let Some(account) = account else {
                    counts.unknown += 1;
                    continue;
                };
                match rows.events.payloads.entry((account.id, update.id)) {
                    _ if is_deleted(&rows.deletions, account, update) => counts.erased += 1,
                    Entry::Occupied(_) if !self.lacks(Guard::WebhookOnce) => {
                        counts.duplicates += 1;
                    }
                    place => {
                        place.insert_entry(payload.clone());
                        events.push(AccountEvent::webhook(account, update.clone()));
                        counts.stored += 1;
                    }
                }
            }
            self.tell(&mut rows.events, events, now);
            Ok(counts)
        })
    }

    async fn payloads(
        &self,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Option<WebhookPayload>>, StoreError> {
        self.transact(|rows, _| {
            let asked = rows.events.numbered.iter().filter(|event| numbers.contains(&event.number));
            let payloads = &rows.events.payloads;
            Ok(asked
                .filter_map(|event| {
                    Some((event.number, payloads.get(&update_key(event)?)?.clone()))
                })
                .collect())
        })
    }
}

/// Whether an update is not newer than a deletion of its account's person.
fn is_deleted(
    deletions: &[DeletionRow],
    account: &InstagramAccount,
    update: &WebhookUpdate,
) -> bool {
    let time = update.time.unix_timestamp();
    deletions.iter().any(|DeletionRow { request, .. }| {
        let is_user = ids(account).any(|user| *user == request.user);
        is_user && time <= request.issue_time.unix_timestamp()
    })
}

/// Account and id of the update that an event tells; `None` where it tells something else.
pub(super) fn update_key(event: &LoggedEvent) -> Option<(AccountId, WebhookId)> {
    let event = event.event.as_ref()?;
    match &event.change {
        EventChange::Webhook(update) => Some((event.account_id, update.id)),
        _ => None,
    }
}
