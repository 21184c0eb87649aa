//! Finds codes of hosted consents by their state and by the moment at which they came, so that neither a visit nor the
//! sweep looks at those of others; and what an account's events say, without those that were erased already.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum HostedCode {
    Table,
    AppId,
    StateHash,
    SealedCode,
    PresentTime,
}

#[derive(Clone, Copy, DeriveIden)]
enum AccountEvent {
    Table,
    AppId,
    Id,
    AccountId,
    ChangedFields,
    Cause,
    WebhookField,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in indexes() {
            manager.create_index(index).await?;
        }
        manager.create_index(event_bodies()).await?;
        let walked = Index::drop().name("event_account").table(AccountEvent::Table).to_owned();
        manager.drop_index(walked).await
    }
}

/// Events of one account that say more than that they happened, by the words by which the erasure asks for them. It
/// takes the place of `event_account`, along which each round walked over what was erased before.
fn event_bodies() -> IndexCreateStatement {
    use AccountEvent::{AccountId, AppId, Cause, ChangedFields, Id, Table, WebhookField};
    let said = [ChangedFields, Cause, WebhookField].map(|column| Expr::col(column).is_not_null());
    Index::create()
        .name("event_body")
        .table(Table)
        .col(AppId)
        .col(AccountId)
        .col(Id)
        .cond_where(said.into_iter().fold(Condition::any(), Condition::add))
        .take()
}

fn indexes() -> [IndexCreateStatement; 3] {
    let index = |name: &str, by: HostedCode| {
        let mut index = Index::create();
        index.name(name).table(HostedCode::Table).col(HostedCode::AppId).col(by);
        index
    };
    let sealed = Expr::col(HostedCode::SealedCode).is_not_null();
    [
        index("hosted_code_state", HostedCode::StateHash),
        index("hosted_code_present", HostedCode::PresentTime),
        index("hosted_code_sealed", HostedCode::PresentTime).and_where(sealed).take(),
    ]
}
