//! Updates that came by webhook: each is an event of its account, with a payload that pages of events do not read.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use ig_domain::ports::{SealContext, StoreError, StoredUpdates, Webhooks};
use ig_domain::{
    Direction, EventKind, InstagramId, ReceivedUpdate, WebhookField, WebhookId, WebhookPayload,
    WebhookUpdate,
};
use sea_orm::sea_query::{Alias, Expr, IntoIden, OnConflict, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::columns::{hash, instant, micros, parse};
use super::entity::account_event::{Column, Entity, SEALED_PAYLOAD};
use super::entity::{instagram_account, user_removal};
use super::error::{corrupt, translate, translate_seal};
use super::events::CountedKind;
use super::random_id::random_id;
use super::store_meter::Operation;
use super::unreadable::{Table, UnreadableRow};
use super::user_key::UserKey;
use super::user_removals::{DELETION, seconds};
use super::{SeaOrmStore, lease};

/// Maximum number of updates of one statement; a multiple of [`LENGTH_STEP`].
const MAX_INSERTED: usize = 256;

/// Step between the numbers of rows of longer statements. Ours: each is a statement of its own, which the database
/// prepares, and the connection remembers a hundred of all kinds.
const LENGTH_STEP: usize = 8;

const COLUMNS: [Column; 14] = [
    Column::AppId,
    Column::EventId,
    Column::Kind,
    Column::EventTime,
    Column::AccountId,
    Column::ProfessionalAccountId,
    Column::Owner,
    Column::Revision,
    Column::WebhookId,
    Column::WebhookField,
    Column::WebhookDirection,
    Column::WebhookPeerId,
    Column::WebhookTime,
    Column::PayloadSize,
];

/// An account as its updates are stored under it: ids and owner are texts, so that one that cannot be read has updates,
/// too.
#[derive(FromQueryResult)]
struct Addressee {
    id: Uuid,
    professional_account_id: String,
    owner: String,
    revision: i64,
    app_scoped_user_id: Option<String>,
    exchange_user_id: Option<String>,
}

/// An update of a linked account, with its sealed payload.
struct Addressed<'a> {
    account: &'a Addressee,
    received: &'a ReceivedUpdate,
    sealed: Option<&'a Vec<u8>>,
}

#[derive(FromQueryResult)]
struct PayloadRow {
    number: i64,
    webhook_id: Vec<u8>,
    sealed_payload: Option<Vec<u8>>,
}

#[async_trait]
impl Webhooks for SeaOrmStore {
    async fn store(&self, updates: &[ReceivedUpdate]) -> Result<StoredUpdates, StoreError> {
        self.call(Operation::StoreUpdates, Box::pin(self.store_updates(updates))).await
    }

    async fn payloads(
        &self,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Option<WebhookPayload>>, StoreError> {
        if numbers.is_empty() {
            return Ok(HashMap::new());
        }
        self.call(Operation::ReadPayloads, async {
            let rows = self.database.read(&self.sealed_payloads(numbers)).await?;
            let rows = rows.iter().map(|row| PayloadRow::from_query_result(row, ""));
            let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| translate(&error))?;
            rows.into_iter().map(|row| Ok((row.number, self.payload(row)?))).collect()
        })
        .await
    }
}

impl SeaOrmStore {
    async fn store_updates(&self, updates: &[ReceivedUpdate]) -> Result<StoredUpdates, StoreError> {
        let key = self.user_key().await?;
        let sealed = updates.iter().map(|received| self.sealed(received));
        let sealed: Vec<_> = sealed.collect::<Result<_, StoreError>>()?;
        let write = self.database.begin_write().await?;
        let accounts = self.locked_addressees(write.on(), updates).await?;
        let removed = self.last_deletions(write.on(), &accounts, key).await?;
        let mut counts = StoredUpdates::default();
        let mut addressed = Vec::with_capacity(updates.len());
        for (received, sealed) in updates.iter().zip(&sealed) {
            match accounts.get(received.account.as_str()) {
                None => counts.unknown += 1,
                Some(account) if is_erased(received, removed.get(&account.id)) => {
                    counts.erased += 1;
                }
                Some(account) => {
                    addressed.push(Addressed { account, received, sealed: sealed.as_ref() });
                }
            }
        }
        counts.stored = self.insert_updates(write.on(), &addressed).await?;
        counts.duplicates = addressed.len() as u64 - counts.stored;
        self.database.events_written.fetch_add(counts.stored, Ordering::Relaxed);
        write.commit().await?;
        self.meter.events.add(CountedKind::Webhook, counts.stored);
        Ok(counts)
    }

    fn sealed(&self, received: &ReceivedUpdate) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(payload) = &received.payload else { return Ok(None) };
        let context = of_update(received.update.id.as_bytes());
        self.cipher.seal(&context, payload.as_str()).map(Some).map_err(translate_seal)
    }

    /// The accounts that the updates name, by Instagram's ids. They are locked in the order of their ids: so what is
    /// stored of an account excludes its deletion, and no two wait for each other.
    async fn locked_addressees(
        &self,
        on: &DatabaseTransaction,
        updates: &[ReceivedUpdate],
    ) -> Result<HashMap<String, Addressee>, StoreError> {
        let Some(accounts) = self.addressees(updates) else { return Ok(HashMap::new()) };
        let accounts = accounts.into_model::<Addressee>().all(on).await;
        let accounts = accounts.map_err(|error| translate(&error))?.into_iter();
        Ok(accounts.map(|row| (row.professional_account_id.clone(), row)).collect())
    }

    /// The accounts that the updates name; `None` where there are no updates.
    fn addressees(&self, updates: &[ReceivedUpdate]) -> Option<Select<instagram_account::Entity>> {
        use instagram_account::Column::{
            AppScopedUserId, ExchangeUserId, Id, Owner, ProfessionalAccountId, Revision,
        };
        let ids: BTreeSet<_> = updates.iter().map(|received| received.account.as_str()).collect();
        let ids = ids.into_iter().map(Into::into).collect();
        let accounts = self
            .any_of(ProfessionalAccountId, ids)?
            .select_only()
            .columns([Id, ProfessionalAccountId, Owner, Revision, AppScopedUserId, ExchangeUserId])
            .order_by_asc(Id)
            .lock_exclusive();
        Some(accounts)
    }

    /// Moments, in whole seconds, at which the last deletions of the accounts' persons were issued.
    async fn last_deletions(
        &self,
        on: &DatabaseTransaction,
        accounts: &HashMap<String, Addressee>,
        key: &UserKey,
    ) -> Result<HashMap<Uuid, i64>, StoreError> {
        let mut persons = Vec::new();
        for account in accounts.values() {
            for user in account.app_scoped_user_id.iter().chain(&account.exchange_user_id) {
                persons.push((account.id, key.hash(user)?.to_vec()));
            }
        }
        let hashes = persons.iter().map(|(_, hash)| hash.clone()).collect();
        let Some(last) = self.last_deletions_of(hashes) else { return Ok(HashMap::new()) };
        let last = last.into_tuple::<(Vec<u8>, i64)>().all(on).await;
        let last: HashMap<_, _> = last.map_err(|error| translate(&error))?.into_iter().collect();
        let mut deletions = HashMap::new();
        for (account, hash) in persons {
            if let Some(issue_time) = last.get(&hash).copied().map(seconds) {
                let moment = deletions.entry(account).or_insert(issue_time);
                *moment = issue_time.max(*moment);
            }
        }
        Ok(deletions)
    }

    /// The moment of each person's last deletion; `None` where there are no persons.
    fn last_deletions_of(&self, mut hashes: Vec<Vec<u8>>) -> Option<Select<user_removal::Entity>> {
        use user_removal::Column::{AppId, IssueTime, Kind, UserHash};
        // Each length is a statement of its own, as where accounts are looked for.
        hashes.resize(hashes.len().next_power_of_two(), hashes.last()?.clone());
        let last = user_removal::Entity::find()
            .select_only()
            .column(UserHash)
            .column_as(IssueTime.max(), "issue_time")
            .filter(AppId.eq(self.app.as_str()))
            .filter(Kind.eq(DELETION))
            .filter(UserHash.is_in(hashes))
            .group_by(UserHash);
        Some(last)
    }

    /// Inserts the updates that were not stored before, in their order; returns their number.
    async fn insert_updates(
        &self,
        on: &DatabaseTransaction,
        mut updates: &[Addressed<'_>],
    ) -> Result<u64, StoreError> {
        let known = OnConflict::columns([Column::AppId, Column::AccountId, Column::WebhookId])
            .target_and_where(Column::WebhookId.is_not_null())
            .do_nothing()
            .to_owned();
        let columns = COLUMNS.into_iter().map(IntoIden::into_iden);
        let columns = columns.chain([Alias::new(SEALED_PAYLOAD).into_iden()]);
        let mut stored = 0;
        while !updates.is_empty() {
            let (some, rest) = updates.split_at(MAX_INSERTED.min(updates.len()));
            // What is filled up with is stored already.
            let filled = some.iter().cycle().take(statement_length(some.len()));
            let mut insert = Query::insert().into_table(Entity).columns(columns.clone()).take();
            for update in filled {
                insert.values_panic(self.update_values(update));
            }
            insert.on_conflict(known.clone());
            let inserted = on.execute(&insert).await.map_err(|error| translate(&error))?;
            stored += inserted.rows_affected();
            updates = rest;
        }
        Ok(stored)
    }

    fn update_values(&self, update: &Addressed<'_>) -> [Expr; COLUMNS.len() + 1] {
        let Addressed { account, received, sealed } = update;
        let WebhookUpdate { id, field, direction, peer_id, time, payload_size } = &received.update;
        [
            Expr::value(self.app.as_str()),
            random_id(self.backend()),
            Expr::value(EventKind::Webhook.as_str()),
            lease::now(self.backend()),
            Expr::value(account.id),
            Expr::value(account.professional_account_id.as_str()),
            Expr::value(account.owner.as_str()),
            Expr::value(account.revision),
            Expr::value(id.as_bytes().to_vec()),
            Expr::value(field.as_str()),
            Expr::value(direction.map(Direction::as_str)),
            Expr::value(peer_id.as_ref().map(InstagramId::as_str)),
            Expr::value(micros(*time)),
            Expr::value(*payload_size),
            Expr::value(sealed.cloned()),
        ]
    }

    /// The sealed payloads of events with these numbers.
    pub(super) fn sealed_payloads(&self, numbers: &[i64]) -> SelectStatement {
        // Each length is a statement of its own, as where accounts are looked for.
        let length = numbers.len().next_power_of_two();
        let numbers = numbers.iter().cycle().take(length).copied();
        self.events()
            .select_only()
            .columns([Column::Number, Column::WebhookId])
            .expr(Expr::col(Alias::new(SEALED_PAYLOAD)))
            .filter(Column::Number.is_in(numbers))
            .filter(Column::WebhookField.is_not_null())
            .into_query()
    }

    /// The payload of a row; `None` where there is none, or it does not open.
    fn payload(&self, row: PayloadRow) -> Result<Option<WebhookPayload>, StoreError> {
        let PayloadRow { number, webhook_id, sealed_payload } = row;
        let Some(sealed) = sealed_payload else { return Ok(None) };
        let opened = self.cipher.open(&of_update(&webhook_id), &sealed).map_err(translate_seal);
        let payload = opened.and_then(|opened| {
            let payload = WebhookPayload::new(opened.expose_secret());
            payload.ok_or_else(|| corrupt(SEALED_PAYLOAD, "empty or too long"))
        });
        match payload {
            Ok(payload) => Ok(Some(payload)),
            Err(error @ StoreError::Corrupt(_)) => {
                let row = UnreadableRow { table: Table::Event, id: number.to_string(), error };
                self.meter.unreadable.leave_out::<()>([Err(row)]);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The update that an event's columns tell; `None` where it was erased, or cannot be read.
pub(super) fn update(columns: UpdateColumns) -> Option<WebhookUpdate> {
    let UpdateColumns { id, field, direction, peer_id, time, payload_size } = columns;
    Some(WebhookUpdate {
        id: WebhookId::from_bytes(hash("webhook_id", &id?).ok()?),
        field: WebhookField::of_name(&field?),
        // One of a newer version says nothing to us.
        direction: direction.and_then(|name| Direction::from_name(&name)),
        peer_id: peer_id.map(|id| parse("webhook_peer_id", &id)).transpose().ok()?,
        time: instant("webhook_time", time?).ok()?,
        payload_size: payload_size?,
    })
}

/// Columns of an event that tell an update.
pub(super) struct UpdateColumns {
    pub(super) id: Option<Vec<u8>>,
    pub(super) field: Option<String>,
    pub(super) direction: Option<String>,
    pub(super) peer_id: Option<String>,
    pub(super) time: Option<i64>,
    pub(super) payload_size: Option<i64>,
}

/// Number of rows of a statement that inserts so many updates.
fn statement_length(updates: usize) -> usize {
    if updates < LENGTH_STEP {
        updates.next_power_of_two()
    } else {
        updates.next_multiple_of(LENGTH_STEP)
    }
}

/// Whether an update is not newer than the deletion that was issued in this second.
fn is_erased(received: &ReceivedUpdate, deletion: Option<&i64>) -> bool {
    deletion.is_some_and(|issued| received.update.time.unix_timestamp() <= *issued)
}

/// Context that the payload of an update is bound to.
fn of_update(id: &[u8]) -> SealContext {
    SealContext { table: "account_event", row: id.to_vec(), purpose: "webhook payload" }
}

#[cfg(test)]
mod tests;
