//! The last survey of all accounts, and an index by which those in trouble are counted.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum InstagramAccount {
    Table,
    AppId,
    TokenExpireTime,
    TroubleCause,
}

#[derive(Clone, Copy, DeriveIden)]
enum AccountSurvey {
    Table,
    AppId,
    TurnTime,
    SurveyTime,
    Active,
    ReauthorizationRequired,
    FirstExpireTime,
    Due,
    Overdue,
    LongestDueTime,
    InTrouble,
    OfOtherApps,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use InstagramAccount as Column;
        // The cause comes last: so the first entries are those that expire first, and a count needs no row.
        let in_trouble = Index::create()
            .name("account_trouble")
            .table(Column::Table)
            .col(Column::AppId)
            .col(Column::TokenExpireTime)
            .col(Column::TroubleCause)
            .and_where(Expr::col(Column::TroubleCause).is_not_null())
            .take();
        manager.create_index(in_trouble).await?;
        manager.create_table(surveys()).await
    }
}

/// One row for each app; `survey_time` is null until the first survey, `in_trouble` is a list of `CAUSE=number`.
fn surveys() -> TableCreateStatement {
    use AccountSurvey as Column;
    let time = |column| ColumnDef::new(column).big_integer().take();
    let number = |column| ColumnDef::new(column).big_integer().not_null().default(0).take();
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null().primary_key())
        .col(time(Column::TurnTime))
        .col(time(Column::SurveyTime))
        .col(number(Column::Active))
        .col(number(Column::ReauthorizationRequired))
        .col(time(Column::FirstExpireTime))
        .col(number(Column::Due))
        .col(number(Column::Overdue))
        .col(time(Column::LongestDueTime))
        .col(ColumnDef::new(Column::InTrouble).text().not_null().default(""))
        .col(number(Column::OfOtherApps))
        .take()
}
