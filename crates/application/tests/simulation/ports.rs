//! The ports as the replicas see them: each call is two points with a fate between.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, AccountWriter, AppBreaker, AuditLog, BatchKey, Breaker,
    Cause, ClaimedAccount, Clock, CompletedImport, CompletedLink, CountedEvent, DueAccounts, Ids,
    ImportEnded, LinkAttempts, LinkEnded, Metrics, PendingLinks, RenewalLeases, StoreError, Timer,
    VisitResult,
};
use ig_domain::{
    AccountId, AccountStatus, AuditEntry, AuditId, CodeHash, ConfirmationCode, InstagramAccount,
    LeaseHolder, LinkAttempt, LongLivedToken, PendingLink, Phase, StateHash, StateToken,
    TroubleCause,
};
use ig_test_support::builders::START;
use time::OffsetDateTime;

use crate::crash_points::{CrashPoint, Side};
use crate::reads::Made;
use crate::replica::Replica;
use crate::world::Fate;

fn unavailable() -> StoreError {
    StoreError::Unavailable(Cause::new("lost on the way"))
}

impl Replica {
    pub(crate) async fn store<T: Send>(
        &self,
        point: CrashPoint,
        operation: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.world.pass(point, Side::Before).await;
        let fate = self.world.fate(self.number, self.serves.renews());
        if fate != Fate::Well {
            self.world.note(|| format!("  {point:?}: {fate:?}"));
        }
        self.world.state().unchecked = true;
        let answer = match fate {
            Fate::Lost => Err(unavailable()),
            Fate::AnswerLost => operation.await.and_then(|_| Err(unavailable())),
            Fate::Well => operation.await,
        };
        let made =
            if point.changes_accounts() { self.world.record_versions() } else { Made::new() };
        self.world.pass(point, Side::After).await;
        self.note_made(made);
        answer
    }

    /// Whether another account than this one has a token that lives at `now`.
    fn has_others(&self, except: AccountId, now: OffsetDateTime) -> bool {
        let accounts = self.world.store.accounts();
        let mut others = accounts.iter().filter(|(account, _)| account.id != except);
        others.any(|(account, _)| account.status(now) == AccountStatus::Active)
    }
}

#[async_trait]
impl AccountReader for Replica {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        self.store(CrashPoint::FindAccount, AccountReader::find(&self.world.store, key)).await
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.store(CrashPoint::FindAccounts, self.world.store.find_many(keys)).await
    }

    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.store(CrashPoint::FindAccounts, self.world.store.find_by_ids(ids)).await
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        self.store(CrashPoint::ListAccounts, self.world.store.list(page)).await
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        self.store(CrashPoint::FindAccountAndToken, self.world.store.find_with_token(id)).await
    }
}

#[async_trait]
impl AccountWriter for Replica {
    async fn update(
        &self,
        account: &InstagramAccount,
        former: &InstagramAccount,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        let update = self.world.store.update(account, former, token);
        self.store(CrashPoint::UpdateAccount, update).await
    }

    async fn import(&self, import: &CompletedImport) -> Result<ImportEnded, StoreError> {
        let stored = async {
            let ended = self.world.store.import(import).await?;
            if ended == ImportEnded::Stored {
                self.world.state().imports.note(&import.account);
            }
            Ok(ended)
        };
        self.store(CrashPoint::ImportAccount, stored).await
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        let marked = self.world.store.mark_refused(account, former_revision, holder);
        self.store(CrashPoint::MarkRefused, marked).await
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        self.store(CrashPoint::RemoveAccount, self.world.store.remove(id, revision)).await
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.store(CrashPoint::MarkExpired, self.world.store.mark_expired(now, limit)).await
    }
}

#[async_trait]
impl PendingLinks for Replica {
    async fn insert(&self, pending: &PendingLink) -> Result<(), StoreError> {
        self.store(CrashPoint::InsertState, self.world.store.insert(pending)).await
    }

    async fn find(&self, state: &StateHash) -> Result<Option<PendingLink>, StoreError> {
        self.store(CrashPoint::FindState, PendingLinks::find(&self.world.store, state)).await
    }
}

#[async_trait]
impl LinkAttempts for Replica {
    async fn find(&self, code: &CodeHash) -> Result<Option<LinkAttempt>, StoreError> {
        self.store(CrashPoint::FindAttempt, LinkAttempts::find(&self.world.store, code)).await
    }

    async fn create(&self, attempt: &LinkAttempt, holder: LeaseHolder) -> Result<(), StoreError> {
        self.store(CrashPoint::CreateAttempt, self.world.store.create(attempt, holder)).await
    }

    async fn discard_unsent(&self, code: &CodeHash, state: &StateHash) -> Result<bool, StoreError> {
        self.world.store.discard_unsent(code, state).await
    }

    async fn claim(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<Option<LinkAttempt>, StoreError> {
        self.store(CrashPoint::ClaimAttempt, LinkAttempts::claim(&self.world.store, code, holder))
            .await
    }

    async fn advance(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.store(CrashPoint::AdvanceAttempt, self.world.store.advance(code, holder, phase)).await
    }

    async fn release(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        let release = LinkAttempts::release(&self.world.store, code, holder, phase);
        self.store(CrashPoint::ReleaseAttempt, release).await
    }

    async fn complete(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        link: &CompletedLink,
    ) -> Result<LinkEnded, StoreError> {
        let complete = async {
            let ended = self.world.erasing(self.world.store.complete(code, holder, link)).await?;
            if ended == LinkEnded::Stored {
                self.world.judge_link(code, &link.account);
            }
            Ok(ended)
        };
        self.store(CrashPoint::CompleteAttempt, complete).await
    }

    async fn sweep(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.store(CrashPoint::SweepLinks, self.world.store.sweep(now, limit)).await
    }
}

#[async_trait]
impl RenewalLeases for Replica {
    async fn claim(&self, account: AccountId, holder: LeaseHolder) -> Result<bool, StoreError> {
        self.store(
            CrashPoint::ClaimRenewal,
            RenewalLeases::claim(&self.world.store, account, holder),
        )
        .await
    }

    async fn extend(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.store(CrashPoint::ExtendRenewal, self.world.store.extend(account, holder)).await
    }

    async fn release(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.store(
            CrashPoint::ReleaseRenewal,
            RenewalLeases::release(&self.world.store, account, holder),
        )
        .await
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
        let claim = async {
            let look = self.last_look();
            if self.world.state().rules.is_open_since(look) {
                self.world.violate("a keeper claims accounts though the breaker is open");
            }
            self.world.store.claim_due(now, holder, limit).await
        };
        self.store(CrashPoint::ClaimDue, claim).await
    }

    async fn finish(
        &self,
        results: &[(LeaseHolder, VisitResult)],
    ) -> Result<Vec<AccountId>, StoreError> {
        let finish = async {
            let before = self.world.all_accounts();
            let finished = self.world.store.finish(results).await;
            for (_, result) in results {
                self.world.check_stored(&before, result);
            }
            finished
        };
        self.store(CrashPoint::FinishVisits, finish).await
    }

    async fn put_off(
        &self,
        id: AccountId,
        holder: LeaseHolder,
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let put_off = async {
            self.world.state().rules.note_put_off(id, until);
            self.world.store.put_off(id, holder, until).await
        };
        self.store(CrashPoint::PutOff, put_off).await
    }

    async fn schedule_missed(&self, limit: u64) -> Result<u64, StoreError> {
        self.store(CrashPoint::ScheduleMissed, self.world.store.schedule_missed(limit)).await
    }

    async fn witnesses(
        &self,
        except: AccountId,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<(InstagramAccount, LongLivedToken)>, StoreError> {
        let witnesses = async {
            if !self.has_others(except, now) {
                self.world.state().rules.leave_alone(except);
            }
            self.world.store.witnesses(except, now, limit).await
        };
        self.store(CrashPoint::FindWitnesses, witnesses).await
    }
}

#[async_trait]
impl AppBreaker for Replica {
    async fn load(&self) -> Result<Breaker, StoreError> {
        let load = async {
            self.note_look();
            self.world.store.load().await
        };
        self.store(CrashPoint::LoadBreaker, load).await
    }

    async fn open(&self, cause: TroubleCause, now: OffsetDateTime) -> Result<bool, StoreError> {
        let open = async {
            self.world.note(|| "the breaker opens");
            self.world.state().rules.open_breaker(now);
            self.world.store.open(cause, now).await
        };
        self.store(CrashPoint::OpenBreaker, open).await
    }

    async fn close(
        &self,
        since_time: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let close = async {
            let closed = self.world.store.close(since_time, now).await?;
            if closed {
                self.world.note(|| "the breaker closes");
                if !self.world.state().rules.close_breaker() {
                    self.world
                        .violate("the breaker closes, and no witness was well since it opened");
                }
            }
            Ok(closed)
        };
        self.store(CrashPoint::CloseBreaker, close).await
    }

    async fn take_probe(
        &self,
        now: OffsetDateTime,
        interval: Duration,
    ) -> Result<bool, StoreError> {
        self.store(CrashPoint::TakeProbe, self.world.store.take_probe(now, interval)).await
    }
}

#[async_trait]
impl AuditLog for Replica {
    async fn record(&self, entries: &[AuditEntry]) -> Result<HashSet<AuditId>, StoreError> {
        let record = async {
            let recorded = self.world.store.record(entries).await?;
            for entry in entries.iter().filter(|entry| recorded.contains(&entry.id)) {
                self.world.note_entry(entry);
            }
            Ok(recorded)
        };
        self.store(CrashPoint::RecordAuditEntry, record).await
    }

    async fn purge_before(&self, time: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.world.store.purge_before(time, limit).await
    }
}

impl Clock for Replica {
    fn now(&self) -> OffsetDateTime {
        self.world.clock.now()
    }
}

#[async_trait]
impl Timer for Replica {
    fn now(&self) -> Instant {
        let passed = self.world.clock.now() - START;
        self.world.begin + Duration::try_from(passed).unwrap_or_default()
    }

    async fn sleep(&self, _span: Duration) {
        self.world.pass(CrashPoint::Sleep, Side::Before).await;
        self.world.pass(CrashPoint::Sleep, Side::After).await;
    }
}

impl Ids for Replica {
    fn account_id(&self, now: OffsetDateTime) -> AccountId {
        self.world.ids.account_id(now)
    }

    fn audit_id(&self, now: OffsetDateTime) -> AuditId {
        self.world.ids.audit_id(now)
    }

    fn state(&self) -> StateToken {
        self.world.ids.state()
    }

    fn confirmation_code(&self) -> ConfirmationCode {
        self.world.ids.confirmation_code()
    }

    fn lease_holder(&self) -> LeaseHolder {
        self.world.ids.lease_holder()
    }

    fn draw(&self) -> u32 {
        self.world.ids.draw()
    }
}

impl Metrics for Replica {
    fn count(&self, event: CountedEvent) {
        self.world.note(|| match event {
            CountedEvent::VisitEnded { outcome, .. } => format!("  visited: {outcome:?}"),
            event => format!("  counted: {event:?}"),
        });
    }
}
