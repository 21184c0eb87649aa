//! Accounts that are gone: by the hashes of their persons a later deletion finds what is left of them.

use std::collections::BTreeSet;

use ig_domain::AccountId;
use ig_domain::ports::StoreError;
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};

use super::entity::former_account::{Column, Entity};
use super::error::translate;
use super::user_key::UserKey;
use super::{SeaOrmStore, lease};

impl SeaOrmStore {
    /// Leaves a row for each of the ids of an account's person: none where there are none.
    pub(super) async fn leave_former_account(
        &self,
        on: &DatabaseTransaction,
        id: AccountId,
        users: impl IntoIterator<Item = String>,
        consent_time: i64,
        key: &UserKey,
    ) -> Result<(), StoreError> {
        let hashes = users.into_iter().map(|user| key.hash(&user));
        let hashes: BTreeSet<[u8; 32]> = hashes.collect::<Result<_, _>>()?;
        if hashes.is_empty() {
            return Ok(());
        }
        let columns = [
            Column::AppId,
            Column::AccountId,
            Column::UserHash,
            Column::ConsentTime,
            Column::UnlinkTime,
        ];
        let mut insert = Query::insert().into_table(Entity).columns(columns).take();
        for hash in hashes {
            insert.values_panic([
                Expr::value(self.app.as_str()),
                Expr::value(*id.as_uuid()),
                Expr::value(hash.to_vec()),
                Expr::value(consent_time),
                lease::now(self.backend()),
            ]);
        }
        let renewed = OnConflict::columns([Column::AppId, Column::AccountId, Column::UserHash])
            .update_columns([Column::ConsentTime, Column::UnlinkTime])
            .to_owned();
        insert.on_conflict(renewed);
        on.execute(&insert).await.map(drop).map_err(|error| translate(&error))
    }
}
