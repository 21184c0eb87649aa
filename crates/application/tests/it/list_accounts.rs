//! Tests of listings: pages of accounts, and the data that a reader sees of them.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{
    CachedAccounts, GetAccount, GetAccountError, ListAccounts, ListAccountsQuery, UnlinkAccount,
};
use ig_domain::ports::{AccountKey, AccountWriter as _, MockInstagram, StatusFilter};
use ig_domain::{AccountId, AccountStatus, ListingPosition, OwnerScope, ReauthorizationReason};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::{FakeClock, MemoryStore};

use crate::{empty_store, keep, ports, store_with};

async fn page(
    store: &MemoryStore,
    after: Option<ListingPosition>,
) -> (Vec<AccountId>, Option<ListingPosition>) {
    let clock = Arc::new(FakeClock::at(START));
    let use_case = ListAccounts { accounts: Arc::new(store.clone()), clock };
    let query = ListAccountsQuery { owners: OwnerScope::everyone(), status: None, after, limit: 2 };
    let listed = use_case.execute(query).await.unwrap();
    (listed.accounts.iter().map(|view| view.account.id).collect(), listed.next)
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repetition() {
    let store = empty_store();
    let accounts: Vec<_> =
        (1..=4).map(|n| account(n, "", START + Duration::from_secs(n.into()))).collect();
    for account in &accounts {
        keep(&store, account).await;
    }
    let newest_first: Vec<_> = accounts.iter().rev().map(|account| account.id).collect();
    let (first, next) = page(&store, None).await;
    let (second, end) = page(&store, next).await;
    assert_eq!([first, second].concat(), newest_first);
    assert_eq!(end, None, "a last page that is full has no successor");
}

/// The filter goes by the mark, which the keeper sets; the shown status is judged by the clock.
#[tokio::test]
async fn an_expired_account_is_listed_by_its_mark_and_shown_as_what_it_is() {
    let before = account(1, "shop/7", START);
    let store = store_with(&before).await;
    let clock = Arc::new(FakeClock::at(before.token_expire_time.unwrap()));
    let accounts = Arc::new(store.clone());
    let use_case = ListAccounts { accounts: accounts.clone(), clock: clock.clone() };
    let listed = async |status| {
        let owners = OwnerScope::everyone();
        let query = ListAccountsQuery { owners, status: Some(status), after: None, limit: 2 };
        use_case.execute(query).await.unwrap().accounts
    };
    let active = listed(StatusFilter::Active).await;
    let expired = ReauthorizationReason::TokenExpired;
    assert_eq!(active[0].status, AccountStatus::ReauthorizationRequired(expired));
    store.mark_expired(before.token_expire_time.unwrap(), 9).await.unwrap();
    assert!(listed(StatusFilter::Active).await.is_empty());
    let marked = listed(StatusFilter::ReauthorizationRequired).await;
    assert_eq!((marked[0].account.refused, marked[0].account.revision), (Some(expired), 2));
}

#[tokio::test]
async fn the_status_is_judged_when_read() {
    let before = account(1, "shop/7", START);
    let store = store_with(&before).await;
    let clock = FakeClock::at(START);
    let use_case = GetAccount {
        accounts: CachedAccounts::of_store(Arc::new(store)),
        clock: Arc::new(clock.clone()),
    };
    let key = AccountKey::Id(before.id);
    assert_eq!(
        use_case.execute(&key, &OwnerScope::everyone()).await.unwrap().status,
        AccountStatus::Active
    );
    clock.advance(Duration::from_hours(24 * 60));
    assert_ne!(
        use_case.execute(&key, &OwnerScope::everyone()).await.unwrap().status,
        AccountStatus::Active
    );
}

#[tokio::test]
async fn an_owner_is_a_fence_for_reading_and_forgetting() {
    let before = account(1, "shop/7", START);
    let store = store_with(&before).await;
    let clock = Arc::new(FakeClock::at(START));
    let get = GetAccount { accounts: CachedAccounts::of_store(Arc::new(store.clone())), clock };
    let key = AccountKey::Id(before.id);
    let hidden = get.execute(&key, &OwnerScope::only(parsed("shop/8"))).await;
    assert!(matches!(hidden, Err(GetAccountError::NotFound)), "{hidden:?}");
    let unlink = UnlinkAccount::new(&ports(&store, MockInstagram::new(), Duration::ZERO));
    assert!(unlink.execute(before.id, &OwnerScope::only(parsed("shop/8"))).await.is_err());
    assert_eq!(store.accounts().len(), 1);
    unlink.execute(before.id, &OwnerScope::only(parsed("shop/7"))).await.unwrap();
    assert_eq!(store.accounts().len(), 0);
}
