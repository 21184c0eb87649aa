//! Attempts to turn a code into an account, under the hash of the code.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum LinkAttempt {
    Table,
    AppId,
    CodeHash,
    StateHash,
    Owner,
    SessionBindingHash,
    RedirectUri,
    Scopes,
    AccountId,
    CreateTime,
    Phase,
    SealedToken,
    ReceiveTime,
    UserId,
    GrantedScopes,
    Outcome,
    EndTime,
    LinkedAccountId,
    Created,
    MissingScopes,
    GraphCode,
    GraphSubcode,
    FbtraceId,
    LeaseHolder,
    LeaseEnd,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use LinkAttempt as Column;
        manager.create_table(attempts()).await?;
        let swept = Index::create()
            .name("link_attempt_phase")
            .table(Column::Table)
            .col(Column::AppId)
            .col(Column::Phase)
            .col(Column::EndTime)
            .take();
        manager.create_index(swept).await
    }
}

/// Columns of what was presented, then what `phase` and `outcome` have with them, then the lease.
fn attempts() -> TableCreateStatement {
    use LinkAttempt as Column;
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null())
        .col(ColumnDef::new(Column::CodeHash).blob().not_null())
        .col(ColumnDef::new(Column::StateHash).blob().not_null())
        .col(ColumnDef::new(Column::Owner).text().not_null())
        .col(ColumnDef::new(Column::SessionBindingHash).blob().not_null())
        .col(ColumnDef::new(Column::RedirectUri).text().not_null())
        .col(ColumnDef::new(Column::Scopes).text().not_null())
        .col(ColumnDef::new(Column::AccountId).uuid())
        .col(ColumnDef::new(Column::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(Column::Phase).text().not_null())
        .col(ColumnDef::new(Column::SealedToken).blob())
        .col(ColumnDef::new(Column::ReceiveTime).big_integer())
        .col(ColumnDef::new(Column::UserId).text())
        .col(ColumnDef::new(Column::GrantedScopes).text())
        .col(ColumnDef::new(Column::Outcome).text())
        .col(ColumnDef::new(Column::EndTime).big_integer())
        .col(ColumnDef::new(Column::LinkedAccountId).uuid())
        .col(ColumnDef::new(Column::Created).boolean())
        .col(ColumnDef::new(Column::MissingScopes).text())
        .col(ColumnDef::new(Column::GraphCode).big_integer())
        .col(ColumnDef::new(Column::GraphSubcode).big_integer())
        .col(ColumnDef::new(Column::FbtraceId).text())
        .col(ColumnDef::new(Column::LeaseHolder).uuid())
        .col(ColumnDef::new(Column::LeaseEnd).big_integer())
        .primary_key(Index::create().col(Column::AppId).col(Column::CodeHash))
        .take()
}
