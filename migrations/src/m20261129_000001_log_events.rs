//! The log of events, its consumers, and the triggers that tell what versions before this step change.
//!
//! The triggers are to be dropped one release after the last version without events has gone.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::event_triggers;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum InstagramAccount {
    Table,
    EventRevision,
}

#[derive(Clone, Copy, DeriveIden)]
enum AccountEvent {
    Table,
    Id,
    AppId,
    Number,
    EventId,
    Kind,
    EventTime,
    AccountId,
    ProfessionalAccountId,
    Owner,
    Revision,
    ChangedFields,
    Cause,
}

#[derive(Clone, Copy, DeriveIden)]
enum EventLog {
    Table,
    AppId,
    LogId,
    HeadNumber,
    HeadEventId,
    PurgedNumber,
    PurgedEventId,
    PurgedTime,
}

#[derive(Clone, Copy, DeriveIden)]
enum EventConsumer {
    Table,
    AppId,
    Caller,
    Name,
    LogId,
    Number,
    EventId,
    OpenTime,
    LeaseHolder,
    LeaseEnd,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let revision = ColumnDef::new(InstagramAccount::EventRevision)
            .big_integer()
            .not_null()
            .default(0)
            .take();
        let accounts = Table::alter().table(InstagramAccount::Table).add_column(revision).take();
        manager.alter_table(accounts).await?;
        for table in [events(manager.get_database_backend()), logs(), consumers()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        for statement in event_triggers::creation(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}

/// `id` grows in the order of insertion, with gaps. `number` is null until it is given, and has none.
/// `changed_fields` is a comma-separated list.
fn events(backend: DbBackend) -> TableCreateStatement {
    use AccountEvent as Column;
    let mut id = ColumnDef::new(Column::Id).big_integer().not_null().primary_key().take();
    match backend {
        // Never the id of another: also once the newest events are gone.
        DbBackend::Sqlite => id.auto_increment(),
        // Unlike the sequence of a `bigserial`, it needs no grant of its own.
        _ => id.extra("GENERATED ALWAYS AS IDENTITY"),
    };
    Table::create()
        .table(Column::Table)
        .col(id)
        .col(ColumnDef::new(Column::AppId).text().not_null())
        .col(ColumnDef::new(Column::Number).big_integer())
        .col(ColumnDef::new(Column::EventId).uuid().not_null())
        .col(ColumnDef::new(Column::Kind).text().not_null())
        .col(ColumnDef::new(Column::EventTime).big_integer().not_null())
        .col(ColumnDef::new(Column::AccountId).uuid().not_null())
        .col(ColumnDef::new(Column::ProfessionalAccountId).text().not_null())
        .col(ColumnDef::new(Column::Owner).text().not_null())
        .col(ColumnDef::new(Column::Revision).big_integer().not_null())
        .col(ColumnDef::new(Column::ChangedFields).text())
        .col(ColumnDef::new(Column::Cause).text())
        .take()
}

/// One row for each app: the counter from which numbers come, and the last event that was purged. Its ids are nil where
/// there was none.
fn logs() -> TableCreateStatement {
    use EventLog as Column;
    let counter = |column| ColumnDef::new(column).big_integer().not_null().default(0).take();
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null().primary_key())
        .col(ColumnDef::new(Column::LogId).uuid().not_null())
        .col(counter(Column::HeadNumber))
        .col(ColumnDef::new(Column::HeadEventId).uuid().not_null())
        .col(counter(Column::PurgedNumber))
        .col(ColumnDef::new(Column::PurgedEventId).uuid().not_null())
        .col(counter(Column::PurgedTime))
        .take()
}

/// `log_id`, `number` and `event_id` are the committed cursor, all null where there is none.
fn consumers() -> TableCreateStatement {
    use EventConsumer as Column;
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null())
        .col(ColumnDef::new(Column::Caller).text().not_null())
        .col(ColumnDef::new(Column::Name).text().not_null())
        .col(ColumnDef::new(Column::LogId).uuid())
        .col(ColumnDef::new(Column::Number).big_integer())
        .col(ColumnDef::new(Column::EventId).uuid())
        .col(ColumnDef::new(Column::OpenTime).big_integer().not_null())
        .col(ColumnDef::new(Column::LeaseHolder).uuid())
        .col(ColumnDef::new(Column::LeaseEnd).big_integer())
        .primary_key(Index::create().col(Column::AppId).col(Column::Caller).col(Column::Name))
        .take()
}

fn indexes() -> [IndexCreateStatement; 4] {
    let event = |name: &str, by: AccountEvent| {
        let table = AccountEvent::Table;
        Index::create().name(name).table(table).col(AccountEvent::AppId).col(by).take()
    };
    [
        event("event_number", AccountEvent::Number).unique().take(),
        event("event_unnumbered", AccountEvent::Id)
            .and_where(Expr::col(AccountEvent::Number).is_null())
            .take(),
        event("event_age", AccountEvent::EventTime),
        Index::create()
            .name("consumer_holder")
            .table(EventConsumer::Table)
            .col(EventConsumer::AppId)
            .col(EventConsumer::LeaseHolder)
            .and_where(Expr::col(EventConsumer::LeaseHolder).is_not_null())
            .take(),
    ]
}
