//! Check values of sealing keys, and a way to find what is sealed under one.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum SealingKey {
    Table,
    AppId,
    KeyId,
    CheckValue,
}

#[derive(DeriveIden)]
enum AccountToken {
    Table,
    KeyId,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use SealingKey as Column;
        let table = Table::create()
            .table(Column::Table)
            .col(ColumnDef::new(Column::AppId).text().not_null())
            .col(ColumnDef::new(Column::KeyId).text().not_null())
            .col(ColumnDef::new(Column::CheckValue).blob().not_null())
            .primary_key(Index::create().col(Column::AppId).col(Column::KeyId))
            .take();
        manager.create_table(table).await?;
        let by_key = Index::create()
            .name("account_token_key_id")
            .table(AccountToken::Table)
            .col(AccountToken::KeyId)
            .take();
        manager.create_index(by_key).await
    }
}
