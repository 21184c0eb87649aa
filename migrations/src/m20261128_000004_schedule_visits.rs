//! The schedule of the keeper's visits, and the app's breaker.
//!
//! A version before this step leaves the new columns as they are, also where it changes the account: then
//! `scheduled_revision` differs from `revision`, and the schedule is computed anew. That is so of all accounts that are
//! there already.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum InstagramAccount {
    Table,
    AppId,
    Refused,
    TokenExpireTime,
    ProfileTime,
    Revision,
    NextVisitTime,
    ScheduledRevision,
    FailedVisits,
    RetryTime,
    TroubleCause,
    TroubleSinceTime,
    TroubleAttempts,
}

#[derive(DeriveIden)]
enum AppBreaker {
    Table,
    AppId,
    Cause,
    SinceTime,
    ProbeTime,
    CloseTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in columns() {
            // SQLite adds one column at a time.
            let table = Table::alter().table(InstagramAccount::Table).add_column(column).take();
            manager.alter_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        manager.create_table(breaker()).await
    }
}

fn columns() -> [ColumnDef; 7] {
    use InstagramAccount as Column;
    let number = |column| ColumnDef::new(column).big_integer().take();
    let counter = |column| ColumnDef::new(column).big_integer().not_null().default(0).take();
    [
        number(Column::NextVisitTime),
        counter(Column::ScheduledRevision),
        counter(Column::FailedVisits),
        number(Column::RetryTime),
        ColumnDef::new(Column::TroubleCause).text().take(),
        number(Column::TroubleSinceTime),
        counter(Column::TroubleAttempts),
    ]
}

/// Those by which the due, the unscheduled and the witnesses are found. Accounts in the last days of their token are
/// found by `account_expiry`, which is there already.
fn indexes() -> [IndexCreateStatement; 3] {
    use InstagramAccount as Column;
    let index = |name: &str, by: Column| {
        Index::create().name(name).table(Column::Table).col(Column::AppId).col(by).take()
    };
    [
        index("account_next_visit", Column::NextVisitTime)
            .and_where(Expr::col(Column::NextVisitTime).is_not_null())
            .take(),
        index("account_unscheduled", Column::TokenExpireTime)
            .and_where(Expr::col(Column::ScheduledRevision).ne(Expr::col(Column::Revision)))
            .take(),
        index("account_last_reading", Column::ProfileTime)
            .and_where(Expr::col(Column::Refused).is_null())
            .take(),
    ]
}

/// One row for each app; `since_time` is null while the breaker is closed.
fn breaker() -> TableCreateStatement {
    use AppBreaker as Column;
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null().primary_key())
        .col(ColumnDef::new(Column::Cause).text())
        .col(ColumnDef::new(Column::SinceTime).big_integer())
        .col(ColumnDef::new(Column::ProbeTime).big_integer())
        .col(ColumnDef::new(Column::CloseTime).big_integer())
        .take()
}
