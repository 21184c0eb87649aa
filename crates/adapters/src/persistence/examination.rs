//! Questions of those who examine a deployment. None of them changes anything.

use ig_domain::ports::{DueAccounts as _, StoreError};
use ig_domain::{AccountId, GrantedScopes, LongLivedToken, TroubleCause};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait as _, Func, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult, IdenStatic as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::SeaOrmStore;
use super::columns::{granted_scopes, instant};
use super::entity::account_event;
use super::entity::instagram_account::Column;
use super::error::translate;
use super::store_meter::Operation;
use super::survey_row::cause_of;

/// Maximum number of accounts whose tokens are tried to be read.
const MAX_TRIED_TOKENS: u64 = 10;

/// Maximum number of accounts that are looked at for how they are subscribed. Ours: a look at a million takes seconds.
const MAX_GROUPED_ACCOUNTS: u64 = 10_000;

/// Living accounts that have the same permissions and the same subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionGroup {
    /// Permissions that their persons granted.
    pub granted_scopes: GrantedScopes,
    /// Whether Instagram sends their updates, as far as is known.
    pub active: bool,
    /// Cause for which the last reconciliation of each failed; `None` where it succeeded, or there was none.
    pub error: Option<TroubleCause>,
    /// Number of the accounts, at least 1.
    pub accounts: u64,
    /// First of their consents; of an account that was linked later than its consent, as an imported one, its link.
    pub first_consent_time: OffsetDateTime,
}

#[derive(FromQueryResult)]
struct Group {
    granted_scopes: Option<String>,
    subscription_active: Option<bool>,
    subscription_error: Option<String>,
    accounts: i64,
    first_consent_time: i64,
}

impl SeaOrmStore {
    /// Tokens, alive at `now`, of the accounts that were read last: of the last ten those that can be read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn living_tokens(
        &self,
        now: OffsetDateTime,
    ) -> Result<Vec<LongLivedToken>, StoreError> {
        let nobody = AccountId::from_uuid(Uuid::nil());
        let found = self.witnesses(nobody, now, MAX_TRIED_TOKENS).await?;
        Ok(found.into_iter().map(|(_, token)| token).collect())
    }

    /// The living accounts by permissions and subscription, of the ten thousand that were read last.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn subscription_groups(&self) -> Result<Vec<SubscriptionGroup>, StoreError> {
        self.call(Operation::CountAccounts, async {
            let rows = self.database.read(&self.grouped()).await?;
            let group = |row| {
                let row = Group::from_query_result(row, "").map_err(|error| translate(&error))?;
                Ok(SubscriptionGroup {
                    granted_scopes: granted_scopes(row.granted_scopes.as_deref()),
                    active: row.subscription_active.unwrap_or_default(),
                    error: row.subscription_error.as_deref().map(cause_of),
                    accounts: row.accounts.try_into().unwrap_or_default(),
                    first_consent_time: instant("consent_time", row.first_consent_time)?,
                })
            };
            rows.iter().map(group).collect()
        })
        .await
    }

    /// Whether any webhook update is stored, an erased one included.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn has_webhook_updates(&self) -> Result<bool, StoreError> {
        self.call(Operation::ReadEvents, async {
            let found = account_event::Entity::find()
                .select_only()
                .column(account_event::Column::AppId)
                .filter(account_event::Column::AppId.eq(self.app.as_str()))
                .filter(account_event::Column::WebhookId.is_not_null())
                .limit(1)
                .into_query();
            Ok(!self.database.read(&found).await?.is_empty())
        })
        .await
    }

    fn grouped(&self) -> SelectStatement {
        let columns =
            [Column::GrantedScopes, Column::SubscriptionActive, Column::SubscriptionError];
        // The consent of an imported account may be older than all that we know of it.
        let (consent, link) = (Expr::col(Column::ConsentTime), Expr::col(Column::LinkTime));
        let later = Expr::case(consent.clone().lt(link.clone()), link).finally(consent);
        let last_read = self
            .accounts()
            .filter(Column::Refused.is_null())
            .select_only()
            .columns(columns)
            .expr_as(later, Column::ConsentTime.as_str())
            .order_by_desc(Column::ProfileTime)
            .limit(MAX_GROUPED_ACCOUNTS)
            .into_query();
        Query::select()
            .columns(columns)
            .expr_as(Func::count(Expr::col(Asterisk)), "accounts")
            .expr_as(Func::min(Expr::col(Column::ConsentTime)), "first_consent_time")
            .from_subquery(last_read, "last_read")
            .group_by_columns(columns)
            .take()
    }
}
