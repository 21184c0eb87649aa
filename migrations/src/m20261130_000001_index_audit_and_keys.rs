//! Finds the oldest audit entries of one app, so that they can be purged, and the tokens under one sealing key in the
//! order of their accounts, so that they can be sealed anew page by page.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum TokenAudit {
    Table,
    Id,
    AppId,
    HandOutTime,
}

#[derive(DeriveIden)]
enum AccountToken {
    Table,
    AccountId,
    KeyId,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_age = Index::create()
            .name("token_audit_app")
            .table(TokenAudit::Table)
            .col(TokenAudit::AppId)
            .col(TokenAudit::HandOutTime)
            .col(TokenAudit::Id)
            .take();
        manager.create_index(by_age).await?;
        let by_key = Index::create()
            .name("account_token_key")
            .table(AccountToken::Table)
            .col(AccountToken::KeyId)
            .col(AccountToken::AccountId)
            .take();
        manager.create_index(by_key).await?;
        let unordered =
            Index::drop().name("account_token_key_id").table(AccountToken::Table).to_owned();
        manager.drop_index(unordered).await
    }
}
