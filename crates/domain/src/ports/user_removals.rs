//! Storage of removals: deauthorisations and deletions of a person's data.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::ports::StoreError;
use crate::{ConfirmationCode, Deletion, RemovalOutcome, SignedRequest};

/// Removals of persons who removed the app. Each can be repeated, and changes nothing then.
#[async_trait]
pub trait UserRemovals: Send + Sync {
    /// Destroys the tokens of the person's accounts, each with the event of its change, unless the person consented
    /// after the request was issued: then these accounts become due. A link under way of an older consent finds the
    /// request for [`LINK_RETENTION`](crate::LINK_RETENTION).
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `LeaseLost`; nothing is changed then, or all of it.
    async fn deauthorize(
        &self,
        request: &SignedRequest,
        now: OffsetDateTime,
    ) -> Result<RemovalOutcome, StoreError>;
}

/// Deletions of persons' data, from the accounts of one app. Each can be repeated, and changes nothing then.
#[async_trait]
pub trait UserDeletions: Send + Sync {
    /// Deletes the person's accounts and marks what is left of them for [`erase`](Self::erase), unless the person
    /// consented after the request was issued: then these accounts become due. The deletion is found under `code`, or
    /// under the code that the same request, of this person and issue time, had before. Returns the one that counts.
    /// Links under way whose code came in the second of the request or before are erased.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `LeaseLost`; nothing is changed then, or all of it.
    async fn delete(
        &self,
        request: &SignedRequest,
        code: &ConfirmationCode,
        now: OffsetDateTime,
    ) -> Result<(ConfirmationCode, RemovalOutcome), StoreError>;

    /// The deletion of this code.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`.
    async fn find(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError>;

    /// Erases at most `limit` rows that deletions have left, and ends a deletion of which nothing is left. Returns the
    /// number of rows; 0 where there is nothing to do now, or another process does it.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Conflict` and `LeaseLost`.
    async fn erase(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError>;
}
