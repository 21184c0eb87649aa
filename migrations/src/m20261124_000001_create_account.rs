//! Linked accounts and, apart from them, their sealed tokens.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum InstagramAccount {
    Table,
    Id,
    AppId,
    ProfessionalAccountId,
    AppScopedUserId,
    ExchangeUserId,
    Owner,
    Username,
    Name,
    ProfilePictureUrl,
    AccountType,
    FollowersCount,
    FollowsCount,
    MediaCount,
    GrantedScopes,
    Refused,
    ConsentTime,
    TokenIssueTime,
    TokenExpireTime,
    LinkTime,
    ProfileTime,
    UpdateTime,
    Revision,
}

#[derive(DeriveIden)]
enum AccountToken {
    Table,
    AccountId,
    SealedToken,
    KeyId,
    IssueTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(accounts(manager.get_database_backend())).await?;
        for index in account_indexes() {
            manager.create_index(index).await?;
        }
        manager.create_table(tokens()).await
    }
}

/// Instants are microseconds since 1970; `granted_scopes` is null where Instagram did not say.
fn accounts(backend: DbBackend) -> TableCreateStatement {
    use InstagramAccount as Column;
    let mut owner = ColumnDef::new(Column::Owner).text().not_null().take();
    if backend == DbBackend::Postgres {
        // By code points, as SQLite compares: a prefix is a range then.
        owner.extra(r#"COLLATE "C""#);
    }
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::Id).uuid().not_null().primary_key())
        .col(ColumnDef::new(Column::AppId).text().not_null())
        .col(ColumnDef::new(Column::ProfessionalAccountId).text().not_null())
        .col(ColumnDef::new(Column::AppScopedUserId).text())
        .col(ColumnDef::new(Column::ExchangeUserId).text())
        .col(owner)
        .col(ColumnDef::new(Column::Username).text().not_null())
        .col(ColumnDef::new(Column::Name).text())
        .col(ColumnDef::new(Column::ProfilePictureUrl).text())
        .col(ColumnDef::new(Column::AccountType).text().not_null())
        .col(ColumnDef::new(Column::FollowersCount).big_integer())
        .col(ColumnDef::new(Column::FollowsCount).big_integer())
        .col(ColumnDef::new(Column::MediaCount).big_integer())
        .col(ColumnDef::new(Column::GrantedScopes).text())
        .col(ColumnDef::new(Column::Refused).text())
        .col(ColumnDef::new(Column::ConsentTime).big_integer().not_null())
        .col(ColumnDef::new(Column::TokenIssueTime).big_integer().not_null())
        .col(ColumnDef::new(Column::TokenExpireTime).big_integer().not_null())
        .col(ColumnDef::new(Column::LinkTime).big_integer().not_null())
        .col(ColumnDef::new(Column::ProfileTime).big_integer().not_null())
        .col(ColumnDef::new(Column::UpdateTime).big_integer().not_null())
        .col(ColumnDef::new(Column::Revision).big_integer().not_null())
        .take()
}

fn account_indexes() -> [IndexCreateStatement; 6] {
    use InstagramAccount as Column;
    let index = |name: &str, columns: &[Column]| {
        let mut index = Index::create().name(name).table(Column::Table).take();
        for column in columns {
            index.col(*column);
        }
        index
    };
    [
        index("account_professional_id", &[Column::AppId, Column::ProfessionalAccountId])
            .unique()
            .take(),
        index("account_app_scoped_id", &[Column::AppId, Column::AppScopedUserId]),
        index("account_exchange_id", &[Column::AppId, Column::ExchangeUserId]),
        index("account_username", &[Column::AppId, Column::Username, Column::ProfileTime]),
        index("account_link_time", &[Column::AppId, Column::LinkTime, Column::Id]),
        index("account_owner", &[Column::AppId, Column::Owner, Column::LinkTime, Column::Id]),
    ]
}

fn tokens() -> TableCreateStatement {
    use AccountToken as Column;
    let mut account = ForeignKey::create()
        .from(Column::Table, Column::AccountId)
        .to(InstagramAccount::Table, InstagramAccount::Id)
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AccountId).uuid().not_null().primary_key())
        .col(ColumnDef::new(Column::SealedToken).blob().not_null())
        .col(ColumnDef::new(Column::KeyId).text().not_null())
        .col(ColumnDef::new(Column::IssueTime).big_integer().not_null())
        .foreign_key(&mut account)
        .take()
}
