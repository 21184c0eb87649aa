//! Tests of reading many accounts at once: each once, and only those in the scope.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{CachedAccounts, GetAccounts};
use ig_domain::ports::BatchKey;
use ig_domain::{AccountStatus, OwnerScope};
use ig_test_support::FakeClock;
use ig_test_support::builders::{START, account, parsed};

use crate::{empty_store, keep};

#[tokio::test]
async fn each_account_is_answered_once_and_what_is_outside_is_not_found() {
    let (ours, theirs) = (account(1, "shop/7", START), account(2, "shop/8", START));
    let store = empty_store();
    for account in [&ours, &theirs] {
        keep(&store, account).await;
    }
    let instagram = |id: &str| BatchKey::Instagram(parsed(id));
    let (id, professional) = (BatchKey::Id(ours.id), ours.professional_account_id.as_str());
    let unknown = instagram("404");
    let keys = vec![unknown.clone(), id, instagram(professional), BatchKey::Id(theirs.id)];
    let clock = FakeClock::at(START);
    clock.advance(Duration::from_hours(24 * 61));
    let get =
        GetAccounts { accounts: CachedAccounts::of_store(Arc::new(store)), clock: Arc::new(clock) };

    let found = get.execute(keys.clone(), &OwnerScope::only(parsed("shop/7"))).await.unwrap();
    let [view] = found.accounts.as_slice() else { panic!("{found:?}") };
    assert_eq!(**view.account, ours);
    assert_ne!(view.status, AccountStatus::Active, "past its expiry");
    assert_eq!(found.not_found, [unknown.clone(), BatchKey::Id(theirs.id)]);

    let found = get.execute(keys, &OwnerScope::everyone()).await.unwrap();
    let accounts: Vec<_> = found.accounts.iter().map(|view| &**view.account).collect();
    assert_eq!(accounts, [&ours, &theirs]);
    assert_eq!(found.not_found, [unknown]);
}
