//! What deleted accounts have left, erased in rounds.

use std::cmp::min;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ig_domain::WebhookPayload;
use ig_domain::ports::StoreError;
use sea_orm::sea_query::{
    Alias, Condition, Expr, ExprTrait as _, IntoIden, IntoTableRef, LockBehavior, LockType, Query,
    SelectStatement,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, FromQueryResult,
    Order, QueryFilter as _, QuerySelect as _, QueryTrait as _, Select,
};
use time::OffsetDateTime;
use tracing::{info, warn};
use uuid::Uuid;

use super::SeaOrmStore;
use super::columns::micros;
use super::entity::{
    account_event, former_account, link_attempt, pending_link, renewal_lease, token_audit,
    user_removal,
};
use super::error::translate;
use super::event_log::whole_micros;

/// Time for which what a deleted account leaves is looked for. Ours: a call that had read the account before may write
/// its entry of the audit two calls to the store later, and the moment of the request is older than what it changed by
/// another one.
const LATE_WRITE_WINDOW: Duration = Duration::from_secs(30);

/// Maximum number of accounts of one round.
const MAX_ROUND_ACCOUNTS: u64 = 32;

/// Maximum size of all payloads that are erased of one account in one transaction, in bytes, unless one alone has more.
/// Ours: SQLite overwrites them while nobody else writes.
const MAX_ROUND_BYTES: usize = 8 * 1024 * 1024;

/// Time after which the log tells of a deletion that is running still, and then each time as long again.
const LONG_RUNNING: Duration = Duration::from_mins(10);

/// Columns of an event that say more than that it happened. Those of webhooks are no part of the entity's.
const EVENT_BODY: [&str; 9] = [
    "changed_fields",
    "cause",
    "webhook_id",
    "webhook_field",
    "webhook_direction",
    "webhook_peer_id",
    "webhook_time",
    "payload_size",
    "sealed_payload",
];

/// An account to erase, and the moment at which the deletion that asks for it came.
#[derive(FromQueryResult)]
struct Erased {
    account_id: Uuid,
    request_time: i64,
}

impl SeaOrmStore {
    /// Erases at most `limit` rows of each kind that deleted accounts have left. One that fails keeps no other from it.
    pub(super) async fn erase_round(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        // A look that finds nothing takes no turn to write.
        let waiting = self.database.read(&self.to_erase(now)).await?;
        let waiting = waiting.iter().map(|row| Erased::from_query_result(row, ""));
        let waiting = waiting.collect::<Result<Vec<_>, _>>().map_err(|error| translate(&error))?;
        self.warn_of_long_running(&waiting, now);
        let (mut touched, mut failure) = (0, None);
        for erased in &waiting {
            match self.erase_account(erased, now, limit - touched).await {
                Ok(rows) => touched += rows,
                Err(error @ (StoreError::Unavailable(_) | StoreError::Overloaded(_))) => {
                    return Err(error);
                }
                Err(error) => failure = Some(error),
            }
            if touched >= limit {
                break;
            }
        }
        failure.filter(|_| touched == 0).map_or(Ok(touched), Err)
    }

    fn warn_of_long_running(&self, waiting: &[Erased], now: OffsetDateTime) {
        let since = micros(now - LONG_RUNNING);
        let running: Vec<_> =
            waiting.iter().filter(|erased| erased.request_time <= since).collect();
        let told = &self.database.long_erasure_told;
        if let Some(oldest) = running.first()
            && told.load(Ordering::Relaxed) <= since
        {
            told.store(micros(now), Ordering::Relaxed);
            let accounts = running.len();
            warn!(account.id = %oldest.account_id, accounts, "a deletion has been running for more than ten minutes");
        }
    }

    async fn erase_account(
        &self,
        erased: &Erased,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let write = self.database.begin_write().await?;
        if !self.locks_deletion(write.on(), erased.account_id).await? {
            return Ok(0);
        }
        let touched = self.erase_rows(write.on(), erased.account_id, limit).await?;
        let is_over = touched == 0
            && is_late_write_over(erased.request_time, now)
            && !self.has_event_bodies(write.on(), erased.account_id).await?;
        if is_over {
            self.end_erasure(write.on(), erased, now).await?;
            // Before it is: the line of the deletion itself goes with a crash.
            info!(account.id = %erased.account_id, "the last of what a deleted account has left is erased");
        }
        write.commit().await?;
        self.database.note_erased();
        Ok(touched + u64::from(is_over))
    }

    /// Accounts of which something is left to erase, or of which nothing will come any more, oldest deletion first.
    fn to_erase(&self, now: OffsetDateTime) -> SelectStatement {
        use former_account::Column::{AccountId, AppId, RemovalCode};
        use user_removal::Column as Removal;
        let (former, removal) = (former_account::Entity, user_removal::Entity);
        // Apart, so that SQLite reads no more than the index of those.
        let marked = Query::select()
            .column(AccountId)
            .from(former)
            .and_where(Expr::col(AppId).eq(self.app.as_str()))
            .and_where(Expr::col(RemovalCode).is_not_null())
            .take();
        let request_time = Expr::col((removal, Removal::RequestTime));
        let late = micros(now) - whole_micros(LATE_WRITE_WINDOW);
        Query::select()
            .distinct()
            .column((former, AccountId))
            .column((removal, Removal::RequestTime))
            .from(former)
            .inner_join(removal, same_code())
            .and_where(Expr::col((former, AppId)).eq(self.app.as_str()))
            .and_where(Expr::col((former, AccountId)).in_subquery(marked))
            .and_where(Expr::col((former, RemovalCode)).is_not_null())
            .cond_where(self.something_left().add(request_time.lte(late)))
            .order_by((removal, Removal::RequestTime), Order::Asc)
            .order_by((former, AccountId), Order::Asc)
            .limit(MAX_ROUND_ACCOUNTS)
            .take()
    }

    /// Whether anything is left of a former account.
    fn something_left(&self) -> Condition {
        let linked = link_attempt::Column::LinkedAccountId;
        let event = self.left_in(account_event::Entity, account_event::Column::AccountId);
        Condition::any()
            .add(Expr::exists(event.clone().cond_where(says_more()).take()))
            .add(Expr::exists(event.clone().cond_where(is_update()).take()))
            .add(Expr::exists(self.left_in(token_audit::Entity, token_audit::Column::AccountId)))
            .add(Expr::exists(self.left_in(link_attempt::Entity, linked)))
            .add(Expr::exists(self.left_in(link_attempt::Entity, link_attempt::Column::AccountId)))
            .add(Expr::exists(self.left_in(pending_link::Entity, pending_link::Column::AccountId)))
            .add(Expr::exists(
                self.left_in(renewal_lease::Entity, renewal_lease::Column::AccountId),
            ))
    }

    /// Rows of a table whose `column` is a former account.
    fn left_in<T: IntoTableRef + IntoIden + Copy>(
        &self,
        table: T,
        column: impl IntoIden,
    ) -> SelectStatement {
        let former = (former_account::Entity, former_account::Column::AccountId);
        Query::select()
            .expr(Expr::val(1))
            .from(table)
            .and_where(Expr::col((table, Alias::new("app_id"))).eq(self.app.as_str()))
            .and_where(Expr::col((table, column)).equals(former))
            .take()
    }

    /// Locks the deletion of an account: `false` where another process has it, or has ended it.
    async fn locks_deletion(&self, on: &DatabaseTransaction, id: Uuid) -> Result<bool, StoreError> {
        use former_account::Column::{AccountId, AppId, RemovalCode};
        let former = former_account::Entity;
        let locked = Query::select()
            .expr(Expr::val(1))
            .from(former)
            .inner_join(user_removal::Entity, same_code())
            .and_where(Expr::col((former, AppId)).eq(self.app.as_str()))
            .and_where(Expr::col((former, AccountId)).eq(id))
            .and_where(Expr::col((former, RemovalCode)).is_not_null())
            .limit(1)
            .lock_with_tables_behavior(
                LockType::Update,
                [user_removal::Entity],
                LockBehavior::SkipLocked,
            )
            .take();
        let locked = on.query_one(&locked).await.map_err(|error| translate(&error))?;
        Ok(locked.is_some())
    }

    async fn erase_rows(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
        limit: u64,
    ) -> Result<u64, StoreError> {
        use link_attempt::Column::{AccountId, LinkedAccountId};
        let events = self.erase_event_bodies(on, id, limit).await?;
        let audit = self.erase_audit(on, id, limit).await?;
        let linked = self.erase_attempts(on, LinkedAccountId.eq(id)).await?;
        let meant = self.erase_attempts(on, AccountId.eq(id)).await?;
        let pending = pending_link::Entity::delete_many()
            .filter(pending_link::Column::AppId.eq(self.app.as_str()))
            .filter(pending_link::Column::AccountId.eq(id))
            .exec(on)
            .await;
        let pending = pending.map_err(|error| translate(&error))?.rows_affected;
        let lease = renewal_lease::Entity::delete_many()
            .filter(renewal_lease::Column::AppId.eq(self.app.as_str()))
            .filter(renewal_lease::Column::AccountId.eq(id))
            .exec(on)
            .await;
        let lease = lease.map_err(|error| translate(&error))?.rows_affected;
        Ok(events + audit + linked + meant + pending + lease)
    }

    /// Events of an account that say more than that they happened: changes, and updates that came by webhook.
    fn with_body(&self, id: Uuid) -> [Select<account_event::Entity>; 2] {
        use account_event::Column::{AccountId, AppId, Id};
        [says_more(), is_update()].map(|has_body| {
            account_event::Entity::find()
                .select_only()
                .column(Id)
                .filter(AppId.eq(self.app.as_str()))
                .filter(AccountId.eq(id))
                .filter(has_body)
        })
    }

    async fn erase_event_bodies(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let mut erased = 0;
        for events in self.with_body(id) {
            erased += erase_bodies(on, &events, limit).await?;
        }
        Ok(erased)
    }

    async fn has_event_bodies(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        for events in self.with_body(id) {
            let left = events.limit(1).into_tuple::<i64>().one(on).await;
            if left.map_err(|error| translate(&error))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the account out of the audit: caller, purpose and moments stay.
    async fn erase_audit(
        &self,
        on: &DatabaseTransaction,
        id: Uuid,
        limit: u64,
    ) -> Result<u64, StoreError> {
        use token_audit::Column::{AccountId, AppId, Id, ProfessionalAccountId};
        let some = token_audit::Entity::find()
            .select_only()
            .column(Id)
            .filter(AppId.eq(self.app.as_str()))
            .filter(AccountId.eq(id))
            .limit(limit)
            .into_query();
        let erased = token_audit::Entity::update_many()
            .col_expr(AccountId, Expr::value(Uuid::nil()))
            .col_expr(ProfessionalAccountId, Expr::value("0"))
            .filter(Id.in_subquery(some))
            .exec(on)
            .await;
        Ok(erased.map_err(|error| translate(&error))?.rows_affected)
    }

    /// Forgets that the account was there, and ends the deletions of its person that it was the last one of.
    async fn end_erasure(
        &self,
        on: &DatabaseTransaction,
        erased: &Erased,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        use former_account::Column::{AccountId, AppId, RemovalCode, UserHash};
        let of_account = Condition::all()
            .add(AppId.eq(self.app.as_str()))
            .add(AccountId.eq(erased.account_id))
            .add(RemovalCode.is_not_null());
        let hashes = former_account::Entity::find()
            .select_only()
            .column(UserHash)
            .filter(of_account.clone())
            .into_tuple::<Vec<u8>>()
            .all(on)
            .await;
        let hashes = hashes.map_err(|error| translate(&error))?;
        let hashes: Vec<[u8; 32]> =
            hashes.into_iter().filter_map(|hash| hash.try_into().ok()).collect();
        // Of two last accounts that are forgotten at once, one must find that the other is gone.
        self.lock_users(on, &hashes).await?;
        let forgotten = former_account::Entity::delete_many().filter(of_account).exec(on).await;
        forgotten.map_err(|error| translate(&error))?;
        for hash in hashes {
            if self.former_accounts_of(on, &hash).await?.marked.is_empty() {
                self.end_deletions_of(on, &hash, now).await?;
            }
        }
        Ok(())
    }
}

/// The deletion that a former account is erased under.
fn same_code() -> Condition {
    use former_account::Column::{AppId, RemovalCode};
    use user_removal::Column as Removal;
    let (former, removal) = (former_account::Entity, user_removal::Entity);
    Condition::all()
        .add(Expr::col((removal, Removal::AppId)).equals((former, AppId)))
        .add(Expr::col((removal, Removal::Code)).equals((former, RemovalCode)))
}

/// Erases what some of these events say, at most `limit`.
async fn erase_bodies(
    on: &DatabaseTransaction,
    events: &Select<account_event::Entity>,
    limit: u64,
) -> Result<u64, StoreError> {
    // The purge and the numbering lock rows in orders of their own.
    let some = |limit| {
        let some = events.clone().limit(limit);
        some.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
    };
    let size = account_event::Column::PayloadSize;
    let sizes = some(limit).column(size).into_tuple::<(i64, Option<i64>)>().all(on).await;
    let sizes = sizes.map_err(|error| translate(&error))?.into_iter();
    let limit = number_within_bytes(sizes.map(|(_, size)| size.unwrap_or_default()));
    let mut erase = Query::update();
    erase.table(account_event::Entity);
    for column in EVENT_BODY {
        erase.value(column, Expr::cust("NULL"));
    }
    erase.and_where(account_event::Column::Id.in_subquery(some(limit).into_query()));
    let erased = on.execute(&erase).await.map_err(|error| translate(&error))?;
    Ok(erased.rows_affected())
}

/// Whether an event says more than that it happened. The index `event_body` has those, by the same words.
fn says_more() -> Condition {
    let said = ["changed_fields", "cause"];
    said.map(|column| Expr::col(column).is_not_null())
        .into_iter()
        .fold(Condition::any(), Condition::add)
}

/// Whether an event is an update that came by webhook. The index `event_webhook` has those.
fn is_update() -> Condition {
    Condition::all().add(Expr::col("webhook_id").is_not_null())
}

fn is_late_write_over(request_time: i64, now: OffsetDateTime) -> bool {
    request_time + whole_micros(LATE_WRITE_WINDOW) <= micros(now)
}

/// Number of payloads of these sizes that one transaction erases: one at least, where there is one.
fn number_within_bytes(sizes: impl Iterator<Item = i64>) -> u64 {
    let mut sum = 0;
    let within = sizes.enumerate().take_while(|(place, size)| {
        // Of a larger one nothing is stored.
        sum += min(usize::try_from(*size).unwrap_or(0), WebhookPayload::MAX_LENGTH);
        *place == 0 || sum <= MAX_ROUND_BYTES
    });
    within.count() as u64
}

#[cfg(test)]
mod tests;
