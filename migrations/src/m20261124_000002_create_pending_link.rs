//! Links that have begun, under the hash of their state.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum PendingLink {
    Table,
    AppId,
    StateHash,
    Owner,
    SessionBindingHash,
    RedirectUri,
    Scopes,
    AccountId,
    CreateTime,
    ExpireTime,
    SpentBy,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use PendingLink as Column;
        let table = Table::create()
            .table(Column::Table)
            .col(ColumnDef::new(Column::AppId).text().not_null())
            .col(ColumnDef::new(Column::StateHash).blob().not_null())
            .col(ColumnDef::new(Column::Owner).text().not_null())
            .col(ColumnDef::new(Column::SessionBindingHash).blob().not_null())
            .col(ColumnDef::new(Column::RedirectUri).text().not_null())
            .col(ColumnDef::new(Column::Scopes).text().not_null())
            .col(ColumnDef::new(Column::AccountId).uuid())
            .col(ColumnDef::new(Column::CreateTime).big_integer().not_null())
            .col(ColumnDef::new(Column::ExpireTime).big_integer().not_null())
            .col(ColumnDef::new(Column::SpentBy).blob())
            .primary_key(Index::create().col(Column::AppId).col(Column::StateHash))
            .take();
        manager.create_table(table).await?;
        let forgotten = Index::create()
            .name("pending_link_expire_time")
            .table(Column::Table)
            .col(Column::AppId)
            .col(Column::ExpireTime)
            .take();
        manager.create_index(forgotten).await
    }
}
