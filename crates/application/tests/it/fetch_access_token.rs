//! Tests of handing out a token: its conditions, its renewal before, and its audit entry.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ig_application::{
    FetchAccessToken, FetchAccessTokenCommand, FetchAccessTokenError, FetchedAccessToken,
    NotRenewed, Ports, RefreshAccount, StorePorts,
};
use ig_domain::ports::{
    AuditLog, Cause, Ids as _, InstagramErrorKind, MockInstagram, RenewalLeases as _, StoreError,
};
use ig_domain::{
    AccountStatus, AuditEntry, AuditId, InstagramAccount, OwnerScope, ReauthorizationReason,
    Recipient,
};
use ig_test_support::builders::{START, account, long_lived, parsed, profile};
use ig_test_support::{Guard, MemoryStore, SequentialIds};
use rstest::rstest;
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

use crate::instagram_script::{Readings, failure, reads, refusal, renews, throttled};
use crate::{ports, store_with, stored};

const DAY: Duration = Duration::from_hours(24);

fn linked() -> InstagramAccount {
    account(1, "shop/7", START)
}

fn use_case(store: &MemoryStore, instagram: MockInstagram, age: Duration) -> FetchAccessToken {
    use_case_over(&ports(store, instagram, age))
}

fn use_case_over(ports: &Ports) -> FetchAccessToken {
    let refresh = RefreshAccount::new(ports, TaskTracker::new());
    FetchAccessToken::new(ports, Arc::new(refresh), TaskTracker::new())
}

fn asks_for(min_ttl: Duration) -> FetchAccessTokenCommand {
    FetchAccessTokenCommand {
        account: linked().id,
        owners: OwnerScope::everyone(),
        min_ttl,
        recipient: Recipient {
            caller: parsed("publisher"),
            purpose: parsed("publish post 7"),
            request_id: parsed("req-7"),
        },
    }
}

fn text(fetched: &FetchedAccessToken) -> &str {
    fetched.token.text().expose()
}

/// Asserts that there is one audit entry, and that it is about this token.
fn assert_audited(store: &MemoryStore, fetched: &FetchedAccessToken, now: Duration) {
    let [entry] = store.audit().try_into().unwrap();
    let FetchedAccessToken { account, .. } = fetched;
    let expected = AuditEntry {
        id: entry.id,
        time: START + now,
        caller: parsed("publisher"),
        purpose: parsed("publish post 7"),
        request_id: parsed("req-7"),
        account: account.id,
        professional_account_id: account.professional_account_id.clone(),
        owner: parsed("shop/7"),
        token_issue_time: account.token_issue_time,
        token_expire_time: account.token_expire_time,
        revision: account.revision,
    };
    assert_eq!(entry, expected);
}

#[rstest]
#[case::any_life(Duration::ZERO)]
#[case::exactly_what_it_has(Duration::from_secs(5_183_999 - 30 * 24 * 60 * 60))]
#[tokio::test]
async fn a_token_that_lives_long_enough_leaves_though_another_renews_it(#[case] min_ttl: Duration) {
    let store = store_with(&linked()).await;
    let renewing = SequentialIds::default().lease_holder();
    assert!(store.claim(linked().id, renewing).await.unwrap());
    let use_case = use_case(&store, MockInstagram::new(), 30 * DAY);
    let fetched = use_case.execute(asks_for(min_ttl), ()).await.unwrap();
    assert_eq!((text(&fetched), &fetched.account), ("IGAA-first", &linked()));
    assert_audited(&store, &fetched, 30 * DAY);
}

#[tokio::test]
async fn a_token_with_too_little_life_is_renewed_and_the_new_one_leaves() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Ok(()));
    reads(&mut instagram, vec![Ok(profile(1))]);
    let use_case = use_case(&store, instagram, 30 * DAY);
    let fetched = use_case.execute(asks_for(50 * DAY), ()).await.unwrap();
    let (account, token) = stored(&store, &linked()).await;
    assert_eq!((text(&fetched), token.as_str()), ("IGAA-renewed", "IGAA-renewed"));
    assert_eq!(fetched.account, account);
    assert_audited(&store, &fetched, 30 * DAY);
}

#[tokio::test]
async fn callers_at_the_same_time_renew_once_and_each_is_written_down() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Ok(()));
    reads(&mut instagram, vec![Ok(profile(1))]);
    let use_case = use_case(&store, instagram, 30 * DAY);
    let fetch = || use_case.execute(asks_for(50 * DAY), ());
    let (one, other, third) = tokio::join!(fetch(), fetch(), fetch());
    for fetched in [one, other, third] {
        assert_eq!(text(&fetched.unwrap()), "IGAA-renewed");
    }
    assert_eq!(store.audit().len(), 3);
}

#[tokio::test]
async fn a_token_that_is_too_young_is_not_renewed_and_nobody_is_asked() {
    let short = InstagramAccount { token_expire_time: Some(START + 30 * DAY), ..linked() };
    let store = store_with(&short).await;
    let use_case = use_case(&store, MockInstagram::new(), DAY / 4);
    let refused = use_case.execute(asks_for(40 * DAY), ()).await;
    let Err(FetchAccessTokenError::MinTtlUnmet { expire_time, cause }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(expire_time, Some(START + 30 * DAY));
    let NotRenewed::TooYoung { wait } = cause else { panic!("{cause:?}") };
    assert_eq!(wait, DAY * 3 / 4);
    assert_eq!(store.audit(), []);
}

#[rstest]
#[case::throttled(throttled(), vec![])]
#[case::unavailable(failure(InstagramErrorKind::Unavailable, 2), vec![])]
#[case::app_refused(failure(InstagramErrorKind::AppMisconfigured, 100), vec![])]
#[case::refused_but_well(refusal(), vec![Ok(profile(1))])]
#[tokio::test]
async fn a_living_token_whose_renewal_fails_stays_and_is_too_short(
    #[case] renewal: ig_domain::ports::InstagramError,
    #[case] readings: Readings,
) {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    let expected = renewal.facts.code;
    renews(&mut instagram, Err(renewal));
    reads(&mut instagram, readings);
    let use_case = use_case(&store, instagram, 30 * DAY);
    let refused = use_case.execute(asks_for(50 * DAY), ()).await;
    let Err(FetchAccessTokenError::MinTtlUnmet { cause: NotRenewed::Instagram(error), .. }) =
        refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(error.facts.code, expected);
    assert_eq!(store.audit(), []);
    // It is still there for whoever asks for less.
    let fetched = use_case.execute(asks_for(20 * DAY), ()).await.unwrap();
    assert_eq!(text(&fetched), "IGAA-first");
}

#[tokio::test]
async fn a_renewal_that_finds_the_token_dead_says_so() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(refusal()));
    reads(&mut instagram, vec![Err(refusal())]);
    let use_case = use_case(&store, instagram, 30 * DAY);
    // The second call finds it dead in the store.
    for code in [Some(190), None] {
        let refused = use_case.execute(asks_for(50 * DAY), ()).await;
        let Err(FetchAccessTokenError::ReauthorizationRequired(dead)) = refused else {
            panic!("{refused:?}");
        };
        let reason = ReauthorizationReason::PasswordChanged;
        let expected = AccountStatus::ReauthorizationRequired(reason);
        assert_eq!((dead.view.status, dead.facts.code), (expected, code));
    }
    assert_eq!(store.audit(), []);
}

#[rstest]
#[case::expired(linked(), 60 * DAY)]
#[case::refused(
    InstagramAccount { refused: Some(ReauthorizationReason::Checkpoint), ..linked() },
    DAY
)]
#[tokio::test]
async fn a_dead_token_never_leaves(#[case] account: InstagramAccount, #[case] age: Duration) {
    let store = store_with(&account).await;
    let refused = use_case(&store, MockInstagram::new(), age).execute(asks_for(DAY), ()).await;
    let Err(FetchAccessTokenError::ReauthorizationRequired(dead)) = refused else {
        panic!("{refused:?}");
    };
    assert_ne!(dead.view.status, AccountStatus::Active);
    assert_eq!(store.audit(), []);
}

#[rstest]
#[case::another_owners(FetchAccessTokenCommand {
    owners: OwnerScope::only(parsed("shop/8")),
    ..asks_for(Duration::ZERO)
})]
#[case::nobodys(FetchAccessTokenCommand {
    account: account(2, "shop/7", START).id,
    ..asks_for(Duration::ZERO)
})]
#[tokio::test]
async fn what_is_not_the_callers_is_not_there(#[case] command: FetchAccessTokenCommand) {
    let store = store_with(&linked()).await;
    let refused = use_case(&store, MockInstagram::new(), DAY).execute(command, ()).await;
    assert!(matches!(refused, Err(FetchAccessTokenError::NotFound)), "{refused:?}");
    assert_eq!(store.audit(), []);
}

/// An audit log that cannot be written.
struct Full;

#[async_trait]
impl AuditLog for Full {
    async fn record(&self, _entries: &[AuditEntry]) -> Result<HashSet<AuditId>, StoreError> {
        Err(StoreError::Unavailable(Cause::new("the disk is full")))
    }

    async fn purge_before(&self, _time: OffsetDateTime, _limit: u64) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[tokio::test]
async fn no_token_leaves_that_is_not_written_down() {
    let store = store_with(&linked()).await;
    let ports = ports(&store, MockInstagram::new(), DAY);
    let full = StorePorts { audit: Arc::new(Full), ..ports.store.clone() };
    let use_case = use_case_over(&Ports { store: full, ..ports });
    let refused = use_case.execute(asks_for(Duration::ZERO), ()).await;
    let Err(FetchAccessTokenError::Store(error)) = refused else { panic!("{refused:?}") };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

/// An audit log before which the account changes so many times.
struct Changing {
    store: MemoryStore,
    changes: AtomicU32,
    change: fn(&MemoryStore, u32),
}

#[async_trait]
impl AuditLog for Changing {
    async fn record(&self, entries: &[AuditEntry]) -> Result<HashSet<AuditId>, StoreError> {
        let left = self
            .changes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if let Ok(left) = left {
            (self.change)(&self.store, left);
        }
        tokio::task::yield_now().await;
        self.store.record(entries).await
    }

    async fn purge_before(&self, _time: OffsetDateTime, _limit: u64) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn renew(store: &MemoryStore, number: u32) {
    let account = InstagramAccount { revision: 7 + i64::from(number), ..linked() };
    store.put_account(account, long_lived("renewed"));
}

/// Asks for a token that is renewed between reading and writing down so many times.
async fn fetch_while_renewed(
    times: u32,
    store: MemoryStore,
) -> Result<FetchedAccessToken, FetchAccessTokenError> {
    let ports = ports(&store, MockInstagram::new(), DAY);
    let audit = Arc::new(Changing { store, changes: times.into(), change: renew });
    let changing = StorePorts { audit, ..ports.store.clone() };
    let use_case = use_case_over(&Ports { store: changing, ..ports });
    use_case.execute(asks_for(Duration::ZERO), ()).await
}

#[tokio::test]
async fn a_token_that_changes_between_reading_and_writing_down_stays() {
    let store = store_with(&linked()).await;
    let blind = store.without(Guard::AuditRevision);
    let fetched = fetch_while_renewed(1, blind).await.unwrap();
    assert_ne!(text(&fetched), "renewed", "without the guard the old one leaves");
    let store = store_with(&linked()).await;
    let fetched = fetch_while_renewed(1, store).await.unwrap();
    assert_eq!(text(&fetched), "renewed");
    let ended = fetch_while_renewed(9, store_with(&linked()).await).await;
    let Err(FetchAccessTokenError::Store(StoreError::Unavailable(_))) = ended else {
        panic!("{ended:?}");
    };
}

#[tokio::test]
async fn calls_at_the_same_time_are_written_down_together() {
    let store = store_with(&linked()).await;
    let counted =
        Arc::new(Changing { store: store.clone(), changes: u32::MAX.into(), change: |_, _| {} });
    let ports = ports(&store, MockInstagram::new(), DAY);
    let counting = StorePorts { audit: counted.clone(), ..ports.store.clone() };
    let use_case = use_case_over(&Ports { store: counting, ..ports });
    let calls = (0..64).map(|_| use_case.execute(asks_for(Duration::ZERO), ()));
    for fetched in futures_util::future::join_all(calls).await {
        fetched.unwrap();
    }
    assert_eq!(store.audit().len(), 64);
    let writes = u32::MAX - counted.changes.load(Ordering::Relaxed);
    assert_eq!(writes, 2, "the first, and those that waited for it");
}

#[rstest]
#[case::long_enough(20 * DAY)]
#[case::too_short(50 * DAY)]
#[tokio::test]
async fn an_account_whose_token_is_destroyed_needs_a_new_consent(#[case] min_ttl: Duration) {
    let store = store_with(&linked()).await;
    store.destroy_token(linked().id);
    let use_case = use_case(&store, MockInstagram::new(), 30 * DAY);
    let refused = use_case.execute(asks_for(min_ttl), ()).await;
    let Err(FetchAccessTokenError::ReauthorizationRequired(dead)) = refused else {
        panic!("{refused:?}");
    };
    let reason = ReauthorizationReason::TokenRevoked;
    assert_eq!(dead.view.status, AccountStatus::ReauthorizationRequired(reason));
    assert_eq!(store.audit(), []);
}
