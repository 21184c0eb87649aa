//! Lets a webhook update stand in one index less: each row is written for each update that comes.
//!
//! The key of an account's updates finds what is to be erased of them, too, so `event_body` has none of them any more.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum AccountEvent {
    Table,
    AppId,
    Id,
    AccountId,
    ChangedFields,
    Cause,
    WebhookId,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, index) in indexes() {
            let former = Index::drop().name(name).table(AccountEvent::Table).to_owned();
            manager.drop_index(former).await?;
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// The indexes, and their names, which they had before.
fn indexes() -> [(&'static str, IndexCreateStatement); 2] {
    use AccountEvent::{AccountId, AppId, Cause, ChangedFields, Id, Table, WebhookId};
    let has = |column: AccountEvent| Expr::col(column).is_not_null();
    let updates = Index::create()
        .name("event_webhook")
        .table(Table)
        .col(AppId)
        .col(AccountId)
        .col(WebhookId)
        .unique()
        .and_where(has(WebhookId))
        .take();
    let bodies = Index::create()
        .name("event_body")
        .table(Table)
        .col(AppId)
        .col(AccountId)
        .col(Id)
        .cond_where(Condition::any().add(has(ChangedFields)).add(has(Cause)))
        .take();
    [("event_webhook", updates), ("event_body", bodies)]
}
