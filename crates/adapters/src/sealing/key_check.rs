//! Checks that each key is the one that its id stands for in a store.

use ig_domain::ports::{KeyChecks, SealContext, SealError, StoreError};

use super::{KeyRing, Sealed, SealingKey};

/// Plaintext of every check value. Says nothing.
const CHECK_TEXT: &str = "check";

/// Maximum number of sealed secrets that a key without a check value is tried on: one of them may be damaged.
const MAX_SAMPLES: u64 = 3;

/// The keys cannot be used with this store.
#[derive(Debug, thiserror::Error)]
pub enum KeyCheckError {
    /// The key does not open what is sealed under its id.
    #[error(
        "the sealing key {0:?} is not the key of that id in this database, whose tokens it would not open: put the former key back under {0:?}, and give a new key an id of its own"
    )]
    Mismatch(String),
    /// The store failed.
    #[error("the sealing keys cannot be checked")]
    Store(#[from] StoreError),
    /// No check value could be made.
    #[error("no check value could be made for a sealing key")]
    Seal(#[from] SealError),
}

impl KeyRing {
    /// Tries every key on its check value in `store` or, where there is none, on what is sealed under its id. Writes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`KeyCheckError::Mismatch`], [`KeyCheckError::Store`].
    pub async fn verify(&self, store: &dyn KeyChecks) -> Result<(), KeyCheckError> {
        for key in self.keys() {
            key.verify(store).await?;
        }
        Ok(())
    }

    /// Tries every key as [`verify`](Self::verify) does, and stores the check values that are missing. Of processes
    /// that start at once with different keys of one id, one succeeds.
    ///
    /// # Errors
    ///
    /// All of [`KeyCheckError`].
    pub async fn verify_and_keep(&self, store: &dyn KeyChecks) -> Result<(), KeyCheckError> {
        for key in self.keys() {
            if !key.verify(store).await? {
                let check_value = key.seal(&key.check_context(), CHECK_TEXT)?;
                key.expect_to_open(&store.keep(&key.id, &check_value).await?)?;
            }
        }
        Ok(())
    }
}

impl SealingKey {
    /// Whether the store holds a check value, which is the key's own then.
    async fn verify(&self, store: &dyn KeyChecks) -> Result<bool, KeyCheckError> {
        if let Some(check_value) = store.find(&self.id).await? {
            return self.expect_to_open(&check_value).map(|()| true);
        }
        let samples = store.sealed_under(&self.id, MAX_SAMPLES).await?;
        let opens = samples.iter().any(|(context, sealed)| self.opens(context, sealed));
        if opens || samples.is_empty() { Ok(false) } else { Err(self.mismatch()) }
    }

    fn expect_to_open(&self, check_value: &[u8]) -> Result<(), KeyCheckError> {
        let opens = self.opens(&self.check_context(), check_value);
        if opens { Ok(()) } else { Err(self.mismatch()) }
    }

    fn opens(&self, context: &SealContext, sealed: &[u8]) -> bool {
        Sealed::split(sealed).is_some_and(|sealed| self.open(context, &sealed).is_ok())
    }

    fn check_context(&self) -> SealContext {
        let row = self.id.clone().into_bytes();
        SealContext { table: "sealing_key", row, purpose: "check value" }
    }

    fn mismatch(&self) -> KeyCheckError {
        KeyCheckError::Mismatch(self.id.clone())
    }
}
