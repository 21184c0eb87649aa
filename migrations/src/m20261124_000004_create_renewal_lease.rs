//! Leases on renewing an account's token: holder and end.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum RenewalLease {
    Table,
    AppId,
    AccountId,
    LeaseHolder,
    LeaseEnd,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use RenewalLease as Column;
        let table = Table::create()
            .table(Column::Table)
            .col(ColumnDef::new(Column::AppId).text().not_null())
            .col(ColumnDef::new(Column::AccountId).uuid().not_null())
            .col(ColumnDef::new(Column::LeaseHolder).uuid().not_null())
            .col(ColumnDef::new(Column::LeaseEnd).big_integer().not_null())
            .primary_key(Index::create().col(Column::AppId).col(Column::AccountId))
            .take();
        manager.create_table(table).await
    }
}
