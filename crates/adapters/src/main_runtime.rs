//! Reads of the store that run on the main runtime, whoever waits for them.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use ig_domain::ports::{AccountKey, AccountPage, AccountReader, BatchKey, Cause, StoreError};
use ig_domain::{AccountId, InstagramAccount, LongLivedToken};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// An [`AccountReader`] that reads on the main runtime, also for callers on the runtime of a gRPC connection. A
/// connection to the database is driven by the runtime that opened it, and must not wait for that of a gRPC connection,
/// which may have ended.
///
/// Reads of single accounts by an id are not passed on: the store gathers them, on its own runtime, and a task for each
/// would cost more than the read.
///
/// A read ends when its caller stops to wait for it, and its panic is the caller's, as if it ran there.
pub struct MainRuntimeReader {
    reader: Arc<dyn AccountReader>,
    runtime: Handle,
}

impl MainRuntimeReader {
    /// Reads by `reader` on the current runtime, which is the main one.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[must_use]
    pub fn new(reader: Arc<dyn AccountReader>) -> Self {
        Self { reader, runtime: Handle::current() }
    }

    /// Runs one read.
    async fn run<T, F>(
        &self,
        read: impl FnOnce(Arc<dyn AccountReader>) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let read = read(Arc::clone(&self.reader));
        if Handle::current().id() == self.runtime.id() {
            return read.await;
        }
        let task = self.runtime.spawn(read.in_current_span());
        match AbortOnDropHandle::new(task).await {
            Ok(read) => read,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(StoreError::Unavailable(Cause::new(error))),
            },
        }
    }
}

#[async_trait]
impl AccountReader for MainRuntimeReader {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        let AccountKey::Username(_) = key else { return self.reader.find(key).await };
        let key = key.clone();
        self.run(|reader| async move { reader.find(&key).await }).await
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let keys = keys.to_vec();
        self.run(|reader| async move { reader.find_many(&keys).await }).await
    }

    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        let ids = ids.to_vec();
        self.run(|reader| async move { reader.find_by_ids(&ids).await }).await
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        let page = page.clone();
        self.run(|reader| async move { reader.list(&page).await }).await
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        self.reader.find_with_token(id).await
    }
}
