//! An index for each way to list accounts, in the order of the listing, and one by which the expired are found.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum InstagramAccount {
    Table,
    AppId,
    Id,
    Owner,
    Refused,
    LinkTime,
    TokenExpireTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in indexes() {
            manager.create_index(index).await?;
        }
        // It was in no order for several owners; the new one of all owners does what it did.
        let former = Index::drop().name("account_owner").table(InstagramAccount::Table).to_owned();
        manager.drop_index(former).await
    }
}

/// `account_link_time`, for all accounts of an app, is there already.
fn indexes() -> [IndexCreateStatement; 6] {
    use InstagramAccount::{Refused, Table, TokenExpireTime};
    let index = |name: &str| Index::create().name(name).table(Table).take();
    let active = || Expr::col(Refused).is_null();
    let marked = || Expr::col(Refused).is_not_null();
    [
        by_owner(index("account_owner_link_time")),
        by_owner(index("account_owner_active")).and_where(active()).take(),
        by_owner(index("account_owner_marked")).and_where(marked()).take(),
        by_link_time(index("account_link_time_active")).and_where(active()).take(),
        by_link_time(index("account_link_time_marked")).and_where(marked()).take(),
        index("account_expiry")
            .col(InstagramAccount::AppId)
            .col(TokenExpireTime)
            .and_where(active())
            .take(),
    ]
}

fn by_owner(mut index: IndexCreateStatement) -> IndexCreateStatement {
    use InstagramAccount::{AppId, Id, LinkTime, Owner};
    index.col(AppId).col(Owner).col((LinkTime, IndexOrder::Desc)).col((Id, IndexOrder::Desc)).take()
}

fn by_link_time(mut index: IndexCreateStatement) -> IndexCreateStatement {
    use InstagramAccount::{AppId, Id, LinkTime};
    index.col(AppId).col(LinkTime).col(Id).take()
}
