//! Events of changes, each written in the transaction of its change.

use std::sync::atomic::Ordering;

use ig_domain::ports::StoreError;
use ig_domain::{AccountEvent, ChangedFields, EventChange, EventKind};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};
use uuid::Uuid;

use super::entity::account_event::{Column, Entity};
use super::error::translate;
use super::random_id::random_id;
use super::{SeaOrmStore, lease};

/// An event as it is written. Ids and owner are texts: also an account that cannot be read is unlinked.
pub(super) struct NewEvent {
    pub(super) account_id: Uuid,
    pub(super) professional_account_id: String,
    pub(super) owner: String,
    pub(super) revision: i64,
    pub(super) change: EventChange,
}

impl From<AccountEvent> for NewEvent {
    fn from(event: AccountEvent) -> Self {
        let AccountEvent { account_id, professional_account_id, owner, revision, change } = event;
        Self {
            account_id: *account_id.as_uuid(),
            professional_account_id: professional_account_id.to_string(),
            owner: owner.to_string(),
            revision,
            change,
        }
    }
}

/// Kind of an event, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedKind {
    Linked,
    Changed,
    ReauthorizationRequired,
    Healed,
    Unlinked,
    Deleted,
    Webhook,
}

ig_metrics::label!(CountedKind, "kind", {
    Linked => "linked",
    Changed => "changed",
    ReauthorizationRequired => "reauthorization_required",
    Healed => "healed",
    Unlinked => "unlinked",
    Deleted => "deleted",
    Webhook => "webhook",
});

impl From<EventKind> for CountedKind {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Linked => Self::Linked,
            EventKind::Changed => Self::Changed,
            EventKind::ReauthorizationRequired => Self::ReauthorizationRequired,
            EventKind::Healed => Self::Healed,
            EventKind::Unlinked => Self::Unlinked,
            EventKind::Deleted => Self::Deleted,
            EventKind::Webhook => Self::Webhook,
        }
    }
}

const COLUMNS: [Column; 10] = [
    Column::AppId,
    Column::EventId,
    Column::Kind,
    Column::EventTime,
    Column::AccountId,
    Column::ProfessionalAccountId,
    Column::Owner,
    Column::Revision,
    Column::ChangedFields,
    Column::Cause,
];

impl SeaOrmStore {
    /// Writes events in their order, all in one statement, in the transaction `on` that makes their changes.
    pub(super) async fn tell(
        &self,
        on: &DatabaseTransaction,
        events: impl IntoIterator<Item = impl Into<NewEvent>>,
    ) -> Result<(), StoreError> {
        let events: Vec<NewEvent> = events.into_iter().map(Into::into).collect();
        if events.is_empty() {
            return Ok(());
        }
        let mut insert = Query::insert().into_table(Entity).columns(COLUMNS).take();
        for event in &events {
            insert.values_panic(self.values(event));
        }
        on.execute(&insert).await.map_err(|error| translate(&error))?;
        self.database.events_written.fetch_add(events.len() as u64, Ordering::Relaxed);
        for event in &events {
            self.meter.events.count(event.change.kind().into());
        }
        Ok(())
    }

    fn values(&self, event: &NewEvent) -> [Expr; COLUMNS.len()] {
        let NewEvent { account_id, professional_account_id, owner, revision, change } = event;
        [
            Expr::value(self.app.as_str()),
            random_id(self.backend()),
            Expr::value(change.kind().as_str()),
            lease::now(self.backend()),
            Expr::value(*account_id),
            Expr::value(professional_account_id.as_str()),
            Expr::value(owner.as_str()),
            Expr::value(*revision),
            Expr::value(change.fields().map(field_list)),
            Expr::value(change.cause()),
        ]
    }
}

fn field_list(fields: &ChangedFields) -> String {
    fields.names().collect::<Vec<_>>().join(",")
}
