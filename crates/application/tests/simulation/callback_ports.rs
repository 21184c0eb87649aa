//! The ports of what Instagram calls back for, as the replicas see them.

use std::collections::HashMap;

use async_trait::async_trait;
use ig_domain::ports::{StoreError, StoredUpdates, UserDeletions, UserRemovals, Webhooks};
use ig_domain::{
    ConfirmationCode, Deletion, ReceivedUpdate, RemovalOutcome, SignedRequest, WebhookPayload,
};
use time::OffsetDateTime;

use crate::crash_points::CrashPoint;
use crate::removals::Kind;
use crate::replica::Replica;

#[async_trait]
impl Webhooks for Replica {
    async fn store(&self, updates: &[ReceivedUpdate]) -> Result<StoredUpdates, StoreError> {
        let store = async {
            let (accounts, before) = (self.world.all_accounts(), self.world.store.events());
            let stored = self.world.store.store(updates).await;
            if stored.is_ok() {
                self.world.judge_updates(updates, &accounts, &before);
            }
            stored
        };
        self.store(CrashPoint::StoreUpdates, store).await
    }

    async fn payloads(
        &self,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Option<WebhookPayload>>, StoreError> {
        self.store(CrashPoint::ReadPayloads, self.world.store.payloads(numbers)).await
    }
}

#[async_trait]
impl UserRemovals for Replica {
    async fn deauthorize(
        &self,
        request: &SignedRequest,
        now: OffsetDateTime,
    ) -> Result<RemovalOutcome, StoreError> {
        let deauthorize = async {
            let before = self.world.stored();
            let outcome = self.world.store.deauthorize(request, now).await?;
            self.world.judge_removal(Kind::Deauthorization, request, &before, now);
            Ok(outcome)
        };
        self.store(CrashPoint::Deauthorize, deauthorize).await
    }
}

#[async_trait]
impl UserDeletions for Replica {
    async fn delete(
        &self,
        request: &SignedRequest,
        code: &ConfirmationCode,
        now: OffsetDateTime,
    ) -> Result<(ConfirmationCode, RemovalOutcome), StoreError> {
        let delete = async {
            let before = self.world.stored();
            let deletion = self.world.store.delete(request, code, now);
            let (code, outcome) = self.world.erasing(deletion).await?;
            self.world.judge_removal(Kind::Deletion, request, &before, now);
            self.world.note_code(request, &code);
            Ok((code, outcome))
        };
        self.store(CrashPoint::DeleteData, delete).await
    }

    async fn find(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError> {
        UserDeletions::find(&self.world.store, code).await
    }

    async fn erase(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        let erase = async {
            let erased = self.world.erasing(self.world.store.erase(now, limit)).await;
            self.world.note_erased();
            erased
        };
        self.store(CrashPoint::Erase, erase).await
    }
}
