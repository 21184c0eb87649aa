//! The key of an app's persons: by hashes under it they are known once their data is gone.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ig_domain::ports::{Cause, SealContext, StoreError};
use ig_domain::{AuthorizationCode, StateToken, Ticket};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryTrait as _, UpdateMany,
};
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use tracing::warn;
use zeroize::Zeroizing;

use super::SeaOrmStore;
use super::entity::user_key::{ActiveModel, Column, Entity, Model};
use super::error::{corrupt, translate, translate_seal};
use crate::sealing::key_id;

/// The key of an app's persons: 256 random bits as hexadecimal digits. `Debug` hides it.
pub(super) struct UserKey(Zeroizing<String>);

impl UserKey {
    /// A new key.
    fn random() -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let drawn = getrandom::fill(bytes.as_mut());
        drawn.map_err(|error| StoreError::Internal(Cause::new(error)))?;
        let digits = bytes.iter().map(|byte| Zeroizing::new(format!("{byte:02x}")));
        let mut text = Zeroizing::new(String::with_capacity(64));
        digits.for_each(|digits| text.push_str(&digits));
        Ok(Self(text))
    }

    /// Hash of a person's app-scoped id.
    pub(super) fn hash(&self, user: &str) -> Result<[u8; 32], StoreError> {
        self.mac(&[b"user\0", user.as_bytes()])
    }

    /// The ticket of a code that came with this state. The state ends it, so that no other pair reads alike: neither
    /// holds a blank.
    pub(super) fn ticket(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
    ) -> Result<Ticket, StoreError> {
        let (code, state) = (code.expose().as_bytes(), state.expose().as_bytes());
        let ticket = self.mac(&[b"ticket\0", code, b" ", state])?;
        let ticket = BASE64_URL_SAFE_NO_PAD.encode(ticket).parse();
        ticket.map_err(|error| StoreError::Internal(Cause::new(error)))
    }

    fn mac(&self, parts: &[&[u8]]) -> Result<[u8; 32], StoreError> {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes());
        let mut mac = mac.map_err(|error| StoreError::Internal(Cause::new(error)))?;
        for part in parts {
            mac.update(part);
        }
        Ok(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UserKey(…)")
    }
}

impl SeaOrmStore {
    /// The key of this app's persons; the first call makes it. To be asked for before a transaction begins: in SQLite
    /// it needs a turn to write.
    pub(super) async fn user_key(&self) -> Result<&UserKey, StoreError> {
        self.user_key.get_or_try_init(|| self.load_user_key()).await
    }

    /// Makes the key of this app's persons, or seals the one that is there under the present sealing key. One that does
    /// not open is told in the log: removals fail until its sealing key is back.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Corrupt`, `Conflict` and `LeaseLost`.
    pub async fn prepare_user_key(&self) -> Result<(), StoreError> {
        match self.user_key().await {
            Ok(_) => Ok(()),
            Err(StoreError::Corrupt(error)) => {
                warn!(%error, "the key of persons' hashes does not open: removals fail until its sealing key is given again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The key of persons; `None` where there is one that does not open. Then an account goes without leaving a hash:
    /// it must be possible to unlink what cannot be read, and to link in its place.
    pub(super) async fn readable_user_key(&self) -> Result<Option<&UserKey>, StoreError> {
        match self.user_key().await {
            Ok(key) => Ok(Some(key)),
            Err(StoreError::Corrupt(error)) => {
                warn!(%error, "an account goes without leaving the hash by which a later deletion of its person's data finds what is left of it");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn load_user_key(&self) -> Result<UserKey, StoreError> {
        let mut kept = self.kept_user_key().await?;
        if kept.is_none() {
            self.keep_user_key(UserKey::random()?).await?;
            // Another process may have been the first.
            kept = self.kept_user_key().await?;
        }
        let kept = kept.ok_or_else(|| corrupt("user_key", "no row"))?;
        let opened = self.cipher.open(&of_app(self), &kept).map_err(translate_seal)?;
        let key = UserKey(Zeroizing::new(opened.expose_secret().to_owned()));
        let sealed = self.seal_user_key(&key)?;
        if key_id(&sealed) != key_id(&kept) {
            self.reseal_user_key(kept, sealed).await?;
        }
        Ok(key)
    }

    async fn kept_user_key(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let query = Entity::find_by_id(self.app.as_str()).into_query();
        let found: Option<Model> = self.database.read_one(&query).await?;
        Ok(found.map(|row| row.sealed_key))
    }

    async fn keep_user_key(&self, key: UserKey) -> Result<(), StoreError> {
        let row =
            Model { app_id: self.app.as_str().to_owned(), sealed_key: self.seal_user_key(&key)? };
        let write = self.database.begin_write().await?;
        Entity::insert(row.into_active_model().reset_all())
            .on_conflict(OnConflict::column(Column::AppId).do_nothing().to_owned())
            .exec_without_returning(write.on())
            .await
            .map_err(|error| translate(&error))?;
        write.commit().await
    }

    /// Replaces a key that is sealed under a former sealing key, so that this one can be retired.
    async fn reseal_user_key(&self, kept: Vec<u8>, sealed: Vec<u8>) -> Result<(), StoreError> {
        let write = self.database.begin_write().await?;
        let replaced = self.replaced_user_key(&kept, sealed).exec(write.on()).await;
        replaced.map_err(|error| translate(&error))?;
        write.commit().await
    }

    /// The replacement of the sealed key where it is still `former`.
    pub(super) fn replaced_user_key(&self, former: &[u8], sealed: Vec<u8>) -> UpdateMany<Entity> {
        Entity::update_many()
            .set(ActiveModel { sealed_key: Set(sealed), ..Default::default() })
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::SealedKey.eq(former))
    }

    fn seal_user_key(&self, key: &UserKey) -> Result<Vec<u8>, StoreError> {
        self.cipher.seal(&of_app(self), &key.0).map_err(translate_seal)
    }

    /// The sealed key of this app's persons, with its context; `None` where there is none yet.
    pub(super) async fn sealed_user_key(
        &self,
    ) -> Result<Option<(SealContext, Vec<u8>)>, StoreError> {
        Ok(self.kept_user_key().await?.map(|sealed| (of_app(self), sealed)))
    }
}

/// Context that the key is bound to.
fn of_app(store: &SeaOrmStore) -> SealContext {
    let row = store.app.as_str().as_bytes().to_vec();
    SealContext { table: "user_key", row, purpose: "hashes of users" }
}
