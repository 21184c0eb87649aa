//! Audit: which token was handed to whom. Rows outlive their accounts, so nothing refers to them.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum TokenAudit {
    Table,
    Id,
    AppId,
    HandOutTime,
    Caller,
    Purpose,
    RequestId,
    AccountId,
    ProfessionalAccountId,
    Owner,
    TokenIssueTime,
    TokenExpireTime,
    Revision,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use TokenAudit as Column;
        let table = Table::create()
            .table(Column::Table)
            .col(ColumnDef::new(Column::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Column::AppId).text().not_null())
            .col(ColumnDef::new(Column::HandOutTime).big_integer().not_null())
            .col(ColumnDef::new(Column::Caller).text().not_null())
            .col(ColumnDef::new(Column::Purpose).text().not_null())
            .col(ColumnDef::new(Column::RequestId).text().not_null())
            .col(ColumnDef::new(Column::AccountId).uuid().not_null())
            .col(ColumnDef::new(Column::ProfessionalAccountId).text().not_null())
            .col(ColumnDef::new(Column::Owner).text().not_null())
            .col(ColumnDef::new(Column::TokenIssueTime).big_integer().not_null())
            .col(ColumnDef::new(Column::TokenExpireTime).big_integer().not_null())
            .col(ColumnDef::new(Column::Revision).big_integer().not_null())
            .take();
        manager.create_table(table).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// One for each way to look through the rows, each in the order in which they are shown.
fn indexes() -> [IndexCreateStatement; 4] {
    use TokenAudit as Column;
    let index = |name: &str, by: Option<Column>| {
        let mut index = Index::create().name(name).table(Column::Table).take();
        for column in by.into_iter().chain([Column::HandOutTime, Column::Id]) {
            index.col(column);
        }
        index
    };
    [
        index("token_audit_time", None),
        index("token_audit_account", Some(Column::AccountId)),
        index("token_audit_caller", Some(Column::Caller)),
        index("token_audit_owner", Some(Column::Owner)),
    ]
}
