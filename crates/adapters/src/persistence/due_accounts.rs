//! Due accounts: claims of them, results of their visits, and their schedule.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use ig_domain::ports::{ClaimedAccount, DueAccounts, RENEWAL_LEASE, StoreError, VisitResult};
use ig_domain::{AccountId, InstagramAccount, LeaseHolder, LongLivedToken, URGENT_LIFETIME};
use sea_orm::sea_query::{
    Condition, Expr, ExprTrait as _, InsertStatement, OnConflict, Order, Query, SelectStatement,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult as _,
    QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, StatementBuilder,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::account_row::{to_domain, without_failures};
use super::columns::micros;
use super::entity::instagram_account::{Column, Entity, Model};
use super::entity::{account_token, renewal_lease};
use super::error::translate;
use super::store_meter::Operation;
use super::{SeaOrmStore, lease};

/// Maximum number of accounts in their token's last days among which one claim looks for due ones: the soonest to
/// expire. The others are found by how long they are due. Ours: it bounds a claim while very many wait for a retry.
const MAX_URGENT_LOOKED_AT: u64 = 1000;

#[async_trait]
impl DueAccounts for SeaOrmStore {
    async fn claim_due(
        &self,
        now: OffsetDateTime,
        holder: LeaseHolder,
        limit: u64,
    ) -> Result<Vec<ClaimedAccount>, StoreError> {
        self.call(Operation::ClaimDue, async {
            let write = self.database.begin_write().await?;
            let due = self.due(write.on(), now, limit).await?;
            let claimed = self.claim_each(write.on(), &due, holder).await?;
            let accounts = self.claimed(write.on(), &claimed).await?;
            write.commit().await?;
            Ok(accounts)
        })
        .await
    }

    async fn finish(
        &self,
        results: &[(LeaseHolder, VisitResult)],
    ) -> Result<Vec<AccountId>, StoreError> {
        self.call(Operation::FinishVisits, async {
            let write = self.database.begin_write().await?;
            let lease = |(holder, result): &(LeaseHolder, VisitResult)| (result.id, *holder);
            let (renewed, others): (Vec<_>, Vec<_>) =
                results.iter().partition(|(_, result)| result.renews());
            let held = self.release_each(write.on(), others.into_iter().map(lease)).await?;
            // A renewed token is stored whoever holds the lease: the stored account is as it was read.
            let (allowed, refused): (Vec<_>, Vec<_>) =
                results.iter().filter_map(|(_, result)| result.change.as_ref()).partition(
                    |change| change.token.is_some() || held.contains(change.account.id.as_uuid()),
                );
            let mut unstored = self.store_changes(write.on(), allowed).await?;
            let leases = renewed.into_iter().map(lease);
            let stored = leases.filter(|(id, _)| !unstored.contains(id));
            self.release_each(write.on(), stored).await?;
            write.commit().await?;
            unstored.extend(refused.iter().map(|change| change.account.id));
            Ok(unstored)
        })
        .await
    }

    async fn put_off(
        &self,
        id: AccountId,
        holder: LeaseHolder,
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.call(Operation::PutOffVisit, async {
            let write = self.database.begin_write().await?;
            if self.release_each(write.on(), [(id, holder)]).await?.contains(id.as_uuid()) {
                let put_off = Entity::update_many()
                    .col_expr(Column::NextVisitTime, Expr::value(micros(until)))
                    .filter(Column::AppId.eq(self.app.as_str()))
                    .filter(Column::Id.eq(*id.as_uuid()));
                put_off.exec(write.on()).await.map_err(|error| translate(&error))?;
            }
            write.commit().await
        })
        .await
    }

    async fn schedule_missed(&self, limit: u64) -> Result<u64, StoreError> {
        self.call(Operation::ScheduleMissed, async {
            let missed = self.database.read(&self.missed(limit).into_query()).await?;
            if missed.is_empty() {
                return Ok(0);
            }
            let write = self.database.begin_write().await?;
            for row in &missed {
                self.schedule(write.on(), row).await?;
            }
            write.commit().await?;
            Ok(missed.len() as u64)
        })
        .await
    }

    async fn witnesses(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<(InstagramAccount, LongLivedToken)>, StoreError> {
        self.call(Operation::FindWitnesses, async {
            let found =
                self.database.read(&self.last_read(except, now, limit).into_query()).await?;
            let readable = found.iter().filter_map(|row| self.with_token(row).ok());
            Ok(readable.filter_map(|(account, token)| Some((account, token?))).collect())
        })
        .await
    }
}

impl SeaOrmStore {
    /// The ids of at most `limit` due accounts that nobody holds.
    async fn due(
        &self,
        on: &DatabaseTransaction,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut due: Vec<Uuid> = ids(on, &self.urgent(now, limit), "id").await?;
        let left = limit.saturating_sub(due.len() as u64);
        if left > 0 {
            // The urgent are among the longest due, too: as many more make up for them.
            let longest: Vec<Uuid> = ids(on, &self.longest_due(now, limit), "id").await?;
            let known: HashSet<Uuid> = due.iter().copied().collect();
            let others = longest.into_iter().filter(|id| !known.contains(id));
            due.extend(others.take(usize::try_from(left).unwrap_or(usize::MAX)));
        }
        Ok(due)
    }

    /// Due accounts in the last days of their token, soonest expiry first.
    pub(super) fn urgent(&self, now: OffsetDateTime, limit: u64) -> SelectStatement {
        let columns = [Column::Id, Column::TokenExpireTime, Column::NextVisitTime];
        let soonest = self
            .accounts()
            .select_only()
            .columns(columns)
            .filter(Column::Refused.is_null())
            .filter(Column::TokenExpireTime.lte(micros(now + URGENT_LIFETIME)))
            .order_by_asc(Column::TokenExpireTime)
            .limit(MAX_URGENT_LOOKED_AT)
            .into_query();
        Query::select()
            .column(("soonest", Column::Id))
            .from_subquery(soonest, "soonest")
            .and_where(Expr::col(("soonest", Column::NextVisitTime)).lte(micros(now)))
            .cond_where(self.nobody_holds("soonest"))
            .order_by(("soonest", Column::TokenExpireTime), Order::Asc)
            .limit(limit)
            .take()
    }

    /// Due accounts, the longest due first.
    pub(super) fn longest_due(&self, now: OffsetDateTime, limit: u64) -> SelectStatement {
        self.accounts()
            .select_only()
            .column(Column::Id)
            .filter(Column::NextVisitTime.lte(micros(now)))
            .filter(self.nobody_holds("instagram_account"))
            .order_by_asc(Column::NextVisitTime)
            .limit(limit)
            .into_query()
    }

    /// Whether nobody holds the renewal lease on the account of a row of `table`.
    fn nobody_holds(&self, table: &'static str) -> Condition {
        use renewal_lease::Column::{AccountId, AppId};
        let held = Query::select()
            .expr(Expr::val(1))
            .from(renewal_lease::Entity)
            .and_where(Expr::col((renewal_lease::Entity, AppId)).eq(self.app.as_str()))
            .and_where(Expr::col((renewal_lease::Entity, AccountId)).equals((table, Column::Id)))
            .cond_where(self.renewal_has_ended().not())
            .take();
        Condition::all().add(Expr::exists(held).not())
    }

    fn renewal_has_ended(&self) -> Condition {
        let end = (renewal_lease::Entity, renewal_lease::Column::LeaseEnd);
        lease::has_ended(end, RENEWAL_LEASE, self.backend())
    }

    /// Takes the leases on those of `due` that nobody holds; returns which.
    async fn claim_each(
        &self,
        on: &DatabaseTransaction,
        due: &[Uuid],
        holder: LeaseHolder,
    ) -> Result<Vec<Uuid>, StoreError> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        // In one order, so that claims at the same time never wait for each other in a ring.
        let mut sorted = due.to_vec();
        sorted.sort_unstable();
        let taken: HashSet<Uuid> = ids(on, &self.claim_of(&sorted, holder), "account_id").await?;
        Ok(due.iter().copied().filter(|id| taken.contains(id)).collect())
    }

    fn claim_of(&self, accounts: &[Uuid], holder: LeaseHolder) -> InsertStatement {
        use renewal_lease::Column::{AccountId, AppId, LeaseEnd, LeaseHolder};
        let taken_over = OnConflict::columns([AppId, AccountId])
            .update_columns([LeaseHolder, LeaseEnd])
            .action_cond_where(self.renewal_has_ended())
            .to_owned();
        let mut claim = Query::insert();
        claim.into_table(renewal_lease::Entity).columns([AppId, AccountId, LeaseHolder, LeaseEnd]);
        for account in accounts {
            claim.values_panic([
                Expr::value(self.app.as_str()),
                Expr::value(*account),
                Expr::value(*holder.as_uuid()),
                lease::end(RENEWAL_LEASE, self.backend()),
            ]);
        }
        claim.on_conflict(taken_over).returning_col(AccountId).take()
    }

    /// The accounts of these ids with their tokens, in their order.
    async fn claimed(
        &self,
        on: &DatabaseTransaction,
        ids: &[Uuid],
    ) -> Result<Vec<ClaimedAccount>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let joined = self.identified_each(ids.iter().copied());
        let joined = joined.find_also_related(account_token::Entity).into_query();
        let rows = on.query_all(&joined).await.map_err(|error| translate(&error))?;
        let mut found = HashMap::new();
        for row in &rows {
            let id: Uuid = row.try_get("A_", "id").map_err(|error| translate(&error))?;
            found.insert(id, self.with_token(row));
        }
        let claimed = ids.iter().filter_map(|id| {
            let id_of_ours = AccountId::from_uuid(*id);
            Some(ClaimedAccount { id: id_of_ours, found: found.remove(id)? })
        });
        Ok(claimed.collect())
    }

    /// Releases the leases on accounts; returns those that their holder held still.
    async fn release_each(
        &self,
        on: &DatabaseTransaction,
        leases: impl IntoIterator<Item = (AccountId, LeaseHolder)>,
    ) -> Result<HashSet<Uuid>, StoreError> {
        use renewal_lease::Column;
        let held = leases.into_iter().fold(Condition::any(), |any, (id, holder)| {
            let one = Condition::all()
                .add(Column::AccountId.eq(*id.as_uuid()))
                .add(Column::LeaseHolder.eq(*holder.as_uuid()));
            any.add(one)
        });
        // Without a condition, all leases would be released.
        if held.is_empty() {
            return Ok(HashSet::new());
        }
        let release = Query::delete()
            .from_table(renewal_lease::Entity)
            .and_where(Expr::col(Column::AppId).eq(self.app.as_str()))
            .cond_where(held)
            .returning_col(Column::AccountId)
            .take();
        ids(on, &release, "account_id").await
    }

    /// Accounts that were changed without a look at their schedule, soonest expiry first.
    pub(super) fn missed(&self, limit: u64) -> Select<Entity> {
        self.accounts().filter(is_missed()).order_by_asc(Column::TokenExpireTime).limit(limit)
    }

    /// Schedules the account of a row that is still as it was read: no replica has scheduled it since, and stored a
    /// failure that makes no new revision. One that cannot be read is due at once: its visit says so.
    async fn schedule(
        &self,
        on: &DatabaseTransaction,
        row: &QueryResult,
    ) -> Result<(), StoreError> {
        let model = Model::from_query_result(row, "");
        let model = model.map_err(|error| translate(&error))?;
        let (id, revision) = (AccountId::from_uuid(model.id), model.revision);
        let next_visit_time = match to_domain(model) {
            Ok(account) => account.next_visit_time(&self.plan).map(micros),
            Err(_) => Some(0),
        };
        let scheduled = without_failures(Entity::update_many())
            .col_expr(Column::NextVisitTime, Expr::value(next_visit_time))
            .col_expr(Column::ScheduledRevision, Expr::col(Column::Revision))
            .filter(self.read_as(id, revision))
            .filter(is_missed());
        scheduled.exec(on).await.map(drop).map_err(|error| translate(&error))
    }

    /// Accounts whose profile was read last, with their tokens.
    pub(super) fn last_read(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> sea_orm::SelectTwo<Entity, account_token::Entity> {
        self.accounts()
            .filter(Column::Refused.is_null())
            // As a sum, lest the index by expiry is taken, which has another order.
            .filter(Expr::col(Column::TokenExpireTime).add(0).gt(micros(now)))
            .filter(Column::Id.ne(*except.as_uuid()))
            .order_by_desc(Column::ProfileTime)
            .limit(limit)
            .find_also_related(account_token::Entity)
    }
}

/// Whether the account was changed without a look at its schedule.
fn is_missed() -> Expr {
    Expr::col(Column::ScheduledRevision).ne(Expr::col(Column::Revision))
}

/// The ids in `column` of the rows that `statement` returns.
async fn ids<C: FromIterator<Uuid>>(
    on: &DatabaseTransaction,
    statement: &impl StatementBuilder,
    column: &str,
) -> Result<C, StoreError> {
    let rows = on.query_all(statement).await.map_err(|error| translate(&error))?;
    let ids = rows.iter().map(|row| row.try_get("", column));
    ids.collect::<Result<_, _>>().map_err(|error| translate(&error))
}

#[cfg(test)]
mod tests;
