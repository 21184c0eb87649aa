//! Consumers of the log of events: committed cursors, and the lease that gives each to one stream at a time.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    CONSUMER_LEASE, ConsumerKey, ConsumerState, Consumers, HeldConsumer, MAX_CONSUMERS, StoreError,
    Taken,
};
use ig_domain::{EventId, EventPosition, LeaseHolder, LogId};
use sea_orm::sea_query::{
    CaseStatement, Condition, Expr, ExprTrait as _, OnConflict, Query, SelectStatement,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, FromQueryResult,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    UpdateMany,
};
use uuid::Uuid;

use super::columns::parse;
use super::entity::account_event::{self, Column as Event};
use super::entity::event_consumer::{Column, Entity, Model};
use super::error::translate;
use super::event_log::{LogRow, whole, whole_micros};
use super::store_meter::Operation;
use super::{SeaOrmStore, lease};

#[async_trait]
impl Consumers for SeaOrmStore {
    async fn take(
        &self,
        key: &ConsumerKey,
        holder: LeaseHolder,
        from: Option<&EventPosition>,
    ) -> Result<Taken, StoreError> {
        self.call(Operation::Consumers, async {
            if self.is_held_by_another(key, holder).await? {
                return Ok(Taken::Busy);
            }
            let write = self.database.begin_write().await?;
            if from.is_some() && !self.ensure_consumer(write.on(), key).await? {
                return Ok(Taken::TooMany);
            }
            let taking = from.map_or_else(Entity::update_many, moved_to);
            let taking = self
                .opened(taking)
                .col_expr(Column::LeaseHolder, Expr::value(*holder.as_uuid()))
                .col_expr(Column::LeaseEnd, lease::end(CONSUMER_LEASE, self.backend()))
                .filter(self.consumer(key))
                .filter(self.is_takeable(holder));
            let taking = match from {
                Some(_) => taking,
                None => taking.filter(Column::LogId.is_not_null()),
            };
            let taken = taking.exec_with_returning(write.on()).await;
            let taken = taken.map_err(|error| translate(&error))?;
            if let Some(cursor) = taken.first().and_then(cursor) {
                write.commit().await?;
                return Ok(Taken::Held(cursor));
            }
            let found = Entity::find().filter(self.consumer(key)).one(write.on()).await;
            let found = found.map_err(|error| translate(&error))?;
            Ok(if found.as_ref().and_then(cursor).is_some() || from.is_some() {
                Taken::Busy
            } else {
                Taken::NoCursor
            })
        })
        .await
    }

    async fn keep(&self, held: &[HeldConsumer]) -> Result<Vec<LeaseHolder>, StoreError> {
        if held.is_empty() {
            return Ok(Vec::new());
        }
        self.call(Operation::Consumers, async {
            let write = self.database.begin_write().await?;
            let extension = self
                .opened(Entity::update_many())
                .col_expr(Column::LeaseEnd, lease::end(CONSUMER_LEASE, self.backend()))
                .filter(self.held_by(held.iter().map(|held| held.holder)));
            let kept = extension.exec_with_returning(write.on()).await;
            let kept = kept.map_err(|error| translate(&error))?;
            // The rows are locked, and those of streams that stand still stay as they are.
            for (holder, to) in kept.iter().filter_map(|row| advance(row, held)) {
                let advance = moved_to(to).filter(self.held_by([holder]));
                advance.exec(write.on()).await.map_err(|error| translate(&error))?;
            }
            write.commit().await?;
            let holders = kept.into_iter().filter_map(|row| row.lease_holder);
            Ok(holders.map(LeaseHolder::from_uuid).collect())
        })
        .await
    }

    async fn release(&self, holders: &[LeaseHolder]) -> Result<(), StoreError> {
        if holders.is_empty() {
            return Ok(());
        }
        self.call(Operation::Consumers, async {
            let write = self.database.begin_write().await?;
            let release = Entity::update_many()
                .col_expr(Column::LeaseHolder, Expr::value(None::<Uuid>))
                .col_expr(Column::LeaseEnd, Expr::value(None::<i64>))
                .filter(self.held_by(holders.iter().copied()));
            release.exec(write.on()).await.map_err(|error| translate(&error))?;
            write.commit().await
        })
        .await
    }

    async fn commit(
        &self,
        key: &ConsumerKey,
        position: &EventPosition,
    ) -> Result<bool, StoreError> {
        self.call(Operation::Consumers, async {
            let write = self.database.begin_write().await?;
            // Anew where it was removed since: what is opened is locked.
            while !self.open_consumer(write.on(), key).await? {
                if !self.ensure_consumer(write.on(), key).await? {
                    return Ok(false);
                }
            }
            let is_newer = Condition::any()
                .add(Column::LogId.is_null())
                .add(Column::LogId.ne(*position.log.as_uuid()))
                .add(Column::Number.lt(position.number));
            let commit = moved_to(position).filter(self.consumer(key)).filter(is_newer);
            commit.exec(write.on()).await.map_err(|error| translate(&error))?;
            write.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn list(&self, window: Duration) -> Result<Vec<ConsumerState>, StoreError> {
        self.call(Operation::Consumers, async {
            // Without a log there is no consumer, and none is made here: the database may be open for questions only.
            let log: Option<LogRow> = self.database.read_one(&self.state(0)).await?;
            let Some(log) = log else { return Ok(Vec::new()) };
            let rows = self.database.read(&self.all_consumers(log.purged().number)).await?;
            let rows = rows.iter().map(|row| ConsumerRow::from_query_result(row, ""));
            let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| translate(&error))?;
            // A name that cannot be read is nobody's: no caller asks for it.
            let states = rows.iter().filter_map(|row| row.state(&log, window).ok());
            let mut states: Vec<_> = states.collect();
            states.sort_by(|one, other| one.key.cmp(&other.key));
            Ok(states)
        })
        .await
    }

    async fn remove(&self, key: &ConsumerKey) -> Result<bool, StoreError> {
        self.call(Operation::Consumers, async {
            let write = self.database.begin_write().await?;
            let removed = Entity::delete_many().filter(self.consumer(key)).exec(write.on()).await;
            let removed = removed.map_err(|error| translate(&error))?;
            write.commit().await?;
            Ok(removed.rows_affected > 0)
        })
        .await
    }
}

impl SeaOrmStore {
    fn consumer(&self, key: &ConsumerKey) -> Condition {
        let ConsumerKey { caller, name } = key;
        self.consumers_of(caller.as_str()).add(Column::Name.eq(name.as_str()))
    }

    fn consumers_of(&self, caller: &str) -> Condition {
        Condition::all().add(Column::AppId.eq(self.app.as_str())).add(Column::Caller.eq(caller))
    }

    fn held_by(&self, holders: impl IntoIterator<Item = LeaseHolder>) -> Condition {
        let holders = holders.into_iter().map(|holder| *holder.as_uuid());
        Condition::all()
            .add(Column::AppId.eq(self.app.as_str()))
            .add(Column::LeaseHolder.is_in(holders))
    }

    /// Whether another than `holder` holds the consumer. Only reads: whoever waits for it asks again and again, and
    /// takes no turn of those who write.
    async fn is_held_by_another(
        &self,
        key: &ConsumerKey,
        holder: LeaseHolder,
    ) -> Result<bool, StoreError> {
        let held = Entity::find().filter(self.consumer(key)).filter(self.is_takeable(holder).not());
        Ok(self.database.read_one::<Model>(&held.into_query()).await?.is_some())
    }

    /// Whether nobody but `holder` holds a consumer.
    fn is_takeable(&self, holder: LeaseHolder) -> Condition {
        self.is_unheld().add(Column::LeaseHolder.eq(*holder.as_uuid()))
    }

    /// Whether nobody holds a consumer.
    fn is_unheld(&self) -> Condition {
        let has_ended = lease::has_ended(Column::LeaseEnd, CONSUMER_LEASE, self.backend());
        Condition::any().add(Column::LeaseHolder.is_null()).add(has_ended)
    }

    /// `update`, which also counts as opening.
    fn opened(&self, update: UpdateMany<Entity>) -> UpdateMany<Entity> {
        update.col_expr(Column::OpenTime, lease::now(self.backend()))
    }

    /// Counts as opening of a consumer. `false`: there is none.
    async fn open_consumer(
        &self,
        on: &DatabaseTransaction,
        key: &ConsumerKey,
    ) -> Result<bool, StoreError> {
        let opening = self.opened(Entity::update_many()).filter(self.consumer(key));
        let opened = opening.exec(on).await.map_err(|error| translate(&error))?;
        Ok(opened.rows_affected > 0)
    }

    /// Makes a consumer without a cursor where there is none. `false`: its caller has too many others.
    async fn ensure_consumer(
        &self,
        on: &DatabaseTransaction,
        key: &ConsumerKey,
    ) -> Result<bool, StoreError> {
        let found = Entity::find().filter(self.consumer(key)).count(on).await;
        if found.map_err(|error| translate(&error))? > 0 {
            return Ok(true);
        }
        let others = Entity::find().filter(self.consumers_of(key.caller.as_str())).count(on).await;
        if others.map_err(|error| translate(&error))? >= MAX_CONSUMERS {
            return Ok(false);
        }
        let columns = [Column::AppId, Column::Caller, Column::Name];
        let insert = Query::insert()
            .into_table(Entity)
            .columns(columns.into_iter().chain([Column::OpenTime]))
            .values_panic([
                Expr::value(self.app.as_str()),
                Expr::value(key.caller.as_str()),
                Expr::value(key.name.as_str()),
                lease::now(self.backend()),
            ])
            .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
            .take();
        on.execute(&insert).await.map_err(|error| translate(&error))?;
        Ok(true)
    }

    /// All consumers, each with the moment of the first event behind its cursor and the number `purged`.
    pub(super) fn all_consumers(&self, purged: i64) -> SelectStatement {
        let cursor = Expr::col((Entity, Column::Number));
        // One bound, so that no events between the two are walked through.
        let behind = CaseStatement::new().case(cursor.clone().gt(purged), cursor).finally(purged);
        let next = account_event::Entity::find()
            .select_only()
            .column(Event::EventTime)
            .filter(Event::AppId.eq(self.app.as_str()))
            .filter(Expr::col((account_event::Entity, Event::Number)).gt(behind))
            .order_by_asc(Event::Number)
            .limit(1)
            .into_query();
        Entity::find()
            .filter(Column::AppId.eq(self.app.as_str()))
            .expr_as(Expr::from(next), "next_event_time")
            .into_query()
    }

    /// Forgets the cursors, and later the names, of consumers that nobody holds or has opened within `window`.
    pub(super) async fn forget_consumers(
        &self,
        on: &DatabaseTransaction,
        window: Duration,
    ) -> Result<(), StoreError> {
        let unopened_for = |span: Duration| {
            let before = lease::now(self.backend()).sub(whole_micros(span));
            Condition::all()
                .add(Column::AppId.eq(self.app.as_str()))
                .add(Expr::col(Column::OpenTime).lte(before))
                .add(self.is_unheld())
        };
        let forgotten = Entity::delete_many().filter(unopened_for(window.saturating_mul(2)));
        forgotten.exec(on).await.map_err(|error| translate(&error))?;
        let expired = Entity::update_many()
            .col_expr(Column::LogId, Expr::value(None::<Uuid>))
            .col_expr(Column::Number, Expr::value(None::<i64>))
            .col_expr(Column::EventId, Expr::value(None::<Uuid>))
            .filter(Column::LogId.is_not_null())
            .filter(unopened_for(window));
        expired.exec(on).await.map(drop).map_err(|error| translate(&error))
    }
}

/// An update that moves the committed cursor to `position`.
fn moved_to(position: &EventPosition) -> UpdateMany<Entity> {
    let EventPosition { log, number, event } = position;
    Entity::update_many()
        .col_expr(Column::LogId, Expr::value(*log.as_uuid()))
        .col_expr(Column::Number, Expr::value(*number))
        .col_expr(Column::EventId, Expr::value(*event.as_uuid()))
}

/// The holder of a row, and where its stream lets the committed cursor move; `None` where it stays.
fn advance<'a>(row: &Model, held: &'a [HeldConsumer]) -> Option<(LeaseHolder, &'a EventPosition)> {
    let holder = LeaseHolder::from_uuid(row.lease_holder?);
    let held = held.iter().find(|held| held.holder == holder)?;
    let (sent, to) = held.advance.as_ref()?;
    let cursor = cursor(row).filter(|cursor| cursor.log == to.log)?;
    (*sent..to.number).contains(&cursor.number).then_some((holder, to))
}

/// The committed cursor of a row.
fn cursor(row: &Model) -> Option<EventPosition> {
    position(row.log_id, row.number, row.event_id)
}

fn position(log: Option<Uuid>, number: Option<i64>, event: Option<Uuid>) -> Option<EventPosition> {
    let (log, event) = (LogId::from_uuid(log?), EventId::from_uuid(event?));
    Some(EventPosition { log, number: number?, event })
}

/// A consumer as it is listed.
#[derive(FromQueryResult)]
struct ConsumerRow {
    caller: String,
    name: String,
    log_id: Option<Uuid>,
    number: Option<i64>,
    event_id: Option<Uuid>,
    open_time: i64,
    lease_holder: Option<Uuid>,
    lease_end: Option<i64>,
    next_event_time: Option<i64>,
}

impl ConsumerRow {
    fn state(&self, log: &LogRow, window: Duration) -> Result<ConsumerState, StoreError> {
        let (head, purged) = (log.head(), log.purged().number);
        let committed = position(self.log_id, self.number, self.event_id);
        let committed = committed.filter(|cursor| cursor.log == head.log);
        let cursor = committed.map_or(purged, |cursor| cursor.number);
        let lag = self.next_event_time.map_or(0, |time| whole(log.now - time));
        let lag = Duration::from_micros(lag);
        let is_held = self.lease_holder.is_some()
            && self.lease_end.is_some_and(|end| lease::is_held(end, CONSUMER_LEASE, log.now));
        let unopened = if is_held { 0 } else { whole(log.now - self.open_time) };
        let unopened = Duration::from_micros(unopened);
        Ok(ConsumerState {
            key: ConsumerKey {
                caller: parse("caller", &self.caller)?,
                name: parse("name", &self.name)?,
            },
            committed,
            is_held,
            lag_events: whole(head.number - std::cmp::max(cursor, purged)),
            lag,
            window_left: if committed.is_none() || cursor < purged {
                Duration::ZERO
            } else {
                window.saturating_sub(std::cmp::max(lag, unopened))
            },
        })
    }
}

#[cfg(test)]
mod tests;
