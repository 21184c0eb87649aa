//! Check values of sealing keys, and what is sealed under a key.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ig_domain::ports::{KeyChecks, SealContext, SealedKind, StoreError};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QueryTrait as _};

use super::SeaOrmStore;
use super::entity::sealing_key::{Column, Entity, Model};
use super::error::{corrupt, translate};
use super::store_meter::Operation;

/// Kinds of secrets of which there are seldom more than links under way.
const FEW: [SealedKind; 3] =
    [SealedKind::UserKey, SealedKind::ShortLivedToken, SealedKind::HostedCode];

/// Maximum number of each of them that are looked at.
const MAX_ATTEMPTS: u64 = 1000;

/// Maximum number of key ids that are looked up.
const MAX_KEYS: usize = 100;

#[async_trait]
impl KeyChecks for SeaOrmStore {
    async fn find(&self, key_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(Operation::CheckKeys, async {
            let query = Entity::find_by_id(self.check_of(key_id)).into_query();
            let found: Option<Model> = self.database.read_one(&query).await?;
            Ok(found.map(|row| row.check_value))
        })
        .await
    }

    async fn keep(&self, key_id: &str, check_value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.call(Operation::CheckKeys, async {
            let (app_id, key) = self.check_of(key_id);
            let row = Model { app_id, key_id: key, check_value: check_value.to_owned() };
            let kept = OnConflict::columns([Column::AppId, Column::KeyId]).do_nothing().to_owned();
            let write = self.database.begin_write().await?;
            Entity::insert(row.into_active_model().reset_all())
                .on_conflict(kept)
                .exec_without_returning(write.on())
                .await
                .map_err(|error| translate(&error))?;
            let stored = Entity::find_by_id(self.check_of(key_id)).one(write.on()).await;
            let stored = stored.map_err(|error| translate(&error))?;
            write.commit().await?;
            stored.map(|row| row.check_value).ok_or_else(|| corrupt("sealing_key", "no row"))
        })
        .await
    }

    async fn sealed_under(
        &self,
        key_id: &str,
        limit: u64,
    ) -> Result<Vec<(SealContext, Vec<u8>)>, StoreError> {
        self.call(Operation::CheckKeys, async {
            let mut secrets = self.tokens_under(key_id, None, limit).await?;
            for kind in FEW {
                let few = self.secrets(kind, None, None, MAX_ATTEMPTS).await?.into_iter();
                secrets.extend(few.filter(|secret| secret.key_id == key_id));
            }
            secrets.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(secrets.into_iter().map(|secret| (secret.context, secret.sealed)).collect())
        })
        .await
    }

    async fn in_use_except(&self, known: &[String]) -> Result<Vec<String>, StoreError> {
        self.call(Operation::CheckKeys, async {
            let mut in_use = BTreeSet::new();
            for kind in FEW {
                let few = self.secrets(kind, None, None, MAX_ATTEMPTS).await?.into_iter();
                in_use.extend(few.map(|secret| secret.key_id));
            }
            let mut last = String::new();
            for _ in 0..MAX_KEYS {
                let Some(next) = self.key_behind(&last).await? else { break };
                // Of this app, that is: another's tokens are under keys of its own.
                if !known.contains(&next) && !self.tokens_under(&next, None, 1).await?.is_empty() {
                    in_use.insert(next.clone());
                }
                last = next;
            }
            in_use.retain(|id| !known.contains(id));
            Ok(in_use.into_iter().collect())
        })
        .await
    }
}

impl SeaOrmStore {
    fn check_of(&self, key_id: &str) -> (String, String) {
        (self.app.as_str().to_owned(), key_id.to_owned())
    }
}
