//! Updates that came by webhook, with their payloads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ig_application::{PurgeEvents, WatchEnd, WatchFrom, WatchMessage, WatchPorts, WatchScope};
use ig_domain::ports::{EventLog as _, StoreError, StoredUpdates, Webhooks};
use ig_domain::{EventKind, OwnerScope, ReceivedUpdate, WebhookPayload};
use ig_test_support::builders::received;

use super::{Scene, WINDOW, cursor, end, message, now, scope};

const KIB: usize = 1024;

/// Number and size of the payload of each event.
fn sizes(message: &WatchMessage) -> Vec<(i64, Option<usize>)> {
    let payload = |number| message.payloads.get(&number).map(|payload| payload.as_str().len());
    message.events.iter().map(|event| (event.number, payload(event.number))).collect()
}

#[tokio::test]
async fn updates_come_with_their_payloads_between_the_changes_of_their_account() {
    let scene = Scene::new();
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Earliest).await;
    let mut account = scene.link(1, "").await;
    let mut large = received(&account, 2, 10);
    (large.payload, large.update.payload_size) = (None, i64::MAX);
    scene.store.store(&[received(&account, 1, 10), large]).await.unwrap();
    scene.rename(&mut account, 1).await;
    scene.store.store(&[received(&account, 1, 10)]).await.unwrap();
    scene.poll().await;
    let sent = message(&mut stream);
    assert_eq!(sizes(&sent), [(1, None), (2, Some(10)), (3, None), (4, None)]);
    assert_eq!(sent.accounts.len(), 1);
    // From a page of the store, too.
    let later = scene.other_process();
    later.poll().await;
    assert_eq!(sizes(&message(&mut later.open(WatchFrom::Earliest).await)), sizes(&sent));
}

/// A stream holds few of them at once, whatever waits, and leaves none out.
#[tokio::test]
async fn a_message_has_as_many_payloads_as_half_a_mebibyte() {
    let scene = Scene::new();
    let account = scene.link(1, "").await;
    scene.poll().await;
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    let updates: Vec<_> = (1..=9).map(|number| received(&account, number, 128 * KIB)).collect();
    scene.store.store(&updates).await.unwrap();
    scene.poll().await;
    for (first, last) in [(2, 5), (6, 9), (10, 10)] {
        let sent = message(&mut stream);
        let expected: Vec<_> = (first..=last).map(|number| (number, Some(128 * KIB))).collect();
        assert_eq!(sizes(&sent), expected);
        assert_eq!((cursor(&sent).number, sent.caught_up), (last, last == 10));
    }
    assert_eq!(now(&mut stream), None);
}

/// The cursor has passed what it hides, and its payloads are not read.
#[tokio::test]
async fn updates_that_the_caller_may_not_see_are_hidden() {
    let scene = Scene::new();
    let mut account = scene.link(1, "").await;
    scene.poll().await;
    let kinds = EventKind::ALL.iter().copied().filter(|kind| *kind != EventKind::Webhook);
    scene.see_only(&kinds.collect::<Vec<_>>());
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    let updates: Vec<_> = (1..=9).map(|number| received(&account, number, 128 * KIB)).collect();
    scene.store.store(&updates).await.unwrap();
    scene.rename(&mut account, 1).await;
    scene.poll().await;
    let sent = message(&mut stream);
    assert_eq!((sizes(&sent), cursor(&sent).number), (vec![(11, None)], 11));
    assert!(sent.payloads.is_empty());
}

#[tokio::test]
async fn one_who_sees_updates_only_is_shown_no_account() {
    let scene = Scene::new();
    let account = scene.link(1, "").await;
    scene.poll().await;
    let kinds = vec![EventKind::Webhook];
    let only_updates = WatchScope { kinds, shows_accounts: false, ..scope(OwnerScope::everyone()) };
    scene.rights.set(Ok(only_updates));
    let mut stream = scene.open(WatchFrom::Earliest).await;
    scene.store.store(&[received(&account, 1, 10)]).await.unwrap();
    while scene.store.number_waiting().await.unwrap() > 0 {}
    scene.poll().await;
    let mut sent = message(&mut stream);
    if sent.events.is_empty() {
        sent = message(&mut stream);
    }
    assert_eq!((sizes(&sent), sent.accounts.len()), (vec![(2, Some(10))], 0));
}

/// Payloads of a store that has erased these events meanwhile.
struct Erased(Vec<i64>, Arc<dyn Webhooks>);

#[async_trait]
impl Webhooks for Erased {
    async fn store(&self, _: &[ReceivedUpdate]) -> Result<StoredUpdates, StoreError> {
        unreachable!("a stream stores nothing")
    }

    async fn payloads(
        &self,
        numbers: &[i64],
    ) -> Result<HashMap<i64, Option<WebhookPayload>>, StoreError> {
        let mut payloads = self.1.payloads(numbers).await?;
        payloads.retain(|number, _| !self.0.contains(number));
        Ok(payloads)
    }
}

/// Also where the feed knows it still.
#[tokio::test]
async fn an_update_that_was_erased_is_passed_over() {
    let mut scene = Scene::new();
    let account = scene.link(1, "").await;
    scene.poll().await;
    let webhooks = Arc::new(Erased(vec![2, 3], Arc::new(scene.store.clone())));
    scene.watch.ports = WatchPorts { webhooks, ..scene.watch.ports.clone() };
    let mut stream = scene.open(WatchFrom::Now).await;
    message(&mut stream);
    scene.store.store(&[received(&account, 1, 10)]).await.unwrap();
    scene.poll().await;
    assert_eq!(now(&mut stream), None);
    let updates = [2, 3].map(|number| received(&account, number, 10));
    scene.store.store(&updates).await.unwrap();
    scene.poll().await;
    let sent = message(&mut stream);
    assert_eq!((sizes(&sent), cursor(&sent).number), (vec![(4, Some(10))], 4));
}

/// The feed knows it still, but nobody its payload.
#[tokio::test]
async fn a_stream_ends_when_its_next_update_was_purged() {
    let scene = Scene::new();
    let account = scene.link(1, "").await;
    while scene.store.number_waiting().await.unwrap() > 0 {}
    scene.poll().await;
    let mut slow = scene.open(WatchFrom::Now).await;
    message(&mut slow);
    scene.store.store(&[received(&account, 1, 10)]).await.unwrap();
    scene.poll().await;
    scene.pass_unseen(WINDOW + Duration::from_secs(1));
    assert_eq!(PurgeEvents::new(&scene.watch).execute_round().await.unwrap(), 2);
    scene.poll().await;
    assert_eq!(end(&mut slow), Some(WatchEnd::CursorExpired));
}
