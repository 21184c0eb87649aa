//! Rotation of the sealing keys: what is sealed under another key than the newest is sealed anew, while all serves.
//!
//! It keeps no state: whatever is still under another key is taken, so that a rotation that was interrupted anywhere goes
//! on with the next one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{
    Cause, SealError, SealedKind, SealedSecret, SealedSecrets, StoreError, Timer, TokenCipher,
    reseal,
};

use crate::retry::retry;

/// Maximum number of secrets that one transaction replaces: it holds up no write for more than some milliseconds.
const MAX_BATCH: u64 = 100;

/// Minimum interval between two batches, and between two passes. Between batches it is at least as long as the last one
/// took, so that the store is free for half of the time: other processes wait for SQLite's writer by looking again.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// Seals stored secrets anew.
pub struct RotateKeys {
    /// The secrets.
    pub secrets: Arc<dyn SealedSecrets>,
    /// The keys.
    pub cipher: Arc<dyn TokenCipher>,
    /// Id of the key that `cipher` seals under.
    pub newest: String,
    /// Real time, for the intervals between batches.
    pub timer: Arc<dyn Timer>,
}

/// Result of a rotation, so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotatedKeys {
    /// Number of secrets that were sealed anew, by their kind.
    pub resealed: BTreeMap<SealedKind, u64>,
    /// Number of secrets that do not open, by the id of their key: it is not configured, or they are damaged.
    pub unopened: BTreeMap<String, u64>,
}

impl RotatedKeys {
    /// Number of all secrets that were sealed anew.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.resealed.values().sum()
    }
}

impl RotateKeys {
    /// Seals anew all that opens and is not under the newest key, in passes, until one finds nothing that somebody else
    /// was changing. `told` hears of each batch.
    ///
    /// # Errors
    ///
    /// When the store failed, or there is no randomness. What is done is done.
    pub async fn execute(
        &self,
        mut told: impl FnMut(&RotatedKeys),
    ) -> Result<RotatedKeys, StoreError> {
        let mut rotated = RotatedKeys::default();
        loop {
            rotated.unopened.clear();
            let mut changing = 0;
            for kind in SealedKind::ALL {
                changing += self.pass(kind, &mut rotated, &mut told).await?;
            }
            if changing == 0 {
                return Ok(rotated);
            }
            self.timer.sleep(MIN_INTERVAL).await;
        }
    }

    /// Seals secrets of one kind anew. Returns the number of those that others were changing.
    async fn pass(
        &self,
        kind: SealedKind,
        rotated: &mut RotatedKeys,
        told: &mut impl FnMut(&RotatedKeys),
    ) -> Result<u64, StoreError> {
        let (mut after, mut changing) = (None, 0);
        loop {
            let begin = self.timer.now();
            let page =
                || self.secrets.under_other_keys(kind, &self.newest, after.clone(), MAX_BATCH);
            let secrets = retry(&*self.timer, page).await?;
            let Some(last) = secrets.last() else { return Ok(changing) };
            after = Some(last.place());
            let resealed = self.reseal_each(secrets, rotated)?;
            let replaced = retry(&*self.timer, || self.secrets.replace(kind, &resealed)).await?;
            *rotated.resealed.entry(kind).or_default() += replaced;
            changing += resealed.len() as u64 - replaced;
            told(rotated);
            let took = self.timer.now().duration_since(begin);
            self.timer.sleep(took.max(MIN_INTERVAL)).await;
        }
    }

    /// The secrets that open, each with its text under the newest key.
    fn reseal_each(
        &self,
        secrets: Vec<SealedSecret>,
        rotated: &mut RotatedKeys,
    ) -> Result<Vec<(SealedSecret, Vec<u8>)>, StoreError> {
        let mut resealed = Vec::with_capacity(secrets.len());
        for secret in secrets {
            match reseal(&*self.cipher, &secret.context, &secret.sealed) {
                Ok(sealed) => resealed.push((secret, sealed)),
                Err(SealError::UnknownKey(_) | SealError::Rejected) => {
                    *rotated.unopened.entry(secret.key_id).or_default() += 1;
                }
                Err(error) => return Err(StoreError::Internal(Cause::new(error))),
            }
        }
        Ok(resealed)
    }
}
