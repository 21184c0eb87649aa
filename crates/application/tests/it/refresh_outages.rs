//! A store that fails at the wrong moment of a refresh: Instagram's answer is kept, and the stored state is answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use ig_application::{
    Ports, RefreshAccountError, RefreshWork, RefreshedAccount, StorePorts, TokenOutcome,
};
use ig_domain::ports::{
    AccountKey, AccountPage, AccountReader, AccountWriter, BatchKey, Cause, CompletedImport,
    ImportEnded, MockInstagram, MockRenewalLeases, RenewalLeases, StoreError,
};
use ig_domain::{AccountId, InstagramAccount, LeaseHolder, LongLivedToken, TokenLifetime};
use ig_test_support::builders::{START, account, long_lived, profile};
use ig_test_support::{FakeClock, FakeTimer, MemoryStore};
use rstest::rstest;
use time::OffsetDateTime;

use crate::instagram_script::{reads, refusal, renews};
use crate::{ports, store_with, stored};

const DAY: Duration = Duration::from_hours(24);

fn linked() -> InstagramAccount {
    account(1, "shop/7", START)
}

/// Failure of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It never arrives.
    Lost,
    /// It is done, and its answer is lost.
    AnswerLost,
}

/// Calls that fail: name, number among the calls of this name, counted from one, and failure.
type Faults = Vec<(&'static str, u32, Fault)>;

/// The store in memory, over a connection on which each call takes a second, and some fail.
struct Flaky {
    store: MemoryStore,
    timer: FakeTimer,
    faults: Faults,
    calls: Mutex<HashMap<&'static str, u32>>,
}

impl Flaky {
    async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            let number = calls.entry(name).or_default();
            *number += 1;
            *number
        };
        self.timer.advance(Duration::from_secs(1));
        let fails = |fault| self.faults.contains(&(name, number, fault));
        let unavailable = || Err(StoreError::Unavailable(Cause::new("on purpose")));
        if fails(Fault::Lost) {
            return unavailable();
        }
        let answer = work.await;
        if fails(Fault::AnswerLost) { unavailable() } else { answer }
    }
}

#[async_trait]
impl AccountReader for Flaky {
    async fn find(&self, key: &AccountKey) -> Result<Option<InstagramAccount>, StoreError> {
        self.call("find", AccountReader::find(&self.store, key)).await
    }

    async fn find_many(
        &self,
        keys: &[BatchKey],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.call("find_many", self.store.find_many(keys)).await
    }

    async fn find_by_ids(
        &self,
        ids: &[AccountId],
    ) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
        self.call("find_by_ids", self.store.find_by_ids(ids)).await
    }

    async fn list(&self, page: &AccountPage) -> Result<Vec<InstagramAccount>, StoreError> {
        self.call("list", self.store.list(page)).await
    }

    async fn find_with_token(
        &self,
        id: AccountId,
    ) -> Result<Option<(InstagramAccount, Option<LongLivedToken>)>, StoreError> {
        self.call("find_with_token", self.store.find_with_token(id)).await
    }
}

#[async_trait]
impl AccountWriter for Flaky {
    async fn update(
        &self,
        account: &InstagramAccount,
        former: &InstagramAccount,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        self.call("update", self.store.update(account, former, token)).await
    }

    async fn import(&self, import: &CompletedImport) -> Result<ImportEnded, StoreError> {
        self.call("import", self.store.import(import)).await
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        self.call("mark_refused", self.store.mark_refused(account, former_revision, holder)).await
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        self.call("remove", self.store.remove(id, revision)).await
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.call("mark_expired", self.store.mark_expired(now, limit)).await
    }
}

#[async_trait]
impl RenewalLeases for Flaky {
    async fn claim(&self, account: AccountId, holder: LeaseHolder) -> Result<bool, StoreError> {
        self.call("claim", RenewalLeases::claim(&self.store, account, holder)).await
    }

    async fn extend(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.call("extend", self.store.extend(account, holder)).await
    }

    async fn release(&self, account: AccountId, holder: LeaseHolder) -> Result<(), StoreError> {
        self.call("release", RenewalLeases::release(&self.store, account, holder)).await
    }
}

async fn refresh(
    store: &MemoryStore,
    faults: Faults,
    instagram: MockInstagram,
) -> Result<RefreshedAccount, RefreshAccountError> {
    let timer = FakeTimer::new();
    let (store_of, calls) = (store.clone(), Mutex::default());
    let flaky = Arc::new(Flaky { store: store_of, timer: timer.clone(), faults, calls });
    let ports = Ports { timer: Arc::new(timer), ..ports(store, instagram, DAY) };
    let store = StorePorts {
        accounts: flaky.clone(),
        account_writer: flaky.clone(),
        renewal_leases: flaky,
        ..ports.store.clone()
    };
    RefreshWork::new(&Ports { store, ..ports }).run(linked().id).await
}

#[rstest]
#[case::the_write_is_lost(vec![("update", 1, Fault::Lost), ("update", 2, Fault::Lost)])]
#[case::its_answer_is_lost_and_then_the_look(vec![
    ("update", 1, Fault::AnswerLost),
    ("find_with_token", 2, Fault::Lost),
    ("find_with_token", 3, Fault::Lost),
])]
#[tokio::test]
async fn a_renewed_token_is_stored_though_the_store_fails_for_a_while(#[case] faults: Faults) {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Ok(()));
    instagram.expect_profile().returning(|_| Ok(profile(1)));
    let refreshed = refresh(&store, faults, instagram).await.unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::Renewed);
    let (account, token) = stored(&store, &linked()).await;
    assert_eq!((token.as_str(), &account), ("IGAA-renewed", &refreshed.view.account));
}

/// Somebody reads the profile anew while Instagram renews, so the first write meets another revision.
#[tokio::test]
async fn a_renewed_token_is_not_dropped_where_the_look_after_a_conflict_fails() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    let others = store.clone();
    instagram.expect_renew_token().once().return_once(move |_| {
        let renamed = InstagramAccount { username: "renamed".parse().unwrap(), ..linked() };
        let renamed = renamed.succeeding(&linked(), START + DAY);
        let updated = others.update(&renamed, &linked(), None).now_or_never().unwrap();
        updated.unwrap();
        Ok((long_lived("IGAA-renewed"), TokenLifetime::from_seconds(5_183_944).unwrap()))
    });
    reads(&mut instagram, vec![Ok(profile(1))]);
    let faults = vec![("find_with_token", 2, Fault::Lost)];
    let refreshed = refresh(&store, faults, instagram).await.unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::Renewed);
    assert_eq!(stored(&store, &linked()).await.1, "IGAA-renewed");
}

#[rstest]
#[case::before_the_reading(vec![("extend", 2, Fault::Lost)], 0)]
#[case::the_profile_is_not_stored(vec![("update", 2, Fault::Lost)], 1)]
#[case::the_lease_is_not_given_back(vec![("release", 1, Fault::Lost)], 1)]
#[tokio::test]
async fn a_store_that_fails_after_a_stored_renewal_is_no_error(
    #[case] faults: Faults,
    #[case] readings: usize,
) {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Ok(()));
    reads(&mut instagram, (0..readings).map(|_| Ok(profile(1))).collect());
    let refreshed = refresh(&store, faults, instagram).await.unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::Renewed);
    let (account, token) = stored(&store, &linked()).await;
    assert_eq!((token.as_str(), account.token_issue_time.unwrap()), ("IGAA-renewed", START + DAY));
    assert_eq!(refreshed.view.account.token_issue_time.unwrap(), START + DAY);
}

/// The store's clock stands still here, so nobody's lease ends.
#[tokio::test]
async fn waiting_for_a_lease_that_never_ends_ends() {
    let store = store_with(&linked()).await;
    let another = LeaseHolder::from_uuid(*linked().id.as_uuid());
    assert!(RenewalLeases::claim(&store, linked().id, another).await.unwrap());
    let refused = refresh(&store, Vec::new(), MockInstagram::new()).await;
    let Err(RefreshAccountError::Store(StoreError::Unavailable(cause))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(cause.to_string(), "the lease was not given back within 60 seconds");
}

/// Each look takes the store four seconds. A lease that is had, and lost while Instagram is asked, is waited for again
/// in what is left of the same time.
#[rstest]
#[case::never_had(|_| false)]
#[case::lost_each_time(|_| true)]
#[case::lost_again_and_again(|look| look % 2 == 0)]
#[tokio::test]
async fn a_minute_of_slow_looks_is_a_minute(#[case] is_had: fn(usize) -> bool) {
    let clock = FakeClock::at(START);
    clock.advance(DAY);
    let looks = Arc::new(AtomicUsize::new(0));
    let timer = FakeTimer::new();
    let (counted, jumping, slow) = (Arc::clone(&looks), clock.clone(), timer.clone());
    let mut leases = MockRenewalLeases::new();
    leases.expect_claim().returning(move |_, _| {
        // Business time jumps, as a sandbox's does: the wait is in real time.
        jumping.advance(DAY);
        slow.advance(Duration::from_secs(4));
        let look = counted.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(look < 100, "the wait does not end");
        Ok(is_had(look))
    });
    leases.expect_extend().returning(|_, _| Err(StoreError::LeaseLost));
    leases.expect_release().returning(|_, _| Ok(()));
    let mut instagram = MockInstagram::new();
    instagram.expect_renew_token().returning(|_| Err(refusal()));
    let ports = ports(&store_with(&linked()).await, instagram, DAY);
    let store = StorePorts { renewal_leases: Arc::new(leases), ..ports.store.clone() };
    let (clock, timer) = (Arc::new(clock), Arc::new(timer));
    let work = RefreshWork::new(&Ports { store, clock, timer, ..ports });
    let refused = work.run(linked().id).await;
    assert!(matches!(refused, Err(RefreshAccountError::Store(StoreError::Unavailable(_)))));
    assert_eq!(looks.load(Ordering::Relaxed), 15);
}
