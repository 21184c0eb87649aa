//! Count of what is sealed, by key.

use std::collections::BTreeMap;
use std::sync::Arc;

use ig_domain::ports::{SealedKind, SealedSecrets, StoreError};
use time::OffsetDateTime;

/// Number of secrets that are counted at once.
const PAGE_SIZE: u64 = 10_000;

/// Number of payloads whose keys are looked at at once: a store may have to read them whole.
const PAYLOAD_PAGE_SIZE: u64 = 1_000;

/// Counts what is sealed.
pub struct CountSealed {
    /// The secrets.
    pub secrets: Arc<dyn SealedSecrets>,
}

/// What is sealed under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Number of secrets by their kind.
    pub secrets: BTreeMap<SealedKind, u64>,
    /// Number of payloads of webhooks.
    pub payloads: u64,
    /// The moment at which the newest of these payloads was stored; `None` where there is none.
    pub newest_payload_time: Option<OffsetDateTime>,
}

impl KeyUse {
    /// Number of secrets that a rotation seals anew.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.secrets.values().sum()
    }
}

impl CountSealed {
    /// What is sealed under each key, secrets and payloads.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute(&self) -> Result<BTreeMap<String, KeyUse>, StoreError> {
        let mut keys = self.secrets().await?;
        let mut after = None;
        loop {
            let page = self.secrets.payload_keys(after, PAYLOAD_PAGE_SIZE).await?;
            let Some(last) = page.last() else { return Ok(keys) };
            after = Some(last.place);
            for payload in page {
                let Some(key_id) = payload.key_id else { continue };
                let key = keys.entry(key_id).or_default();
                key.payloads += 1;
                key.newest_payload_time = key.newest_payload_time.max(Some(payload.time));
            }
        }
    }

    /// The secrets that a rotation seals anew, under each key.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn secrets(&self) -> Result<BTreeMap<String, KeyUse>, StoreError> {
        let mut keys = BTreeMap::<String, KeyUse>::new();
        for kind in SealedKind::ALL {
            let mut after = None;
            loop {
                let page = self.secrets.places(kind, after, PAGE_SIZE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.clone());
                for place in page {
                    *keys.entry(place.key_id).or_default().secrets.entry(kind).or_default() += 1;
                }
            }
        }
        Ok(keys)
    }
}
