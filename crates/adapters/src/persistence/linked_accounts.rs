//! Accounts as a consent or an import leaves them.

use ig_domain::ports::{Cause, CompletedImport, ImportEnded, StoreError};
use ig_domain::{
    AccountEvent, AccountId, EventChange, InstagramAccount, LongLivedToken, UnlinkCause,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait as _, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _};

use super::SeaOrmStore;
use super::accounts::EventOf;
use super::columns::micros;
use super::entity::instagram_account::Entity;
use super::error::translate;
use super::user_key::UserKey;

/// An account as a consent or an import leaves it.
pub(super) struct Linked<'a> {
    pub(super) displaced: Option<(AccountId, i64)>,
    pub(super) account: &'a InstagramAccount,
    pub(super) former_revision: Option<i64>,
    /// The token; `None` where the stored one stays.
    pub(super) token: Option<&'a LongLivedToken>,
    pub(super) is_import: bool,
}

impl SeaOrmStore {
    /// Stores the account of an import, unless its person removed the app since.
    pub(super) async fn import_account(
        &self,
        import: &CompletedImport,
    ) -> Result<ImportEnded, StoreError> {
        let CompletedImport { displaced, account, former_revision, token } = import;
        let users = self.user_hashes(account).await?;
        let key = self.key_for(*displaced).await?;
        let write = self.database.begin_write().await?;
        // As with a link: a removal that is under way is waited for, and a later one finds the account.
        self.lock_users(write.on(), users.as_deref().unwrap_or_default()).await?;
        let consent_time = Expr::value(micros(account.consent_time));
        let are_known = users.is_some();
        if self.removal_since(write.on(), users, consent_time).await?.is_some() {
            return Ok(if are_known {
                ImportEnded::UserRemoved
            } else {
                ImportEnded::RemovalUnreadable
            });
        }
        let linked = Linked {
            displaced: *displaced,
            account,
            former_revision: *former_revision,
            token: Some(token),
            is_import: true,
        };
        self.store_linked(write.on(), &linked, key).await?;
        write.commit().await?;
        if displaced.is_some() {
            self.database.note_erased();
        }
        Ok(ImportEnded::Stored)
    }

    /// The key of persons for an account that makes room; `None` where there is none, or the key does not open.
    pub(super) async fn key_for(
        &self,
        displaced: Option<(AccountId, i64)>,
    ) -> Result<Option<&UserKey>, StoreError> {
        match displaced {
            Some(_) => self.readable_user_key().await,
            None => Ok(None),
        }
    }

    /// Stores an account as a consent or an import leaves it.
    pub(super) async fn store_linked(
        &self,
        on: &DatabaseTransaction,
        linked: &Linked<'_>,
        key: Option<&UserKey>,
    ) -> Result<(), StoreError> {
        let Linked { displaced, account, former_revision, token, is_import } = linked;
        if let Some(displaced) = displaced {
            let change = EventChange::Unlinked(UnlinkCause::OtherOwner);
            self.delete_account(on, *displaced, change, key).await?;
        }
        match (former_revision, token) {
            (Some(revision), _) => {
                let as_read = self.read_as(account.id, *revision);
                let imported =
                    |former: &_, next: &_| Some(AccountEvent::imported(Some(former), next));
                let event: EventOf = if *is_import { imported } else { AccountEvent::between };
                self.replace_where(on, account, as_read, event).await?;
            }
            (None, Some(_)) => {
                let event = if *is_import {
                    AccountEvent::imported(None, account)
                } else {
                    AccountEvent::linked(account)
                };
                self.insert_account(on, account, event).await?;
            }
            (None, None) => {
                let cause = Cause::new("a new account came without its token");
                return Err(StoreError::Internal(cause));
            }
        }
        match token {
            Some(token) => self.put_token(on, account.id, token).await,
            None => Ok(()),
        }
    }

    async fn insert_account(
        &self,
        on: &DatabaseTransaction,
        account: &InstagramAccount,
        event: AccountEvent,
    ) -> Result<(), StoreError> {
        let row = self.row(account).into_active_model().reset_all();
        let inserted = Entity::insert(row).exec_without_returning(on).await;
        inserted.map_err(|error| translate(&error))?;
        self.tell(on, [event]).await
    }
}
