//! Ports of the use cases to the outside: one trait for each outside party.
//!
//! Everywhere `Ok(None)` means "not there", and `Err` means "could not tell".

mod audit;
mod callers;
mod events;
mod hosted_codes;
mod instagram;
mod keeper;
mod key_checks;
mod metrics;
mod sealed_secrets;
mod sealing;
mod store;
mod survey;
mod system;
mod user_removals;
mod webhooks;

pub use audit::{AuditLog, AuditPage, MAX_RECORDED_ENTRIES};
pub use callers::{Authorization, Callers, Credentials, NotAuthenticated};
pub use events::{
    CONSUMER_LEASE, ConsumerKey, ConsumerState, Consumers, EventLog, EventSurvey, HeldConsumer,
    LogCount, LogState, MAX_CONSUMERS, MAX_NUMBERED_EVENTS, Restoration, Taken,
};
pub use hosted_codes::{HostedCode, HostedCodes, MAX_HOSTED_CODES};
pub use instagram::{
    CodeExchange, GraphFacts, Instagram, InstagramError, InstagramErrorKind, ThrottleScope,
};
pub use keeper::{
    AppBreaker, Breaker, ClaimedAccount, DueAccounts, OpenBreaker, VisitChange, VisitResult,
};
pub use key_checks::KeyChecks;
pub use metrics::{CountedEvent, Metrics, ReadSource, VisitOutcome};
pub use sealed_secrets::{PayloadKey, SealedKind, SealedPlace, SealedSecret, SealedSecrets};
pub use sealing::{SealContext, SealError, TokenCipher, reseal};
pub use store::{
    ATTEMPT_LEASE, AccountKey, AccountPage, AccountReader, AccountWriter, BatchKey, Cause,
    CompletedImport, CompletedLink, ImportEnded, LinkAttempts, LinkEnded, PendingLinks,
    RENEWAL_LEASE, RenewalLeases, STORE_CALL_TIMEOUT, StatusFilter, StoreError, StoreProbe,
    max_lease_left,
};
pub use survey::{OVERDUE_AFTER, Survey, Surveys, WorstAccount};
pub use system::{Clock, Ids, Timer};
pub use user_removals::{UserDeletions, UserRemovals};
pub use webhooks::{StoredUpdates, Webhooks};

#[cfg(feature = "mocks")]
pub use instagram::MockInstagram;
#[cfg(feature = "mocks")]
pub use keeper::{MockAppBreaker, MockDueAccounts};
#[cfg(feature = "mocks")]
pub use key_checks::MockKeyChecks;
#[cfg(feature = "mocks")]
pub use sealing::MockTokenCipher;
#[cfg(feature = "mocks")]
pub use store::{MockAccountReader, MockAccountWriter, MockLinkAttempts, MockRenewalLeases};
#[cfg(feature = "mocks")]
pub use system::MockClock;
