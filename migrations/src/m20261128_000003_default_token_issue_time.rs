//! A default for `account_token.issue_time`, which nobody reads: the account has the same moment.
//!
//! A version before this step still writes the column, and a version after it does not. So the column stays until no
//! version before this step runs any more.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum AccountToken {
    Table,
    IssueTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let alter = || Table::alter().table(AccountToken::Table).take();
        let column =
            ColumnDef::new(AccountToken::IssueTime).big_integer().not_null().default(0).take();
        if manager.get_database_backend() == DbBackend::Sqlite {
            // SQLite changes no column in place.
            manager.alter_table(alter().drop_column(AccountToken::IssueTime).take()).await?;
            manager.alter_table(alter().add_column(column).take()).await
        } else {
            manager.alter_table(alter().modify_column(column).take()).await
        }
    }
}
