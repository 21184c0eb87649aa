//! A store in memory: every store port, the same contract as the real ones, and switches that break it.

mod accounts;
mod attempts;
mod audit;
mod consumers;
mod events;
mod hosted_codes;
mod keeper;
mod key_checks;
mod leases;
mod surveys;
mod user_deletions;
mod user_removals;
mod webhooks;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{
    ATTEMPT_LEASE, CONSUMER_LEASE, Cause, ConsumerKey, RENEWAL_LEASE, StoreError, StoreProbe,
    max_lease_left,
};
use ig_domain::{
    AccountId, AppId, AppScopedUserId, AuditEntry, CodeHash, ConfirmationCode, Deletion,
    DeletionState, InstagramAccount, KeepingPlan, LeaseHolder, LinkAttempt, LongLivedToken,
    PendingLink, SignedRequest, StateHash,
};
use time::OffsetDateTime;
use tokio::sync::Notify;

use self::consumers::ConsumerRow;
use self::events::EventRows;
use self::hosted_codes::HostedCodeRow;
use self::keeper::{BreakerRow, Schedule};
use self::surveys::SurveyRow;

/// Guards that keep a store right. A store that lacks one must be caught by the tests that use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Only the holder of a lease may write.
    Lease,
    /// Only a change of the newest revision is stored.
    Revision,
    /// The mark that a code was sent is stored before the code is sent.
    SentMark,
    /// Each hand-out has an audit entry of its own, also of a token that was handed out before.
    EachAuditEntry,
    /// A token is handed out only while its account is as it was read.
    AuditRevision,
    /// A due account that somebody holds is not claimed.
    ClaimLease,
    /// The result of a visit is stored only if the account is still as it was read.
    ResultCheck,
    /// Other accounts are found as witnesses.
    Witness,
    /// The app's breaker opens.
    Breaker,
    /// A change writes its event.
    EventWrite,
    /// A change writes its event once.
    EventOnce,
    /// Events get their numbers in the order in which they were written.
    EventNumber,
    /// A position whose next event was purged is not held by the log.
    CursorCheck,
    /// A consumer that somebody holds is not taken.
    ConsumerLease,
    /// A committed cursor moves by itself only where all that was sent is committed.
    ConsumerAdvance,
    /// An update is stored once, however often it comes.
    WebhookOnce,
    /// An update is stored under the account that it belongs to.
    WebhookAccount,
    /// The end of a link looks for removals of its person.
    RemovalCheck,
    /// A removal changes no account of a newer consent.
    RemovalAge,
    /// What the events of a deleted account say is erased.
    Erasure,
}

/// A store in memory, for one app. Clones share everything.
#[derive(Clone)]
pub struct MemoryStore {
    app_id: AppId,
    database: Arc<Mutex<Database>>,
    missing: Option<Guard>,
    plan: Arc<KeepingPlan>,
    /// Wakes one that waits for an event.
    written: Arc<Notify>,
    /// Number of ids that were made of events and logs.
    drawn: Arc<AtomicU64>,
}

#[derive(Default)]
struct Database {
    apps: HashMap<AppId, Rows>,
    lease_time: Duration,
    away: bool,
}

#[derive(Default)]
struct Rows {
    accounts: BTreeMap<AccountId, (InstagramAccount, Option<LongLivedToken>)>,
    pending_links: BTreeMap<StateHash, PendingLink>,
    attempts: BTreeMap<CodeHash, AttemptRow>,
    hosted_codes: BTreeMap<CodeHash, HostedCodeRow>,
    renewals: HashMap<AccountId, Lease>,
    audit: Vec<AuditEntry>,
    key_checks: HashMap<String, Vec<u8>>,
    put_off: HashMap<AccountId, OffsetDateTime>,
    breaker: BreakerRow,
    survey: SurveyRow,
    schedule: Schedule,
    events: EventRows,
    consumers: BTreeMap<ConsumerKey, ConsumerRow>,
    /// Each with the moment at which it came.
    deauthorizations: Vec<(SignedRequest, OffsetDateTime)>,
    deletions: Vec<DeletionRow>,
    former_accounts: Vec<FormerAccount>,
}

struct DeletionRow {
    request: SignedRequest,
    deletion: Deletion,
    /// State in which it ends.
    end: DeletionState,
}

/// What stays of an account that is gone.
#[derive(Clone)]
struct FormerAccount {
    id: AccountId,
    users: Vec<AppScopedUserId>,
    consent_time: OffsetDateTime,
    /// The deletion that is to erase it.
    code: Option<ConfirmationCode>,
}

struct AttemptRow {
    attempt: LinkAttempt,
    lease: Option<Lease>,
}

#[derive(Clone, Copy)]
struct Lease {
    holder: LeaseHolder,
    end: Duration,
}

/// Whether somebody holds the lease of this lifetime at `now`.
fn is_held(lease: Option<Lease>, lifetime: Duration, now: Duration) -> bool {
    lease.is_some_and(|lease| lease.end > now && lease.end <= now + max_lease_left(lifetime))
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(app_id: AppId) -> Self {
        Self {
            app_id,
            database: Arc::default(),
            missing: None,
            plan: Arc::default(),
            written: Arc::default(),
            drawn: Arc::default(),
        }
    }

    /// The same database, seen by another app.
    #[must_use]
    pub fn of_app(&self, app_id: AppId) -> Self {
        Self { app_id, ..self.clone() }
    }

    /// The same database through a store that lacks `guard`.
    #[must_use]
    pub fn without(&self, guard: Guard) -> Self {
        Self { missing: Some(guard), ..self.clone() }
    }

    /// The same database, scheduled by `plan`.
    #[must_use]
    pub fn with_plan(&self, plan: KeepingPlan) -> Self {
        Self { plan: Arc::new(plan), ..self.clone() }
    }

    /// Lets the store's own clock, by which leases end and events age, go on.
    pub fn pass_lease_time(&self, span: Duration) {
        self.lock().lease_time += span;
    }

    /// Lets every lease that is held now end.
    pub fn end_leases(&self) {
        self.pass_lease_time(ATTEMPT_LEASE.max(RENEWAL_LEASE).max(CONSUMER_LEASE));
    }

    /// Sets the store's own clock back: leases end later by `span`.
    pub fn set_lease_time_back(&self, span: Duration) {
        let mut database = self.lock();
        for rows in database.apps.values_mut() {
            let attempts = rows.attempts.values_mut().filter_map(|row| row.lease.as_mut());
            let consumers = rows.consumers.values_mut().filter_map(|row| row.lease.as_mut());
            let leases = attempts.chain(rows.renewals.values_mut()).chain(consumers);
            leases.for_each(|lease| lease.end += span);
        }
    }

    /// Makes the store unavailable, or available again.
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// Puts an account there, without an event, as if it had been linked long ago.
    pub fn put_account(&self, account: InstagramAccount, token: LongLivedToken) {
        let mut database = self.lock();
        let rows = database.apps.entry(self.app_id.clone()).or_default();
        rows.accounts.insert(account.id, (account, Some(token)));
    }

    /// Destroys the token of an account and keeps the account.
    pub fn destroy_token(&self, id: AccountId) {
        for rows in self.lock().apps.values_mut() {
            if let Some((_, token)) = rows.accounts.get_mut(&id) {
                *token = None;
            }
        }
    }

    /// All accounts that have a token, with it.
    #[must_use]
    pub fn accounts(&self) -> Vec<(InstagramAccount, LongLivedToken)> {
        self.read(|rows| {
            let all = rows.accounts.values().cloned();
            all.filter_map(|(account, token)| Some((account, token?))).collect()
        })
    }

    /// Moment of the next visit of an account, as the keeper finds it; `None` where there will be none.
    #[must_use]
    pub fn next_visit_time(&self, id: AccountId) -> Option<OffsetDateTime> {
        let mut database = self.lock();
        let rows = database.apps.get_mut(&self.app_id)?;
        rows.next_visit_time(id, &self.plan)
    }

    /// Whether somebody holds the renewal lease on an account.
    #[must_use]
    pub fn is_renewal_leased(&self, id: AccountId) -> bool {
        let mut database = self.lock();
        let now = database.lease_time;
        let rows = database.apps.entry(self.app_id.clone()).or_default();
        is_held(rows.renewals.get(&id).copied(), RENEWAL_LEASE, now)
    }

    /// All attempts.
    #[must_use]
    pub fn attempts(&self) -> Vec<LinkAttempt> {
        self.read(|rows| rows.attempts.values().map(|row| row.attempt.clone()).collect())
    }

    /// The deauthorisations that are kept, each once, in the order in which they came.
    #[must_use]
    pub fn deauthorizations(&self) -> Vec<SignedRequest> {
        self.read(|rows| rows.deauthorizations.iter().map(|(request, _)| request.clone()).collect())
    }

    /// Number of deletions that are kept.
    #[must_use]
    pub fn deletions(&self) -> usize {
        self.read(|rows| rows.deletions.len())
    }

    /// All audit entries, oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.read(|rows| rows.audit.clone())
    }

    fn lacks(&self, guard: Guard) -> bool {
        self.missing == Some(guard)
    }

    fn lock(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Rows) -> T) -> T {
        read(self.lock().apps.entry(self.app_id.clone()).or_default())
    }

    /// Runs one atomic operation; the second argument is the lease time.
    fn transact<T>(
        &self,
        operation: impl FnOnce(&mut Rows, Duration) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut database = self.lock();
        if database.away {
            return Err(StoreError::Unavailable(Cause::new("the store was taken away")));
        }
        let now = database.lease_time;
        operation(database.apps.entry(self.app_id.clone()).or_default(), now)
    }
}

#[async_trait]
impl StoreProbe for MemoryStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.transact(|_, _| Ok(()))
    }
}
