//! Updates at rest, and those of persons who had their data deleted.

use std::fs;
use std::time::Duration;

use ig_domain::ports::StoredUpdates;
use ig_domain::{ReceivedUpdate, SignedRequest, WebhookPayload};
use ig_test_support::builders::{START, account, parsed, received};
use ig_test_support::contract::{Ports, StoreUnderTest as _};
use rstest::rstest;

use super::fixture::{On, Sqlite, key, ports};
use super::keys::link;

/// Update `number` of account 1, with this payload.
fn planted(number: u32, payload: &str) -> ReceivedUpdate {
    let received = received(&account(1, "", START), number, 1);
    ReceivedUpdate { payload: WebhookPayload::new(payload), ..received }
}

/// The payloads of the events with numbers up to 9, in their order.
async fn payloads(ports: &Ports) -> Vec<Option<String>> {
    while ports.event_log.number_waiting().await.unwrap() > 0 {}
    let numbers: Vec<_> = (0..9).collect();
    let payloads = ports.webhooks.payloads(&numbers).await.unwrap();
    let mut payloads: Vec<_> = payloads.into_iter().collect();
    payloads.sort_by_key(|(number, _)| *number);
    payloads.into_iter().map(|(_, payload)| Some(payload?.as_str().to_owned())).collect()
}

#[rstest]
#[tokio::test]
async fn no_payload_can_be_read_in_the_tables(#[values(On::Sqlite, On::Postgres)] on: On) {
    let store = on.migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    ports.event_log.look(None).await.unwrap();
    ports.webhooks.store(&[planted(1, "planted"), planted(2, "planted")]).await.unwrap();
    let dump = store.dump().await.to_lowercase();
    assert!(!dump.contains("planted") && !dump.contains("706c616e746564"), "{dump}");
    assert!(dump.contains("webhook"), "{dump}");
    let planted = Some("planted".to_owned());
    assert_eq!(payloads(&ports).await, [planted.clone(), planted]);
}

#[tokio::test]
async fn no_payload_can_be_read_in_the_files() {
    let store = Sqlite::migrated().await;
    link(&store.ports(), 1).await;
    store.ports().webhooks.store(&[planted(1, "planted")]).await.unwrap();
    for file in fs::read_dir(store.folder.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"planted"));
    }
}

/// Under a key that is gone, or moved to another update: its event is told without it.
#[rstest]
#[tokio::test]
async fn a_payload_that_does_not_open_is_none(#[values(On::Sqlite, On::Postgres)] on: On) {
    let store = on.migrated().await;
    let app = || parsed("990602627938098");
    link(&store.ports(), 1).await;
    store.ports().event_log.look(None).await.unwrap();
    store.ports().webhooks.store(&[planted(1, "one"), planted(2, "two")]).await.unwrap();
    let rotated = format!("{},{}", key(2), key(1));
    let both = ports(store.database().clone(), app(), &rotated);
    both.webhooks.store(&[planted(3, "three")]).await.unwrap();
    let expected = ["one", "two", "three"].map(|payload| Some(payload.to_owned()));
    assert_eq!(payloads(&both).await, expected);
    let later = ports(store.database().clone(), app(), &key(2));
    assert_eq!(payloads(&later).await, [None, None, Some("three".to_owned())]);
    let moved = "UPDATE account_event SET sealed_payload = (SELECT sealed_payload FROM account_event \
         WHERE sealed_payload IS NOT NULL ORDER BY id LIMIT 1) WHERE sealed_payload IS NOT NULL";
    assert_eq!(store.run(moved).await, 3);
    assert_eq!(payloads(&both).await, [Some("one".to_owned()), None, None]);
}

/// In whole seconds; also where the person has linked anew since.
#[rstest]
#[tokio::test]
async fn an_update_that_is_not_newer_than_a_deletion_is_not_stored(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    link(&ports, 2).await;
    let user = account(1, "", START).app_scoped_user_id.unwrap();
    let issue_time = START - Duration::from_secs(10);
    for issue_time in [issue_time, issue_time - Duration::from_secs(99)] {
        let request = SignedRequest { user: user.clone(), issue_time };
        ports.user_removals.deauthorize(&request, START).await.unwrap();
    }
    let at = |account: u32, number: u32, milliseconds: u64| {
        let account = ig_test_support::builders::account(account, "", START);
        let mut received = received(&account, number, 1);
        received.update.time = issue_time + Duration::from_millis(milliseconds);
        received
    };
    let deauthorized = StoredUpdates { stored: 1, ..StoredUpdates::default() };
    assert_eq!(ports.webhooks.store(&[at(1, 1, 0)]).await.unwrap(), deauthorized);
    assert_eq!(store.run("UPDATE user_removal SET kind = 'deletion'").await, 2);
    let updates = [at(1, 2, 0), at(1, 3, 999), at(1, 4, 1000), at(2, 5, 0)];
    let expected = StoredUpdates { stored: 2, erased: 2, ..StoredUpdates::default() };
    assert_eq!(ports.webhooks.store(&updates).await.unwrap(), expected);
}
