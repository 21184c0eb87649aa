//! The ports as the replicas see them: each call is two points with a fate between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_application::{Ports, StorePorts};
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, AccountWriter, AppBreaker, AuditLog, BatchKey, Breaker,
    Cause, ClaimedAccount, Clock, CompletedLink, CountedEvent, DueAccounts, Ids, LinkAttempts,
    Metrics, PendingLinks, RenewalLeases, StoreError, Timer, VisitResult,
};
use ig_domain::{
    AccountId, AuditEntry, AuditId, CodeHash, InstagramAccount, LeaseHolder, LinkAttempt,
    LongLivedToken, PendingLink, Phase, StateHash, StateToken, TroubleCause,
};
use ig_test_support::builders::START;
use time::OffsetDateTime;

use crate::world::{Fate, World, point};

/// One replica, as each of its ports.
pub(crate) struct Replica(pub(crate) Arc<World>);

fn unavailable() -> StoreError {
    StoreError::Unavailable(Cause::new("lost on the way"))
}

impl Replica {
    /// The ports of a replica in this world.
    pub(crate) fn ports(world: &Arc<World>) -> Ports {
        let replica = Arc::new(Self(Arc::clone(world)));
        Ports {
            store: StorePorts::of(replica.clone()),
            instagram: replica.clone(),
            clock: replica.clone(),
            timer: replica.clone(),
            ids: replica.clone(),
            metrics: replica,
            health: Arc::default(),
        }
    }

    async fn store<T: Send>(
        &self,
        name: &str,
        operation: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        point().await;
        let fate = self.0.fate();
        if fate != Fate::Well {
            self.0.note(|| format!("  {name}: {fate:?}"));
        }
        self.0.state().unchecked = true;
        let answer = match fate {
            Fate::Lost => Err(unavailable()),
            Fate::AnswerLost => operation.await.and_then(|_| Err(unavailable())),
            Fate::Well => operation.await,
        };
        point().await;
        answer
    }
}

#[async_trait]
impl AccountReader for Replica {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        self.store("find account", AccountReader::find(&self.0.store, key)).await
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.store("find accounts", self.0.store.find_many(keys)).await
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        self.store("list accounts", self.0.store.list(page)).await
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        self.store("find account and token", self.0.store.find_with_token(id)).await
    }
}

#[async_trait]
impl AccountWriter for Replica {
    async fn update(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        self.store("update account", self.0.store.update(account, former_revision, token)).await
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        let marked = self.0.store.mark_refused(account, former_revision, holder);
        self.store("mark refused", marked).await
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        self.store("remove account", self.0.store.remove(id, revision)).await
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.store("mark expired", self.0.store.mark_expired(now, limit)).await
    }
}

#[async_trait]
impl PendingLinks for Replica {
    async fn insert(&self, pending: &PendingLink) -> Result<(), StoreError> {
        self.store("insert state", self.0.store.insert(pending)).await
    }

    async fn find(&self, state: &StateHash) -> Result<Option<PendingLink>, StoreError> {
        self.store("find state", PendingLinks::find(&self.0.store, state)).await
    }
}

#[async_trait]
impl LinkAttempts for Replica {
    async fn find(&self, code: &CodeHash) -> Result<Option<LinkAttempt>, StoreError> {
        self.store("find attempt", LinkAttempts::find(&self.0.store, code)).await
    }

    async fn create(&self, attempt: &LinkAttempt, holder: LeaseHolder) -> Result<(), StoreError> {
        self.store("create attempt", self.0.store.create(attempt, holder)).await
    }

    async fn claim(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<Option<LinkAttempt>, StoreError> {
        self.store("claim attempt", LinkAttempts::claim(&self.0.store, code, holder)).await
    }

    async fn advance(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.store("advance attempt", self.0.store.advance(code, holder, phase)).await
    }

    async fn release(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        let release = LinkAttempts::release(&self.0.store, code, holder, phase);
        self.store("release attempt", release).await
    }

    async fn complete(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        link: &CompletedLink,
    ) -> Result<(), StoreError> {
        self.store("complete attempt", self.0.store.complete(code, holder, link)).await
    }

    async fn sweep(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.store("sweep", self.0.store.sweep(now, limit)).await
    }
}

#[async_trait]
impl RenewalLeases for Replica {
    async fn claim(&self, account: AccountId, holder: LeaseHolder) -> Result<bool, StoreError> {
        self.store("claim renewal", RenewalLeases::claim(&self.0.store, account, holder)).await
    }

    async fn extend(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.store("extend renewal", self.0.store.extend(account, holder)).await
    }

    async fn release(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.store("release renewal", RenewalLeases::release(&self.0.store, account, holder)).await
    }
}

#[async_trait]
impl DueAccounts for Replica {
    async fn claim_due(
        &self,
        now: OffsetDateTime,
        holder: LeaseHolder,
        limit: u64,
    ) -> Result<Vec<ClaimedAccount>, StoreError> {
        self.store("claim due accounts", self.0.store.claim_due(now, holder, limit)).await
    }

    async fn finish(
        &self,
        results: &[(LeaseHolder, VisitResult)],
    ) -> Result<Vec<AccountId>, StoreError> {
        self.store("finish visits", self.0.store.finish(results)).await
    }

    async fn put_off(
        &self,
        id: AccountId,
        holder: LeaseHolder,
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.store("put a visit off", self.0.store.put_off(id, holder, until)).await
    }

    async fn schedule_missed(&self, limit: u64) -> Result<u64, StoreError> {
        self.store("schedule missed", self.0.store.schedule_missed(limit)).await
    }

    async fn witnesses(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<(InstagramAccount, LongLivedToken)>, StoreError> {
        self.store("find witnesses", self.0.store.witnesses(except, now, limit)).await
    }
}

#[async_trait]
impl AppBreaker for Replica {
    async fn load(&self) -> Result<Breaker, StoreError> {
        self.store("load the breaker", self.0.store.load()).await
    }

    async fn open(&self, cause: TroubleCause, now: OffsetDateTime) -> Result<bool, StoreError> {
        self.store("open the breaker", self.0.store.open(cause, now)).await
    }

    async fn close(&self, now: OffsetDateTime) -> Result<bool, StoreError> {
        self.store("close the breaker", self.0.store.close(now)).await
    }

    async fn take_probe(
        &self,
        now: OffsetDateTime,
        interval: Duration,
    ) -> Result<bool, StoreError> {
        self.store("take a probe", self.0.store.take_probe(now, interval)).await
    }
}

#[async_trait]
impl AuditLog for Replica {
    async fn record(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.store("record", self.0.store.record(entry)).await
    }
}

impl Clock for Replica {
    fn now(&self) -> OffsetDateTime {
        self.0.clock.now()
    }
}

#[async_trait]
impl Timer for Replica {
    fn now(&self) -> Instant {
        let passed = self.0.clock.now() - START;
        self.0.begin + Duration::try_from(passed).unwrap_or_default()
    }

    async fn sleep(&self, _span: Duration) {
        point().await;
    }
}

impl Ids for Replica {
    fn account_id(&self, now: OffsetDateTime) -> AccountId {
        self.0.ids.account_id(now)
    }

    fn audit_id(&self, now: OffsetDateTime) -> AuditId {
        self.0.ids.audit_id(now)
    }

    fn state(&self) -> StateToken {
        self.0.ids.state()
    }

    fn lease_holder(&self) -> LeaseHolder {
        self.0.ids.lease_holder()
    }

    fn draw(&self) -> u32 {
        self.0.ids.draw()
    }
}

impl Metrics for Replica {
    fn count(&self, _event: CountedEvent) {}
}
