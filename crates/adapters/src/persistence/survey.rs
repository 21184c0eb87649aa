//! Surveys of all accounts: counts along indexes, and the last one in a row that all replicas share.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::TroubleCause;
use ig_domain::ports::{OVERDUE_AFTER, StoreError, Survey, Surveys, WorstAccount};
use sea_orm::sea_query::{
    Asterisk, Condition, Expr, ExprTrait as _, Func, OnConflict, SelectStatement,
};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set},
    ColumnTrait, DatabaseTransaction, EntityTrait, FromQueryResult, IntoActiveModel as _,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait as _, Select, UpdateMany,
};
use time::OffsetDateTime;

use super::SeaOrmStore;
use super::account_row;
use super::columns::{expire_time, expiry_micros, instant, micros};
use super::entity::account_survey::{self, Column as SurveyColumn};
use super::entity::instagram_account::{Column, Entity, Model};
use super::error::translate;
use super::store_meter::Operation;
use super::survey_row::{cause_of, to_domain, to_row};
use super::unreadable::Table;

#[async_trait]
impl Surveys for SeaOrmStore {
    async fn survey(&self, now: OffsetDateTime) -> Result<Survey, StoreError> {
        // Apart, since the future of so many statements is large.
        let counted = Box::pin(async {
            let all = self.count(&self.all()).await?.number;
            let marked = self.count(&self.marked()).await?.number;
            // Accounts that the keeper marks within a minute.
            let expired = self.count(&self.expired(now)).await?.number;
            let dead = marked.saturating_add(expired);
            let first: Option<Expiry> = self.database.read_one(&self.first_expiry(now)).await?;
            let due = self.count(&self.due_before(now)).await?;
            let [before, behind] = self.of_other_apps();
            let others = self.count(&before).await?.number + self.count(&behind).await?.number;
            Ok(Survey {
                time: now,
                active: whole(all.saturating_sub(dead)),
                reauthorization_required: whole(dead),
                first_expire_time: match first {
                    Some(Expiry { time }) => expire_time("token_expire_time", time)?,
                    None => None,
                },
                due: whole(due.number),
                overdue: whole(self.count(&self.due_before(now - OVERDUE_AFTER)).await?.number),
                longest_due_time: optional("next_visit_time", due.first)?,
                in_trouble: self.troubles().await?,
                of_other_apps: whole(others),
            })
        });
        self.call(Operation::CountAccounts, counted).await
    }

    async fn worst(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<WorstAccount>, StoreError> {
        let found = Box::pin(async {
            let mut worst = Vec::new();
            for query in [self.soonest_in_trouble(limit), self.soonest_overdue(now, limit)] {
                let rows = self.database.read_rows(Table::Account, &query, worst_account);
                worst.extend(self.meter.unreadable.leave_out(rows.await?));
            }
            worst.sort_by_key(|one| (expiry_micros(one.account.token_expire_time), one.account.id));
            worst.dedup_by_key(|one| one.account.id);
            worst.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(worst)
        });
        self.call(Operation::CountAccounts, found).await
    }

    async fn take_turn(&self, now: OffsetDateTime, interval: Duration) -> Result<bool, StoreError> {
        self.call(Operation::Survey, async {
            let write = self.database.begin_write().await?;
            self.ensure_survey(write.on()).await?;
            let is_over = Condition::any()
                .add(SurveyColumn::TurnTime.is_null())
                .add(SurveyColumn::TurnTime.lte(micros(now - interval)))
                .add(SurveyColumn::TurnTime.gt(micros(now + interval)));
            let turn = self
                .last_survey()
                .col_expr(SurveyColumn::TurnTime, Expr::value(micros(now)))
                .filter(is_over);
            let taken = turn.exec(write.on()).await.map_err(|error| translate(&error))?;
            write.commit().await?;
            Ok(taken.rows_affected > 0)
        })
        .await
    }

    async fn keep(&self, survey: &Survey) -> Result<(), StoreError> {
        self.call(Operation::Survey, async {
            let write = self.database.begin_write().await?;
            self.ensure_survey(write.on()).await?;
            let mut row = to_row(&self.app, survey).into_active_model().reset_all();
            row.turn_time = NotSet;
            let kept = self.last_survey().set(row).exec(write.on()).await;
            kept.map_err(|error| translate(&error))?;
            write.commit().await
        })
        .await
    }

    async fn last(&self) -> Result<Option<Survey>, StoreError> {
        self.call(Operation::Survey, async {
            let row = account_survey::Entity::find()
                .filter(SurveyColumn::AppId.eq(self.app.as_str()))
                .into_query();
            let row: Option<account_survey::Model> = self.database.read_one(&row).await?;
            // One that cannot be read would otherwise never be replaced.
            Ok(row.and_then(|row| to_domain(row).ok().flatten()))
        })
        .await
    }
}

impl SeaOrmStore {
    /// All accounts of the app.
    fn all(&self) -> SelectStatement {
        counted(self.accounts(), None)
    }

    /// Accounts that are marked.
    fn marked(&self) -> SelectStatement {
        counted(self.accounts().filter(Column::Refused.is_not_null()), None)
    }

    /// Accounts whose token has run out, and that are not marked yet.
    fn expired(&self, now: OffsetDateTime) -> SelectStatement {
        let unmarked = self.accounts().filter(Column::Refused.is_null());
        counted(unmarked.filter(Column::TokenExpireTime.lte(micros(now))), None)
    }

    /// First expiry of a living token.
    fn first_expiry(&self, now: OffsetDateTime) -> SelectStatement {
        self.accounts()
            .select_only()
            .column_as(Column::TokenExpireTime, "time")
            .filter(Column::Refused.is_null())
            .filter(Column::TokenExpireTime.gt(micros(now)))
            .order_by_asc(Column::TokenExpireTime)
            .limit(1)
            .into_query()
    }

    /// Accounts that have been due at `time`, and the moment since which the longest due one is.
    fn due_before(&self, time: OffsetDateTime) -> SelectStatement {
        let due = self.accounts().filter(Column::NextVisitTime.lte(micros(time)));
        counted(due, Some(Column::NextVisitTime))
    }

    /// Accounts of the apps before this one and of those behind it, by id: each a range of an index.
    fn of_other_apps(&self) -> [SelectStatement; 2] {
        let app = self.app.as_str();
        [Column::AppId.lt(app), Column::AppId.gt(app)]
            .map(|range| counted(Entity::find().filter(range), None))
    }

    /// Accounts in trouble, by cause.
    fn trouble_by_cause(&self) -> SelectStatement {
        self.accounts()
            .select_only()
            .column_as(Column::TroubleCause, "cause")
            .expr_as(count_of_rows(), "number")
            .filter(Column::TroubleCause.is_not_null())
            .group_by(Column::TroubleCause)
            .into_query()
    }

    /// Accounts in trouble, soonest expiry first.
    fn soonest_in_trouble(&self, limit: u64) -> SelectStatement {
        self.accounts()
            .filter(Column::TroubleCause.is_not_null())
            .order_by_asc(Column::TokenExpireTime)
            .limit(limit)
            .into_query()
    }

    /// Overdue accounts with a living token, soonest expiry first.
    fn soonest_overdue(&self, now: OffsetDateTime, limit: u64) -> SelectStatement {
        self.accounts()
            .filter(Column::Refused.is_null())
            .filter(Column::NextVisitTime.lte(micros(now - OVERDUE_AFTER)))
            // As a sum, lest all accounts are walked through by their expiry while few are overdue.
            .order_by_asc(Expr::col(Column::TokenExpireTime).add(0))
            .limit(limit)
            .into_query()
    }

    async fn count(&self, query: &SelectStatement) -> Result<Count, StoreError> {
        Ok(self.database.read_one(query).await?.unwrap_or_default())
    }

    async fn troubles(&self) -> Result<BTreeMap<TroubleCause, u64>, StoreError> {
        let rows = self.database.read(&self.trouble_by_cause()).await?;
        let mut troubles = BTreeMap::new();
        for row in &rows {
            let row = Trouble::from_query_result(row, "").map_err(|error| translate(&error))?;
            *troubles.entry(cause_of(&row.cause)).or_default() += whole(row.number);
        }
        Ok(troubles)
    }

    /// Makes sure that there is a row for the app's last survey.
    async fn ensure_survey(&self, on: &DatabaseTransaction) -> Result<(), StoreError> {
        let row = account_survey::ActiveModel {
            app_id: Set(self.app.as_str().to_owned()),
            ..Default::default()
        };
        let present = account_survey::Entity::insert(row)
            .on_conflict(OnConflict::column(SurveyColumn::AppId).do_nothing().to_owned())
            .exec_without_returning(on);
        present.await.map(drop).map_err(|error| translate(&error))
    }

    fn last_survey(&self) -> UpdateMany<account_survey::Entity> {
        account_survey::Entity::update_many().filter(SurveyColumn::AppId.eq(self.app.as_str()))
    }
}

/// Number of some accounts and, where it was asked for, the lowest value of a column.
#[derive(Default, FromQueryResult)]
struct Count {
    number: i64,
    first: Option<i64>,
}

/// First expiry.
#[derive(FromQueryResult)]
struct Expiry {
    time: i64,
}

/// Number of accounts in trouble for one cause.
#[derive(FromQueryResult)]
struct Trouble {
    cause: String,
    number: i64,
}

fn count_of_rows() -> Expr {
    Func::count(Expr::col(Asterisk)).into()
}

/// The number of the accounts that `accounts` selects, and the lowest value of `first`.
fn counted(accounts: Select<Entity>, first: Option<Column>) -> SelectStatement {
    let lowest = first.map_or_else(|| Expr::value(None::<i64>), |column| column.min());
    accounts.select_only().expr_as(count_of_rows(), "number").expr_as(lowest, "first").into_query()
}

fn worst_account(row: Model) -> Result<WorstAccount, StoreError> {
    let next_visit_time = optional("next_visit_time", row.next_visit_time)?;
    Ok(WorstAccount { account: account_row::to_domain(row)?, next_visit_time })
}

fn optional(column: &str, time: Option<i64>) -> Result<Option<OffsetDateTime>, StoreError> {
    time.map(|time| instant(column, time)).transpose()
}

fn whole(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests;
