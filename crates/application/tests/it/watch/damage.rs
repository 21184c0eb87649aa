//! Accounts that the database cannot read.

use std::sync::Arc;

use futures_util::FutureExt as _;
use ig_application::WatchFrom;
use ig_domain::AccountId;
use ig_domain::ports::{AccountReader as _, Cause, EventLog as _, MockAccountReader, StoreError};
use ig_test_support::builders::{START, account};
use ig_test_support::{ManualTimer, MemoryStore};

use super::{Scene, message, told};
use crate::empty_store;

/// Accounts of which one cannot be read, nor any other together with it.
fn damaged_accounts(store: &MemoryStore, damaged: AccountId) -> MockAccountReader {
    let (store, mut accounts) = (store.clone(), MockAccountReader::new());
    accounts.expect_find_by_ids().returning(move |ids| {
        if ids.contains(&damaged) {
            return Err(StoreError::Corrupt(Cause::new("planted")));
        }
        store.find_by_ids(ids).now_or_never().unwrap()
    });
    accounts
}

/// Its event goes without it, whether it comes from the feed or from a page of the store, and all others as ever.
#[tokio::test]
async fn an_account_that_cannot_be_read_keeps_back_no_event() {
    let (store, damaged) = (empty_store(), account(1, "", START).id);
    let accounts = Arc::new(damaged_accounts(&store, damaged));
    let scene = Scene::reading(&store, &ManualTimer::new(), 0, accounts);
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    scene.link(1, "").await;
    let readable = scene.link(2, "").await;
    scene.poll().await;
    let sent = message(&mut stream);
    assert_eq!(told(&sent), [(damaged, 1), (readable.id, 1)]);
    assert_eq!(sent.accounts.iter().map(|view| view.account.id).collect::<Vec<_>>(), [readable.id]);

    // A process that begins now has no event in its feed.
    let accounts = Arc::new(damaged_accounts(&store, damaged));
    let later = Scene::reading(&store, &ManualTimer::new(), 1000, accounts);
    while store.number_waiting().await.unwrap() > 0 {}
    later.poll().await;
    let mut behind = later.open(WatchFrom::Earliest).await;
    let again = message(&mut behind);
    assert_eq!((&again.events, &again.accounts), (&sent.events, &sent.accounts));
}
