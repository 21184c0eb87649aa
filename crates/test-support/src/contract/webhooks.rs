//! Updates that came by webhook: each is stored once, as an event of its account.

use std::time::Duration;

use ig_domain::ports::StoredUpdates;
use ig_domain::{
    AccountEvent, Direction, EventChange, InstagramAccount, LoggedEvent, ReceivedUpdate,
    WebhookField, WebhookId, WebhookPayload, WebhookUpdate,
};

use super::samples::{MANY, count_at_once};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, parsed};

const WINDOW: Duration = Duration::from_hours(14 * 24);

fn account(number: u8) -> InstagramAccount {
    builders::account(u32::from(number), "shop/7", START)
}

/// Update `number` of account `account`, with nothing left out.
fn received(account: u8, number: u16) -> ReceivedUpdate {
    let [high, low] = number.to_be_bytes();
    let mut id = [account; 32];
    (id[0], id[31]) = (high, low);
    let payload = format!(r#"{{"number":{number},"text":"\u00e9 é"}}"#);
    ReceivedUpdate {
        account: self::account(account).professional_account_id,
        update: WebhookUpdate {
            id: WebhookId::from_bytes(id),
            field: WebhookField::of_name("messages"),
            direction: Some(Direction::Inbound),
            peer_id: Some(parsed("99999999999999999999")),
            time: START + Duration::from_micros(u64::from(number)),
            payload_size: i64::try_from(payload.len()).unwrap_or_default(),
        },
        payload: WebhookPayload::new(&payload),
    }
}

/// An update of which only what must be there is.
fn bare(account: u8, number: u16) -> ReceivedUpdate {
    let full = received(account, number);
    let update = WebhookUpdate {
        field: WebhookField::default(),
        direction: None,
        peer_id: None,
        payload_size: i64::MAX,
        ..full.update
    };
    ReceivedUpdate { update, payload: None, ..full }
}

fn stored(number: u64) -> StoredUpdates {
    StoredUpdates { stored: number, ..StoredUpdates::default() }
}

/// The event that tells of `update`, which came to `account`.
fn told_of(account: &InstagramAccount, update: &ReceivedUpdate) -> AccountEvent {
    AccountEvent::webhook(account, update.update.clone())
}

/// Whether an event tells of an update.
fn is_update(event: &LoggedEvent) -> bool {
    event.event.as_ref().is_some_and(|event| matches!(event.change, EventChange::Webhook(_)))
}

impl Ports {
    async fn link_accounts(&self, numbers: std::ops::RangeInclusive<u8>) {
        for number in numbers {
            self.link(number, &account(number), "IGAA-first").await;
        }
    }

    async fn receive(&self, updates: &[ReceivedUpdate]) -> StoredUpdates {
        self.webhooks.store(updates).await.unwrap()
    }

    /// The updates in the log, each with its payload, which is to be there.
    async fn updates(&self) -> Vec<(AccountEvent, Option<WebhookPayload>)> {
        self.numbered().await;
        let events = self.event_log.page(0, 5000).await.unwrap();
        let events: Vec<_> = events.into_iter().filter(is_update).collect();
        let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
        let mut payloads = self.webhooks.payloads(&numbers).await.unwrap();
        let mut updates = Vec::new();
        for event in events {
            updates.push((event.event.unwrap(), payloads.remove(&event.number).unwrap()));
        }
        assert!(payloads.is_empty());
        updates
    }
}

/// Whatever it is, and where it has less than others.
pub async fn every_part_of_an_update_survives(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let mut linked = account(1);
    linked.revision = 7;
    ports.link(1, &linked, "IGAA-first").await;
    let mut updates = vec![received(1, 1), bare(1, 2)];
    for (number, direction) in (3..).zip(Direction::ALL) {
        let mut update = received(1, number);
        update.update.direction = Some(*direction);
        updates.push(update);
    }
    let mut largest = received(1, 9);
    largest.payload = WebhookPayload::new(&"x".repeat(WebhookPayload::MAX_LENGTH));
    updates.push(largest);
    assert_eq!(ports.receive(&updates).await, stored(updates.len() as u64));
    let expected = updates.iter().map(|update| (told_of(&linked, update), update.payload.clone()));
    assert_eq!(ports.updates().await, expected.collect::<Vec<_>>());
}

/// Within one batch, in a later one, and whatever else differs.
pub async fn an_update_is_stored_once(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_accounts(1..=1).await;
    let first = received(1, 1);
    let again = ReceivedUpdate { update: first.update.clone(), ..received(1, 2) };
    let batch = [first.clone(), again.clone(), received(1, 3)];
    let expected = StoredUpdates { stored: 2, duplicates: 1, ..StoredUpdates::default() };
    assert_eq!(ports.receive(&batch).await, expected);
    let expected = StoredUpdates { stored: 1, duplicates: 2, ..StoredUpdates::default() };
    assert_eq!(ports.receive(&[again, received(1, 4), first.clone()]).await, expected);
    let ids = [1, 3, 4].map(|number| received(1, number).update.id);
    let updates = ports.updates().await;
    let told: Vec<_> = updates.iter().map(|(event, _)| event.change.clone()).collect();
    let expected =
        ids.map(|id| EventChange::Webhook(WebhookUpdate { id, ..told_update(&told, id) }));
    assert_eq!(told, expected);
    assert_eq!(updates.into_iter().next().unwrap().1, first.payload);
}

/// A new link of the same Instagram account is another account, which was told nothing yet.
pub async fn an_account_that_is_linked_anew_is_told_an_update_again(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_accounts(1..=1).await;
    assert_eq!(ports.receive(&[received(1, 1)]).await, stored(1));
    ports.account_writer.remove(account(1).id, 1).await.unwrap();
    let anew = InstagramAccount { id: account(2).id, ..account(1) };
    ports.link(2, &anew, "IGAA-second").await;
    assert_eq!(ports.receive(&[received(1, 1)]).await, stored(1));
    let expected = StoredUpdates { duplicates: 1, ..StoredUpdates::default() };
    assert_eq!(ports.receive(&[received(1, 1)]).await, expected);
    let told = ports.updates().await.into_iter().map(|(event, _)| event.account_id);
    assert_eq!(told.collect::<Vec<_>>(), [account(1).id, anew.id]);
}

/// The update of this id among changes.
fn told_update(changes: &[EventChange], id: WebhookId) -> WebhookUpdate {
    let mut updates = changes.iter().filter_map(|change| match change {
        EventChange::Webhook(update) => Some(update.clone()),
        _ => None,
    });
    updates.find(|update| update.id == id).unwrap()
}

/// At many replicas, in one order and in the other.
pub async fn of_many_same_batches_at_once_one_is_stored(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_accounts(1..=2).await;
    let batch: Vec<_> = (1..=20).map(|number| received(1 + (number % 2) as u8, number)).collect();
    let all_stored = count_at_once(|turn| {
        let (webhooks, mut batch) = (ports.webhooks.clone(), batch.clone());
        if turn % 2 == 0 {
            batch.reverse();
        }
        async move {
            let counts = webhooks.store(&batch).await.unwrap();
            assert_eq!(counts.stored + counts.duplicates, 20);
            counts.duplicates == 0
        }
    });
    assert_eq!(all_stored.await, 1, "of {MANY}");
    assert_eq!(ports.updates().await.len(), 20);
}

/// Each under the account that it names; the others are only counted.
pub async fn updates_belong_to_the_account_that_they_name(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_accounts(1..=2).await;
    let batch = [received(2, 1), received(3, 2), received(1, 3), received(2, 4)];
    let expected = StoredUpdates { stored: 3, unknown: 1, ..StoredUpdates::default() };
    assert_eq!(ports.receive(&batch).await, expected);
    let told = ports.updates().await.into_iter().map(|(event, _)| event);
    let expected = [(2, 0), (1, 2), (2, 3)].map(|(number, place)| {
        let update: &ReceivedUpdate = batch.get(place).unwrap();
        told_of(&account(number), update)
    });
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

/// No account, no update: nothing is written.
pub async fn updates_of_nobody_are_only_counted(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    assert_eq!(ports.receive(&[]).await, StoredUpdates::default());
    let expected = StoredUpdates { unknown: 2, ..StoredUpdates::default() };
    assert_eq!(ports.receive(&[received(1, 1), received(1, 1)]).await, expected);
    ports.link_accounts(1..=1).await;
    assert_eq!(ports.receive(&[received(1, 1)]).await, stored(1));
    ports.account_writer.remove(account(1).id, 1).await.unwrap();
    let expected = StoredUpdates { unknown: 1, ..StoredUpdates::default() };
    assert_eq!(ports.receive(&[received(1, 2)]).await, expected);
    assert_eq!(ports.updates().await.len(), 1, "what came before stays");
}

/// Whether or not that has its number already.
pub async fn an_update_comes_behind_what_was_told_of_its_account(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_accounts(1..=2).await;
    let first = received(2, 1);
    ports.receive(std::slice::from_ref(&first)).await;
    ports.link_accounts(3..=3).await;
    let last = received(3, 2);
    ports.receive(std::slice::from_ref(&last)).await;
    let linked = |number| AccountEvent::linked(&account(number));
    let expected = [
        linked(1),
        linked(2),
        told_of(&account(2), &first),
        linked(3),
        told_of(&account(3), &last),
    ];
    assert_eq!(ports.told().await, expected);
    let numbers = ports.events().await.into_iter().map(|event| event.number);
    assert!(numbers.eq(1..=5), "with gaps");
}

/// As many as one batch of Meta's has.
pub async fn a_batch_of_a_thousand_keeps_its_order(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_accounts(1..=3).await;
    let account_of = |number: u16| 1 + (number % 3) as u8;
    let batch: Vec<_> = (1..=1000).map(|number| received(account_of(number), number)).collect();
    assert_eq!(ports.receive(&batch).await, stored(1000));
    let told = ports.updates().await.into_iter();
    let expected = (1..=1000).zip(&batch).map(|(number, update): (u16, _)| {
        (told_of(&account(account_of(number)), update), update.payload.clone())
    });
    assert!(told.eq(expected), "in another order");
}

/// With its event, and its key with it.
pub async fn a_purged_update_is_gone(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_accounts(1..=1).await;
    ports.receive(&[received(1, 1)]).await;
    let head = ports.numbered().await.head.number;
    store.age_events(WINDOW).await;
    assert_eq!(ports.event_log.purge(WINDOW, 9).await.unwrap(), 2);
    assert!(ports.webhooks.payloads(&[head]).await.unwrap().is_empty());
    assert_eq!(ports.receive(&[received(1, 1)]).await, stored(1));
    assert_eq!(ports.updates().await.len(), 1);
}

/// Events of accounts have no payload.
pub async fn only_updates_have_payloads(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_accounts(1..=1).await;
    ports.receive(&[received(1, 1)]).await;
    ports.numbered().await;
    let payloads = ports.webhooks.payloads(&[0, 1, 2, 3]).await.unwrap();
    assert_eq!(payloads.into_iter().collect::<Vec<_>>(), [(2, received(1, 1).payload)]);
    assert!(ports.webhooks.payloads(&[]).await.unwrap().is_empty());
}

/// An account of two apps has the updates of each.
pub async fn updates_of_another_app_are_others(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), store.of_app(parsed("7")));
    ports.link_accounts(1..=1).await;
    let unknown = StoredUpdates { unknown: 1, ..StoredUpdates::default() };
    assert_eq!(other.receive(&[received(1, 1)]).await, unknown);
    let elsewhere = InstagramAccount {
        professional_account_id: account(1).professional_account_id,
        ..account(2)
    };
    other.link(2, &elsewhere, "IGAA-other").await;
    for ports in [&ports, &other] {
        assert_eq!(ports.receive(&[received(1, 1)]).await, stored(1));
        assert_eq!(ports.updates().await.len(), 1);
    }
}
