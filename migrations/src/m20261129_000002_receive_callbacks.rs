//! What Instagram calls back with: webhook updates, codes of hosted consents, and removals of persons.
//!
//! A version before this step leaves the new columns null. It writes no `former_account`.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum AccountEvent {
    Table,
    AppId,
    Id,
    AccountId,
    WebhookId,
    WebhookField,
    WebhookDirection,
    WebhookPeerId,
    WebhookTime,
    PayloadSize,
    SealedPayload,
}

#[derive(Clone, Copy, DeriveIden)]
enum InstagramAccount {
    Table,
    SubscriptionActive,
    SubscriptionError,
    SubscriptionCheckTime,
}

#[derive(Clone, Copy, DeriveIden)]
enum PendingLink {
    Table,
    AppId,
    AccountId,
    LinkEnd,
    ReturnUrl,
}

#[derive(Clone, Copy, DeriveIden)]
enum LinkAttempt {
    Table,
    AppId,
    UserId,
    AccountId,
    LinkedAccountId,
    LinkEnd,
}

#[derive(Clone, Copy, DeriveIden)]
enum UserKey {
    Table,
    AppId,
    SealedKey,
}

#[derive(Clone, Copy, DeriveIden)]
enum UserRemoval {
    Table,
    AppId,
    Kind,
    UserHash,
    IssueTime,
    Code,
    State,
    RequestTime,
    EndTime,
}

#[derive(Clone, Copy, DeriveIden)]
enum FormerAccount {
    Table,
    AppId,
    AccountId,
    UserHash,
    ConsentTime,
    UnlinkTime,
    RemovalCode,
}

#[derive(Clone, Copy, DeriveIden)]
enum HostedCode {
    Table,
    AppId,
    CodeHash,
    TicketHash,
    StateHash,
    SealedCode,
    PresentTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in additions() {
            manager.alter_table(table).await?;
        }
        for table in [user_keys(), user_removals(), former_accounts(), hosted_codes()] {
            manager.create_table(table).await?;
        }
        for index in event_indexes().into_iter().chain(removal_indexes()).chain(link_indexes()) {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// One column each: SQLite adds no more at a time. The payload is the last one, so that SQLite reads the others
/// without it.
fn additions() -> Vec<TableAlterStatement> {
    fn added(table: impl IntoTableRef, column: &mut ColumnDef) -> TableAlterStatement {
        Table::alter().table(table).add_column(column.take()).take()
    }
    let event = |column: &mut ColumnDef| added(AccountEvent::Table, column);
    let account = |column: &mut ColumnDef| added(InstagramAccount::Table, column);
    vec![
        event(ColumnDef::new(AccountEvent::WebhookId).blob()),
        event(ColumnDef::new(AccountEvent::WebhookField).text()),
        event(ColumnDef::new(AccountEvent::WebhookDirection).text()),
        event(ColumnDef::new(AccountEvent::WebhookPeerId).text()),
        event(ColumnDef::new(AccountEvent::WebhookTime).big_integer()),
        event(ColumnDef::new(AccountEvent::PayloadSize).big_integer()),
        event(ColumnDef::new(AccountEvent::SealedPayload).blob()),
        account(ColumnDef::new(InstagramAccount::SubscriptionActive).boolean()),
        account(ColumnDef::new(InstagramAccount::SubscriptionError).text()),
        account(ColumnDef::new(InstagramAccount::SubscriptionCheckTime).big_integer()),
        added(PendingLink::Table, ColumnDef::new(PendingLink::LinkEnd).text()),
        added(PendingLink::Table, ColumnDef::new(PendingLink::ReturnUrl).text()),
        added(LinkAttempt::Table, ColumnDef::new(LinkAttempt::LinkEnd).text()),
    ]
}

/// One row for each app: the key of the hashes of its persons.
fn user_keys() -> TableCreateStatement {
    use UserKey as Column;
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null().primary_key())
        .col(ColumnDef::new(Column::SealedKey).blob().not_null())
        .take()
}

/// One row for each removal that Meta asked for. `code` belongs to deletions. `end_time` is null while one is running.
fn user_removals() -> TableCreateStatement {
    use UserRemoval as Column;
    let mut primary_key = Index::create()
        .col(Column::AppId)
        .col(Column::Kind)
        .col(Column::UserHash)
        .col(Column::IssueTime)
        .take();
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null())
        .col(ColumnDef::new(Column::Kind).text().not_null())
        .col(ColumnDef::new(Column::UserHash).blob().not_null())
        .col(ColumnDef::new(Column::IssueTime).big_integer().not_null())
        .col(ColumnDef::new(Column::Code).text())
        .col(ColumnDef::new(Column::State).text().not_null())
        .col(ColumnDef::new(Column::RequestTime).big_integer().not_null())
        .col(ColumnDef::new(Column::EndTime).big_integer())
        .primary_key(&mut primary_key)
        .take()
}

/// Accounts that are gone, a row for each of a person's ids. With a `removal_code` they are to be erased under it.
fn former_accounts() -> TableCreateStatement {
    use FormerAccount as Column;
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null())
        .col(ColumnDef::new(Column::AccountId).uuid().not_null())
        .col(ColumnDef::new(Column::UserHash).blob().not_null())
        .col(ColumnDef::new(Column::ConsentTime).big_integer().not_null())
        .col(ColumnDef::new(Column::UnlinkTime).big_integer().not_null())
        .col(ColumnDef::new(Column::RemovalCode).text())
        .primary_key(
            Index::create().col(Column::AppId).col(Column::AccountId).col(Column::UserHash),
        )
        .take()
}

/// `sealed_code` becomes null once the code has long expired.
fn hosted_codes() -> TableCreateStatement {
    use HostedCode as Column;
    Table::create()
        .table(Column::Table)
        .col(ColumnDef::new(Column::AppId).text().not_null())
        .col(ColumnDef::new(Column::CodeHash).blob().not_null())
        .col(ColumnDef::new(Column::TicketHash).blob().not_null())
        .col(ColumnDef::new(Column::StateHash).blob().not_null())
        .col(ColumnDef::new(Column::SealedCode).blob())
        .col(ColumnDef::new(Column::PresentTime).big_integer().not_null())
        .primary_key(Index::create().col(Column::AppId).col(Column::CodeHash))
        .take()
}

/// The key by which each update is stored once, and the events of one account.
fn event_indexes() -> [IndexCreateStatement; 2] {
    use AccountEvent::{AccountId, AppId, Id, Table, WebhookId};
    [
        Index::create()
            .name("event_webhook")
            .table(Table)
            .col(AppId)
            .col(WebhookId)
            .unique()
            .and_where(Expr::col(WebhookId).is_not_null())
            .take(),
        Index::create().name("event_account").table(Table).col(AppId).col(AccountId).col(Id).take(),
    ]
}

fn removal_indexes() -> [IndexCreateStatement; 4] {
    [
        Index::create()
            .name("removal_code")
            .table(UserRemoval::Table)
            .col(UserRemoval::AppId)
            .col(UserRemoval::Code)
            .unique()
            .and_where(Expr::col(UserRemoval::Code).is_not_null())
            .take(),
        Index::create()
            .name("former_account_user")
            .table(FormerAccount::Table)
            .col(FormerAccount::AppId)
            .col(FormerAccount::UserHash)
            .take(),
        Index::create()
            .name("former_account_removal")
            .table(FormerAccount::Table)
            .col(FormerAccount::AppId)
            .col(FormerAccount::AccountId)
            .and_where(Expr::col(FormerAccount::RemovalCode).is_not_null())
            .take(),
        Index::create()
            .name("hosted_code_ticket")
            .table(HostedCode::Table)
            .col(HostedCode::AppId)
            .col(HostedCode::TicketHash)
            .unique()
            .take(),
    ]
}

/// What links hold of a person or an account.
fn link_indexes() -> [IndexCreateStatement; 4] {
    let attempt = |name: &str, by: LinkAttempt| {
        Index::create()
            .name(name)
            .table(LinkAttempt::Table)
            .col(LinkAttempt::AppId)
            .col(by)
            .and_where(Expr::col(by).is_not_null())
            .take()
    };
    [
        attempt("attempt_user", LinkAttempt::UserId),
        attempt("attempt_linked_account", LinkAttempt::LinkedAccountId),
        attempt("attempt_account", LinkAttempt::AccountId),
        Index::create()
            .name("pending_link_account")
            .table(PendingLink::Table)
            .col(PendingLink::AppId)
            .col(PendingLink::AccountId)
            .and_where(Expr::col(PendingLink::AccountId).is_not_null())
            .take(),
    ]
}
